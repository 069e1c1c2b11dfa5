"""Makers of lamps, plants, instruments and toys."""

import numpy as np

from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.furniture.shared_parts import add_lamp_shade, add_legs
from video4spatial.rooms.palette import Colour
from video4spatial.rooms.parts import Material, Part


def floor_lamp(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    metal = finish.make("metal", colour, scale=0.3)
    part.cylinder(0, 0, 0, 0.15, 0.03, metal, 14)
    part.cylinder(0, 0, 0.03, 0.014, 1.4, metal, 6)
    add_lamp_shade(part, finish, 1.36, 0.22, 0.28)


def plant(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    scale = rng.uniform(0.8, 1.25)
    pot_kind = "basket" if rng.random() < 0.4 * finish.difficulty else "plain"
    wall = [(0.11, 0), (0.16, 0.28), (0.17, 0.30), (0.15, 0.30), (0.14, 0.25), (1e-3, 0.25)]
    pot = finish.make(pot_kind, colour, scale=0.4)
    part.lathe(0, 0, 0, [(radius * scale, height * scale) for radius, height in wall], pot, 14)
    green = finish.make("leafy", (0.18, rng.uniform(0.42, 0.6), 0.14), scale=0, double_sided=True)
    leaves = int(rng.integers(14, 26))
    tall = rng.uniform(0.4, 1.0)
    part.cylinder(0, 0, 0.2 * scale, 0.02, 0.1 + 0.5 * tall * scale, finish.wood((0.4, 0.28, 0.15)), 6)
    for index in range(leaves):
        base = (0.0, 0.0, (0.28 + 0.5 * tall * index / leaves) * scale)
        rise, length = rng.uniform(0.5, 1.2), rng.uniform(0.28, 0.5) * scale
        width, droop = rng.uniform(0.10, 0.17) * scale, rng.uniform(0.8, 1.6)
        part.leaf(base, index * 2.4, rise, length, width, green, droop)


def _add_disc(part: Part, outline_x: np.ndarray, outline_z: np.ndarray, centre_z: float, y: float, material: Material):
    """A flat face in the plane ``y`` that fills a closed outline, facing +y."""
    spread = np.array([0.0, 1.0])
    x = outline_x[:, None] * spread
    z = centre_z + (outline_z[:, None] - centre_z) * spread
    points = np.stack([x, np.full_like(x, y), z], -1)
    part.grid(points, material, np.broadcast_to(np.array([0.0, 1.0, 0.0]), points.shape))


def guitar(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """A guitar that leans against the wall."""
    body = finish.plain(colour, gloss=0.2)._replace(double_sided=True)
    dark = finish.make("wood", (0.25, 0.15, 0.09))
    hole = finish.plain((0.03, 0.02, 0.02))._replace(double_sided=True)
    angle = np.linspace(0, 2 * np.pi, 25)
    radius = 0.19 - 0.035 * np.cos(2 * angle) - 0.03 * np.sin(angle)
    outline_x, outline_z = radius * np.cos(angle), 0.25 + 1.25 * radius * np.sin(angle)
    part.move_to(0, 0.02, 0.04, pitch=-0.22)
    _add_disc(part, outline_x, outline_z, 0.25, 0.0, body)
    _add_disc(part, outline_x, outline_z, 0.25, 0.09, body)
    rim_y = np.broadcast_to([0.0, 0.09], (25, 2))
    rim = np.stack([np.repeat(outline_x[:, None], 2, 1), rim_y, np.repeat(outline_z[:, None], 2, 1)], -1)
    outward = np.stack([np.cos(angle), np.zeros(25), np.sin(angle)], -1)
    part.grid(rim, dark._replace(double_sided=True), np.repeat(outward[:, None], 2, 1))
    part.move_to(0, 0.112, 0.04, pitch=-0.22)
    part.box(0, 0.005, 0.42, 0.05, 0.025, 0.5, dark)
    part.box(0, 0.005, 0.92, 0.075, 0.02, 0.12, dark)
    part.box(0, 0, 0.14, 0.12, 0.02, 0.02, dark)
    _add_disc(part, 0.05 * np.cos(angle), 0.31 + 0.05 * np.sin(angle), 0.31, -0.0, hole)
    part.move_to()


def piano(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    """An upright piano with its bench."""
    case = finish.make("wood" if finish.busy() else "plain", colour, scale=0.3)
    part.box(0, -0.1, 0, 1.4, 0.38, 1.15, case)
    part.box(0, 0.2, 0.6, 1.4, 0.32, 0.12, case)
    part.quad((-0.68, 0.1, 0.723), (1.36, 0, 0), (0, 0.24, 0), finish.make("piano", scale=0))
    add_legs(part, 1.4, 0.7, 0.6, 0.07, case)
    part.box(0, 0.62, 0, 0.6, 0.3, 0.5, finish.wood())
    part.soft(0, 0.62, 0.49, 0.62, 0.32, 0.06, finish.make("leather", (0.1, 0.1, 0.1)))


def ball(part: Part, finish: Finishes, colour: Colour, rng: np.random.Generator) -> None:
    diameter = rng.uniform(0.22, 0.5)
    kind = "stripes" if rng.random() < 0.5 * finish.difficulty else "plain"
    part.soft(0, 0, 0, diameter, diameter, diameter, finish.make(kind, colour, scale=0), 1.0, 16, 10)
