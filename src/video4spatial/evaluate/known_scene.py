"""The place a clip claims to show, as far as it is known: a room by its seed, or what a walk-through itself gives.

For a user's video there is no truth. The nearest to it is the CONTEXT's own reconstruction: its frames take the part of
the anchors, its points that of the ground-truth cloud, and SD then asks whether the clip shows the place that the
walk-through shows (one-sided, as ever: what the walk-through did not show counts against a clip that invents it there).
A reconstruction has no metre of its own. It is scaled so that the median depth of its points is ``USUAL_DEPTH``, so
that the limits of registration mean what they do in a room; its lengths are no metres and are said to be ``arbitrary``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from video4spatial.evaluate.reconstruct import (
    ANCHORS,
    Anchors,
    NotReconstructed,
    Reconstruction,
    Reconstructor,
    anchor_indices,
    transformed_poses,
)
from video4spatial.evaluate.reconstructors import open_reconstructor
from video4spatial.evaluate.spatial import SceneCloud
from video4spatial.geometry.poses import invert
from video4spatial.rooms import make_room, tour
from video4spatial.schema import InputError, Intrinsics

Scale = Literal["metric", "arbitrary"]
USUAL_DEPTH = 2.0
"""What the median depth of a walk-through's points is taken to be, in units that are then called metres."""
CONTEXT_FRAMES = 2 * ANCHORS
"""Of a walk-through that are reconstructed: every other one is an anchor."""
CLIP_FRAMES = 41
"""Of a clip that are given to a reconstructor whose time grows with their square (COLMAP)."""

_WALK, _WALK_FPS = 161, 16.0
_CLOUD = 200_000
_LEAST_ANCHORS = 3
_LEAST_POINTS = 100


@dataclass(frozen=True)
class KnownScene:
    """A place to compare clips with.

    Attributes:
        anchors, cloud: frames with poses, and points, in one frame of reference.
        scale: whether its lengths are metres.
        most_frames: of a clip that are looked at, spread evenly; None: all.
    """

    reconstructor: Reconstructor
    anchors: Anchors
    cloud: SceneCloud
    scale: Scale
    most_frames: int | None = None

    def every(self, frames: int) -> int:
        """One frame in how many is looked at of a clip of ``frames``."""
        return 1 if self.most_frames is None else -(-frames // self.most_frames)


def known_room(seed: int, difficulty: float, lens: Intrinsics) -> KnownScene:
    """Room ``seed`` of ``video4spatial rooms``: anchors are frames of a walk through it, rendered here."""
    room = make_room(seed, difficulty=difficulty)
    c2w = tour(room, _WALK, fps=_WALK_FPS)[anchor_indices(_WALK)]
    anchors = Anchors(room.render(c2w, lens).rgb, c2w, lens)
    cloud = SceneCloud(room.point_cloud(_CLOUD).points)
    return KnownScene(open_reconstructor("rooms", room=room), anchors, cloud, "metric")


def reconstructed_context(
    frames: UInt8[np.ndarray, "N H W 3"], lens: Intrinsics, reconstructor: Reconstructor, most_frames: int | None = None
) -> KnownScene | NotReconstructed:
    """The walk-through's own reconstruction, from frames spread over it; anchors that were not found are left out.

    Raises ``InputError`` for frames that the reconstructor cannot take.
    """
    if len(frames) < 2 * _LEAST_ANCHORS:
        raise InputError(f"{len(frames)} frames of the walk-through are too few to reconstruct: give a longer video")
    shown = frames[::2]
    unknown = np.tile(np.eye(4), (len(shown), 1, 1))
    made = reconstructor(frames[1::2], Anchors(shown, unknown, lens))
    if isinstance(made, NotReconstructed):
        return NotReconstructed(f"the walk-through could not be reconstructed: {made.reason}")
    depth = usual_depth(made)
    points = np.concatenate([np.empty((0, 3)), *made.anchor_points, *made.points])
    if depth is None or len(points) < _LEAST_POINTS:
        return NotReconstructed(f"the walk-through's reconstruction has only {len(points)} points")
    scale = USUAL_DEPTH / depth
    posed = np.isfinite(made.anchor_c2w).all(axis=(1, 2))
    if posed.sum() < _LEAST_ANCHORS:
        return NotReconstructed(f"only {posed.sum()} frames of the walk-through were found in its reconstruction")
    c2w = transformed_poses(made.anchor_c2w[posed], scale, np.eye(3), np.zeros(3))
    points = points[np.isfinite(points).all(axis=1)]
    return KnownScene(
        reconstructor, Anchors(shown[posed], c2w, lens), SceneCloud(scale * points), "arbitrary", most_frames
    )


def usual_depth(made: Reconstruction) -> float | None:
    """The median depth of the anchors' points in their own cameras; None without any."""
    depths = [
        (points @ w2c[:3, :3].T + w2c[:3, 3])[:, 2]
        for points, c2w in zip(made.anchor_points, made.anchor_c2w, strict=True)
        if len(points) and np.isfinite(c2w).all()
        for w2c in [invert(c2w)]
    ]
    every = np.concatenate([np.empty(0), *depths])
    ahead = every[every > 0]
    return float(np.median(ahead)) if len(ahead) else None
