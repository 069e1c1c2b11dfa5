"""What is judged, the tolerance, and what a verdict may say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.evaluate.judge import Answer, JudgedClip, Verdict
from video4spatial.schema import Box, InputError

FRAMES = np.arange(10 * 4 * 6 * 3).reshape(10, 4, 6, 3).astype(np.uint8)


def test_the_frame_ahead_of_the_tail_is_judged():
    assert np.array_equal(JudgedClip(FRAMES, "the chair").frame, FRAMES[9])
    assert np.array_equal(JudgedClip(FRAMES, "the chair", 3).frame, FRAMES[6])
    assert np.array_equal(JudgedClip(FRAMES, "the chair", 3).marked_frame, FRAMES[9])
    assert JudgedClip(FRAMES, "the chair", 3).frame.base is None  # the clip can be let go
    assert np.array_equal(JudgedClip(FRAMES[:1], "the chair").frame, FRAMES[0])


@pytest.mark.parametrize(
    ("frames", "target", "tail", "message"),
    [
        (FRAMES[:0], "the chair", 0, "uint8"),
        (FRAMES[:, :0], "the chair", 0, "uint8"),
        (FRAMES[:1], "the chair", 8, "1 frames and a box tail of 8"),
        (FRAMES, "the chair", 10, "give a longer video"),
        (FRAMES, "the chair", -1, "box tail of -1"),
        (FRAMES, "  ", 0, "blank"),
    ],
)
def test_what_cannot_be_judged_has_a_name(frames, target, tail, message):
    with pytest.raises(InputError, match=message):
        JudgedClip(frames, target, tail)


@given(
    st.integers(2, 500), st.integers(2, 500), st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1)
)
def test_the_papers_rule(width, height, x, y, w, h):
    b_x, b_y = x * width, y * height
    box = Box(b_x - w * width / 2, b_y - h * height / 2, b_x + w * width / 2, b_y + h * height / 2)
    c_x, c_y = width / 2, height / 2
    b_x, b_y = box.centre  # as the numbers have it
    right = abs(b_x - c_x) <= 0.6 * c_x and abs(b_y - c_y) <= 0.6 * c_y
    near = min(abs(abs(b_x - c_x) - 0.6 * c_x), abs(abs(b_y - c_y) - 0.6 * c_y)) < 1e-6
    verdict = Verdict.answered(box, width, height)
    assert verdict.found
    assert verdict.success == right or near


@pytest.mark.parametrize(("x", "success"), [(20, True), (19.9, False), (80, True), (80.1, False)])
def test_the_edge_of_the_tolerance(x, success):
    assert Verdict.answered(Box(x - 5, 20, x + 5, 30), 100, 50).success is success


def test_a_verdict_does_not_contradict_itself():
    with pytest.raises(ValueError, match="found=True"):
        Verdict(Answer.ANSWERED, found=True)
    with pytest.raises(ValueError, match="centred=True"):
        Verdict(Answer.ANSWERED, centred=True)
    with pytest.raises(ValueError, match="nonsense and found"):
        Verdict(Answer.NONSENSE, True, Box(0, 0, 1, 1))
    assert not Verdict.answered(None, 4, 4).success
    assert Verdict.unusable("no such file").outcome is Answer.UNUSABLE
