"""Layout: from a seed to a plan of a room, with everything put where it belongs."""

import numpy as np

from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.layout.daylight import add_ceiling_lamp, add_sun, add_windows, light_lamps
from video4spatial.rooms.layout.dressing import add_pictures, add_rugs
from video4spatial.rooms.layout.furnish import THEMES, Furnisher
from video4spatial.rooms.layout.occupancy import FloorMap
from video4spatial.rooms.layout.plan import Plan
from video4spatial.rooms.layout.shell import add_door, build_shell
from video4spatial.rooms.textures import TextureAtlas

_DOORWAY = 0.45  # metres around the doorway that stay free


def lay_out(seed: int, difficulty: float, atlas: TextureAtlas) -> tuple[Plan, FloorMap]:
    """Plan the room of a seed; textures go to ``atlas``. Also returns the map of its floor."""
    rng = np.random.default_rng([seed, 7])
    finish = Finishes(rng, atlas, difficulty)
    size = (rng.uniform(4.0, 6.5), rng.uniform(3.6, 5.5), rng.uniform(2.45, 2.9))
    plan = Plan(rng, finish, size, list(THEMES)[rng.integers(len(THEMES))])
    build_shell(plan)
    door_wall = add_door(plan)
    add_windows(plan, door_wall)
    add_sun(plan)
    add_ceiling_lamp(plan)
    floor = FloorMap(size[0], size[1])
    floor.keep_free(plan.doorway, _DOORWAY)
    furnisher = Furnisher(plan, floor)
    furnisher.furnish()
    add_rugs(plan, furnisher.rug_poses)
    add_pictures(plan)
    light_lamps(plan)
    return plan, floor
