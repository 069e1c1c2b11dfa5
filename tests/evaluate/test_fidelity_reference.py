"""PSNR and SSIM against slow code that can be read, and videos that come frame by frame."""

import numpy as np
import pytest

from video4spatial.evaluate.fidelity import psnr, psnr_of_frames, ssim, ssim_of_frames
from video4spatial.schema import InputError


@pytest.fixture
def videos():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 256, (3, 14, 17, 3)).astype(np.uint8)
    return a, np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)


def slow_psnr(x, y):
    error = sum((float(p) - float(q)) ** 2 for p, q in zip(x.ravel(), y.ravel(), strict=True)) / x.size
    return 10 * np.log10(255**2 / error)


def slow_ssim(x, y):
    """Wang et al. 2004, equations 13 to 16, at every pixel of the mirrored frame, one channel at a time."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / np.outer(line, line).sum()
    values = []
    x, y = (np.pad(v, ((5, 5), (5, 5), (0, 0)), mode="reflect") for v in (x, y))
    for channel in range(3):
        for row in range(x.shape[0] - 10):
            for column in range(x.shape[1] - 10):
                p, q = (v[row : row + 11, column : column + 11, channel].astype(np.float64) / 255 for v in (x, y))
                mean_p, mean_q = (window * p).sum(), (window * q).sum()
                var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
                both = (window * (p - mean_p) * (q - mean_q)).sum()
                values.append(
                    ((2 * mean_p * mean_q + 0.01**2) * (2 * both + 0.03**2))
                    / ((mean_p**2 + mean_q**2 + 0.01**2) * (var_p + var_q + 0.03**2))
                )
    return np.mean(values)


def test_every_frame_as_the_slow_reference_has_it(videos):
    a, b = videos
    assert psnr_of_frames(a, b) == pytest.approx([slow_psnr(x, y) for x, y in zip(a[1:], b[1:], strict=True)], abs=1e-3)
    assert ssim_of_frames(a, b) == pytest.approx([slow_ssim(x, y) for x, y in zip(a[1:], b[1:], strict=True)], abs=1e-4)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_iterators_and_arrays_give_the_same(videos, measure):
    a, b = videos
    assert measure(iter(a), iter(b)) == measure(a, iter(b)) == measure(a, b)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_iterators_that_cannot_be_compared(videos, measure):
    a, b = videos
    with pytest.raises(InputError, match="one ends after 2 frames"):
        measure(iter(a), iter(b[:2]))
    with pytest.raises(InputError, match="17x14 and 16x14 cannot be compared"):
        measure(iter(a), iter(b[:, :, :16]))
    with pytest.raises(InputError, match="frame 1 is 16x14 in a video of 17x14"):
        measure(iter([a[0], a[1][:, :16], a[2]]), iter(a))
    with pytest.raises(InputError, match="frame 0 is not uint8"):
        measure(iter(a.astype(np.float32)), iter(a.astype(np.float32)))
    with pytest.raises(InputError, match="nothing to compare"):
        measure(iter(()), iter(()))


def test_black_and_constant_videos_have_their_values():
    black, white = np.zeros((3, 16, 16, 3), np.uint8), np.full((3, 16, 16, 3), 255, np.uint8)
    assert (psnr(black, black), psnr(black, white)) == (100, 0)
    assert ssim(black, black) == pytest.approx(1)
    assert ssim(black, white) == pytest.approx(0.01**2 / (1 + 0.01**2), abs=1e-6)
