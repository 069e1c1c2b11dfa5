"""The types that cross boundaries, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.schema import (
    Box,
    CameraPath,
    Clip,
    InputError,
    Intrinsics,
    grounding_sentence,
    require_4k_plus_1,
    require_size,
)

sides = st.integers(1, 2000)
lenses = st.builds(Intrinsics, *[st.floats(1, 2000)] * 2, *[st.floats(-500, 2500)] * 2, width=sides, height=sides)


def pixel_of(lens: Intrinsics, ray: np.ndarray) -> np.ndarray:
    seen = lens.matrix @ ray
    return seen[:2] / seen[2]


@given(st.integers(0, 10**6))
def test_4k_plus_1_passes_unchanged(k):
    assert require_4k_plus_1(4 * k + 1) == 4 * k + 1


@given(st.integers(-50, 10**6).filter(lambda n: n % 4 != 1 or n < 1))
def test_other_counts_are_refused_with_counts_that_pass(n):
    with pytest.raises(InputError, match=rf"^clip is {n}, ") as caught:
        require_4k_plus_1(n, "clip")
    low, high = (int(word) for word in str(caught.value).split("use ")[1].split(" or "))
    assert require_4k_plus_1(low) + 4 == require_4k_plus_1(high)
    assert low <= max(n, 1) <= high


@given(sides, sides)
def test_sizes_divide_by_32_or_are_refused_with_one_that_does(width, height):
    if width % 32 == 0 and height % 32 == 0:
        require_size(width, height)
        return
    with pytest.raises(InputError, match=f"{width}x{height}") as caught:
        require_size(width, height)
    near = [int(side) for side in str(caught.value).split("use ")[1].split("x")]
    require_size(*near)
    assert all(abs(a - b) <= 32 for a, b in zip(near, (width, height), strict=True))


@pytest.mark.parametrize("size", [(0, 32), (32, 0), (-32, 32), (32, -64)])
def test_empty_and_negative_sizes_are_refused(size):
    with pytest.raises(InputError):
        require_size(*size)


@given(lenses, sides, sides, st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
def test_resizing_moves_pixels_as_it_moves_the_image(lens, width, height, direction):
    ray = np.array([*direction, 1.0])
    resized = lens.resized(width, height)
    expected = pixel_of(lens, ray) * [width / lens.width, height / lens.height]
    np.testing.assert_allclose(pixel_of(resized, ray), expected, rtol=1e-9, atol=1e-6)
    assert (resized.width, resized.height) == (width, height)
    back = resized.resized(lens.width, lens.height)
    np.testing.assert_allclose(back.vector, lens.vector, rtol=1e-9, atol=1e-9)


@given(lenses, st.floats(-100, 100), st.floats(-100, 100), sides, sides)
def test_cropping_shifts_pixels(lens, left, top, width, height):
    ray = np.array([0.3, -0.2, 1.0])
    cropped = lens.cropped(left, top, width, height)
    np.testing.assert_allclose(pixel_of(cropped, ray), pixel_of(lens, ray) - [left, top], atol=1e-6)
    assert (cropped.width, cropped.height) == (width, height)


@given(st.floats(1, 179), sides, sides)
def test_field_of_view_reaches_the_sides(degrees, width, height):
    lens = Intrinsics.from_horizontal_fov(degrees, width, height)
    half = np.radians(degrees) / 2
    edge = pixel_of(lens, np.array([np.sin(half), 0.0, np.cos(half)]))
    np.testing.assert_allclose(edge, [width, height / 2], rtol=1e-9, atol=1e-6)
    assert lens.fx == lens.fy


@pytest.mark.parametrize("degrees", [0.0, 180.0, -10.0, float("nan")])
def test_impossible_fields_of_view(degrees):
    with pytest.raises(InputError, match="field of view"):
        Intrinsics.from_horizontal_fov(degrees, 64, 32)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 4), np.uint8),
        np.zeros((4, 3, 8, 8), np.uint8),
    ],
)
def test_clips_refuse_what_is_not_rgb_bytes(frames):
    with pytest.raises(InputError, match=r"a clip is uint8 \[T, H, W, 3\]"):
        Clip(frames)


def test_clips_know_their_length_and_size():
    clip = Clip(np.zeros((5, 32, 64, 3), np.uint8))
    assert (len(clip), clip.size) == (5, (64, 32))
    assert len(CameraPath(np.tile(np.eye(4), (7, 1, 1)), Intrinsics.from_horizontal_fov(72.0, 64, 32))) == 7


def test_boxes():
    box = Box(1.0, 2.0, 5.0, 10.0)
    assert box.centre == (3.0, 6.0)
    assert box.area == 32
    assert Box(5.0, 0.0, 1.0, 3.0).area == 0


def test_the_papers_sentence():
    assert grounding_sentence("the red armchair", "a study") == (
        "The camera moves across a study. Finally, it focuses on the red armchair in the center of the frame."
    )
    assert "across a room." in grounding_sentence("the sofa")
