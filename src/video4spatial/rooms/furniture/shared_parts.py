"""Pieces that several makers share: legs, lamp shades, vases, and the small things that lie on tables."""

import math

import numpy as np

from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.palette import Colour
from video4spatial.rooms.parts import Material, Part

_FRUIT: tuple[Colour, ...] = ((0.8, 0.2, 0.1), (0.9, 0.6, 0.1), (0.5, 0.7, 0.2))
_PAGES: Colour = (0.2, 0.3, 0.4)


def add_legs(part: Part, width: float, depth: float, height: float, thickness: float, material: Material) -> None:
    """Four legs at the corners of a footprint."""
    for side_x in (-1, 1):
        for side_y in (-1, 1):
            x, y = side_x * (width - thickness) / 2, side_y * (depth - thickness) / 2
            part.box(x, y, 0, thickness, thickness, height, material, bottom=False)


def add_lamp_shade(part: Part, finish: Finishes, z: float, radius: float, height: float) -> None:
    """A glowing conical shade over the origin."""
    glow = finish.make("fabric", (1.0, 0.85, 0.62), emission=1.5, double_sided=True)
    part.lathe(0, 0, z, [(radius, 0), (radius * 0.7, height)], glow, 14)


def add_vase(
    part: Part, finish: Finishes, colour: Colour, x: float = 0, y: float = 0, z: float = 0, scale: float = 1.0
) -> None:
    """A vase with five flowers, 0.5 m tall at scale 1."""
    belly = [(0.06, 0), (0.12, 0.08), (0.11, 0.2), (0.045, 0.32), (0.06, 0.38)]
    part.lathe(x, y, z, [(radius * scale, height * scale) for radius, height in belly], finish.plain(colour), 12)
    stalk = finish.make("leafy", (0.3, 0.5, 0.2), scale=0, double_sided=True)
    petal = finish.plain(finish.any_colour())
    bloom = 0.07 * scale
    for angle in np.arange(5) * 1.3:
        part.leaf((x, y, z + 0.34 * scale), angle, 1.35, 0.16 * scale, 0.02 * scale, stalk, 0.3)
        bloom_x, bloom_y = x + 0.05 * scale * math.cos(angle), y + 0.05 * scale * math.sin(angle)
        bloom_z = z + (0.42 + 0.1 * (angle % 1)) * scale
        part.soft(bloom_x, bloom_y, bloom_z, bloom, bloom, 0.06 * scale, petal, 1, 6, 4)


def _add_cup(part: Part, finish: Finishes, colour: Colour, x: float, y: float, z: float) -> None:
    wall = [(0.03, 0), (0.04, 0.03), (0.042, 0.09), (0.036, 0.09), (0.034, 0.01)]
    part.lathe(x, y, z, wall, finish.plain(colour, gloss=0.3), 10)


def _add_fruit_bowl(part: Part, finish: Finishes, colour: Colour, x: float, y: float, z: float) -> None:
    bowl = [(0.04, 0), (0.09, 0.03), (0.13, 0.08), (0.12, 0.08), (0.04, 0.02)]
    part.lathe(x, y, z, bowl, finish.plain(colour), 12)
    for angle, fruit in zip((0, 2, 4), _FRUIT, strict=True):
        fruit_x, fruit_y = x + 0.05 * math.cos(angle), y + 0.05 * math.sin(angle)
        part.soft(fruit_x, fruit_y, z + 0.04, 0.07, 0.07, 0.07, finish.plain(fruit), 1, 6, 4)


def _add_books(part: Part, finish: Finishes, colour: Colour, x: float, y: float, z: float, yaw: float) -> None:
    part.move_to(x, y, z, yaw)
    part.box(0, 0, 0, 0.15, 0.21, 0.025, finish.plain(colour))
    part.box(0.01, 0, 0.025, 0.13, 0.19, 0.02, finish.plain(_PAGES))
    part.move_to()


def add_tabletop_things(part: Part, finish: Finishes, rng: np.random.Generator, width: float, depth: float, z: float):
    """Up to three cups, vases, bowls of fruit or books on a top of ``width`` x ``depth`` at height ``z``."""
    for _ in range(finish.few(0, 4)):
        x, y = rng.uniform(-0.32, 0.32) * width, rng.uniform(-0.32, 0.32) * depth
        colour = finish.any_colour()
        choice = rng.integers(4)
        if choice == 0:
            _add_cup(part, finish, colour, x, y, z)
        elif choice == 1:
            add_vase(part, finish, colour, x, y, z, 0.55)
        elif choice == 2:
            _add_fruit_bowl(part, finish, colour, x, y, z)
        else:
            _add_books(part, finish, colour, x, y, z, rng.uniform(0, 3))
