"""Windows with curtains, the sun behind them, and the lamp under the ceiling."""

import math

import numpy as np

from video4spatial.rooms.layout.plan import Plan, Span, Wall
from video4spatial.rooms.layout.shell import TRIM
from video4spatial.rooms.lighting import AreaLight, Sun, WindowOpening
from video4spatial.rooms.parts import Part, frame

_SKY_COLOUR = np.array([0.75, 0.90, 1.1])
_SUN_COLOUR = np.array([1.0, 0.86, 0.66])
_BULB_COLOUR = np.array([1.0, 0.86, 0.66])
_WARM_COLOUR = np.array([1.0, 0.72, 0.42])
_NOWHERE = np.zeros(3)


def _window_part(plan: Plan, x: float, z: float, width: float, height: float, panes: tuple[int, int], view: int):
    """A picture of the sky behind a frame with mullions and a sill, in the wall's frame."""
    finish = plan.finish
    window, trim = Part(), finish.plain(TRIM)
    sky = finish.make("sky" if finish.busy() else "haze", variant=view, scale=0, emission=4.2)
    window.quad((x + width / 2, 0.012, z), (-width, 0, 0), (0, 0, height), sky, 0.5)
    for k in range(panes[0] + 1):
        window.box(x + width * (k / panes[0] - 0.5), 0.025, z, 0.055, 0.05, height, trim)
    for k in range(panes[1] + 1):
        window.box(x, 0.025, z + height * k / panes[1] - 0.025, width + 0.05, 0.05, 0.05, trim)
    window.box(x, 0.08, z - 0.06, width + 0.2, 0.16, 0.035, trim)
    return window


def _add_curtains(plan: Plan, wall: Wall, x: float, width: float, top: float) -> None:
    """A wavy cloth on either side of a window, and the rod."""
    finish = plan.finish
    kind = "curtain" if finish.busy() else "plain"
    cloth = finish.make(kind, finish.named_colour(), scale=0.9, double_sided=True)
    curtain = Part()
    along = np.linspace(0, 1, 11)
    y = 0.10 + 0.035 * np.sin(along * 26)
    for side in (-1, 1):
        edge = along if side < 0 else along[::-1]
        fold = x + side * (width / 2 + 0.08 + 0.22 * edge)
        low = np.stack([fold, y, np.full(11, 0.03)], -1)
        high = np.stack([fold, y, np.full(11, top)], -1)
        curtain.grid(np.stack([low, high], 1), cloth)
    curtain.box(x, 0.10, top, width + 0.8, 0.03, 0.03, finish.metal())
    plan.add(curtain, "curtain", wall.pose)


def add_windows(plan: Plan, door_wall: int) -> None:
    """Add one or two windows to walls without the door; each is an area light."""
    rng = plan.rng
    sky_power = _SKY_COLOUR * rng.uniform(5, 9)
    view = int(rng.integers(12))
    others = [k for k in range(4) if k != door_wall]
    for index in rng.permutation(others)[: rng.integers(1, 3)]:
        wall = plan.walls[index]
        width = min(rng.uniform(1.1, 2.4), wall.length - 0.9)
        height, z = rng.uniform(1.1, 1.4), rng.uniform(0.75, 0.95)
        x = rng.uniform(width / 2 + 0.3, wall.length - width / 2 - 0.3)
        panes = (2 if width < 1.7 else 3, int(rng.integers(1, 3)))
        plan.add(_window_part(plan, x, z, width, height, panes, view), "window", wall.pose)

        centre = (wall.pose @ [x, 0.06, z + height / 2, 1])[:3]
        along, inward = wall.pose[:3, 0] * width / 2, wall.pose[:3, 1]
        power = sky_power * width * height / math.pi
        plan.lights.append(AreaLight(centre, along, np.array([0, 0, height / 2]), inward, power, 12))
        # a wall's chart runs against its frame's x
        s0, s1 = 1 - (x + width / 2) / wall.length, 1 - (x - width / 2) / wall.length
        ceiling = plan.size[2]
        plan.windows.append(WindowOpening(wall.patch, s0, z / ceiling, s1, (z + height) / ceiling, *panes))
        margin = 0.15
        span = Span(x - width / 2 - margin, x + width / 2 + margin, z - 0.1, z + height + 0.1)
        plan.taken[index].append(span)
        if rng.random() < 0.3 + 0.4 * plan.difficulty:
            _add_curtains(plan, wall, x, width, min(z + height + 0.18, ceiling - 0.05))


def add_sun(plan: Plan) -> None:
    """Let the sun stand where it shines through the first window, on seven days of ten."""
    rng = plan.rng
    elevation, slant = rng.uniform(0.45, 0.9), rng.uniform(-0.7, 0.7)
    strength = rng.uniform(6, 11) if rng.random() < 0.7 else 0.0
    wall = next(wall for wall in plan.walls if wall.patch == plan.windows[0].wall)
    outward = -wall.pose[:3, 1]
    sideways = np.array([-outward[1], outward[0], 0])
    level = outward + sideways * slant
    direction = level / np.linalg.norm(level) * math.cos(elevation) + np.array([0, 0, math.sin(elevation)])
    plan.sun = Sun(direction, _SUN_COLOUR * strength)


def add_ceiling_lamp(plan: Plan) -> None:
    """Hang a lamp near the middle; it burns in six rooms of ten."""
    rng = plan.rng
    width, depth, height = plan.size
    radius = rng.uniform(0.16, 0.25)
    x, y = width * rng.uniform(0.4, 0.6), depth * rng.uniform(0.4, 0.6)
    burning = rng.random() < 0.6
    glow = plan.finish.make("plain", (1.0, 0.93, 0.82), emission=2.2 if burning else 0.9, double_sided=True)
    lamp = Part()
    lamp.lathe(0, 0, -0.09, [(1e-3, 0), (radius * 0.8, 0), (radius, 0.04), (radius, 0.09)], glow, 16)
    plan.add(lamp, "ceiling lamp", frame(0, x, y, height))
    power = _BULB_COLOUR * (rng.uniform(4.0, 7.0) if burning else 0.8)
    u, v = np.array([radius, 0, 0]), np.array([0, radius, 0])
    plan.lights.append(AreaLight(np.array([x, y, height - 0.1]), u, v, np.array([0, 0, -1.0]), power, 6))


def light_lamps(plan: Plan) -> None:
    """Switch on the floor lamps and bedside lamps that were put down."""
    heights = {"floor lamp": 1.5, "nightstand": 0.78}
    for made, item in zip(plan.objects, plan.items, strict=True):
        if made.category in heights:
            position = (item.pose @ [0, 0, heights[made.category], 1])[:3]
            power = _WARM_COLOUR * plan.rng.uniform(0.25, 0.5)
            u, v = np.array([0.05, 0, 0]), np.array([0, 0.05, 0])
            plan.lights.append(AreaLight(position, u, v, _NOWHERE, power, 4))
