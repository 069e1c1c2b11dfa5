"""Makers of beds and of what things are kept in."""

import numpy as np

from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.furniture.shared_parts import add_lamp_shade, add_legs, add_vase
from video4spatial.rooms.palette import Colour
from video4spatial.rooms.parts import Material, Part

_LINEN: Colour = (0.93, 0.92, 0.9)


def bed(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width, length = float(rng.choice([1.0, 1.45, 1.65])), 2.0
    wood, cover = finish.wood(), finish.cloth(colour)
    linen = finish.make("fabric", _LINEN)
    part.box(0, 0, 0.1, width + 0.06, length, 0.2, wood)
    add_legs(part, width, length, 0.1, 0.08, wood)
    part.box(0, -length / 2 - 0.02, 0, width + 0.08, 0.06, rng.uniform(0.8, 1.1), wood)
    part.soft(0, 0.4 - length / 2, 0.28, width, 0.76, 0.24, linen, 0.15, 16, 8)
    part.soft(0, 0.28, 0.31, width + 0.05, length - 0.55, 0.25, cover, 0.16, 16, 8)
    for side in (0,) if width < 1.2 else (-1, 1):
        part.move_to(side * width * 0.25, -length / 2 + 0.28, 0.49, 0, 0.25)
        part.soft(0, 0, 0, 0.6, 0.36, 0.16, linen, 0.5)
        part.move_to()


def nightstand(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """A nightstand with a burning lamp."""
    wood, knob, paint = finish.wood(), finish.metal(), finish.plain(colour)
    part.box(0, 0, 0.08, 0.45, 0.4, 0.42, wood)
    add_legs(part, 0.42, 0.38, 0.08, 0.04, wood)
    for row in range(2):
        part.box(0, 0.2, 0.11 + 0.19 * row, 0.4, 0.02, 0.17, wood)
        part.cylinder(0, 0.215, 0.19 + 0.19 * row, 0.015, 0.015, knob, 6)
    part.cylinder(0, 0, 0.5, 0.07, 0.02, paint)
    part.cylinder(0, 0, 0.52, 0.015, 0.2, paint)
    add_lamp_shade(part, finish, 0.68, 0.13, 0.2)


def _fill_shelf(part: Part, finish: Finishes, rng: np.random.Generator, width: float, z: float) -> None:
    """Books in blocks, some vases and gaps on one board at height ``z``."""
    paper: Material = finish.plain((0.85, 0.82, 0.75))
    x = -width / 2 + 0.04
    while x < width / 2 - 0.16:
        block = min(rng.uniform(0.12, 0.34), width / 2 - 0.04 - x)
        height = rng.uniform(0.20, 0.28)
        choice = rng.random()
        variant = int(rng.integers(12))
        if choice < 0.72:
            busy = finish.busy()
            spines = finish.make("books", variant=variant, scale=0.45) if busy else finish.plain(finish.any_colour())
            part.box(x + block / 2, -0.02, z, block, 0.2, height, paper, front=spines)
            part.quad((x, -0.12, z + height + 0.001), (block, 0, 0), (0, 0.2, 0), spines)
        elif choice < 0.82 and finish.busy():
            add_vase(part, finish, finish.any_colour(), x + 0.1, 0, z, 0.5)
        x += block + float(rng.choice([0.004, 0.004, 0.1]))


def bookshelf(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width, depth, height = rng.uniform(0.8, 1.2), 0.3, rng.uniform(1.5, 2.1)
    wood = finish.wood(colour if rng.random() < 0.5 else None)
    shelves = int(height / 0.36)
    for side in (-1, 1):
        part.box(side * (width / 2 - 0.012), 0, 0, 0.024, depth, height, wood)
    part.box(0, -depth / 2 + 0.006, 0, width, 0.012, height, wood)
    for row in range(shelves + 1):
        z = 0.05 + row * (height - 0.075) / shelves
        part.box(0, 0, z, width - 0.05, depth, 0.022, wood)
        if row < shelves:
            _fill_shelf(part, finish, rng, width, z + 0.022)


def wardrobe(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width, depth, height = rng.uniform(0.9, 1.5), 0.58, rng.uniform(1.8, 2.15)
    tint = colour if rng.random() < 0.4 else finish.wood_colour
    wood, handle = finish.wood(tint), finish.metal()
    panel = finish.make("door", tint, scale=0)
    part.box(0, 0, 0, width, depth, height, wood)
    doors = 2 if width < 1.2 else 3
    for index in range(doors):
        x = (index - (doors - 1) / 2) * width / doors
        side = 0.5 if index == 0 else -0.5
        part.box(x, depth / 2, 0.08, width / doors - 0.02, 0.025, height - 0.12, wood, front=panel)
        part.box(x + side * (width / doors - 0.1), depth / 2 + 0.02, height * 0.45, 0.02, 0.03, 0.16, handle)


def dresser(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width, depth, height = rng.uniform(0.9, 1.4), 0.45, rng.uniform(0.75, 0.95)
    wood, handle = finish.wood(colour if rng.random() < 0.5 else None), finish.metal()
    part.box(0, 0, 0.07, width, depth, height - 0.07, wood)
    add_legs(part, width, depth, 0.07, 0.05, wood)
    rise = (height - 0.12) / 3
    for column in range(2):
        for row in range(3):
            x, z = (column - 0.5) * width / 2, 0.1 + row * rise
            part.box(x, depth / 2, z, width / 2 - 0.03, 0.02, rise - 0.02, wood)
            part.box(x, depth / 2 + 0.015, z + rise / 2 - 0.02, 0.12, 0.02, 0.015, handle)
    if rng.random() < 0.7 * finish.difficulty:
        add_vase(part, finish, colour, rng.uniform(-0.3, 0.3) * width, 0, height, rng.uniform(0.7, 1.0))


def tv(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """A television on a low stand."""
    width = rng.uniform(1.3, 1.7)
    wood, paint = finish.wood(), finish.plain(colour)
    black = finish.plain((0.05, 0.05, 0.06), gloss=0.15)
    part.box(0, 0, 0.08, width, 0.4, 0.4, wood)
    add_legs(part, width, 0.4, 0.08, 0.05, wood)
    for column in range(3):
        x = (column - 1) * width / 3
        part.box(x, 0.2, 0.11, width / 3 - 0.02, 0.02, 0.34, black if column == 1 else paint)
    screen = rng.uniform(1.0, 1.25)
    part.box(0, -0.02, 0.48, 0.5, 0.2, 0.015, black)
    part.box(0, -0.05, 0.49, 0.08, 0.04, 0.1, black)
    part.box(0, -0.05, 0.55, screen, 0.05, screen * 0.57, black)
    variant = int(rng.integers(8))
    shown = finish.make("tv", variant=variant if finish.busy() else 0, scale=0, emission=0.7, gloss=0.10)
    part.quad((screen / 2 - 0.02, -0.023, 0.57), (0.04 - screen, 0, 0), (0, 0, screen * 0.57 - 0.04), shown)


def fridge(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    steel, handle = finish.make("metal", colour, scale=0.5, gloss=0.2), finish.metal()
    part.box(0, 0, 0.03, 0.65, 0.62, 1.75, steel)
    part.box(0, 0.315, 0.06, 0.64, 0.02, 1.05, steel)
    part.box(0, 0.315, 1.13, 0.64, 0.02, 0.63, steel)
    part.box(0.26, 0.34, 0.6, 0.025, 0.03, 0.4, handle)
    part.box(0.26, 0.34, 1.2, 0.025, 0.03, 0.25, handle)


def trash_can(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    wall = [(1e-3, 0.01), (0.12, 0.01), (0.15, 0.34), (0.14, 0.34), (0.11, 0.02), (1e-3, 0.02)]
    part.lathe(0, 0, 0, wall, finish.make("metal", colour, scale=0.3, double_sided=True), 14)


def basket(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """A wicker basket of laundry."""
    wicker = finish.make("basket", (0.75, 0.58, 0.38), scale=0.5, double_sided=True)
    part.lathe(0, 0, 0, [(1e-3, 0.01), (0.17, 0.01), (0.22, 0.3), (0.2, 0.3), (0.16, 0.02)], wicker, 14)
    part.soft(0, 0, 0.12, 0.32, 0.32, 0.22, finish.cloth(colour), 0.6)


def box(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """A cardboard box with a painted one on top."""
    part.box(0, 0, 0, 0.45, 0.35, 0.32, finish.plain((0.72, 0.55, 0.36)))
    part.move_to(0.03, 0, 0.32, 0.3)
    part.box(0, 0, 0, 0.3, 0.26, 0.22, finish.plain(colour))
    part.move_to()
