"""The pose convention, written once (docs/conventions.md draws it).

A pose is camera-to-world (c2w), 4x4, OpenCV camera axes (x right, y down, z forward), metres, in a declared reference
frame. A waypoint is a place and three angles in radians, absolute in that frame, not incremental:

    R = R_y(yaw) R_x(pitch) R_z(roll)

+yaw turns right, +pitch looks up, +roll dips the right side. The paper (section 3.2) gives 6-DoF waypoints and leaves
the order and the signs open; this is our choice.
"""

from collections.abc import Sequence

import numpy as np
from einops import einsum
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation

from video4spatial.schema import InputError

Number = float | int

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_RIGID_TOLERANCE = 1e-3  # files keep few decimals (ARKitScenes six, spreadsheets four)
_GIMBAL = 1e-7  # cos(pitch) below which yaw and roll turn about the same axis


def rotation_from_angles(yaw: Number, pitch: Number, roll: Number) -> Float64[np.ndarray, "3 3"]:
    """``R_y(yaw) R_x(pitch) R_z(roll)``; radians."""
    return Rotation.from_euler("YXZ", [yaw, pitch, roll]).as_matrix()


def angles_from_rotation(rotation: Float[np.ndarray, "3 3"]) -> tuple[float, float, float]:
    """``(yaw, pitch, roll)`` in radians, pitch within +-pi/2; looking straight up or down, roll is 0 by definition."""
    if np.hypot(rotation[1, 0], rotation[1, 1]) < _GIMBAL:
        yaw = np.arctan2(-rotation[2, 0], rotation[0, 0])
        return float(yaw), float(np.copysign(np.pi / 2, -rotation[1, 2])), 0.0
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arctan2(-rotation[1, 2], np.hypot(rotation[1, 0], rotation[1, 1]))
    roll = np.arctan2(rotation[1, 0], rotation[1, 1])
    return float(yaw), float(pitch), float(roll)


def pose_from_waypoint(
    t: Sequence[Number] | Float[np.ndarray, "3"], yaw: Number = 0.0, pitch: Number = 0.0, roll: Number = 0.0
) -> Float64[np.ndarray, "4 4"]:
    """The c2w pose of a camera at ``t`` (metres) turned by ``yaw``, ``pitch``, ``roll`` (radians)."""
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_angles(yaw, pitch, roll)
    pose[:3, 3] = t
    return pose


def waypoint_from_pose(c2w: Float[np.ndarray, "4 4"]) -> tuple[Float64[np.ndarray, "3"], float, float, float]:
    """The inverse of ``pose_from_waypoint``: ``(t, yaw, pitch, roll)``."""
    yaw, pitch, roll = angles_from_rotation(c2w[:3, :3])
    return c2w[:3, 3].astype(np.float64), yaw, pitch, roll


def invert(pose: Float[np.ndarray, "*batch 4 4"]) -> Float64[np.ndarray, "*batch 4 4"]:
    """The inverse of rigid poses (c2w to w2c and back), by transposition rather than by solving."""
    inverse = np.zeros(pose.shape)
    inverse[..., :3, :3] = np.swapaxes(pose[..., :3, :3], -1, -2)
    inverse[..., :3, 3] = -einsum(inverse[..., :3, :3], pose[..., :3, 3].astype(np.float64), "... i j, ... j -> ... i")
    inverse[..., 3, 3] = 1.0
    return inverse


def relative_to(c2w: Float[np.ndarray, "T 4 4"], reference_index: int = 0) -> Float64[np.ndarray, "T 4 4"]:
    """The same poses in the frame of camera ``reference_index``, whose own pose becomes the identity.

    Sampling takes the first frame; training draws the index at random ("random zero pose", paper section 3.2).
    """
    if not -len(c2w) <= reference_index < len(c2w):
        raise InputError(f"reference frame {reference_index} is outside a path of {len(c2w)} poses: give one within it")
    relative = einsum(invert(c2w[reference_index]), c2w.astype(np.float64), "i j, T j k -> T i k")
    relative[reference_index] = np.eye(4)
    return relative


def require_rigid(c2w: np.ndarray, name: str = "c2w") -> Float64[np.ndarray, "T 4 4"]:
    """Return ``c2w`` as float64 ``[T, 4, 4]`` unchanged, or raise ``InputError`` naming ``name`` and the first bad row.

    Refused: another shape, no poses, NaN or infinity, a last row other than 0 0 0 1, a 3x3 part that scales or shears,
    and a left-handed one (a mirrored axis).
    """
    c2w = np.asarray(c2w, dtype=np.float64)
    if c2w.ndim != 3 or c2w.shape[1:] != (4, 4) or not len(c2w):
        raise InputError(f"{name} has shape {c2w.shape}: give camera-to-world matrices, [T, 4, 4] with T at least 1")
    rotation = c2w[:, :3, :3]
    with np.errstate(invalid="ignore", over="ignore"):
        skew = np.abs(einsum(rotation, rotation, "T k i, T k j -> T i j") - np.eye(3)).max(axis=(1, 2))
    checks = (
        (~np.isfinite(c2w).all(axis=(1, 2)), "holds NaN or infinity: drop the frame or mend its pose"),
        (np.abs(c2w[:, 3] - [0, 0, 0, 1]).max(axis=1) > 1e-6, "does not end in the row 0 0 0 1: is it transposed?"),
        (skew > _RIGID_TOLERANCE, "is not rigid: its 3x3 part must be a rotation, without scale or shear"),
        (np.linalg.det(np.nan_to_num(rotation)) < 0, "is left-handed: one axis is mirrored, check the convention"),
    )
    for bad, reason in checks:
        if bad.any():
            raise InputError(f"{name}: pose {int(np.argmax(bad))} {reason}")
    return c2w


def opengl_to_opencv(c2w: Float[np.ndarray, "*batch 4 4"]) -> Float64[np.ndarray, "*batch 4 4"]:
    """Camera axes from OpenGL (x right, y up, z backward) to OpenCV; the world frame stays. Its own inverse."""
    return c2w * np.diag(OPENGL_TO_OPENCV)  # a product with +-1: exact, so files round-trip bit for bit


opencv_to_opengl = opengl_to_opencv
