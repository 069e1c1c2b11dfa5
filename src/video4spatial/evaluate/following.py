"""Camera-following error of navigation: the path a video recovered from its frames shows, against the one asked for.

Both are made relative to their first frame, which is given to the model. Rotation error: the angle between the two
attitudes, degrees; translation error: the distance between the two places, metres (recovered poses must be metric:
registered, as those of ``registered_path`` are).
"""

from dataclasses import dataclass

import numpy as np
from einops import einsum
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed, Reconstruction, transformed_poses
from video4spatial.evaluate.spatial import MOST_LOST, SceneCloud, lost_share, register
from video4spatial.geometry.poses import relative_to, require_rigid
from video4spatial.schema import InputError


@dataclass(frozen=True)
class FollowingResult:
    """Means and largest errors over the frames that were found; None and a reason where there are none.

    ``found`` is the share of frames (the first aside) that were posed by themselves: interpolated ones do not count.
    """

    degrees: float | None
    metres: float | None
    most_degrees: float | None = None
    most_metres: float | None = None
    found: float = 0.0
    reason: str = ""


def registered_path(made: Reconstruction, anchors: Anchors, cloud: SceneCloud) -> Float[np.ndarray, "T 4 4"]:
    """The recovered poses in the scene's frame, metres. Raises ``InputError`` where the anchors do not fix it."""
    return transformed_poses(made.c2w, *register(made, anchors, cloud))


def following_error(
    recovered: Float[np.ndarray, "T 4 4"], found: Bool[np.ndarray, " T"], asked: Float[np.ndarray, "T2 4 4"]
) -> FollowingResult:
    """Errors of a recovered path. Raises ``InputError`` if the lengths differ or the asked path is not rigid."""
    if len(recovered) != len(asked):
        raise InputError(f"{len(recovered)} recovered poses cannot follow a path of {len(asked)}: give one a frame")
    asked = require_rigid(asked, "the asked path")
    counted = found & np.isfinite(recovered).all(axis=(1, 2))
    if not counted[0]:
        return FollowingResult(None, None, reason="the first frame was not found in the scene")
    counted = np.flatnonzero(counted)
    if len(counted) < 2:
        return FollowingResult(None, None, reason="no frame but the first was found in the scene")
    got, wanted = relative_to(recovered[counted]), relative_to(asked)[counted]
    between = einsum(got[:, :3, :3], wanted[:, :3, :3], "T j i, T j k -> T i k")
    degrees = np.degrees(Rotation.from_matrix(between[1:]).magnitude())
    metres = np.linalg.norm(got[1:, :3, 3] - wanted[1:, :3, 3], axis=1)
    return FollowingResult(
        float(degrees.mean()),
        float(metres.mean()),
        float(degrees.max()),
        float(metres.max()),
        len(degrees) / max(len(asked) - 1, 1),
    )


def measure_following(
    made: Reconstruction | NotReconstructed, anchors: Anchors, cloud: SceneCloud, asked: Float[np.ndarray, "T 4 4"]
) -> FollowingResult:
    """The same from a reconstruction; every failure is a reason, not an exception.

    A video that has lost most of its frames (``spatial.MOST_LOST``) has no error: that of the few frames at its start,
    which were given, would flatter it.
    """
    if isinstance(made, NotReconstructed):
        return FollowingResult(None, None, reason=made.reason)
    if (lost := lost_share(made)) > MOST_LOST:
        return FollowingResult(None, None, found=1 - lost, reason=f"{lost:.0%} of the frames were not found")
    try:
        path = registered_path(made, anchors, cloud)
    except InputError as error:
        return FollowingResult(None, None, reason=f"the anchors' cameras: {error}")
    return following_error(path, made.found, asked)
