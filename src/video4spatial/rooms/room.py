"""Rooms: made from a seed, rendered from any pose, and known down to every object in them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from video4spatial.rooms.colours import with_measured_colours
from video4spatial.rooms.compiled import ALBEDO, EMISSION, Scene, compile_scene
from video4spatial.rooms.layout import lay_out
from video4spatial.rooms.layout.plan import RoomObject
from video4spatial.rooms.lighting import bake
from video4spatial.rooms.phrases import Target, describe, unique_targets
from video4spatial.rooms.pointcloud import PointCloud, sample_points
from video4spatial.rooms.raster import draw
from video4spatial.rooms.textures import TextureAtlas
from video4spatial.rooms.walkable import Walkable
from video4spatial.schema import Box, InputError, Intrinsics

_MID_GREY = 0.34  # exposed luminance of the median of the shell
_WINDOW_COLOUR = np.array([0.6, 0.75, 0.95]) * 4.2


@dataclass(frozen=True)
class Rendered:
    """``rgb`` uint8 ``[T, H, W, 3]``, ``depth`` float32 ``[T, H, W]`` (z-depth in metres, 0: nothing), ``instance``
    uint16 ``[T, H, W]`` (object ids, 0: nothing)."""

    rgb: np.ndarray
    depth: np.ndarray
    instance: np.ndarray


@dataclass
class Room:
    """A furnished, lit room. World frame: z up, metres, the floor at z = 0, a corner at the origin."""

    seed: int
    difficulty: float
    theme: str
    size: tuple[float, float, float]
    objects: list[RoomObject]
    scene: Scene
    floor_taken: np.ndarray

    def render(self, c2w: np.ndarray, intrinsics: Intrinsics, supersample: int = 2) -> Rendered:
        """Render camera-to-world poses ``[T, 4, 4]`` (OpenCV axes). Raises ``InputError`` for other shapes."""
        return Rendered(*draw(self.scene, c2w, intrinsics, supersample))

    def instances(self, c2w: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
        """Object ids alone, uint16 ``[T, H, W]``: many times faster than ``render``."""
        return draw(self.scene, c2w, intrinsics, supersample=1, colour=False)[2]

    def object(self, object_id: int) -> RoomObject:
        """The object of an id. Raises ``InputError`` if the room has none."""
        if not 1 <= object_id <= len(self.objects):
            raise InputError(f"room {self.seed} has no object {object_id}: ids run from 1 to {len(self.objects)}")
        return self.objects[object_id - 1]

    def describe(self) -> str:
        """What the room is and holds, for use in a sentence."""
        return describe(self.theme, self.objects)

    def targets(self) -> list[Target]:
        """The objects that a phrase tells from all others in the room."""
        return unique_targets(self.objects)

    def point_cloud(self, n: int, seed: int = 0) -> PointCloud:
        """``n`` points spread evenly over all surfaces. Raises ``InputError`` if ``n < 1``."""
        return sample_points(self.scene, n, seed)

    @cached_property
    def walkable(self) -> Walkable:
        """Where one can walk in the room."""
        return Walkable(self.floor_taken)


def object_box(instance_frame: np.ndarray, object_id: int) -> Box | None:
    """The tight box of an object's visible pixels in one frame of ids ``[H, W]``, or None if it is not seen."""
    rows, columns = np.nonzero(instance_frame == object_id)
    if len(rows) == 0:
        return None
    return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def _expose(scene: Scene) -> None:
    """Set the exposure to the median luminance of the shell; emitters are given as they shall look."""
    shell = scene.texel_patch < 6
    albedo = scene.patch_float[scene.texel_patch[shell], ALBEDO : ALBEDO + 3]
    luminance = (scene.lightmap[shell] * albedo).mean(1)
    scene.exposure = float(_MID_GREY / max(float(np.median(luminance)), 1e-3))
    scene.patch_float[:, EMISSION] /= scene.exposure
    scene.window_light = _WINDOW_COLOUR / scene.exposure


def make_room(seed: int, difficulty: float = 1.0, quality: float = 1.0, rays: int = 32) -> Room:
    """Make the room of a seed: same arguments, same room, in every process.

    ``difficulty`` in [0, 1] is how much there is to see: 0 holds a few large plain pieces, 1 is crowded and patterned.
    ``quality`` scales the resolution of baked light (0.6 is right for 96x64 frames); ``rays`` are gathered a texel for
    bounced light. Raises ``InputError`` for arguments out of range.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}: give one from 0 up")
    if not 0 <= difficulty <= 1:
        raise InputError(f"difficulty is {difficulty}: give one from 0 to 1")
    if quality <= 0 or rays < 1:
        raise InputError(f"quality is {quality}, rays is {rays}: both must be positive")
    atlas = TextureAtlas()
    plan, floor = lay_out(seed, difficulty, atlas)
    scene = compile_scene(plan.items, atlas, plan.size, quality)
    bake(scene, plan.lights, plan.windows, plan.sun, seed, rays)
    _expose(scene)
    objects = with_measured_colours(plan.objects, scene)
    return Room(seed, difficulty, plan.theme, plan.size, objects, scene, floor.taken)
