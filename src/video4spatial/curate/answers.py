"""Reading a VLM's answers, strictly: every answer becomes one named outcome, and only ``found`` carries a result.

An answer counts as a whole: one bad box, and none of its boxes is used (a wrong box may be the one nearest to the
centre). Nothing is mended: swapped corners stay swapped, and are counted.
"""

import ast
import json
import math
import re
import warnings
from dataclasses import dataclass
from enum import StrEnum

from video4spatial.curate.prompts import Coordinates
from video4spatial.schema import Box
from video4spatial.vlm.question import RawAnswer

_LONGEST = 200_000  # characters
_DEEPEST = 16  # brackets inside one another
_LONGEST_LABEL = 120
_LONGEST_PHRASE = 300
_FENCE = re.compile(r"```[ \t]*(?:json)?[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"\A\s*<think>(.*?)</think>", re.DOTALL)
_REFUSAL = re.compile(
    r"\b(i['’]?m sorry|i am sorry|sorry, (?:but )?i|i (?:cannot|can['’]?t|can not|won['’]?t)|"
    r"i['’]?m (?:unable|not able)|i am (?:unable|not able)|as an ai)\b",
    re.IGNORECASE,
)


class Outcome(StrEnum):
    """What became of one question."""

    FOUND = "found"
    NOTHING = "nothing"  # a proper answer that lists no object
    EMPTY = "empty"  # no text at all
    MALFORMED = "malformed"  # prose, broken JSON, or JSON of another shape
    TRUNCATED = "truncated"  # cut off, by the length limit or in the middle of its JSON
    OUT_OF_RANGE = "out of range"  # a corner outside the picture
    SWAPPED = "swapped"  # right of its right, or below its bottom
    REFUSED = "refused"  # the model, or a filter, declined
    REJECTED = "rejected"  # the server does not take the question


@dataclass(frozen=True)
class Detection:
    """An object a VLM listed: its label without article, its box in pixels of the frame, its box as it was given."""

    label: str
    box: Box
    given: tuple[float, float, float, float]


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


class _Failed(Exception):
    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


def parse_objects(raw: RawAnswer, width: int, height: int, coordinates: Coordinates = "relative-1000") -> ObjectList:
    """Read the objects of a ``width`` x ``height`` frame: ``[{"bbox_2d": [x1, y1, x2, y2], "label": ...}]``, bare or as
    ``{"objects": [...]}``, alone or in one fence. Never raises for what a VLM said."""
    try:
        entries = _entries(_content(raw))
        size = (1000, 1000) if coordinates == "relative-1000" else size_seen(width, height)
        objects = tuple(_detection(entry, size, (width / size[0], height / size[1])) for entry in entries)
    except _Failed as failed:
        return ObjectList(failed.outcome, reason=failed.reason)
    return ObjectList(Outcome.FOUND if objects else Outcome.NOTHING, objects)


def parse_description(raw: RawAnswer) -> Description:
    """Read ``{"scene": ..., "object": ...}``, alone or in one fence. Never raises for what a VLM said."""
    try:
        content = _content(raw)
        if not isinstance(content, dict):
            raise _Failed(Outcome.MALFORMED, "not an object with scene and object")
        scene, target = (_phrase(content.get(key), key, _LONGEST_PHRASE) for key in ("scene", "object"))
    except _Failed as failed:
        return Description(failed.outcome, reason=failed.reason)
    return Description(Outcome.FOUND, scene, target)


def size_seen(
    width: int, height: int, multiple: int = 28, fewest: int = 56 * 56, most: int = 12_845_056
) -> tuple[int, int]:
    """The size to which Qwen2.5-VL resizes an image before it looks, in whose pixels it gives boxes (``smart_resize``
    of transformers, with the limits of Qwen2.5-VL's own preprocessor_config.json)."""
    sides = tuple(round(side / multiple) * multiple for side in (width, height))
    if sides[0] * sides[1] > most:
        shrink = math.sqrt(width * height / most)
        sides = tuple(max(multiple, math.floor(side / shrink / multiple) * multiple) for side in (width, height))
    elif sides[0] * sides[1] < fewest:
        grow = math.sqrt(fewest / (width * height))
        sides = tuple(math.ceil(side * grow / multiple) * multiple for side in (width, height))
    return sides[0], sides[1]


def _content(raw: RawAnswer) -> object:
    """The value the answer's text holds."""
    if raw.finish == "rejected":
        raise _Failed(Outcome.REJECTED, raw.text[:_LONGEST_PHRASE])
    if raw.finish == "refused":
        raise _Failed(Outcome.REFUSED, raw.text[:_LONGEST_PHRASE])
    if raw.finish == "length":
        raise _Failed(Outcome.TRUNCATED, "the length limit cut it off")
    text = _THOUGHT.sub("", raw.text).strip()
    if not text:
        raise _Failed(Outcome.EMPTY, "no text")
    if len(text) > _LONGEST:
        raise _Failed(Outcome.MALFORMED, f"{len(text)} characters long")
    if text.startswith("<think>"):
        raise _Failed(Outcome.TRUNCATED, "it ends while the model is still thinking")
    fences = _FENCE.findall(text)
    if len(fences) > 1:
        raise _Failed(Outcome.MALFORMED, f"{len(fences)} fenced blocks, so none is the answer")
    body = fences[0].strip() if fences else text
    if not body.startswith(("[", "{")):
        if fences and not body:
            raise _Failed(Outcome.TRUNCATED, "it ends after the opening fence")
        if _REFUSAL.search(text[:_LONGEST_PHRASE]):
            raise _Failed(Outcome.REFUSED, text[:_LONGEST_PHRASE])
        raise _Failed(Outcome.MALFORMED, "not JSON but prose")
    depth, deepest = _brackets(body)
    if deepest > _DEEPEST:
        raise _Failed(Outcome.MALFORMED, f"brackets {deepest} deep")
    value = _value(body)
    if value is None:
        cut = (Outcome.TRUNCATED, "it ends in the middle of its JSON")
        raise _Failed(*(cut if depth > 0 else (Outcome.MALFORMED, "broken JSON")))
    return value


def _brackets(text: str) -> tuple[int, int]:
    """How many brackets and quotes are open at the end, and the most that ever were; what is quoted does not count."""
    depth = deepest = 0
    quote, escaped = "", False
    for character in text:
        if escaped:
            escaped = False
        elif quote:
            escaped = character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{(":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return depth + bool(quote), deepest


def _value(text: str) -> object:
    """JSON, or the Python literal that VLMs write when they slip (single quotes, trailing commas); None if neither."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks on odd escapes are not for the user
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _entries(content: object) -> list:
    if isinstance(content, dict):
        content = content.get("objects", [content])
    if not isinstance(content, list):
        raise _Failed(Outcome.MALFORMED, "not a list of objects")
    return content


def _detection(entry: object, size: tuple[int, int], scale: tuple[float, float]) -> Detection:
    if not isinstance(entry, dict):
        raise _Failed(Outcome.MALFORMED, "an entry is not an object")
    label = _phrase(entry.get("label"), "label", _LONGEST_LABEL)
    corners = entry.get("bbox_2d")
    if not isinstance(corners, list) or len(corners) != 4:
        raise _Failed(Outcome.MALFORMED, f"bbox_2d of {label!r} is not a list of four numbers")
    if not all(isinstance(c, int | float) and not isinstance(c, bool) and not math.isnan(c) for c in corners):
        raise _Failed(Outcome.MALFORMED, f"bbox_2d of {label!r} holds something that is not a number")
    if not all(0 <= corner <= limit for corner, limit in zip(corners, (*size, *size), strict=True)):
        raise _Failed(Outcome.OUT_OF_RANGE, f"{label!r} has a corner outside {size[0]}x{size[1]}: {str(corners)[:80]}")
    x0, y0, x1, y1 = (float(corner) for corner in corners)
    if x1 < x0 or y1 < y0:
        raise _Failed(Outcome.SWAPPED, f"the corners of {label!r} are swapped: {corners}")
    if x1 == x0 or y1 == y0:
        raise _Failed(Outcome.MALFORMED, f"the box of {label!r} has no area: {corners}")
    along_x, along_y = scale
    return Detection(label, Box(x0 * along_x, y0 * along_y, x1 * along_x, y1 * along_y), (x0, y0, x1, y1))


def _phrase(value: object, name: str, longest: int) -> str:
    """A line of text without a full stop, inner spaces evened out, its leading article in lower case."""
    if not isinstance(value, str):
        raise _Failed(Outcome.MALFORMED, f"{name} is missing or not text")
    phrase = " ".join(value.split()).rstrip(" .")
    if not phrase:
        raise _Failed(Outcome.MALFORMED, f"{name} is blank")
    if len(phrase) > longest:
        raise _Failed(Outcome.MALFORMED, f"{name} has {len(phrase)} characters")
    if not phrase.isprintable():  # control characters, lone surrogates
        raise _Failed(Outcome.MALFORMED, f"{name} holds characters that cannot be printed")
    if re.search(r"[.!?] +[A-Z]", phrase):
        raise _Failed(Outcome.MALFORMED, f"{name} is more than one phrase")
    return re.sub(r"\A(A|An|The)\b", lambda article: article[0].lower(), phrase)
