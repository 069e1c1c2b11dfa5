"""Viewpoints: where to stand to see an object well, found by looking."""

import math
from typing import NamedTuple

import numpy as np

from video4spatial.rooms.motion import gaze_angles, poses_from_gaze, wrap_angle
from video4spatial.rooms.room import Room, RoomObject, object_box
from video4spatial.schema import Intrinsics

LOOK = Intrinsics.from_horizontal_fov(72.0, 48, 32)
"""The small camera that candidates are judged with."""

_CENTRAL = 0.10  # of the frame's size: how far from the centre the object's box may end up
_FEWEST_PIXELS = 8
_WHOLE = 0.45  # share of the object's projected box that its visible pixels span, to count as well seen
_ALMOST_WHOLE = 0.20
_CANDIDATES = 36
_BATCH = 6
_SPACING = 0.22  # metres between candidates
_NEAREST = 0.75
_LOWEST_PITCH, _HIGHEST_PITCH = math.radians(-58), math.radians(30)


class NoViewpoint(ValueError):
    """There is no place to walk to from which the object is seen in the middle of the frame."""


class Viewpoint(NamedTuple):
    """A place to stand (``cell`` of the walkable floor, ``position [3]``) and where to look, radians."""

    cell: int
    position: np.ndarray
    yaw: float
    pitch: float


class Reach(NamedTuple):
    """What limits a viewpoint: walking distances ``[cells]``, the longest of them, the present yaw, the widest turn."""

    distances: np.ndarray
    longest: float
    yaw: float
    widest_turn: float


def is_centred(instance_frame: np.ndarray, object_id: int, ratio: float = 0.3) -> bool:
    """Whether the box of an object's visible pixels is centred within the central ``ratio`` of width and height."""
    box = object_box(instance_frame, object_id)
    if box is None:
        return False
    height, width = instance_frame.shape
    x, y = box.centre
    return abs(x / width - 0.5) <= ratio / 2 and abs(y / height - 0.5) <= ratio / 2


def _projected_area(made: RoomObject, pose: np.ndarray) -> float:
    """Pixels of the object's projected 3D box that lie in the frame, as an upright rectangle."""
    seen = (made.corners - pose[:3, 3]) @ pose[:3, :3]
    z = np.maximum(seen[:, 2], 0.1)
    x = np.clip(LOOK.fx * seen[:, 0] / z + LOOK.cx, 0, LOOK.width)
    y = np.clip(LOOK.fy * seen[:, 1] / z + LOOK.cy, 0, LOOK.height)
    return float(np.ptp(x) * np.ptp(y))


def _ranked_cells(room: Room, made: RoomObject, rng: np.random.Generator, reach: Reach | None) -> np.ndarray:
    """Cells to try, best first: at a sensible distance, on the object's front, within reach, apart from each other."""
    points = room.walkable.points
    away = points - made.centre[:2]
    distance = np.hypot(away[:, 0], away[:, 1])
    front = np.array([-math.sin(made.yaw), math.cos(made.yaw)])
    wanted = 1.0 + 0.75 * float(made.size.max())
    score = np.abs(distance - wanted) + 0.6 * (1 - away @ front / (distance + 1e-6)) + 0.2 * rng.random(len(points))
    allowed = distance > _NEAREST
    if reach is not None:
        turn = np.arctan2(-away[:, 1], -away[:, 0]) - reach.yaw
        turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
        allowed &= (reach.distances <= reach.longest) & (turn <= reach.widest_turn)
    order = np.argsort(score, kind="stable")
    order = order[allowed[order]]
    chosen: list[int] = []
    for cell in order:
        if len(chosen) == _CANDIDATES:
            break
        if all(np.abs(points[cell] - points[other]).max() >= _SPACING for other in chosen):
            chosen.append(int(cell))
    return np.array(chosen, int)


def _aim_better(poses_yaw: np.ndarray, poses_pitch: np.ndarray, frames: np.ndarray, object_id: int) -> None:
    """Turn each gaze, in place, to the middle of what is seen of the object."""
    for k, instance in enumerate(frames):
        box = object_box(instance, object_id)
        if box is not None:
            x, y = box.centre
            poses_yaw[k] -= math.atan((x - LOOK.cx) / LOOK.fx) / max(math.cos(poses_pitch[k]), 0.3)
            poses_pitch[k] -= math.atan((y - LOOK.cy) / LOOK.fy)
    np.clip(poses_pitch, _LOWEST_PITCH, _HIGHEST_PITCH, out=poses_pitch)


def find_viewpoint(
    room: Room, object_id: int, rng: np.random.Generator, eye_height: float = 1.5, reach: Reach | None = None
) -> Viewpoint:
    """Where to stand and look to see an object in the centre, well seen if that is possible.

    Candidates are rendered as 48x32 object ids: the object must be visible, and the centre of its visible box must lie
    in the central region. Raises ``NoViewpoint`` if no candidate passes, ``InputError`` for an unknown id.
    """
    made = room.object(object_id)
    cells = _ranked_cells(room, made, rng, reach)
    fallback: Viewpoint | None = None
    for first in range(0, len(cells), _BATCH):
        batch = cells[first : first + _BATCH]
        positions = np.column_stack([room.walkable.points[batch], np.full(len(batch), eye_height)])
        directions = made.centre - positions
        yaw = np.arctan2(directions[:, 1], directions[:, 0])
        _, pitch = gaze_angles(directions)
        pitch = np.clip(pitch, _LOWEST_PITCH, _HIGHEST_PITCH)
        level = np.zeros(len(batch))
        for _ in range(2):
            frames = room.instances(poses_from_gaze(positions, yaw, pitch, level), LOOK)
            _aim_better(yaw, pitch, frames, object_id)
        poses = poses_from_gaze(positions, yaw, pitch, level)
        frames = room.instances(poses, LOOK)
        for k, instance in enumerate(frames):
            pixels = int((instance == object_id).sum())
            if pixels < _FEWEST_PIXELS or not is_centred(instance, object_id, 2 * _CENTRAL):
                continue
            if reach is not None and abs(wrap_angle(float(yaw[k]) - reach.yaw)) > reach.widest_turn:
                continue
            box = object_box(instance, object_id)
            whole = box.area / max(_projected_area(made, poses[k]), 1.0) if box else 0.0
            found = Viewpoint(int(batch[k]), positions[k], float(yaw[k]), float(pitch[k]))
            if whole >= _WHOLE:
                return found
            if whole >= _ALMOST_WHOLE and fallback is None:
                fallback = found
    if fallback is None:
        raise NoViewpoint(
            f"room {room.seed}: the {made.category} (object {object_id}) is not seen from anywhere within reach"
        )
    return fallback


def best_view(room: Room, poses: np.ndarray) -> np.ndarray:
    """The pose ``[4, 4]`` among ``poses [T, 4, 4]`` that shows most of the furniture, none of it in the way."""
    frames, depth = room.render(poses, LOOK, 1).instance, room.render(poses, LOOK, 1).depth
    pieces = [made.id for made in room.objects[7:] if made.category not in ("curtain", "picture", "ceiling lamp")]

    def richness(instance: np.ndarray, distance: np.ndarray) -> float:
        share = np.bincount(instance.ravel(), minlength=len(room.objects) + 1)[pieces] / instance.size
        crowded = 3.0 if np.mean(distance < 0.9) > 0.1 else 0.0
        several = 0.4 * float((share > 0.004).sum())
        return 8 * float(np.minimum(share, 0.08).sum()) + several - 12 * max(float(share.max()) - 0.3, 0) - crowded

    return poses[int(np.argmax([richness(*pair) for pair in zip(frames, depth, strict=True)]))]
