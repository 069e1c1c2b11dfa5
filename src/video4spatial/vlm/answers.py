"""What a VLM answered, read strictly: JSON or a named outcome. Nothing is mended: swapped corners stay swapped."""

import ast
import json
import math
import re
import warnings
from enum import StrEnum
from typing import Literal

from video4spatial.schema import Box
from video4spatial.vlm.question import RawAnswer

Coordinates = Literal["relative-1000", "pixels"]
"""How a VLM gives corners: Qwen3-VL from 0 to 1000 of width and height, Qwen2.5-VL in pixels of the image it sees."""

UNITS: dict[Coordinates, str] = {
    "relative-1000": "Coordinates run from 0 to 1000, relative to the width and the height of the picture.",
    "pixels": "Coordinates are pixels of the picture.",
}
"""How a prompt says so."""

Corners = tuple[float, float, float, float]

_LONGEST = 200_000  # characters
_DEEPEST = 16  # brackets inside one another
_LONGEST_REASON = 300
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


class Unread(Exception):
    """An answer without a result: why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


def answer_content(raw: RawAnswer) -> object:
    """The value the answer's text holds: JSON alone or in one fence. Raises ``Unread``."""
    if raw.finish == "rejected":
        raise Unread(Outcome.REJECTED, raw.text[:_LONGEST_REASON])
    if raw.finish == "refused":
        raise Unread(Outcome.REFUSED, raw.text[:_LONGEST_REASON])
    if raw.finish == "length":
        raise Unread(Outcome.TRUNCATED, "the length limit cut it off")
    text = _THOUGHT.sub("", raw.text).strip()
    if not text:
        raise Unread(Outcome.EMPTY, "no text")
    if len(text) > _LONGEST:
        raise Unread(Outcome.MALFORMED, f"{len(text)} characters long")
    if text.startswith("<think>"):
        raise Unread(Outcome.TRUNCATED, "it ends while the model is still thinking")
    fences = _FENCE.findall(text)
    if len(fences) > 1:
        raise Unread(Outcome.MALFORMED, f"{len(fences)} fenced blocks, so none is the answer")
    body = fences[0].strip() if fences else text
    if not body.startswith(("[", "{")):
        if fences and not body:
            raise Unread(Outcome.TRUNCATED, "it ends after the opening fence")
        if _REFUSAL.search(text[:_LONGEST_REASON]):
            raise Unread(Outcome.REFUSED, text[:_LONGEST_REASON])
        raise Unread(Outcome.MALFORMED, "not JSON but prose")
    depth, deepest = _brackets(body)
    if deepest > _DEEPEST:
        raise Unread(Outcome.MALFORMED, f"brackets {deepest} deep")
    value = _value(body)
    if value is None:
        cut = (Outcome.TRUNCATED, "it ends in the middle of its JSON")
        raise Unread(*(cut if depth > 0 else (Outcome.MALFORMED, "broken JSON")))
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


def read_corners(
    value: object, label: str, width: int, height: int, coordinates: Coordinates = "relative-1000"
) -> tuple[Box, Corners]:
    """A ``bbox_2d`` as a box in pixels of the ``width`` x ``height`` picture, and as it was given. ``label`` names it
    in the reason. Raises ``Unread``."""
    size = (1000, 1000) if coordinates == "relative-1000" else size_seen(width, height)
    if not isinstance(value, list) or len(value) != 4:
        raise Unread(Outcome.MALFORMED, f"bbox_2d of {label!r} is not a list of four numbers")
    if not all(isinstance(c, int | float) and not isinstance(c, bool) and not math.isnan(c) for c in value):
        raise Unread(Outcome.MALFORMED, f"bbox_2d of {label!r} holds something that is not a number")
    if not all(0 <= corner <= limit for corner, limit in zip(value, (*size, *size), strict=True)):
        raise Unread(Outcome.OUT_OF_RANGE, f"{label!r} has a corner outside {size[0]}x{size[1]}: {str(value)[:80]}")
    x0, y0, x1, y1 = (float(corner) for corner in value)
    if x1 < x0 or y1 < y0:
        raise Unread(Outcome.SWAPPED, f"the corners of {label!r} are swapped: {value}")
    if x1 == x0 or y1 == y0:
        raise Unread(Outcome.MALFORMED, f"the box of {label!r} has no area: {value}")
    along_x, along_y = width / size[0], height / size[1]
    return Box(x0 * along_x, y0 * along_y, x1 * along_x, y1 * along_y), (x0, y0, x1, y1)


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
