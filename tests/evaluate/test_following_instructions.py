"""IF and its joint rates, the red box's accuracy, false finds: all over all cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.evaluate.following_instructions import (
    DrawnBox,
    agreement,
    drawn_box,
    false_finds,
    following,
    succeeds,
)
from video4spatial.evaluate.judge import Answer, JudgedClip, Verdict
from video4spatial.schema import Box, InputError

GOOD = Verdict(Answer.ANSWERED, True, Box(4, 4, 6, 6), True)
ASIDE = Verdict(Answer.ANSWERED, True, Box(0, 0, 1, 1))
NOT_THERE = Verdict(Answer.ANSWERED)
FAILED = [Verdict(answer) for answer in Answer if answer is not Answer.ANSWERED]
ANY = st.sampled_from([GOOD, ASIDE, NOT_THERE, *FAILED])


def test_joint_rates_by_hand():
    verdicts = [GOOD, GOOD, GOOD, GOOD, ASIDE, NOT_THERE, FAILED[0], GOOD]
    distances = [0.05, 0.15, 0.2, None, 0.05, 0.05, 0.05, 0.0999]
    scores = following(verdicts, distances)
    assert scores.rate.mean == pytest.approx(5 / 8)
    assert scores.joint is not None
    assert scores.joint[0.2].mean == pytest.approx(3 / 8)  # 0.2 is not below 0.2; a missing distance fails
    assert scores.joint[0.1].mean == pytest.approx(2 / 8)
    assert (scores.found, scores.without_distance) == (6, 1)
    assert following(verdicts).joint is None


@given(st.lists(st.tuples(ANY, st.none() | st.floats(0, 2)), min_size=1, max_size=12))
def test_totals_add_up_and_a_condition_more_never_helps(pairs):
    verdicts, distances = [v for v, _ in pairs], [d for _, d in pairs]
    scores = following(verdicts, distances)
    assert scores.joint is not None
    assert sum(scores.outcomes.values()) == scores.cases == len(pairs)
    assert scores.joint[0.1].mean <= scores.joint[0.2].mean <= scores.rate.mean <= scores.found / scores.cases
    for interval in (scores.rate, *scores.joint.values()):
        assert 0 <= interval.low <= interval.mean <= interval.high <= 1


@pytest.mark.parametrize("distance", [-0.1, math.nan, math.inf])
def test_a_distance_that_is_none_is_not_scored(distance):
    with pytest.raises(InputError, match="Spatial Distance"):
        following([GOOD], [distance])


def test_bad_counts():
    with pytest.raises(InputError, match="no cases"):
        following([])
    with pytest.raises(InputError, match="1 verdicts and 2 distances"):
        following([GOOD], [0.1, 0.1])
    with pytest.raises(InputError, match="1 verdicts and 0 drawn"):
        false_finds([GOOD], [])
    assert not succeeds(GOOD, None, 0.2)
    assert succeeds(GOOD, None)


def test_false_finds_by_hand():
    box, none = DrawnBox(Box(0, 0, 1, 1)), DrawnBox(None)
    found = false_finds([GOOD, ASIDE, NOT_THERE, NOT_THERE, FAILED[0]], [box, none, box, none, none])
    rates = [rate.mean for rate in (found.drawn, found.shown, found.followed, found.either)]
    assert rates == pytest.approx([2 / 5, 2 / 5, 1 / 5, 3 / 5])
    assert sum(found.outcomes.values()) == 5


def test_the_drawn_box_is_read_and_compared(tiny_grounding):
    clip = JudgedClip(tiny_grounding.clip.frames, "the chair", tiny_grounding.tail_frames)
    truth = Box(*tiny_grounding.meta["box"])
    far = Box(truth.x0, truth.y0, truth.x0 + 1, truth.y0 + 1)
    drawn = drawn_box(clip, Verdict(Answer.ANSWERED, True, far), truth)
    assert drawn.with_truth is not None
    assert drawn.with_judged is not None
    assert drawn.with_truth.overlap > 0.7
    assert drawn.with_truth.apart < 0.03
    assert drawn.with_judged.overlap < 0.1
    doubled = Box(*(2 * v for v in (truth.x0, truth.y0, truth.x1, truth.y1)))
    width, height = tiny_grounding.clip.size
    assert drawn_box(clip, NOT_THERE, doubled, (2 * width, 2 * height)).with_truth == drawn.with_truth
    assert drawn_box(clip, NOT_THERE).with_judged is None


@pytest.mark.parametrize("value", [0, 255])
def test_a_video_without_a_box_has_none(value):
    frames = np.full((12, 32, 64, 3), value, np.uint8)
    assert drawn_box(JudgedClip(frames, "the chair", 8), NOT_THERE, Box(0, 0, 9, 9)) == DrawnBox(None)
    assert drawn_box(JudgedClip(frames[:1], "the chair"), NOT_THERE) == DrawnBox(None)


def test_agreement_by_hand():
    same = agreement(Box(0, 0, 4, 4), Box(0, 0, 4, 4), 30, 40)
    assert (same.overlap, same.apart) == (1, 0)
    beside = agreement(Box(0, 0, 4, 4), Box(30, 40, 34, 44), 30, 40)
    assert (beside.overlap, beside.apart) == (0, 1)
