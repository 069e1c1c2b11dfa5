"""The local back end runs a real Qwen3-VL, tiny and untrained, on the CPU."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vlm.tiny_vlm import APART

from video4spatial.schema import InputError
from video4spatial.vlm.local import LocalVLM

needs_torchvision = pytest.mark.skipif(
    not APART.is_dir() and importlib.util.find_spec("torchvision") is None,
    reason=f"Qwen3VLProcessor needs torchvision: `make setup-dev` puts it in {APART}",
)


@needs_torchvision
def test_a_tiny_qwen3_vl_is_asked_for_real(tmp_path):
    worker = [sys.executable, str(Path(__file__).with_name("tiny_vlm.py")), str(tmp_path)]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(worker, capture_output=True, text=True, env=quiet, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["class"] == "Qwen3VLForConditionalGeneration"
    assert len(set(report["texts"])) == 3  # it looks at the pixels: two frames with one prompt get two answers
    assert report["finishes"] == ["length"] * 3
    assert report["outcomes"] == ["truncated", "truncated"]
    assert report["stopped"] == "stop"
    assert report["same_again"]
    assert (report["asked"], report["remembered"]) == (3, 3)


def test_a_folder_without_a_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(InputError, match=f"{tmp_path.name} cannot be loaded as a vision-language model"):
        LocalVLM(str(tmp_path))


def test_bad_settings(tmp_path):
    with pytest.raises(InputError, match="max_tokens"):
        LocalVLM(str(tmp_path), max_tokens=0)
