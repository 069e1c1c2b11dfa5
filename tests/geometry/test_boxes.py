"""The centre rule, drawing, and reading the drawn box back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, zoom

from video4spatial.geometry.boxes import box_tail, centre_rule, draw_box, iou, line_thickness, read_red_box
from video4spatial.schema import Box, InputError

seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from([(64, 96), (96, 128), (128, 208)])


def corners(*edges):
    return Box(*map(float, edges))


def texture(rng, height, width):
    """A smooth or blocky random picture of muted colours."""
    cell = int(rng.choice([4, 8, 16, 32]))
    noise = rng.random((height // cell + 2, width // cell + 2, 3))
    picture = zoom(noise, (cell, cell, 1), order=int(rng.integers(0, 2)))[:height, :width]
    return (np.clip(0.25 + 0.5 * rng.random(3) + 0.3 * (picture - 0.5), 0, 1) * 255).astype(np.uint8)


def worn(rng, frames):
    """Blur up to a third of the line's thickness and noise of up to 15 levels in every frame."""
    blur = rng.uniform(0, line_thickness(frames.shape[1]) / 3)
    frames = np.stack([gaussian_filter(frame.astype(float), (blur, blur, 0)) for frame in frames])
    return np.clip(frames + rng.normal(0, rng.uniform(0, 15), frames.shape), 0, 255).astype(np.uint8)


def random_box(rng, height, width):
    w, h = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    return corners(x, y, x + w, y + h)


def still(frame, count=4):
    return np.repeat(frame[None], count, axis=0)


def test_centre_rule_by_hand():
    """100 x 50, ratio 0.3: x from 35 to 65, y from 17.5 to 32.5."""
    assert centre_rule(corners(0, 0, 100, 50), 100, 50)
    assert centre_rule(corners(60, 20, 70, 30), 100, 50)  # centre (65, 25), just on the edge
    assert not centre_rule(corners(61, 20, 71, 30), 100, 50)
    assert not centre_rule(corners(45, 28, 55, 38), 100, 50)  # centre (50, 33)
    assert centre_rule(corners(45, 28, 55, 38), 100, 50, ratio=0.4)


def test_iou_by_hand():
    assert iou(corners(0, 0, 2, 2), corners(1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou(corners(0, 0, 2, 2), corners(2, 0, 4, 2)) == 0
    assert iou(corners(0, 0, 2, 2), corners(0, 0, 2, 2)) == 1
    assert iou(corners(1, 1, 1, 1), corners(1, 1, 1, 1)) == 0


def test_draw_box_by_hand():
    frame = np.zeros((6, 8, 3), np.uint8)
    drawn = draw_box(frame, corners(1, 1, 6, 5), thickness=1)
    expected = ["........", ".xxxxx..", ".x...x..", ".x...x..", ".xxxxx..", "........"]
    np.testing.assert_array_equal(drawn[..., 0] == 255, [[c == "x" for c in row] for row in expected])
    assert not drawn[..., 1:].any()
    assert not frame.any()  # the frame given is left alone


def test_draw_box_beyond_the_frame_shows_all_four_lines():
    drawn = draw_box(np.zeros((6, 8, 3), np.uint8), corners(-5, -5, 50, 50), thickness=1)[..., 0] == 255
    assert drawn[0].all()
    assert drawn[-1].all()
    assert drawn[:, 0].all()
    assert drawn[:, -1].all()
    assert drawn.sum() == 2 * 8 + 2 * 4


def test_draw_box_thicker_than_the_box_fills_it():
    drawn = draw_box(np.zeros((9, 9, 3), np.uint8), corners(2, 2, 5, 5), thickness=4)[..., 0] == 255
    assert drawn.sum() == 9


@pytest.mark.parametrize("box", [corners(10, 0, 12, 5), corners(3, 3, 3, 3), corners(float("nan"), 0, 1, 1)])
def test_draw_box_refuses(box):
    with pytest.raises(InputError, match="Box"):
        draw_box(np.zeros((6, 8, 3), np.uint8), box)


def test_box_tail_holds_the_frame():
    frame = texture(np.random.default_rng(0), 96, 64)
    tail = box_tail(frame, corners(10, 10, 40, 40))
    assert tail.shape == (20, 96, 64, 3)
    assert (tail == draw_box(frame, corners(10, 10, 40, 40), thickness=2)).all()
    with pytest.raises(InputError, match="at least 1"):
        box_tail(frame, corners(0, 0, 9, 9), 0)


@settings(max_examples=40)
@given(seeds, sizes)
def test_red_box_is_read_back(seed, size):
    rng = np.random.default_rng(seed)
    box = random_box(rng, *size)
    found = read_red_box(worn(rng, box_tail(texture(rng, *size), box, 4)))
    assert found is not None
    assert iou(found[0], box) > 0.7
    assert 0.35 <= found[1] <= 1


@settings(max_examples=40)
@given(seeds, sizes)
def test_no_box_is_none(seed, size):
    rng = np.random.default_rng(seed)
    frames = worn(rng, still(texture(rng, *size)))
    assert read_red_box(frames) is None
    assert read_red_box(frames, before=worn(rng, still(frames[0]))) is None


@settings(max_examples=40)
@given(seeds, sizes)
def test_a_red_sofa_is_no_box(seed, size):
    rng = np.random.default_rng(seed)
    frame, box = texture(rng, *size), random_box(rng, *size)
    frame[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = [rng.integers(120, 256), 30, 30]
    assert read_red_box(worn(rng, still(frame))) is None


@settings(max_examples=25)
@given(seeds)
def test_a_box_is_found_beside_a_red_sofa(seed):
    rng = np.random.default_rng(seed)
    frame, sofa = texture(rng, 128, 208), random_box(rng, 128, 90)
    box = random_box(rng, 128, 108)
    box = corners(box.x0 + 100, box.y0, box.x1 + 100, box.y1)
    frame[round(sofa.y0) : round(sofa.y1), round(sofa.x0) : round(sofa.x1)] = [200, 30, 30]
    before = worn(rng, still(frame))
    found = read_red_box(worn(rng, box_tail(frame, box, 4)), before=before)
    assert found is not None
    assert iou(found[0], box) > 0.7


def test_a_red_frame_that_was_there_before_is_not_the_box():
    """A red picture frame looks just like the box; only the frames before tell them apart."""
    frame = draw_box(texture(np.random.default_rng(3), 128, 208), corners(20, 20, 90, 100))
    target = corners(120, 40, 180, 90)
    tail = box_tail(frame, target, 4)
    assert read_red_box(still(frame)) is not None
    assert read_red_box(still(frame), before=still(frame)) is None
    found = read_red_box(tail, before=still(frame))
    assert found is not None
    assert iou(found[0], target) > 0.9


@pytest.mark.parametrize("colour", [(160, 100, 50), (0, 0, 255), (255, 255, 255), (255, 160, 0)])
def test_other_colours_are_no_box(colour):
    """Wooden, blue, white, orange frames."""
    frame = draw_box(np.full((128, 208, 3), 120, np.uint8), corners(40, 30, 160, 100), colour)
    assert read_red_box(still(frame)) is None


def test_plain_and_tiny_frames():
    assert read_red_box(np.zeros((3, 64, 96, 3), np.uint8)) is None
    assert read_red_box(np.full((1, 8, 8, 3), 255, np.uint8)) is None
    red = np.zeros((2, 64, 96, 3), np.uint8)
    red[..., 0] = 255
    assert read_red_box(red) is None


def test_full_size_and_whole_frame():
    for box in (corners(150, 60, 290, 200), corners(0, 0, 416, 256)):
        found = read_red_box(box_tail(np.full((256, 416, 3), 90, np.uint8), box, 2))
        assert found is not None
        assert iou(found[0], box) > 0.95
        assert found[1] > 0.9
