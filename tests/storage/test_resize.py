"""Cropping and resizing, of pixels and of intrinsics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.schema import Clip, InputError, Intrinsics
from video4spatial.storage.video import fit_intrinsics, resize_clip


def test_halving_by_hand():
    """Each pixel is the mean of its four: (0 + 4 + 8 + 12) / 4 = 6."""
    frames = np.zeros((1, 2, 4, 3), np.uint8)
    frames[0, :, :2] = np.array([[0, 4], [8, 12]])[..., None]
    frames[0, :, 2:] = 100
    np.testing.assert_array_equal(resize_clip(Clip(frames), 2, 1).frames[0, 0, :, 0], [6, 100])


def test_two_thirds_by_hand():
    """3 pixels to 2: the middle one is shared: (60 + 120/2) / 1.5 = 80, (120/2 + 240) / 1.5 = 200."""
    frames = np.repeat(np.array([60, 120, 240], np.uint8)[None, None, :, None], 3, axis=3).repeat(3, axis=1)
    np.testing.assert_array_equal(resize_clip(Clip(frames), 2, 2).frames[0, 0, :, 0], [80, 200])


@settings(max_examples=30)
@given(st.integers(3, 40), st.integers(3, 40), st.integers(1, 40), st.integers(1, 40))
def test_sizes_constants_and_rate(width, height, to_width, to_height):
    clip = resize_clip(Clip(np.full((2, height, width, 3), 77, np.uint8), 12.0), to_width, to_height)
    assert clip.size == (to_width, to_height)
    assert clip.fps == 12
    assert (clip.frames == 77).all()


def test_shrinking_keeps_the_mean():
    frames = np.random.default_rng(0).integers(0, 256, (2, 45, 80, 3), dtype=np.uint8)
    assert resize_clip(Clip(frames), 32, 18).frames.mean() == pytest.approx(frames.mean(), abs=0.1)


def test_same_size_is_untouched():
    frames = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_clip(Clip(frames), 8, 6).frames, frames)


def test_crop_takes_the_middle():
    frames = np.zeros((1, 4, 12, 3), np.uint8)
    frames[:, :, 4:8] = 200
    assert (resize_clip(Clip(frames), 4, 4).frames == 200).all()


def test_empty_clip_and_bad_size():
    assert resize_clip(Clip(np.zeros((0, 6, 8, 3), np.uint8)), 4, 3).frames.shape == (0, 3, 4, 3)
    with pytest.raises(InputError, match="8x6 to 0x3"):
        resize_clip(Clip(np.zeros((1, 6, 8, 3), np.uint8)), 0, 3)


def test_intrinsics_by_hand():
    """1920x1440 to 416x256: the crop is 1920x1182 from row 129, the scale 416/1920."""
    k = fit_intrinsics(Intrinsics(1500.0, 1500.0, 960.0, 720.0, 1920, 1440), 416, 256)
    assert (k.width, k.height, k.cx) == (416, 256, 208)
    assert k.fx == pytest.approx(325)
    assert k.cy == pytest.approx((720 - 129) * 256 / 1182)


@settings(max_examples=30)
@given(st.integers(150, 400), st.integers(150, 400), st.integers(40, 90), st.integers(40, 90))
def test_intrinsics_follow_the_pixels(width, height, to_width, to_height):
    """A soft spot where a ray meets the image is found, once resized, where the fitted intrinsics put that ray."""
    k = Intrinsics(300.0, 310.0, width / 2 + 1.0, height / 2 - 1.0, width, height)
    y, x = np.mgrid[:height, :width] + 0.5
    centre = width / 2 + 3, height / 2 + 5
    spot = 255 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 9.0**2))
    frames = np.repeat(np.rint(spot).astype(np.uint8)[None, ..., None], 3, axis=3)
    fitted = fit_intrinsics(k, to_width, to_height)
    small = resize_clip(Clip(frames), to_width, to_height).frames[0, ..., 0].astype(float)
    y, x = np.mgrid[:to_height, :to_width] + 0.5
    expected_x = (centre[0] - k.cx) / k.fx * fitted.fx + fitted.cx
    expected_y = (centre[1] - k.cy) / k.fy * fitted.fy + fitted.cy
    assert (small * x).sum() / small.sum() == pytest.approx(expected_x, abs=0.1)
    assert (small * y).sum() / small.sum() == pytest.approx(expected_y, abs=0.1)
