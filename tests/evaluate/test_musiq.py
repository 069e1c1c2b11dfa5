"""MUSIQ's adapter: what is told without weights or pyiqa, and the real network, untrained, where pyiqa is installed."""

import importlib.util

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from video4spatial.evaluate.musiq import open_musiq
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.quality import imaging_quality
from video4spatial.schema import InputError

PYIQA = importlib.util.find_spec("pyiqa") is not None


def test_without_weights_it_is_not_computed():
    found = open_musiq(None)
    assert isinstance(found, NotComputed)
    assert "musiq_spaq_ckpt-358bb6af.pth" in found.reason
    assert imaging_quality(np.zeros((2, 32, 32, 3), np.uint8), found) is found


def test_a_missing_or_damaged_weight_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"musiq\.pth is not there"):
        open_musiq(tmp_path / "musiq.pth")
    (tmp_path / "musiq.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"musiq\.pth cannot be read"):
        open_musiq(tmp_path / "musiq.pth")


@pytest.mark.skipif(PYIQA, reason="pyiqa is installed")
def test_without_pyiqa_the_reason_is_told(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "musiq.safetensors")
    found = open_musiq(tmp_path / "musiq.safetensors")
    assert isinstance(found, NotComputed)
    assert "pip install 'video4spatial[musiq]'" in found.reason


@pytest.mark.skipif(not PYIQA, reason="pyiqa is an opt-in (noncommercial) and needs a torchvision that fits torch")
def test_the_real_network_scores_as_pyiqa_does(tmp_path):
    network = importlib.import_module("pyiqa.archs.musiq_arch").MUSIQ(pretrained=False).eval()
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / "musiq.pth")
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(frames).permute(0, 3, 1, 2) / 255).flatten().tolist()
    found = imaging_quality(frames, open_musiq(tmp_path / "musiq.pth"))
    assert found.frames == pytest.approx(expected, abs=1e-4)
    assert found.scorer == "MUSIQ (musiq.pth)"
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not hold this model's weights"):
        open_musiq(tmp_path / "other.safetensors")
