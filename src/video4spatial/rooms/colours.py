"""Name the colours of objects: a colour word is what most of an object's visible surface has, measured by looking."""

from dataclasses import replace

import numpy as np

from video4spatial.rooms.compiled import ALBEDO, EMISSION, OBJECT, Scene
from video4spatial.rooms.furniture import MAKERS
from video4spatial.rooms.layout.plan import RoomObject
from video4spatial.rooms.motion import gaze_angles, poses_from_gaze
from video4spatial.rooms.palette import COLOURS, nearest_colour
from video4spatial.rooms.raster import draw
from video4spatial.schema import Intrinsics

_NAMED = frozenset((*MAKERS, "door", "curtain")) - {"tv"}
_CLEAR = 0.5  # share of its visible surface one colour must have to be an object's colour
_NEAR_ENOUGH = 28.0  # CIELAB distance within which a surface counts for a colour word
_TEXTURE_GAIN = 1.25  # textures darken what they tint; a white cloth is still called white
_LOOK = Intrinsics.from_horizontal_fov(60.0, 32, 32)
_SIDES = np.radians([-50.0, 0.0, 50.0])  # from the object's front
_EYE = 1.5  # metres
_MARGIN = 0.1  # metres from the walls


def _views(made: RoomObject, room_size: np.ndarray) -> np.ndarray:
    """Poses ``[3, 4, 4]`` that look at an object from its front and from both sides of it."""
    angle = made.yaw + np.pi / 2 + _SIDES
    away = 1.0 + 0.8 * float(made.size.max())
    around = made.centre[:2] + away * np.stack([np.cos(angle), np.sin(angle)], 1)
    positions = np.column_stack([around, np.full(len(around), _EYE)])
    positions = np.clip(positions, _MARGIN, room_size - _MARGIN)
    yaw, pitch = gaze_angles(made.centre - positions)
    return poses_from_gaze(positions, yaw, pitch, np.zeros(len(yaw)))


def with_measured_colours(objects: list[RoomObject], scene: Scene) -> list[RoomObject]:
    """The objects with the colour words they have, or none: a colour is measured, not promised."""
    patches = scene.patch_int.copy()
    patches[:, OBJECT] = np.arange(len(patches))
    by_patch = replace(scene, patch_int=patches)
    word, distance = nearest_colour(scene.patch_float[:, ALBEDO : ALBEDO + 3] * _TEXTURE_GAIN)
    counts = (distance < _NEAR_ENOUGH) & (scene.patch_float[:, EMISSION] == 0)
    named = [made for made in objects if made.category in _NAMED]
    if not named:
        return objects
    poses = np.concatenate([_views(made, scene.room_size) for made in named])
    seen = draw(by_patch, poses, _LOOK, supersample=1, colour=False)[2].reshape(len(named), -1)
    colours = {}
    for made, patch in zip(named, seen, strict=True):
        own = patch[scene.patch_int[patch, OBJECT] == made.id]
        share = np.bincount(word[own[counts[own]]], minlength=len(COLOURS))
        best = int(share.argmax())
        colours[made.id] = COLOURS[best] if share[best] > _CLEAR * len(own) else ""
    return [replace(made, colour=colours.get(made.id, "")) for made in objects]
