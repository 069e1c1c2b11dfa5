"""Instruction Following's question to a judge (paper section 4.1): does the end of the video show the target, centred?

A judge sees one frame and the target's phrase. It answers two questions: is such an object in the frame, and where? The
grounding succeeds if it is, and ``|b_x - c_x| <= 0.6 c_x`` and ``|b_y - c_y| <= 0.6 c_y``, with ``b`` the centre of the
box and ``c`` that of the frame.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from video4spatial.geometry.boxes import centre_rule
from video4spatial.schema import Box, InputError

TOLERANCE = 0.6


class Answer(StrEnum):
    """What became of one case's judging. Every case has exactly one; only ``answered`` can be a success."""

    ANSWERED = "answered"
    NONSENSE = "nonsense"  # no JSON, of another shape, cut off, a box outside the picture, "there" but nowhere
    REFUSED = "refused"  # the judge, or a filter, declined
    REJECTED = "rejected"  # the judge's server does not take the question
    UNAVAILABLE = "unavailable"  # no answer can be had: judge again later
    UNUSABLE = "unusable"  # there is no video that could be judged


UNJUDGED = frozenset((Answer.REJECTED, Answer.UNAVAILABLE))
"""Outcomes that say nothing about the video: they count as failures too, but a rate with many of them is not one."""


def centred(box: Box, width: int, height: int, tolerance: float = TOLERANCE) -> bool:
    """``|b_x - c_x| <= 0.6 c_x`` and ``|b_y - c_y| <= 0.6 c_y``, whoever drew or saw the box."""
    return centre_rule(box, width, height, tolerance)


@dataclass(frozen=True, eq=False)
class JudgedClip:
    """A generated video, what its instruction asked for ("the red armchair"), and the frames of its box tail (0: none).

    Its size and length are its own: the rule is relative to the frame. Raises ``InputError`` for what is no video, and
    for one that is no longer than its tail.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    target: str
    tail_frames: int = 0

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.dtype != np.uint8 or 0 in self.frames.shape:
            raise InputError(f"a video to judge is uint8 [T, H, W, 3], not {self.frames.dtype} {self.frames.shape}")
        if not 0 <= self.tail_frames < len(self.frames):
            raise InputError(
                f"the video has {len(self.frames)} frames and a box tail of {self.tail_frames}: the frame ahead of the "
                "tail is judged, so give a longer video, or tail_frames=0 for one without"
            )
        if not self.target.strip():
            raise InputError("the target's phrase is blank: give what the instruction asks for")

    @property
    def frame(self) -> UInt8[np.ndarray, "H W 3"]:
        """The frame that is judged: the last one ahead of the box tail, on which no red box leads the judge."""
        return self.frames[len(self.frames) - 1 - self.tail_frames].copy()

    @property
    def marked_frame(self) -> UInt8[np.ndarray, "H W 3"]:
        """The very last frame, on which the red box is drawn if there is a tail."""
        return self.frames[-1].copy()


@dataclass(frozen=True)
class Verdict:
    """What a judge found in one video.

    Attributes:
        found: the target is in the frame; ``box`` is around it, in pixels of the frame.
        centred: its box's centre is within the tolerance.
        raw: what the judge said, word by word.
        reason: why there is no answer; or why there was nothing to look at.
    """

    outcome: Answer
    found: bool = False
    box: Box | None = None
    centred: bool = False
    raw: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.box is not None) != self.found or (self.centred and not self.found):
            raise ValueError(f"a verdict with found={self.found}, box={self.box}, centred={self.centred}")
        if self.found and self.outcome is not Answer.ANSWERED:
            raise ValueError(f"a verdict that is {self.outcome} and found something")

    @classmethod
    def answered(
        cls, box: Box | None, width: int, height: int, raw: str = "", tolerance: float = TOLERANCE
    ) -> "Verdict":
        """The verdict of a judge that sees the target in ``box`` of a ``width`` x ``height`` frame, or nowhere."""
        if box is None:
            return cls(Answer.ANSWERED, raw=raw)
        return cls(Answer.ANSWERED, True, box, centred(box, width, height, tolerance), raw)

    @classmethod
    def unusable(cls, reason: str) -> "Verdict":
        """The verdict on a case that has no video, or one that cannot be read."""
        return cls(Answer.UNUSABLE, reason=reason)

    @property
    def success(self) -> bool:
        """The target is there, and centred."""
        return self.found and self.centred

    @property
    def followed(self) -> bool | None:
        """``success``, and None where the judge could not be asked: the figure whose mean is IF, of which a table's
        any-of-n (``repeats``) is made, and by which best-of-N chooses."""
        return None if self.outcome in UNJUDGED else self.success


@runtime_checkable
class Judge(Protocol):
    """A judge. ``identity`` names it, with every setting that changes its verdicts."""

    @property
    def identity(self) -> str:
        """Its name, with every setting that changes its verdicts."""
        ...

    def verdicts(self, clips: Iterable[JudgedClip]) -> Iterator[Verdict]:
        """One verdict a clip, in order; each clip is let go once it was looked at.

        Raises ``InputError`` where judging makes no sense at all, such as a phrase in words the judge does not know.
        """
        ...
