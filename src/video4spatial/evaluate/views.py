"""Where in a room a frame without a pose was seen from: the view of the room that resembles it best."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from video4spatial.rooms import Room
from video4spatial.rooms.motion import gaze_angles, gaze_of_pose, poses_from_gaze
from video4spatial.schema import Intrinsics

SHELL = frozenset(("floor", "ceiling", "wall", "skirting board"))
WIDTH, HEIGHT = 48, 32  # of the views compared

_NEAREST, _FARTHEST = 1.0, 2.5  # metres from which each object is looked at
_SPACING = 0.35  # metres between places to stand
_EYE = 1.5
_STARTS = 4  # candidates that are refined
_START_APART = 0.4  # metres, or radians, between them
_ROUNDS, _TRIES = 8, 14  # renders a start
_FIRST_STEP = np.array([0.18, 0.18, 0.08, math.radians(7), math.radians(5), math.radians(1.5)])
_SHRINK = 0.72  # of the step, a round
_MARGIN = 0.1  # metres to the walls


class View(NamedTuple):
    """A pose ``[4, 4]`` and how well its view resembles the frame.

    ``likeness`` in dB, at 48x32, mean brightness aside: the frame's own variance over the squared error. It is PSNR
    less the PSNR that a flat image would reach, so that a frame of bare wall resembles nothing just for being plain.
    """

    c2w: np.ndarray
    likeness: float


class RoomViews:
    """Candidate views of a room, rendered once at 48x32, to compare frames with.

    Args:
        given: poses worth trying first-hand, such as those of the context. Views of every object but the shell from
            1.0 to 2.5 m are added.
    """

    def __init__(self, room: Room, given: Float[np.ndarray, "T 4 4"], intrinsics: Intrinsics) -> None:
        self.room = room
        self.look = intrinsics.resized(WIDTH, HEIGHT)
        self.poses = np.concatenate([given, views_of_objects(room)])
        self.low = _without_mean(room.render(self.poses, self.look).rgb)

    def find(self, frame: UInt8[np.ndarray, "H W 3"], seed: int = 0) -> View:
        """The view that resembles ``frame`` best: the best candidates, each refined by small random moves.

        448 renders at 48x32; deterministic in ``seed``.
        """
        wanted = _without_mean(shrink(frame)[None])
        error = _mse(self.low, wanted)
        rng = np.random.default_rng(seed)
        found = [self._refined(self.poses[k], float(error[k]), wanted, rng) for k in self._starts(error)]
        best, least = min(found, key=lambda pair: pair[1])
        return View(best, float(10 * np.log10(max(np.square(wanted).mean(), 1e-3) / max(least, 1e-3))))

    def _starts(self, error: Float32[np.ndarray, " N"]) -> list[int]:
        """The best candidates that are not about the same view as a better one."""
        chosen: list[int] = []
        for k in np.argsort(error, kind="stable"):
            near = (
                np.linalg.norm(self.poses[k, :3, 3] - self.poses[other, :3, 3]) < _START_APART
                and math.acos(min(float(self.poses[k, :3, 2] @ self.poses[other, :3, 2]), 1.0)) < _START_APART
                for other in chosen
            )
            if not any(near):
                chosen.append(int(k))
            if len(chosen) == _STARTS:
                break
        return chosen

    def _refined(
        self, pose: np.ndarray, error: float, wanted: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        best, least = np.array([*pose[:3, 3], *gaze_of_pose(pose)]), error
        step = _FIRST_STEP
        for _ in range(_ROUNDS):
            moved = best + step * rng.standard_normal((_TRIES, 6))
            moved[:, :3] = np.clip(moved[:, :3], _MARGIN, np.array(self.room.size) - _MARGIN)
            tried = _mse(_without_mean(self.room.render(_poses(moved), self.look).rgb), wanted)
            k = int(tried.argmin())
            if tried[k] < least:
                best, least = moved[k], float(tried[k])
            step = step * _SHRINK
        return _poses(best[None])[0], least


def views_of_objects(room: Room) -> Float[np.ndarray, "N 4 4"]:
    """Poses that look at each object but the shell from where one can stand, 1.0 to 2.5 m away, at eye height."""
    cells = np.floor(room.walkable.points / _SPACING).astype(int)
    _, first = np.unique(cells, axis=0, return_index=True)
    stands = room.walkable.points[np.sort(first)]
    positions, directions = [], []
    for made in room.objects:
        if made.category in SHELL:
            continue
        distance = np.linalg.norm(stands - made.centre[:2], axis=1)
        for stand in stands[(distance >= _NEAREST) & (distance <= _FARTHEST)]:
            positions.append([*stand, _EYE])
            directions.append(made.centre - positions[-1])
    if not positions:
        return np.empty((0, 4, 4))
    yaw, pitch = gaze_angles(np.array(directions))
    return poses_from_gaze(np.array(positions), yaw, pitch, np.zeros(len(yaw)))


def shrink(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "32 48 3"]:
    """The frame at 48x32, by area."""
    return np.asarray(Image.fromarray(frame).resize((WIDTH, HEIGHT), Image.Resampling.BOX))


def _poses(angles: np.ndarray) -> np.ndarray:
    return poses_from_gaze(angles[:, :3], angles[:, 3], angles[:, 4], angles[:, 5])


def _without_mean(frames: UInt8[np.ndarray, "N H W 3"]) -> Float32[np.ndarray, "N H W 3"]:
    values = frames.astype(np.float32)
    return values - values.mean(axis=(1, 2, 3), keepdims=True)


def _mse(frames: Float32[np.ndarray, "N H W 3"], wanted: Float32[np.ndarray, "1 H W 3"]) -> Float32[np.ndarray, " N"]:
    return np.square(frames - wanted).mean(axis=(1, 2, 3))
