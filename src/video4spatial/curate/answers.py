"""Reading a VLM's answers, strictly: every answer becomes one named outcome, and only ``found`` carries a result.

An answer counts as a whole: one bad box, and none of its boxes is used (a wrong box may be the one nearest to the
centre). Nothing is mended: swapped corners stay swapped, and are counted.
"""

import re
from dataclasses import dataclass

from video4spatial.schema import Box
from video4spatial.vlm.answers import Coordinates, Corners, Outcome, Unread, answer_content, read_corners
from video4spatial.vlm.question import RawAnswer

_LONGEST_LABEL = 120
_LONGEST_PHRASE = 300


@dataclass(frozen=True)
class Detection:
    """An object a VLM listed: its label without article, its box in pixels of the frame, its box as it was given."""

    label: str
    box: Box
    given: Corners


@dataclass(frozen=True)
class ObjectList:
    """What the answer to ``prompts.list_objects`` came to; ``objects`` is empty unless it is ``found``."""

    outcome: Outcome
    objects: tuple[Detection, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.FOUND) != bool(self.objects):
            raise ValueError(f"an answer that is {self.outcome} with {len(self.objects)} objects")


@dataclass(frozen=True)
class Description:
    """What the answer to ``prompts.describe_clip`` came to; both phrases are empty unless it is ``found``."""

    outcome: Outcome
    scene: str = ""
    target: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if {self.outcome is Outcome.FOUND} != {bool(self.scene), bool(self.target)}:
            raise ValueError(f"an answer that is {self.outcome} with {self.scene!r} and {self.target!r}")


def parse_objects(raw: RawAnswer, width: int, height: int, coordinates: Coordinates = "relative-1000") -> ObjectList:
    """Read the objects of a ``width`` x ``height`` frame: ``[{"bbox_2d": [x1, y1, x2, y2], "label": ...}]``, bare or as
    ``{"objects": [...]}``, alone or in one fence. Never raises for what a VLM said."""
    try:
        entries = _entries(answer_content(raw))
        objects = tuple(_detection(entry, (width, height), coordinates) for entry in entries)
    except Unread as failed:
        return ObjectList(failed.outcome, reason=failed.reason)
    return ObjectList(Outcome.FOUND if objects else Outcome.NOTHING, objects)


def parse_description(raw: RawAnswer) -> Description:
    """Read ``{"scene": ..., "object": ...}``, alone or in one fence. Never raises for what a VLM said."""
    try:
        content = answer_content(raw)
        if not isinstance(content, dict):
            raise Unread(Outcome.MALFORMED, "not an object with scene and object")
        scene, target = (_phrase(content.get(key), key, _LONGEST_PHRASE) for key in ("scene", "object"))
    except Unread as failed:
        return Description(failed.outcome, reason=failed.reason)
    return Description(Outcome.FOUND, scene, target)


def _entries(content: object) -> list:
    if isinstance(content, dict):
        content = content.get("objects", [content])
    if not isinstance(content, list):
        raise Unread(Outcome.MALFORMED, "not a list of objects")
    return content


def _detection(entry: object, size: tuple[int, int], coordinates: Coordinates) -> Detection:
    if not isinstance(entry, dict):
        raise Unread(Outcome.MALFORMED, "an entry is not an object")
    label = _phrase(entry.get("label"), "label", _LONGEST_LABEL)
    box, given = read_corners(entry.get("bbox_2d"), label, *size, coordinates)
    return Detection(label, box, given)


def _phrase(value: object, name: str, longest: int) -> str:
    """A line of text without a full stop, inner spaces evened out, its leading article in lower case."""
    if not isinstance(value, str):
        raise Unread(Outcome.MALFORMED, f"{name} is missing or not text")
    phrase = " ".join(value.split()).rstrip(" .")
    if not phrase:
        raise Unread(Outcome.MALFORMED, f"{name} is blank")
    if len(phrase) > longest:
        raise Unread(Outcome.MALFORMED, f"{name} has {len(phrase)} characters")
    if not phrase.isprintable():  # control characters, lone surrogates
        raise Unread(Outcome.MALFORMED, f"{name} holds characters that cannot be printed")
    if re.search(r"[.!?] +[A-Z]", phrase):
        raise Unread(Outcome.MALFORMED, f"{name} is more than one phrase")
    return re.sub(r"\A(A|An|The)\b", lambda article: article[0].lower(), phrase)
