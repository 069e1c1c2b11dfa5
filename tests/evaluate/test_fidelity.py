"""PSNR and SSIM against their definitions, and the baseline that holds its first frame."""

import numpy as np
import pytest

from video4spatial.evaluate.baselines import hold_first_frame
from video4spatial.evaluate.fidelity import PSNR_CAP, psnr, psnr_of_frames, ssim, ssim_of_frames
from video4spatial.schema import Clip, InputError


@pytest.fixture
def video():
    return np.random.default_rng(0).integers(40, 200, (5, 24, 32, 3)).astype(np.uint8)


def test_identical_videos_reach_the_caps(video):
    assert psnr(video, video) == PSNR_CAP == 100
    assert ssim(video, video) == pytest.approx(1, abs=1e-6)


def test_psnr_by_its_definition(video):
    other = video.copy()
    other[1:] += 10
    assert psnr(video, other) == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)
    other[2:] += 10  # the mean over frames is one of decibels, not of errors
    expected = (20 * np.log10(255 / 10) + 3 * 20 * np.log10(255 / 20)) / 4
    assert psnr(video, other) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_the_given_frame_is_not_counted(video, measure):
    other = video.copy()
    other[0] = 0
    assert measure(video, other) == measure(video, video)
    other[1] = 0
    assert measure(video, other) < measure(video, video)


def test_ssim_of_structure_against_none(video):
    flat = np.full_like(video, int(video.mean()))
    assert ssim(video, flat) < 0.05
    dimmer = (video * 0.9).astype(np.uint8)
    assert ssim(video, dimmer) > 0.95  # the same structure, a little darker


def test_frames_are_measured_one_by_one_across_batches():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 256, (70, 16, 16, 3)).astype(np.uint8)
    b = rng.integers(0, 256, (70, 16, 16, 3)).astype(np.uint8)
    for per_frame, mean in ((psnr_of_frames, psnr), (ssim_of_frames, ssim)):
        values = per_frame(a, b)
        assert values.shape == (69,)
        assert values[50] == pytest.approx(mean(a[[0, 51]], b[[0, 51]]), abs=1e-5)
        assert mean(a, b) == pytest.approx(values.mean(), abs=1e-5)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_cannot_be_compared_is_refused(video, measure):
    with pytest.raises(InputError, match="cannot be compared"):
        measure(video, video[:-1])
    with pytest.raises(InputError, match="nothing to compare"):
        measure(video[:1], video[:1])


def test_ssim_refuses_frames_smaller_than_its_window(video):
    with pytest.raises(InputError, match="at least 11 pixels"):
        ssim(video[:, :8], video[:, :8])


def test_hold_first_frame(video):
    held = hold_first_frame(Clip(video), 9)
    assert held.shape == (9, 24, 32, 3)
    assert (held == video[0]).all()
    with pytest.raises(InputError, match="held for 0"):
        hold_first_frame(Clip(video), 0)
