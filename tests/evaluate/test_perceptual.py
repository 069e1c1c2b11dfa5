"""LPIPS by hand, against slow code that can be read, and its weight files."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d, max_pool2d, relu

from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.perceptual import LPIPS, layer_distance, lpips, lpips_of_frames, open_lpips
from video4spatial.schema import InputError

VGG = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)}
VGG |= {17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}
ALEX = {0: (3, 64, 11), 3: (64, 192, 5), 6: (192, 384, 3), 8: (384, 256, 3), 10: (256, 256, 3)}


def random_alexnet():
    draw = torch.Generator().manual_seed(0)
    state = {"classifier.1.weight": torch.zeros(2, 2)}  # of torchvision's file only the convolutions are used
    for number, (before, after, size) in ALEX.items():
        scale = (2 / (before * size * size)) ** 0.5
        state[f"features.{number}.weight"] = torch.randn(after, before, size, size, generator=draw) * scale
        state[f"features.{number}.bias"] = torch.randn(after, generator=draw) * 0.1
    return state


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / "alexnet.safetensors"
    save_file(random_alexnet(), path)
    return path


@pytest.fixture(scope="module")
def measure(trunk):
    return open_lpips("alex", trunk)


@pytest.fixture(scope="module")
def videos():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (10, 40, 48, 3)).astype(np.uint8)
    return a, np.clip(a + rng.normal(0, 30, a.shape), 0, 255).astype(np.uint8)


def slow_distance(a, b, weight):
    total = 0.0
    for y in range(a.shape[1]):
        for x in range(a.shape[2]):
            p, q = a[:, y, x] / np.linalg.norm(a[:, y, x]), b[:, y, x] / np.linalg.norm(b[:, y, x])
            total += sum(weight[c] * (p[c] - q[c]) ** 2 for c in range(len(p)))
    return total / (a.shape[1] * a.shape[2])


def slow_lpips(x, y, state, weights):
    """The distance of two frames [3, H, W] in 0 to 1, layer by layer."""
    total = 0.0
    features = [(v * 2 - 1 - torch.tensor([-0.03, -0.088, -0.188])[:, None, None]) for v in (x, y)]
    features = [v / torch.tensor([0.458, 0.448, 0.45])[:, None, None] for v in features]
    for layer, (number, stride, padding, pooled) in enumerate(
        [(0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False)]
    ):
        kernel, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
        features = [max_pool2d(v[None], 3, 2)[0] if pooled else v for v in features]
        features = [relu(conv2d(v[None], kernel, bias, stride, padding))[0] for v in features]
        total += slow_distance(*(v.double().numpy() for v in features), weights[layer].double().numpy())
    return total


def test_a_layer_by_hand():
    a = torch.tensor([[3.0, 0.0], [4.0, 2.0]]).reshape(1, 2, 1, 2)  # unit vectors (.6, .8) and (0, 1)
    b = torch.tensor([[5.0, 1.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)  # (1, 0) and (1, 0)
    weight = torch.tensor([10.0, 1.0])
    expected = ((0.16 * 10 + 0.64) + (10 + 1)) / 2
    assert layer_distance(a, b, weight).tolist() == pytest.approx([expected])
    assert layer_distance(7 * a, b, weight).tolist() == pytest.approx([expected])  # lengths do not count
    assert layer_distance(torch.zeros_like(a), b, weight).tolist() == pytest.approx([10])  # no features, no NaN


def test_a_layer_as_the_slow_reference_has_it():
    a, b = torch.rand(2, 3, 6, 4, 5)
    weight = torch.rand(6)
    expected = [slow_distance(x.numpy(), y.numpy(), weight.numpy()) for x, y in zip(a, b, strict=True)]
    assert layer_distance(a, b, weight).tolist() == pytest.approx(expected, rel=1e-4)


def test_frames_as_the_slow_reference_has_them(measure, videos):
    a, b = (torch.from_numpy(v[:2]).permute(0, 3, 1, 2).float() / 255 for v in videos)
    expected = [slow_lpips(x, y, random_alexnet(), list(measure.linear)) for x, y in zip(a, b, strict=True)]
    assert measure(a, b).tolist() == pytest.approx(expected, rel=1e-3)


def test_videos_are_measured_frame_by_frame_without_the_first(measure, videos):
    a, b = videos
    values = lpips_of_frames(iter(a), b, measure)
    assert values.shape == (9,)  # more than a batch
    assert lpips(a, b, measure) == pytest.approx(values.mean())
    for k in (1, 9):
        assert lpips(a[[0, k]], b[[0, k]], measure) == pytest.approx(values[k - 1], rel=1e-4)
    other = b.copy()
    other[0] = 0
    assert lpips(a, other, measure) == lpips(a, b, measure)


def test_a_distance_is_zero_symmetric_and_grows(measure, videos):
    a, b = videos
    assert lpips(a, a, measure) == 0
    assert lpips(a, b, measure) == pytest.approx(lpips(b, a, measure), rel=1e-5)
    mixed = [(a.astype(float) * (1 - share) + b * share).astype(np.uint8) for share in (0, 0.3, 0.6, 1)]
    distances = [lpips(a, m, measure) for m in mixed]
    assert all(nearer < farther for nearer, farther in pairwise(distances))
    black = np.zeros_like(a)
    assert lpips(black, black, measure) == 0
    assert np.isfinite(lpips(black, a, measure))


def test_what_cannot_be_compared_or_computed(measure, videos):
    a, b = videos
    with pytest.raises(InputError, match="cannot be compared"):
        lpips(a, b[:-1], measure)
    with pytest.raises(InputError, match="nothing to compare"):
        lpips(a[:1], b[:1], measure)
    small = lpips(a[:, :30], b[:, :30], measure)
    assert small == NotComputed("LPIPS (alex) needs frames of 31 pixels a side, not 48x30")
    assert np.isfinite(lpips(a[:, :31, :31], b[:, :31, :31], measure))
    assert lpips(a, b, NotComputed("no trunk")) == NotComputed("no trunk")


def test_without_a_trunk_it_is_not_computed(trunk):
    found = open_lpips("alex", None)
    assert isinstance(found, NotComputed)
    assert "LPIPS (alex)" in found.reason
    with pytest.raises(InputError, match="no trunk squeeze: choose alex or vgg"):
        open_lpips("squeeze", trunk)


def test_weight_files_must_hold_exactly_the_weights(tmp_path, trunk):
    with pytest.raises(InputError, match=r"alexnet\.pth"):
        open_lpips("alex", tmp_path / "alexnet.pth")
    with pytest.raises(InputError, match=r"linear\.safetensors"):
        open_lpips("alex", trunk, tmp_path / "linear.safetensors")
    with pytest.raises(InputError, match=r"missing: features\.2\.weight"):
        open_lpips("vgg", trunk)
    state = random_alexnet()
    del state["features.10.bias"]
    torch.save(state | {"features.11.weight": torch.zeros(1)}, tmp_path / "some.pth")
    with pytest.raises(InputError, match=r"1 missing: features\.10\.bias; 1 unexpected: features\.11\.weight"):
        open_lpips("alex", tmp_path / "some.pth")
    lines = {f"lin{k}.model.1.weight": torch.ones(1, count, 1, 1) for k, count in enumerate((64, 192, 384, 256, 256))}
    save_file(lines, tmp_path / "ones.safetensors")
    assert open_lpips("alex", trunk, tmp_path / "ones.safetensors").linear[4].tolist() == [1] * 256
    save_file(lines | {"lin5.model.1.weight": torch.ones(1, 9, 1, 1)}, tmp_path / "six.safetensors")
    with pytest.raises(InputError, match=r"unexpected: linear\.5"):
        open_lpips("alex", trunk, tmp_path / "six.safetensors")


def test_vgg16_has_torchvisions_names():
    with torch.device("meta"):
        found = {key: tuple(value.shape) for key, value in LPIPS("vgg").features.named_parameters()}
    expected = {f"{k}.weight": (after, before, 3, 3) for k, (before, after) in VGG.items()}
    assert found == expected | {f"{k}.bias": (after,) for k, (_, after) in VGG.items()}
