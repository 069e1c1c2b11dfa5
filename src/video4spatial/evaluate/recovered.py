"""The camera path that a clip shows, in the frame of its own first camera, with its scale stated."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64

from video4spatial.evaluate.known_scene import KnownScene
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.reconstruct import Reconstruction, transformed_poses
from video4spatial.evaluate.scene_pose import interpolated
from video4spatial.evaluate.spatial import Similarity, register
from video4spatial.geometry.poses import invert, relative_to
from video4spatial.schema import InputError, Intrinsics

LEAST_WAY = 0.1
"""Metres that an asked path must lead away from its start for a scale to be told from it."""


@dataclass(frozen=True)
class Recovered:
    """Attributes:
    c2w: one pose a frame of the clip, the first of them the identity; frames without one of their own (``found``) are
        put between their neighbours.
    scale: "metric" (against a scene of known size), "asked path" (an arbitrary one, multiplied so that the path is as
        long as the asked one), "arbitrary".
    factor: what lengths were multiplied by.
    points: what the clip shows, in the same frame and scale.
    """

    c2w: Float64[np.ndarray, "T 4 4"]
    found: Bool[np.ndarray, " T"]
    scale: Literal["metric", "asked path", "arbitrary"]
    factor: float
    points: Float[np.ndarray, "N 3"]
    intrinsics: Intrinsics


def recovered_path(
    made: Reconstruction, scene: KnownScene, frames: int, asked: Float[np.ndarray, "T 4 4"] | None = None
) -> Recovered | NotComputed:
    """The path of a clip of ``frames`` frames, of which ``made`` reconstructs one in ``scene.every(frames)``.

    A scene of arbitrary scale takes that of the asked path, where there is one that leads anywhere.
    """
    try:
        to_scene = register(made, scene.anchors, scene.cloud)
    except InputError as error:
        return NotComputed(f"the anchors' cameras: {error}")
    every = scene.every(frames)
    own = made.found & np.isfinite(made.c2w).all(axis=(1, 2))
    if not own[0]:
        return NotComputed("the first frame was not found in the scene")
    c2w, found = np.tile(np.eye(4), (frames, 1, 1)), np.zeros(frames, bool)
    c2w[::every][own], found[::every] = transformed_poses(made.c2w[own], *to_scene), own
    home = invert(c2w[0])
    c2w = relative_to(interpolated(c2w, found))
    parts = [to_scene(part) for part in made.points if len(part)]
    points = np.concatenate([np.empty((0, 3)), *parts]) @ home[:3, :3].T + home[:3, 3]
    scale, factor = scene.scale, 1.0
    told: Literal["metric", "asked path", "arbitrary"] = scale
    if scale == "arbitrary" and asked is not None:
        fitted = scale_to(c2w[found], relative_to(asked)[found])
        if fitted is not None:
            told, factor = "asked path", fitted
    to_size = Similarity(factor, np.eye(3), np.zeros(3))
    return Recovered(transformed_poses(c2w, *to_size), found, told, factor, to_size(points), made.intrinsics)


def scale_to(c2w: Float[np.ndarray, "T 4 4"], asked: Float[np.ndarray, "T 4 4"]) -> float | None:
    """The factor that makes the way of ``c2w`` as long as ``asked``'s: the ratio of their root mean square distances
    from the start. None where either stays where it is."""
    own, wanted = (float(np.sqrt(np.square(of[:, :3, 3]).sum(axis=1).mean())) for of in (c2w, asked))
    return wanted / own if own > 1e-6 and wanted >= LEAST_WAY else None
