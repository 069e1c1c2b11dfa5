"""Follow waypoints of six degrees of freedom."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from video4spatial.rooms.motion import smoothstep
from video4spatial.rooms.room import Room
from video4spatial.schema import InputError

# Camera axes in the room at yaw = pitch = roll = 0: x (right) along +x, y (down) along -z, z (forward) along +y.
_LEVEL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
_METRES_A_RADIAN = 1.0  # how turning counts against walking when time is shared out


def follow(room: Room, waypoints: Sequence[Sequence[float]], frames: int) -> np.ndarray:
    """A smooth camera-to-world path ``[frames, 4, 4]`` through waypoints ``(x, y, z, yaw, pitch, roll)``.

    Metres and radians in room coordinates; R = R_y(yaw) R_x(pitch) R_z(roll) on a camera that looks along the room's
    +y: +yaw turns right, +pitch looks up, +roll dips the right side. Angles are taken as given (no wrapping): 2 pi is a
    full turn. The path starts at the first waypoint, ends at the last, and shares out time by distance and angle.
    Raises ``InputError`` for waypoints of another shape or outside the room, or fewer than one frame.
    """
    points = np.asarray(waypoints, np.float64)
    if points.ndim != 2 or points.shape[1] != 6 or len(points) == 0 or not np.isfinite(points).all():
        raise InputError(f"waypoints are (x, y, z, yaw, pitch, roll) each, not an array of shape {points.shape}")
    if frames < 1:
        raise InputError(f"frames is {frames}: a path has one or more")
    outside = ((points[:, :3] < 0) | (points[:, :3] > room.size)).any(1)
    if outside.any():
        width, depth, height = room.size
        raise InputError(
            f"waypoint {int(outside.argmax())} is outside the room, which is {width:.2f} x {depth:.2f} x {height:.2f} m"
        )
    steps = np.diff(points, axis=0)
    effort = np.linalg.norm(steps[:, :3], axis=1) + _METRES_A_RADIAN * np.linalg.norm(steps[:, 3:], axis=1)
    moving = np.r_[True, effort > 1e-9]
    points, when = points[moving], np.r_[0, effort[effort > 1e-9].cumsum()]
    eased = smoothstep(np.linspace(0, 1, frames)) * when[-1]
    path = np.repeat(points[:1], frames, 0)
    if len(points) > 1:
        path = PchipInterpolator(when, points, axis=0)(eased)
    turns = Rotation.from_euler("YXZ", path[:, 3:]).as_matrix()
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = _LEVEL @ turns
    poses[:, :3, 3] = path[:, :3]
    return poses
