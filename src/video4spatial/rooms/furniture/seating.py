"""Makers of things to sit on."""

import math

import numpy as np

from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.furniture.shared_parts import add_legs
from video4spatial.rooms.palette import Colour
from video4spatial.rooms.parts import Part


def chair(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width, seat, back = rng.uniform(0.42, 0.5), rng.uniform(0.43, 0.48), rng.uniform(0.40, 0.52)
    structure = finish.wood() if rng.random() < 0.6 else finish.metal()
    cover = finish.cloth(colour)
    rear = -width / 2 + 0.02
    add_legs(part, width, width, seat, 0.045, structure)
    part.box(0, 0, seat, width, width, 0.03, structure)
    part.soft(0, 0, seat + 0.025, width * 0.96, width * 0.96, 0.07, cover)
    for side in (-1, 1):
        part.box(side * (width - 0.04) / 2, rear, seat, 0.04, 0.04, back, structure)
    if rng.random() < 0.5:
        part.box(0, rear, seat + back * 0.45, width - 0.06, 0.035, back * 0.5, cover)
        return
    slat = finish.plain(colour)
    for row in range(3):
        part.box(0, rear, seat + back * (0.35 + 0.25 * row), width - 0.08, 0.02, back * 0.12, slat)


def office_chair(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    black = finish.make("metal", (0.15, 0.15, 0.16), scale=0.3, gloss=0.2)
    cover = finish.cloth(colour)
    for spoke in range(5):
        part.move_to(yaw=spoke * 2 * math.pi / 5)
        part.box(0, 0.15, 0.05, 0.04, 0.3, 0.035, black)
        part.cylinder(0, 0.29, 0, 0.03, 0.06, black, 6)
    part.move_to()
    part.cylinder(0, 0, 0.08, 0.03, 0.36, black, 6)
    part.soft(0, 0, 0.43, 0.5, 0.5, 0.1, cover)
    part.soft(0, -0.23, 0.6, 0.46, 0.09, 0.5, cover)
    part.box(0, -0.22, 0.45, 0.07, 0.03, 0.25, black)
    for side in (-1, 1):
        part.box(side * 0.27, 0, 0.66, 0.05, 0.26, 0.03, black)
        part.box(side * 0.27, -0.05, 0.46, 0.03, 0.04, 0.2, black)


def _upholstered(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator, width: float, seats: int):
    """A sofa of ``width`` metres with ``seats`` cushions."""
    depth = 0.88
    cover = finish.cloth(colour)
    add_legs(part, width - 0.1, depth - 0.1, 0.1, 0.06, finish.wood())
    part.soft(0, 0, 0.09, width, depth, 0.24, cover, 0.12)
    part.soft(0, -depth / 2 + 0.11, 0.2, width, 0.22, 0.62, cover, 0.2)
    for side in (-1, 1):
        part.soft(side * (width / 2 - 0.09), 0, 0.15, 0.18, depth, 0.46, cover, 0.2)
    for seat in range(seats):
        x = (seat - (seats - 1) / 2) * (width - 0.36) / seats
        part.soft(x, 0.08, 0.31, (width - 0.38) / seats, depth - 0.3, 0.16, cover, 0.25)
        part.soft(x, -depth / 2 + 0.27, 0.44, (width - 0.4) / seats, 0.17, 0.38, cover, 0.35)
    pillow = finish.any_colour()
    for side in (-1, 1) if seats > 1 else (0,):
        if rng.random() < 0.6 * finish.difficulty:
            part.move_to(side * (width / 2 - 0.36), -0.08, 0.46, side * 0.4, -0.25)
            part.soft(0, 0, 0, 0.38, 0.13, 0.36, finish.cloth(pillow), 0.5)
            part.move_to()


def sofa(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    width = rng.uniform(1.5, 2.2)
    _upholstered(part, finish, colour, rng, width, 2 if width < 1.8 else 3)


def armchair(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    _upholstered(part, finish, colour, rng, rng.uniform(0.85, 0.95), 1)


def stool(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    wood = finish.wood()
    height = rng.uniform(0.42, 0.65)
    add_legs(part, 0.3, 0.3, height, 0.035, wood)
    part.box(0, 0, height * 0.35, 0.26, 0.26, 0.02, wood)
    part.cylinder(0, 0, height, 0.18, 0.04, finish.plain(colour), 14)


def pouf(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    part.soft(0, 0, 0, 0.5, 0.5, 0.38, finish.cloth(colour), 0.45, 14, 8)
