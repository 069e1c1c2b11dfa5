"""DIS on motions that are known, Dynamic Degree with it, and RAFT's weight files."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from vlm.tiny_vlm import APART

from video4spatial.evaluate.baselines import hold_first_frame
from video4spatial.evaluate.optical_flow import DISFlow, open_raft
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.quality import DynamicDegree, dynamic_degree
from video4spatial.schema import InputError

needs_torchvision = pytest.mark.skipif(
    not APART.is_dir() and importlib.util.find_spec("torchvision") is None,
    reason=f"RAFT needs torchvision: `make setup-dev` puts it in {APART}",
)


@pytest.fixture(scope="module")
def texture():
    values = gaussian_filter(np.random.default_rng(0).normal(size=(160, 400, 3)), (1.5, 1.5, 0))
    return ((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)


def pan(texture, right, down, frames=17):
    """A window of 192x128 on the texture that moves so many pixels a frame: what is seen moves the other way."""
    return np.stack([texture[down * k : 128 + down * k, right * k : 192 + right * k] for k in range(frames)])


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 2), (6, 0), (5, 5), (12, 0)])
def test_dis_finds_a_known_translation(texture, right, down):
    a, b = pan(texture, right, down, 2)
    flow = DISFlow()(a, b)
    assert flow.shape == (128, 192, 2)
    assert np.median(flow, axis=(0, 1)) == pytest.approx((-right, -down), abs=0.1)
    inner = flow[16:-16, 16:-16]
    assert np.abs(inner - (-right, -down)).mean() < 0.1


def test_dis_looks_at_red_more_than_at_blue(texture):
    """As brightness does: a red texture that moves right over a blue one that moves left."""
    frames = np.zeros((2, 128, 192, 3), np.uint8)
    for index, shift in enumerate((0, 4)):
        frames[index, ..., 0] = texture[:128, 10 - shift : 202 - shift, 0]
        frames[index, ..., 2] = texture[:128, 10 + shift : 202 + shift, 2]
    assert np.median(DISFlow()(*frames)[..., 0]) == pytest.approx(4, abs=0.5)


def test_still_is_still_and_a_fast_pan_moves(texture):
    still = dynamic_degree(pan(texture, 0, 0), 8, DISFlow())
    slow = dynamic_degree(pan(texture, 1, 0), 8, DISFlow())
    fast = dynamic_degree(pan(texture, 8, 0), 8, DISFlow())
    assert (still.dynamic, slow.dynamic, fast.dynamic) == (False, False, True)  # 3 pixels at this size
    assert max(still.steps) == 0
    assert fast.steps == pytest.approx([8] * 16, abs=1)
    assert fast.flow == "DIS (stand-in)"


def test_the_frame_rate_decides(texture):
    slow = pan(texture, 2, 0, 49)
    assert not dynamic_degree(slow, 8, DISFlow()).dynamic
    assert dynamic_degree(slow, 24, DISFlow()).dynamic  # three frames apart


@pytest.mark.parametrize("value", [0, 127, 255])
def test_black_and_constant_videos_are_still(value):
    found = dynamic_degree(np.full((9, 48, 64, 3), value, np.uint8), 8, DISFlow())
    assert isinstance(found, DynamicDegree)
    assert (found.dynamic, found.moving) == (False, 0)


def test_noise_has_a_value():
    noise = np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3)).astype(np.uint8)
    assert isinstance(dynamic_degree(noise, 8, DISFlow()), DynamicDegree)


def test_a_walk_through_a_room_moves_and_its_held_frame_does_not(tiny_walk):
    clip = tiny_walk.clip
    walk = dynamic_degree(clip.frames, clip.fps, DISFlow())
    held = dynamic_degree(hold_first_frame(clip, len(clip)), clip.fps, DISFlow())
    assert (walk.dynamic, held.dynamic) == (True, False)


def test_without_weights_raft_is_not_replaced():
    found = open_raft(None)
    assert isinstance(found, NotComputed)
    assert "raft-things.pth" in found.reason


def test_a_missing_or_damaged_weight_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"raft-things\.pth is not there"):
        open_raft(tmp_path / "raft-things.pth")
    damaged = tmp_path / "raft.pth"
    damaged.write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"raft\.pth cannot be read"):
        open_raft(damaged)


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is installed")
def test_without_torchvision_the_reason_is_told(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "raft.safetensors")
    found = open_raft(tmp_path / "raft.safetensors")
    assert isinstance(found, NotComputed)
    assert "torchvision" in found.reason


@needs_torchvision
def test_raft_and_lpips_as_torchvision_and_torchmetrics_have_them(tmp_path):
    worker = [sys.executable, str(Path(__file__).with_name("torchvision_worker.py")), str(tmp_path)]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(worker, capture_output=True, text=True, env=quiet, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["name"] == "RAFT (raft-things.pth)"
    assert report["shape"] == [128, 136, 2]  # 121x130, padded
    assert report["flow"] < 1e-4
    assert report["layouts_differ_in"] == []
    assert "does not hold this model's weights" in report["wrong"]
    assert report["lpips"] == pytest.approx(report["torchmetrics_lpips"], rel=1e-3)
    assert min(report["lpips"]) > 0.01
