"""What is being edited: a camera path's waypoints, the steps to take back, and the limits. No viewer is needed.

path = PathEdit([Waypoint(), Waypoint(z=2.0)], frames=81)
path.insert(1)  # half way between
path.undo()
"""

from collections.abc import Sequence
from dataclasses import replace
from math import degrees

import numpy as np
from jaxtyping import Float, Float64

from video4spatial.geometry.paths import Waypoint, interpolate
from video4spatial.geometry.poses import Number, require_rigid
from video4spatial.schema import InputError

MAX_WAYPOINTS = 64
MAX_METRES = 100.0  # from the reference frame, along each axis
FULL_TURN = 2 * np.pi
MAX_FRAMES = 2001
STEPS_KEPT = 200  # of undo
STEP_AHEAD = 1.0  # metres from the last waypoint to one that is added without a place
NAMES = ("x", "y", "z", "yaw", "pitch", "roll")


class PathEdit:
    """A path of 1 to ``min(MAX_WAYPOINTS, frames)`` waypoints, with undo and redo.

    Every change is checked as a whole before it is made: after an ``InputError`` the path is what it was. A change that
    changes nothing is no step. Waypoint 0 is where the video starts.

    Args:
        frames: how many poses the path is interpolated to, which is the length of the video.
    """

    def __init__(self, waypoints: Sequence[Waypoint] = (Waypoint(),), frames: int = 81):
        if not 1 <= frames <= MAX_FRAMES:
            raise InputError(f"a path of {frames} frames: give 1 to {MAX_FRAMES}")
        self._frames = frames
        self._now = self._checked(waypoints)
        self._undo: list[tuple[Waypoint, ...]] = []
        self._redo: list[tuple[Waypoint, ...]] = []
        self._gesture: tuple[Waypoint, ...] | None = None

    @property
    def waypoints(self) -> list[Waypoint]:
        """The waypoints as they are now."""
        return list(self._now)

    @property
    def frames(self) -> int:
        """How many poses ``poses`` gives."""
        return self._frames

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return bool(self._redo)

    def __len__(self) -> int:
        return len(self._now)

    def poses(self) -> Float64[np.ndarray, "T 4 4"]:
        """The smooth path through the waypoints: one c2w pose a frame."""
        return interpolate(self._now, self._frames)

    def set_frames(self, frames: int) -> None:
        """Another length of the video (no step of undo); ``InputError`` if the waypoints do not fit in it."""
        if not len(self._now) <= frames <= MAX_FRAMES:
            raise InputError(f"{frames} frames for {len(self)} waypoints: give {len(self)} to {MAX_FRAMES} frames")
        self._frames = frames
        fits = [path for path in self._undo if len(path) <= frames]
        self._undo, self._redo = fits, [path for path in self._redo if len(path) <= frames]

    def add(self, waypoint: Waypoint | None = None) -> int:
        """Append a waypoint, by default a metre ahead of the last, level with it; returns its number."""
        if waypoint is None:
            last = self._now[-1]
            x, y, z = last.pose[:3, 3] + STEP_AHEAD * last.pose[:3, 2]
            waypoint = replace(last, x=float(x), y=float(y), z=float(z))
        self._step((*self._now, waypoint))
        return len(self._now) - 1

    def insert(self, index: int, waypoint: Waypoint | None = None) -> int:
        """Put a waypoint before number ``index``, by default half way on the path from the one before it."""
        if not 0 <= index <= len(self):
            raise InputError(f"a waypoint cannot be inserted at {index}: give 0 to {len(self)}")
        if index == len(self):
            return self.add(waypoint)
        if waypoint is None:
            before = self._now[max(index - 1, 0)]
            waypoint = Waypoint.from_pose(interpolate([before, self._now[index]], 3)[1])
        self._step((*self._now[:index], waypoint, *self._now[index:]))
        return index

    def remove(self, index: int) -> None:
        """Take waypoint ``index`` out; the last one left stays."""
        self._require(index)
        if len(self) == 1:
            raise InputError("the path has one waypoint only, the start: move it instead of removing it")
        self._step((*self._now[:index], *self._now[index + 1 :]))

    def put(self, index: int, waypoint: Waypoint) -> None:
        """Replace waypoint ``index``."""
        self._require(index)
        self._step((*self._now[:index], waypoint, *self._now[index + 1 :]))

    def move(self, index: int, x: Number, y: Number, z: Number) -> None:
        """Bring waypoint ``index`` to a place in metres; its view stays."""
        self._require(index)
        self.put(index, replace(self._now[index], x=x, y=y, z=z))

    def turn(self, index: int, yaw: Number, pitch: Number, roll: Number) -> None:
        """Give waypoint ``index`` a view in radians; its place stays."""
        self._require(index)
        self.put(index, replace(self._now[index], yaw=yaw, pitch=pitch, roll=roll))

    def place(self, index: int, c2w: Float[np.ndarray, "4 4"]) -> None:
        """Give waypoint ``index`` a c2w pose. Angles are kept as they are written unless the camera turned."""
        self._require(index)
        pose = require_rigid(c2w[None], f"waypoint {index}")[0]
        now = self._now[index]
        if np.abs(pose[:3, :3] - now.pose[:3, :3]).max() < 1e-6:
            x, y, z = map(float, pose[:3, 3])
            self.put(index, replace(now, x=x, y=y, z=z))
        else:
            self.put(index, Waypoint.from_pose(pose))

    def replace_all(self, waypoints: Sequence[Waypoint]) -> None:
        """Another path, in one step: a preset, a file, a table."""
        self._step(tuple(waypoints))

    def undo(self) -> bool:
        """Take the last step back; False if there is none."""
        self.end_gesture()
        if not self._undo:
            return False
        self._redo.append(self._now)
        self._now = self._undo.pop()
        return True

    def redo(self) -> bool:
        """Take the last undo back; False if there is none."""
        self.end_gesture()
        if not self._redo:
            return False
        self._undo.append(self._now)
        self._now = self._redo.pop()
        return True

    def begin_gesture(self) -> None:
        """From here to ``end_gesture`` all changes are one step (a drag)."""
        self.end_gesture()
        self._gesture = self._now

    def end_gesture(self) -> None:
        """Keep what changed since ``begin_gesture`` as one step."""
        before, self._gesture = self._gesture, None
        if before is not None and before != self._now:
            self._keep(before)

    def _step(self, waypoints: tuple[Waypoint, ...]) -> None:
        checked = self._checked(waypoints)
        if checked == self._now:
            return
        if self._gesture is None:
            self._keep(self._now)
        self._now = checked

    def _keep(self, before: tuple[Waypoint, ...]) -> None:
        self._undo = [*self._undo, before][-STEPS_KEPT:]
        self._redo = []

    def _require(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise InputError(f"there is no waypoint {index}: the path has 0 to {len(self) - 1}")

    def _checked(self, waypoints: Sequence[Waypoint]) -> tuple[Waypoint, ...]:
        most = min(MAX_WAYPOINTS, self._frames)
        if not 1 <= len(waypoints) <= most:
            raise InputError(f"{len(waypoints)} waypoints: give 1 to {most} for a path of {self._frames} frames")
        for number, waypoint in enumerate(waypoints):
            for name, value in zip(NAMES, waypoint.row, strict=True):
                _require_within(number, name, value)
        return tuple(Waypoint(*waypoint.row) for waypoint in waypoints)


def _require_within(number: int, name: str, value: float) -> None:
    if not np.isfinite(value):
        raise InputError(f"waypoint {number}: {name} is {value}, give a finite number")
    if name in NAMES[:3] and abs(value) > MAX_METRES:
        raise InputError(f"waypoint {number}: {name} is {value:g} m, give a place within {MAX_METRES:g} m")
    if name in NAMES[3:] and abs(value) > FULL_TURN + 1e-6:
        raise InputError(f"waypoint {number}: {name} is {degrees(value):g} degrees, give at most a full turn")
