"""Makers of tables, desks and the kitchen counter."""

import numpy as np

from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.furniture.shared_parts import add_legs, add_tabletop_things
from video4spatial.rooms.palette import Colour
from video4spatial.rooms.parts import Part


def dining_table(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width, depth = rng.uniform(1.2, 1.7), rng.uniform(0.75, 0.9)
    wood = finish.wood()
    part.box(0, 0, 0.71, width, depth, 0.035, wood, texel=0.05)
    part.box(0, 0, 0.63, width - 0.12, depth - 0.12, 0.08, wood)
    add_legs(part, width - 0.06, depth - 0.06, 0.71, 0.065, wood)
    add_tabletop_things(part, finish, rng, width, depth, 0.745)


def round_table(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    wood = finish.wood()
    radius = rng.uniform(0.45, 0.6)
    part.lathe(0, 0, 0, [(0.28, 0), (0.28, 0.03), (0.05, 0.07), (0.05, 0.68), (0.2, 0.70)], wood)
    part.cylinder(0, 0, 0.70, radius, 0.035, wood, 20)
    add_tabletop_things(part, finish, rng, radius, radius, 0.735)


def coffee_table(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width, depth = rng.uniform(0.8, 1.1), rng.uniform(0.5, 0.6)
    wood = finish.wood()
    part.box(0, 0, 0.38, width, depth, 0.04, wood, texel=0.05)
    add_legs(part, width, depth, 0.38, 0.05, wood)
    part.box(0, 0, 0.14, width - 0.1, depth - 0.1, 0.02, wood)
    add_tabletop_things(part, finish, rng, width, depth, 0.42)


def desk(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """A desk with drawers, a monitor, a keyboard and a mouse."""
    width, depth = rng.uniform(1.1, 1.5), 0.65
    wood = finish.wood()
    black = finish.plain((0.1, 0.1, 0.11), gloss=0.1)
    part.box(0, 0, 0.71, width, depth, 0.03, wood, texel=0.05)
    add_legs(part, width, depth, 0.71, 0.05, wood)
    drawers_x = width / 2 - 0.22
    part.box(drawers_x, -0.02, 0.12, 0.38, depth - 0.1, 0.58, wood)
    drawer, handle = finish.plain(colour), finish.metal()
    for row in range(3):
        part.box(drawers_x, depth / 2 - 0.065, 0.14 + 0.19 * row, 0.35, 0.02, 0.17, drawer)
        part.box(drawers_x, depth / 2 - 0.05, 0.22 + 0.19 * row, 0.1, 0.02, 0.015, handle)
    picture = 2 * int(rng.integers(4)) + 1
    screen = finish.make("tv", variant=picture if finish.busy() else 0, scale=0, emission=0.9)
    part.box(-0.1, -0.12, 0.74, 0.22, 0.16, 0.015, black)
    part.box(-0.1, -0.15, 0.75, 0.04, 0.03, 0.12, black)
    part.box(-0.1, -0.14, 0.84, 0.58, 0.03, 0.34, black, front=screen)
    part.box(-0.1, 0.14, 0.74, 0.42, 0.13, 0.018, black)
    keyboard = finish.make("keys", (0.3, 0.3, 0.32), scale=0)
    part.quad((-0.31, 0.08, 0.759), (0.42, 0, 0), (0, 0.13, 0), keyboard)
    part.box(0.19, 0.14, 0.74, 0.06, 0.1, 0.025, black)


def counter(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """A kitchen counter with a stone top."""
    width = rng.uniform(1.2, 1.9)
    paint = finish.plain(colour)
    handle = finish.metal()
    stone = finish.make("marble" if finish.busy() else "plain", (0.9, 0.9, 0.88), scale=0.8, gloss=0.3)
    part.box(0, 0, 0, width, 0.58, 0.86, paint)
    part.box(0, 0.01, 0.86, width + 0.03, 0.62, 0.035, stone, texel=0.05)
    doors = int(width / 0.45)
    for index in range(doors):
        x = (index - (doors - 1) / 2) * width / doors
        part.box(x, 0.29, 0.1, width / doors - 0.015, 0.02, 0.74, paint)
        part.box(x, 0.305, 0.74, 0.14, 0.02, 0.015, handle)
    add_tabletop_things(part, finish, rng, width, 0.4, 0.895)
