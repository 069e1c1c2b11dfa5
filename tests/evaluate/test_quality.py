"""VBench's rules: by hand, against slow code that can be read, and at their edges."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.evaluate.optical_flow import DISFlow
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.quality import (
    DynamicDegree,
    FrameScorer,
    ImagingQuality,
    OpticalFlow,
    dynamic_degree,
    fit_longest,
    imaging_quality,
)
from video4spatial.schema import InputError


class Brightness:
    """A frame's mean colour, 0 to 100: a scorer whose values are known."""

    name = "brightness"

    def __call__(self, frame):
        return float(frame.mean()) * 100


class KnownSteps:
    """A flow whose largest 5 % have the mean lengths given, one a pair; other pixels move less."""

    name, smallest = "known", 16

    def __init__(self, steps):
        self.steps = iter(steps)

    def __call__(self, a, b):
        step = next(self.steps)
        flow = np.zeros((*a.shape[:2], 2), np.float32)
        lengths = flow.reshape(-1, 2)
        moved = int(len(lengths) * 0.05)
        places = np.random.default_rng(0).permutation(len(lengths))[:moved]
        lengths[places] = [0.6 * step, -0.8 * step]
        return flow


def video(frames, height=16, width=20, value=0):
    return np.full((frames, height, width, 3), value, np.uint8)


def slow_dynamic(steps, frames, fps, shorter):
    """The rule, as VBench states it: sample, threshold, count."""
    sampled = len(range(0, frames, max(1, round(fps / 8))))
    count = 0
    for step in steps[: sampled - 1]:
        if step > 6.0 * (shorter / 256.0):
            count += 1
    return sampled, count >= round(4 * (sampled / 16.0))


def test_imaging_quality_is_the_mean_over_frames_over_100():
    frames = np.concatenate([video(1, value=51), video(3, value=102)])
    found = imaging_quality(iter(frames), Brightness())
    assert isinstance(found, ImagingQuality)
    assert found.frames == pytest.approx((20, 40, 40, 40))
    assert found.value == pytest.approx(0.35)
    assert found.scorer == "brightness"
    assert imaging_quality(video(1), Brightness()).value == 0  # one black frame has its value


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((416, 256), (416, 256)),
        ((512, 512), (512, 512)),
        ((8, 8), (8, 8)),
        ((1024, 600), (512, 300)),
        ((300, 1024), (150, 512)),
        ((561, 100), (511, 91)),  # 512/561 * 561 is 511.99...
    ],
)
def test_the_resize_rule(size, shown):
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    assert tuple(fit_longest(frame).shape) == (3, shown[1], shown[0])


def test_the_resize_is_bilinear_between_pixel_centres_without_antialiasing():
    frame = np.random.default_rng(0).integers(0, 256, (12, 1280, 3)).astype(np.uint8)
    found = fit_longest(frame)
    assert tuple(found.shape) == (3, 4, 512)
    for row, column in ((0, 0), (1, 17), (3, 511), (2, 256)):
        y, x = (row + 0.5) * 12 / 4 - 0.5, (column + 0.5) * 1280 / 512 - 0.5
        top, left = int(y), int(x)
        down, right = y - top, x - left
        corners = frame[top : top + 2, left : left + 2].astype(np.float64)
        weights = np.outer([1 - down, down], [1 - right, right])[: len(corners), : corners.shape[1], None]
        expected = (weights * corners).sum(axis=(0, 1)) / 255
        assert found[:, row, column].numpy() == pytest.approx(expected, abs=1e-5)


def test_a_score_that_is_none_is_told():
    class Broken(Brightness):
        def __call__(self, frame):
            return float("nan") if frame.max() > 0.5 else 50.0

    frames = np.concatenate([video(2), video(1, value=255)])
    assert imaging_quality(frames, Broken()) == NotComputed("brightness gives nan for frame 2")
    assert imaging_quality(frames, NotComputed("no weights")) == NotComputed("no weights")
    with pytest.raises(InputError, match="no frames"):
        imaging_quality(video(0), Brightness())
    with pytest.raises(InputError, match="no pixel left"):
        imaging_quality(video(1, 1, 1100), Brightness())


@given(st.integers(3, 40), st.sampled_from([4, 7.99, 8, 12, 20, 24, 29.97, 30, 60]), st.integers(0, 2**32 - 1))
def test_dynamic_degree_as_the_slow_reference_has_it(frames, fps, seed):
    steps = np.random.default_rng(seed).choice([0.0, 0.374, 0.376, 5.0], frames).tolist()  # 6 * 16/256 is 0.375
    sampled, dynamic = slow_dynamic(steps, frames, fps, 16)
    found = dynamic_degree(video(frames), fps, KnownSteps(steps))
    if sampled < 3:
        assert isinstance(found, NotComputed)
        return
    assert isinstance(found, DynamicDegree)
    assert (found.sampled, found.dynamic) == (sampled, dynamic)
    assert found.steps == pytest.approx(steps[: sampled - 1], abs=1e-5)
    assert found.fps == fps


@pytest.mark.parametrize(
    ("frames", "fps", "every", "sampled", "needed"),
    [
        (181, 24, 3, 61, 15),
        (161, 24, 3, 54, 14),  # 13.5 rounds to the even 14
        (181, 16, 2, 91, 23),
        (20, 8, 1, 20, 5),
        (6, 4, 1, 6, 2),
        (10, 8, 1, 10, 2),  # 2.5 rounds to the even 2
        (12, 12, 2, 6, 2),  # a rate of 12 is 1.5 times 8: 2
        (12, 20, 2, 6, 2),  # and 20 is 2.5 times 8: 2
    ],
)
def test_sampling_and_count_by_hand(frames, fps, every, sampled, needed):
    moving = dynamic_degree(video(frames), fps, KnownSteps([1.0] * needed + [0.0] * frames))
    assert (moving.every, moving.sampled, moving.needed, moving.dynamic) == (every, sampled, needed, True)
    one_less = dynamic_degree(video(frames), fps, KnownSteps([1.0] * (needed - 1) + [0.0] * frames))
    assert (one_less.moving, one_less.dynamic) == (needed - 1, False)


def test_the_threshold_scales_with_the_shorter_side_and_is_strict():
    for height, width, threshold in ((256, 416, 6.0), (512, 256, 6.0), (128, 192, 3.0)):
        at = dynamic_degree(video(4, height, width), 8, KnownSteps([threshold / 0.8 * 0.8] * 3))
        assert at.threshold == threshold
        assert dynamic_degree(video(4, height, width), 8, KnownSteps([threshold * 1.01] * 3)).dynamic
        assert not dynamic_degree(video(4, height, width), 8, KnownSteps([threshold * 0.99] * 3)).dynamic

    class Exactly(KnownSteps):
        def __call__(self, a, b):
            return np.full((*a.shape[:2], 2), [0, 0.375], np.float32)

    assert not dynamic_degree(video(4), 8, Exactly([])).dynamic


def test_the_largest_twentieth_of_the_flow_is_averaged():
    class Ramp(KnownSteps):
        smallest = 10

        def __call__(self, a, b):
            return np.stack([np.arange(200.0).reshape(10, 20), np.zeros((10, 20))], -1).astype(np.float32)

    found = dynamic_degree(video(4, 10, 20), 8, Ramp([]))
    assert found.steps == pytest.approx([np.arange(190, 200).mean()] * 3)


@pytest.mark.parametrize(("frames", "fps"), [(1, 24), (3, 24), (2, 8), (6, 24)])
def test_too_few_frames_to_say(frames, fps):
    found = dynamic_degree(video(frames, 64, 64), fps, DISFlow())
    assert isinstance(found, NotComputed)
    assert "sampled frames" in found.reason


def test_what_else_cannot_be_computed():
    assert dynamic_degree(video(9), 8, NotComputed("no RAFT")) == NotComputed("no RAFT")
    small = dynamic_degree(video(9, 24, 64), 8, DISFlow())
    assert small == NotComputed("DIS (stand-in) needs frames of 32 pixels a side, not 64x24")
    lost = dynamic_degree(video(9), 8, KnownSteps([0.0, float("nan"), 0.0, *[0.0] * 9]))
    assert isinstance(lost, NotComputed)
    assert "no flow" in lost.reason
    with pytest.raises(InputError, match="no frames"):
        dynamic_degree(video(0), 8, DISFlow())
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="fps"):
            dynamic_degree(video(9), fps, DISFlow())


def test_a_video_is_read_a_few_frames_at_a_time():
    alive, most = weakref.WeakSet(), 0

    class Frame(np.ndarray):
        __hash__ = object.__hash__

    def frames():
        nonlocal most
        for _ in range(30):
            frame = video(1)[0].view(Frame)
            alive.add(frame)
            most = max(most, len(alive))
            yield frame

    imaging_quality(frames(), Brightness())
    dynamic_degree(frames(), 8, KnownSteps([0.0] * 30))
    assert 0 < most <= 4


def test_scorers_and_flows_meet_their_protocols():
    assert isinstance(Brightness(), FrameScorer)
    assert isinstance(DISFlow(), OpticalFlow)
    assert Brightness()(torch.ones(3, 2, 2)) == 100
