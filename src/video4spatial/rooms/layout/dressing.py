"""Dress a furnished room: rugs on the floor, pictures and a clock on the walls."""

import numpy as np

from video4spatial.rooms.layout.plan import Plan, Span
from video4spatial.rooms.parts import Part, frame

_MOST_RUGS = 2
_PICTURE_TRIES = 3


def add_rugs(plan: Plan, poses: list[np.ndarray]) -> None:
    """Lay rugs at the poses, or one in the middle of the room; moved so that they lie inside it."""
    rng, finish = plan.rng, plan.finish
    size = np.array(plan.size[:2])
    if not poses and rng.random() < 0.6:
        poses = [frame(0, *(size / 2))]
    for index, pose in enumerate(poses[:_MOST_RUGS]):
        width, depth = rng.uniform(1.5, 2.3), rng.uniform(1.0, 1.6)
        variant = int(rng.integers(40))
        cloth = finish.make("rug", variant=variant, scale=0) if finish.busy() else None
        cloth = cloth or finish.make("soft carpet", finish.named_colour(), scale=0.8)
        half = np.abs(pose[:2, :2]) @ [width / 2, depth / 2] + 0.05
        moved = pose.copy()
        moved[:2, 3] = np.clip(pose[:2, 3], half, np.maximum(size - half, half))
        rug = Part()
        lift = 0.001 + 0.004 * (index == 0)  # two rugs may overlap
        rug.box(0, 0, lift, width, depth, 0.008, cloth, texel=0.045, bottom=False)
        plan.add(rug, "rug", moved, casts_shadow=False)


def _hang(plan: Plan, wall: int) -> None:
    """Hang a picture or a clock on a free stretch of one wall."""
    rng, finish = plan.rng, plan.finish
    length = plan.walls[wall].length
    for _ in range(_PICTURE_TRIES):
        width, height, z = rng.uniform(0.35, 0.9), rng.uniform(0.35, 0.7), rng.uniform(1.3, 1.45)
        x = rng.uniform(width / 2 + 0.1, length - width / 2 - 0.1)
        if not plan.is_free(wall, Span(x - width / 2, x + width / 2, z - height / 2, z + height / 2)):
            continue
        category = "picture"
        variant = int(rng.integers(60))
        if rng.random() < 0.18:
            category, width, height = "clock", 0.32, 0.32
            image = finish.make("clock", variant=variant, scale=0)
        elif finish.busy():
            image = finish.make("art", variant=variant, scale=0, gloss=0.15)
        else:
            image = finish.plain(finish.any_colour())
        picture = Part()
        picture.box(0, 0.014, z - height / 2, width, 0.028, height, finish.wood())
        corner = (width / 2 - 0.02, 0.0295, z - height / 2 + 0.02)
        picture.quad(corner, (0.04 - width, 0, 0), (0, 0, height - 0.04), image)
        plan.add(picture, category, plan.walls[wall].pose @ frame(0, x))
        plan.taken[wall].append(Span(x - width / 2 - 0.1, x + width / 2 + 0.1, z - height / 2, z + height / 2))


def add_pictures(plan: Plan) -> None:
    """Hang up to three things on every wall; fewer, or none, in an easy room."""
    for wall in range(4):
        if plan.rng.random() < 0.2 + 0.8 * plan.difficulty:
            _hang(plan, wall)
