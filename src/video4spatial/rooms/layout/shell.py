"""The shell of a room: floor, ceiling, walls, skirting board and door."""

import numpy as np

from video4spatial.rooms.layout.plan import Plan, Span
from video4spatial.rooms.palette import PALETTE, WALL_PAINTS, Colour
from video4spatial.rooms.parts import Material, Part, frame
from video4spatial.rooms.textures import SOFT

TRIM: Colour = (0.93, 0.93, 0.91)

_FLOORS = ("planks", "planks", "parquet", "tiles", "carpet", "concrete", "marble")
_PLAIN_FLOORS = ("planks", "carpet", "concrete")
_FLOOR_GLOSS = {"planks": 0.35, "parquet": 0.35, "tiles": 0.4, "marble": 0.5, "concrete": 0.15}
_REPEATING = ("planks", "parquet", "tiles")
_CARPETS = ("gray", "beige", "teal", "brown")
_WALLPAPERS = ("plaster", "plaster", "stripes", "damask", "plaster")


def _floor_material(plan: Plan) -> Material:
    rng, finish = plan.rng, plan.finish
    busy = finish.busy()
    kinds = _FLOORS if busy else _PLAIN_FLOORS
    kind = kinds[rng.integers(len(kinds))]
    tint: Colour = (0.9, 0.88, 0.84)
    if kind == "planks":
        tint = finish.wood_colour if finish.wood_colour[0] > 0.2 else (0.6, 0.42, 0.28)
    elif kind == "parquet":
        tint = (0.72, 0.52, 0.33)
    elif kind == "carpet":
        tint = PALETTE[_CARPETS[rng.integers(len(_CARPETS))]]
    texture = kind if busy else SOFT + kind
    scale = 1.6 if kind in _REPEATING else 1.2
    return finish.make(texture, tint, int(rng.integers(12)), scale, _FLOOR_GLOSS.get(kind, 0.0))


def _wall_materials(plan: Plan) -> list[Material]:
    """One material a wall; one wall may be an accent of brick or of colour."""
    rng, finish = plan.rng, plan.finish
    paint = np.array(WALL_PAINTS[rng.integers(len(WALL_PAINTS))])
    red, green, blue = np.clip(paint + rng.uniform(-0.04, 0.04, 3), 0, 1)
    wallpaper = _WALLPAPERS[rng.integers(len(_WALLPAPERS))]
    kind = wallpaper if finish.busy() else "plaster"
    paper = finish.make(kind, (float(red), float(green), float(blue)), int(rng.integers(6)), 1.1)
    materials = [paper] * 4
    accent = int(rng.integers(4))
    if rng.random() < 0.2 * finish.difficulty:
        materials[accent] = finish.make("brick", (0.95, 0.9, 0.86), int(rng.integers(4)), 1.2)
    elif rng.random() < 0.35:
        materials[accent] = finish.make("plaster", finish.named_colour(), scale=1.1)
    return materials


def build_shell(plan: Plan) -> None:
    """Add floor, ceiling and walls, in the order and with the charts that ``shading.shell_hit`` expects."""
    width, depth, height = plan.size
    floor = _floor_material(plan)
    ceiling = plan.finish.plain((0.95, 0.95, 0.93))
    walls = _wall_materials(plan)
    along_x, along_y, up = (width, 0, 0), (0, depth, 0), (0, 0, height)
    back_x, back_y = (-width, 0, 0), (0, -depth, 0)
    faces = (
        ("floor", (0, 0, 0), along_x, along_y, floor, 0.045),
        ("ceiling", (width, 0, height), back_x, along_y, ceiling, 0.1),
        ("wall", (width, 0, 0), back_x, up, walls[0], 0.06),
        ("wall", (0, depth, 0), along_x, up, walls[1], 0.06),
        ("wall", (0, 0, 0), along_y, up, walls[2], 0.06),
        ("wall", (width, depth, 0), back_y, up, walls[3], 0.06),
    )
    for category, origin, u, v, material, texel in faces:
        face = Part()
        face.quad(origin, u, v, material, texel)
        plan.add(face, category, np.eye(4), casts_shadow=False)
    board = Part()
    trim = plan.finish.plain(TRIM)
    for wall in plan.walls:
        board.current = wall.pose
        board.box(wall.length / 2, 0.008, 0, wall.length, 0.016, 0.09, trim)
    plan.add(board, "skirting board", np.eye(4), casts_shadow=False)


def add_door(plan: Plan) -> int:
    """Add a door to a random wall and return the wall's index."""
    rng, finish = plan.rng, plan.finish
    index = int(rng.integers(4))
    wall = plan.walls[index]
    x = rng.uniform(0.7, wall.length - 0.7)
    tint = finish.named_colour() if rng.random() < 0.3 else (0.9, 0.89, 0.86)
    if max(tint) < 0.2:
        tint = (0.9, 0.89, 0.86)  # a black door reads as a hole
    door, trim = Part(), finish.plain(TRIM)
    for side in (-0.47, 0.47):
        door.box(side, 0.02, 0, 0.07, 0.05, 2.1, trim)
    door.box(0, 0.02, 2.05, 1.01, 0.05, 0.08, trim)
    panels = finish.make("door", tint, scale=0)
    door.box(0, 0.012, 0, 0.87, 0.03, 2.05, finish.make("door", tint), front=panels)
    door.box(0.34, 0.05, 1.0, 0.12, 0.04, 0.025, finish.metal())
    plan.add(door, "door", wall.pose @ frame(0, x))
    plan.taken[index].append(Span(x - 0.55, x + 0.55, 0, 2.15))
    plan.doorway = (wall.pose @ [x, 0.5, 0, 1])[:2]
    return index
