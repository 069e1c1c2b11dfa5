"""Camera paths: waypoints, the smooth path through them, and named presets."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from jaxtyping import Float, Float64, Int
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, Slerp

from video4spatial.geometry.poses import Number, pose_from_waypoint, waypoint_from_pose
from video4spatial.schema import InputError

METRES_PER_RADIAN = 1.0  # how far a turn of one radian counts when frames are shared out among segments


@dataclass(frozen=True)
class Waypoint:
    """A place in metres and a view in radians, absolute in the reference frame (see ``poses``)."""

    x: Number = 0.0
    y: Number = 0.0
    z: Number = 0.0
    yaw: Number = 0.0
    pitch: Number = 0.0
    roll: Number = 0.0

    @property
    def pose(self) -> Float64[np.ndarray, "4 4"]:
        """The c2w pose."""
        return pose_from_waypoint([self.x, self.y, self.z], self.yaw, self.pitch, self.roll)

    @property
    def row(self) -> tuple[float, float, float, float, float, float]:
        """``(x, y, z, yaw, pitch, roll)``."""
        return float(self.x), float(self.y), float(self.z), float(self.yaw), float(self.pitch), float(self.roll)

    @classmethod
    def from_pose(cls, c2w: Float[np.ndarray, "4 4"]) -> "Waypoint":
        """The waypoint of a c2w pose."""
        (x, y, z), yaw, pitch, roll = waypoint_from_pose(c2w)
        return cls(float(x), float(y), float(z), yaw, pitch, roll)


def interpolate(waypoints: Sequence[Waypoint], frames: int) -> Float64[np.ndarray, "{frames} 4 4"]:
    """A smooth path of ``frames`` c2w poses that starts at the first waypoint, meets each exactly, ends at the last.

    Frames are shared out by the length of each segment (metres, plus one metre for each radian turned), so the speed is
    even. Place and angles follow monotone cubics (PCHIP, C1): the path never swings out beyond its waypoints, through
    a wall say, and a level camera stays level, which a spline over rotations would not keep. Each angle takes the short
    way round: a turn of more than 180 degrees needs a waypoint between. One waypoint is a still camera.

    Raises ``InputError`` for no waypoints, values that are not finite, or fewer frames than waypoints.
    """
    if not waypoints:
        raise InputError("the path has no waypoints: give at least one")
    if frames < len(waypoints):
        raise InputError(f"{len(waypoints)} waypoints do not fit in {frames} frames: give at least {len(waypoints)}")
    rows = np.array([waypoint.row for waypoint in waypoints])
    if not np.isfinite(rows).all():
        bad = int(np.argmin(np.isfinite(rows).all(axis=1)))
        raise InputError(f"waypoint {bad} holds NaN or infinity: give finite numbers")
    if len(rows) == 1:
        return np.repeat(waypoints[0].pose[None], frames, axis=0)
    rows[:, 3:] = np.unwrap(rows[:, 3:], axis=0)
    with np.errstate(over="ignore"):  # steps near the smallest float: their slope is rightly taken as 0
        at_frame = PchipInterpolator(_knots(rows, frames), rows)(np.arange(frames))
    return np.stack([pose_from_waypoint(row[:3], *map(float, row[3:])) for row in at_frame])


def _knots(rows: Float64[np.ndarray, "N 6"], frames: int) -> Int[np.ndarray, "N"]:
    """The frame at which each waypoint is met: by arc length, whole frames, all different."""
    step = np.diff(rows, axis=0)
    cost = np.linalg.norm(step[:, :3], axis=1) + METRES_PER_RADIAN * np.linalg.norm(step[:, 3:], axis=1)
    along = np.concatenate([[0.0], np.cumsum(cost if cost.any() else np.ones_like(cost))])
    knots = np.round(along / along[-1] * (frames - 1)).astype(int)
    order = np.arange(len(knots))
    knots = np.maximum.accumulate(knots - order) + order  # at least one frame after the one before
    return np.minimum(knots, frames - len(knots) + order)  # and room for those that follow


def resample(c2w: Float[np.ndarray, "T 4 4"], frames: int) -> Float64[np.ndarray, "{frames} 4 4"]:
    """Recorded poses at ``frames`` even steps of their time: linear in place, Slerp in rotation; both ends are kept."""
    if frames < 1:
        raise InputError(f"a path needs at least 1 frame, not {frames}")
    if len(c2w) == 1:
        return np.repeat(c2w.astype(np.float64), frames, axis=0)
    time = np.arange(len(c2w))
    at = np.linspace(0, len(c2w) - 1, frames)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = Slerp(time, Rotation.from_matrix(c2w[:, :3, :3]))(at).as_matrix()
    poses[:, :3, 3] = np.stack([np.interp(at, time, c2w[:, axis, 3]) for axis in range(3)], axis=-1)
    return poses


# Each preset's options and their defaults: degrees turned, metres travelled (for orbit: the distance to the pivot).
_PRESETS: dict[str, dict[str, float]] = {
    "turn-left": {"degrees": 90.0},
    "turn-right": {"degrees": 90.0},
    "orbit": {"degrees": 90.0, "metres": 2.0},
    "forward": {"metres": 1.0},
    "backward": {"metres": 1.0},
    "look-around": {"degrees": 45.0},
    "360": {"degrees": 360.0},
    "still": {},
}
PRESETS: tuple[str, ...] = tuple(_PRESETS)


def preset_options(name: str) -> dict[str, float]:
    """What a preset takes of ``degrees`` and ``metres``, with its defaults; ``InputError`` for an unknown name."""
    if name not in _PRESETS:
        close = get_close_matches(name, PRESETS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"there is no camera preset {name!r}.{hint} Known: {', '.join(PRESETS)}")
    return dict(_PRESETS[name])


def preset(
    name: str, frames: int, degrees: Number | None = None, metres: Number | None = None
) -> Float64[np.ndarray, "{frames} 4 4"]:
    """A named camera path of ``frames`` c2w poses that starts at the identity, at even speed.

    ``turn-left``, ``turn-right`` (``degrees``, 90), ``forward``, ``backward`` (``metres``, 1), ``orbit`` (the camera
    moves to its right around a point ``metres`` = 2 ahead, which stays in the middle, through ``degrees`` = 90),
    ``look-around`` (left, then right by ``degrees`` = 45, and back), ``360`` (a full turn right), ``still``.
    Negative values go the other way. Raises ``InputError`` for an unknown name or an option the preset does not take.
    """
    options = preset_options(name)
    if frames < 1:
        raise InputError(f"a path needs at least 1 frame, not {frames}")
    for option, value in (("degrees", degrees), ("metres", metres)):
        if value is None:
            continue
        if option not in options:
            takes = f"takes {' and '.join(options)}" if options else "takes neither degrees nor metres"
            raise InputError(f"preset {name!r} has no {option}: it {takes}")
        if not np.isfinite(value):
            raise InputError(f"{option} of preset {name!r} is {value}: give a finite number")
        options[option] = float(value)
    return np.stack([_preset_at(name, float(s), options) for s in np.linspace(0, 1, frames)])


def _preset_at(name: str, s: float, options: dict[str, float]) -> Float64[np.ndarray, "4 4"]:
    """The pose of a preset at the fraction ``s`` of its way."""
    angle = np.radians(options.get("degrees", 0.0))
    metres = options.get("metres", 0.0)
    if name == "turn-left":
        return pose_from_waypoint([0, 0, 0], -angle * s)
    if name in ("turn-right", "360"):
        return pose_from_waypoint([0, 0, 0], angle * s)
    if name == "forward":
        return pose_from_waypoint([0, 0, metres * s])
    if name == "backward":
        return pose_from_waypoint([0, 0, -metres * s])
    if name == "look-around":
        return pose_from_waypoint([0, 0, 0], -angle * float(np.sin(2 * np.pi * s)))
    if name == "orbit":
        around = angle * s
        return pose_from_waypoint([metres * np.sin(around), 0, metres * (1 - np.cos(around))], -around)
    return np.eye(4)
