"""A VLM as the judge, with the paper's two questions (section 4.1): is the target in the last frame; where is it?

The paper gives the questions, not their wording, which is ours.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8

from video4spatial.evaluate.judge import TOLERANCE, Answer, JudgedClip, Verdict
from video4spatial.schema import Box
from video4spatial.vlm.answers import UNITS, Coordinates, Outcome, Unread, answer_content, read_corners
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.cache import content_key
from video4spatial.vlm.question import AnswerSchema, Question, RawAnswer, VLMUnavailable

IS_IT_THERE = """\
This picture is the last frame of a video. Does it show an object that matches this description: "{target}"?

Answer with JSON only: {{"present": true}} or {{"present": false}}. If you are not sure, or the object is too blurred \
to be recognised, answer false."""

WHERE_IS_IT = """\
This picture is the last frame of a video. Give the tight box around what is visible of the object that matches this \
description: "{target}". If several do, take the one nearest to the centre of the picture.

Answer with JSON only: {{"bbox_2d": [x1, y1, x2, y2]}}: left, top, right, bottom. {units}

Report bbox coordinates in JSON format."""

PRESENT = AnswerSchema(
    "present",
    {
        "type": "object",
        "properties": {"present": {"type": "boolean"}},
        "required": ["present"],
        "additionalProperties": False,
    },
)

WHERE = AnswerSchema(
    "where",
    {
        "type": "object",
        "properties": {"bbox_2d": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}},
        "required": ["bbox_2d"],
        "additionalProperties": False,
    },
)

Reply = RawAnswer | VLMUnavailable
"""What became of one question: an answer, or why there is none."""

_OUTCOMES = {Outcome.REFUSED: Answer.REFUSED, Outcome.REJECTED: Answer.REJECTED}


def is_it_there(frame: UInt8[np.ndarray, "H W 3"], target: str) -> Question:
    """The paper's first question."""
    return Question((frame,), IS_IT_THERE.format(target=target), PRESENT)


def where_is_it(frame: UInt8[np.ndarray, "H W 3"], target: str, coordinates: Coordinates = "relative-1000") -> Question:
    """The paper's second question, asked where the first was answered with yes."""
    return Question((frame,), WHERE_IS_IT.format(target=target, units=UNITS[coordinates]), WHERE)


def read_present(raw: RawAnswer) -> bool:
    """``{"present": true}`` or false, alone or in one fence, and nothing else. Raises ``Unread``."""
    content = answer_content(raw)
    present = content.get("present") if isinstance(content, dict) else None
    if not isinstance(present, bool):
        raise Unread(Outcome.MALFORMED, f"neither present nor not: {raw.text[:80]!r}")
    return present


def read_where(raw: RawAnswer, width: int, height: int, coordinates: Coordinates = "relative-1000") -> Box:
    """``{"bbox_2d": [x1, y1, x2, y2]}``, or a list of one such, in pixels of the frame. Raises ``Unread``."""
    content = answer_content(raw)
    if isinstance(content, list) and len(content) == 1:
        (content,) = content
    if not isinstance(content, dict):
        raise Unread(Outcome.MALFORMED, f"not one box: {raw.text[:80]!r}")
    return read_corners(content.get("bbox_2d"), "the target", width, height, coordinates)[0]


class VLMJudge:
    """The VLM of ``asker``, e.g. Qwen3-VL; its cache makes judging the same frame again free.

    An answer that is none becomes an outcome of its case. If the VLM stops answering, the cases it did not get to are
    ``unavailable``: judging again asks only about them.
    """

    def __init__(self, asker: Asker, coordinates: Coordinates = "relative-1000", tolerance: float = TOLERANCE) -> None:
        self.asker, self.tolerance = asker, tolerance
        self.coordinates: Coordinates = coordinates

    @property
    def identity(self) -> str:
        """The model with its settings, the unit of its boxes, and the tolerance."""
        return f"{self.asker.vlm.identity} boxes={self.coordinates} tolerance={self.tolerance}"

    def verdicts(self, clips: Iterable[JudgedClip]) -> Iterator[Verdict]:
        """All clips are looked at before the first verdict is given: only their last frames are held."""
        shown = [(clip.frame, clip.target.strip()) for clip in clips]
        first = self._ask([is_it_there(*look) for look in shown])
        there = [look for look, reply in zip(shown, first, strict=True) if _says_yes(reply)]
        second = iter(self._ask([where_is_it(*look, self.coordinates) for look in there]))
        for (frame, _), reply in zip(shown, first, strict=True):
            yield self._verdict(frame, reply, next(second) if _says_yes(reply) else None)

    def _ask(self, questions: list[Question]) -> list[Reply]:
        """Every question's reply, those of the cache too if the VLM went away before their turn came."""
        replies: list[Reply] = []
        try:
            for _, raw in self.asker.answers(questions):
                replies.append(raw)
        except VLMUnavailable as gone:
            for question in questions[len(replies) :]:
                known = self.asker.cache.get(content_key(self.asker.vlm.identity, question))
                replies.append(gone if known is None else known)
        return replies

    def _verdict(self, frame: UInt8[np.ndarray, "H W 3"], first: Reply, second: Reply | None) -> Verdict:
        height, width = frame.shape[:2]
        said = "\n".join(reply.text for reply in (first, second) if isinstance(reply, RawAnswer))
        try:
            present = read_present(_had(first))
            box = read_where(_had(second), width, height, self.coordinates) if present and second else None
        except Unread as failed:
            outcome = _OUTCOMES.get(failed.outcome, Answer.NONSENSE)
            return Verdict(outcome, raw=said, reason=f"{failed.outcome}: {failed.reason}")
        except VLMUnavailable as gone:
            return Verdict(Answer.UNAVAILABLE, raw=said, reason=str(gone))
        return Verdict.answered(box, width, height, said, self.tolerance)


def _had(reply: Reply) -> RawAnswer:
    if isinstance(reply, VLMUnavailable):
        raise reply
    return reply


def _says_yes(reply: Reply) -> bool:
    try:
        return isinstance(reply, RawAnswer) and read_present(reply)
    except Unread:
        return False
