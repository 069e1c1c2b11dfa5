"""Furniture: one maker a category, and how each category is placed."""

from collections.abc import Callable

import numpy as np

from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.furniture import pieces, seating, storage, tables
from video4spatial.rooms.palette import Colour
from video4spatial.rooms.parts import Part

Maker = Callable[[Part, Finishes, Colour, np.random.Generator], None]

MAKERS: dict[str, Maker] = {
    "bed": storage.bed,
    "sofa": seating.sofa,
    "bookshelf": storage.bookshelf,
    "wardrobe": storage.wardrobe,
    "desk": tables.desk,
    "tv": storage.tv,
    "dresser": storage.dresser,
    "piano": pieces.piano,
    "counter": tables.counter,
    "fridge": storage.fridge,
    "guitar": pieces.guitar,
    "plant": pieces.plant,
    "armchair": seating.armchair,
    "nightstand": storage.nightstand,
    "dining table": tables.dining_table,
    "round table": tables.round_table,
    "coffee table": tables.coffee_table,
    "pouf": seating.pouf,
    "ball": pieces.ball,
    "stool": seating.stool,
    "floor lamp": pieces.floor_lamp,
    "trash can": storage.trash_can,
    "basket": storage.basket,
    "box": storage.box,
    "chair": seating.chair,
    "office chair": seating.office_chair,
}
"""Category -> maker, which fills a part with a piece in a colour."""

FIXTURES: tuple[str, ...] = (
    "floor",
    "ceiling",
    "wall",
    "skirting board",
    "door",
    "window",
    "curtain",
    "ceiling lamp",
    "rug",
    "picture",
    "clock",
)
"""Categories that belong to the room itself."""

CATEGORIES: tuple[str, ...] = (*MAKERS, *FIXTURES)

WALL_PIECES = frozenset(
    (
        "bed",
        "sofa",
        "bookshelf",
        "wardrobe",
        "desk",
        "tv",
        "dresser",
        "piano",
        "counter",
        "fridge",
        "guitar",
        "armchair",
        "nightstand",
    )
)
"""What stands with its back to a wall."""

EDGE_PIECES = frozenset(("plant", "floor lamp", "trash can", "basket", "box", "stool"))
"""What stands near a wall or in a corner."""


def make_piece(category: str, finish: Finishes, colour: Colour) -> Part:
    """Make one piece of furniture; the room's generator decides its proportions."""
    part = Part()
    MAKERS[category](part, finish, colour, finish.rng)
    return part
