"""Instruction Following over a benchmark (paper section 4.1): IF, its joint rates with Spatial Distance, the red box's
accuracy, and false finds where the target does not exist.

All rates are over all cases. A case without an answer, a video or a distance counts as failed, and is counted apart.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video4spatial.evaluate.judge import UNJUDGED, Answer, JudgedClip, Verdict
from video4spatial.evaluate.statistics import Interval, rate_interval
from video4spatial.geometry.boxes import iou, read_box_tail
from video4spatial.schema import Box, InputError

LIMITS = (0.2, 0.1)
"""Metres of Spatial Distance below which a case counts in the joint rates."""


def succeeds(verdict: Verdict, distance: float | None = None, limit: float | None = None) -> bool:
    """Whether a case counts: its target is found and centred and, with a ``limit``, its distance is known and below."""
    if distance is not None and not (math.isfinite(distance) and distance >= 0):
        raise InputError(f"a Spatial Distance is {distance}: give metres, or None where registration failed")
    return verdict.success if limit is None else near_too(verdict.success, distance, limit)


def near_too(success: bool, distance: float | None, limit: float) -> bool:
    """The condition of a joint rate IF(SD<limit), of which both its tables are made: the case is a success, and has a
    distance that is below the limit."""
    return success and distance is not None and distance < limit


@dataclass(frozen=True)
class Following:
    """The scores of one method over its cases.

    Attributes:
        outcomes: how many cases came to each answer; they add up to ``cases``.
        found: in how many the target is in the frame, centred or not.
        rate: IF.
        joint: IF(SD<d) by d, in metres; None where no distances were computed at all.
        without_distance: cases whose distance is missing, so that they fail the joint rates.
    """

    cases: int
    outcomes: Mapping[Answer, int]
    found: int
    rate: Interval
    joint: Mapping[float, Interval] | None
    without_distance: int

    @property
    def unjudged(self) -> int:
        """Cases that failed only because no judge could be asked; IF could be higher by as many."""
        return sum(self.outcomes[answer] for answer in UNJUDGED)


def following(
    verdicts: Sequence[Verdict],
    distances: Sequence[float | None] | None = None,
    limits: Sequence[float] = LIMITS,
) -> Following:
    """IF and the joint rates IF(SD<d), with bootstrap intervals over cases (``statistics.rate_interval``).

    A joint rate is the share of *all* cases that succeed with ``SD < d``. The paper's words ("among videos of which SD
    is less than d") could also mean a share of those with ``SD < d``; its Table 1 fits the joint rate only, as every
    row's IF(SD<d) is at most its IF and falls with d.

    Args:
        distances: Spatial Distance of each case in metres, None where there is none; None: SD was not computed.

    Raises:
        InputError: no cases; other numbers of distances; a distance that is negative, NaN or infinite.
    """
    if not verdicts:
        raise InputError("there are no cases to score: give at least one verdict")
    if distances is not None and len(distances) != len(verdicts):
        raise InputError(f"{len(verdicts)} verdicts and {len(distances)} distances: give one for each case")
    counted = Counter(verdict.outcome for verdict in verdicts)
    joint = None
    if distances is not None:
        pairs = list(zip(verdicts, distances, strict=True))
        joint = {limit: rate_interval([succeeds(v, sd, limit) for v, sd in pairs]) for limit in limits}
    return Following(
        cases=len(verdicts),
        outcomes={answer: counted[answer] for answer in Answer},
        found=sum(verdict.found for verdict in verdicts),
        rate=rate_interval([succeeds(verdict) for verdict in verdicts]),
        joint=joint,
        without_distance=0 if distances is None else sum(distance is None for distance in distances),
    )


@dataclass(frozen=True)
class Agreement:
    """Of two boxes: intersection over union, and the distance of their centres as a share of the frame's diagonal."""

    overlap: float
    apart: float


@dataclass(frozen=True)
class DrawnBox:
    """The red box a video draws, in pixels of it (None: none can be read), and what it agrees with.

    Attributes:
        with_judged: with the box in which the judge sees the target, ahead of the tail; None unless both are there.
        with_truth: with the ground truth's box; the generated video may end at another place, so that a right box need
            not agree with it. None unless both are there.
    """

    box: Box | None
    confidence: float = 0.0
    with_judged: Agreement | None = None
    with_truth: Agreement | None = None


def drawn_box(
    clip: JudgedClip, verdict: Verdict, truth: Box | None = None, truth_size: tuple[int, int] | None = None
) -> DrawnBox:
    """Box accuracy of one video. ``truth`` is in pixels of a frame of ``truth_size`` (width, height; None: the
    video's), and is scaled to the video."""
    read = read_box_tail(clip.frames, clip.tail_frames)
    if read is None:
        return DrawnBox(None)
    box, confidence = read
    height, width = clip.frames.shape[1:3]
    if truth is not None and truth_size is not None:
        x, y = width / truth_size[0], height / truth_size[1]
        truth = Box(truth.x0 * x, truth.y0 * y, truth.x1 * x, truth.y1 * y)
    judged, true = (agreement(box, other, width, height) if other else None for other in (verdict.box, truth))
    return DrawnBox(box, confidence, judged, true)


def agreement(a: Box, b: Box, width: int, height: int) -> Agreement:
    """How well two boxes of a ``width`` x ``height`` frame agree."""
    (ax, ay), (bx, by) = a.centre, b.centre
    return Agreement(iou(a, b), math.hypot(ax - bx, ay - by) / math.hypot(width, height))


@dataclass(frozen=True)
class FalseFinds:
    """Over cases whose target does not exist.

    Attributes:
        drawn: the video draws a box: the model says that it found the target.
        shown: the judge sees the target in the frame, wherever: the model made one up, or the judge is fooled.
        followed: the judge sees it in the centre, which would have been a success.
        either: any of these.
        outcomes: as in ``Following``; a case without an answer is no find, and is counted here.
    """

    cases: int
    drawn: Interval
    shown: Interval
    followed: Interval
    either: Interval
    outcomes: Mapping[Answer, int]


def false_finds(verdicts: Sequence[Verdict], drawn: Sequence[DrawnBox]) -> FalseFinds:
    """The false-find rates of absent-object cases. Raises ``InputError`` where there are none, or numbers differ."""
    if not verdicts or len(verdicts) != len(drawn):
        raise InputError(f"{len(verdicts)} verdicts and {len(drawn)} drawn boxes: give one of each for every case")
    boxes = [one.box is not None for one in drawn]
    counted = Counter(verdict.outcome for verdict in verdicts)
    return FalseFinds(
        cases=len(verdicts),
        drawn=rate_interval(boxes),
        shown=rate_interval([verdict.found for verdict in verdicts]),
        followed=rate_interval([verdict.success for verdict in verdicts]),
        either=rate_interval([box or verdict.found for box, verdict in zip(boxes, verdicts, strict=True)]),
        outcomes={answer: counted[answer] for answer in Answer},
    )
