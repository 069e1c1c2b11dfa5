"""Words for a room: phrases that name exactly one object, and a description of the whole."""

from collections import Counter
from typing import NamedTuple

from video4spatial.rooms.furniture import CATEGORIES, FIXTURES
from video4spatial.rooms.layout.plan import RoomObject
from video4spatial.rooms.palette import COLOURS

_ROOM_NAMES = {
    "living": "living room",
    "bedroom": "bedroom",
    "office": "office",
    "dining": "dining room",
    "kitchen": "kitchen",
    "studio": "studio",
    "music": "music room",
}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_IRREGULAR = {"bookshelf": "bookshelves", "box": "boxes"}
_TALL = 1.0  # metres from which a plant is called tall
_NAMED_FIXTURES = frozenset(("clock",))
_MOST_PHRASES = 3


class Target(NamedTuple):
    """An object and the phrase that names it, and nothing else in its room; without an article."""

    object_id: int
    phrase: str


def is_target_category(category: str) -> bool:
    """Whether phrases name objects of this category: furniture, and a few fixtures."""
    return category not in FIXTURES or category in _NAMED_FIXTURES


def _is_target(made: RoomObject) -> bool:
    return is_target_category(made.category)


def plural(category: str) -> str:
    """The plural of a category."""
    return _IRREGULAR.get(category, category + "s")


def _with_article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def unique_targets(objects: list[RoomObject]) -> list[Target]:
    """Objects that a colour and a category tell from all others. An object without a clear colour could be taken for
    any of its category, so its category is named only where it is the only one."""
    candidates = [made for made in objects if _is_target(made)]
    phrases = [f"{made.colour} {made.category}".strip() for made in candidates]
    phrase_count = Counter(phrases)
    category_count = Counter(made.category for made in candidates)
    uncertain = {made.category for made in candidates if not made.colour}
    targets = []
    for made, phrase in zip(candidates, phrases, strict=True):
        alone = category_count[made.category] == 1
        if phrase_count[phrase] == 1 and (alone or made.category not in uncertain):
            targets.append(Target(made.id, phrase))
    return targets


def _group_phrase(group: list[RoomObject]) -> str:
    """One object with its colour, or several of a category with their number."""
    first = group[0]
    if len(group) > 1:
        number = _NUMBERS[len(group)] if len(group) < len(_NUMBERS) else "many"
        return f"{number} {plural(first.category)}"
    if first.category == "plant" and first.size[2] > _TALL:
        return "a tall plant"
    return _with_article(f"{first.colour} {first.category}".strip())


def describe(theme: str, objects: list[RoomObject]) -> str:
    """A phrase such as "a living room with a blue sofa, a tall plant and two windows"."""
    groups: dict[str, list[RoomObject]] = {}
    for made in objects:
        if _is_target(made):
            groups.setdefault(made.category, []).append(made)
    by_volume = sorted(groups.values(), key=lambda group: -max(float(made.size.prod()) for made in group))
    phrases = [_group_phrase(group) for group in by_volume[:_MOST_PHRASES]]
    windows = [made for made in objects if made.category == "window"]
    if windows:
        phrases.append("a window" if len(windows) == 1 else f"{_NUMBERS[len(windows)]} windows")
    name = _with_article(_ROOM_NAMES[theme])
    if not phrases:
        return name
    *most, last = phrases
    return f"{name} with {', '.join(most)} and {last}" if most else f"{name} with {last}"


def vocabulary() -> list[str]:
    """Every word that phrases and descriptions can contain, sorted."""
    sources = (*CATEGORIES, *map(plural, CATEGORIES), *COLOURS, *_ROOM_NAMES.values(), *_NUMBERS)
    words = {word for source in sources for word in source.split()}
    return sorted(words | {"a", "an", "and", "many", "tall", "with"})
