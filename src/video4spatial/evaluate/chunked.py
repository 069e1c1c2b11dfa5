"""Feed-forward reconstruction of more frames than fit the memory: in chunks that share the anchors.

A multi-view network gives depth and cameras of all images of one call in one frame, that of the call. So every call
gets the anchors and some of the video; the anchors' points, the same pixels in every call, tell how the calls' frames
lie to one another (a similarity, Umeyama), and all are brought into the first call's.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed, Reconstruction, transformed_poses
from video4spatial.evaluate.spatial import Similarity, thinned
from video4spatial.geometry.align import umeyama
from video4spatial.geometry.cameras import unproject_depth
from video4spatial.geometry.poses import invert
from video4spatial.schema import InputError, Intrinsics

_STORED = 4096  # points a frame that are kept
_PAIRS = 200  # corresponding points an anchor that chunks are aligned by
_LEAST_CONFIDENT = 0.2  # share of a frame's pixels that are dropped, the least confident ones
_MOST_MISFIT = 0.1  # median misfit of the shared anchors, as a share of the reconstruction's extent


class Views(NamedTuple):
    """One call's answer for N images: depth along z and its confidence ``[N, h, w]``, world-to-camera ``[N, 3, 4]`` or
    ``[N, 4, 4]`` (OpenCV), camera matrices ``[N, 3, 3]`` for h x w pixels."""

    depth: Float[np.ndarray, "N h w"]
    confidence: Float[np.ndarray, "N h w"]
    w2c: Float[np.ndarray, "N _ 4"]
    matrix: Float[np.ndarray, "N 3 3"]


class _Posed(NamedTuple):
    points: list[np.ndarray]  # [h * w, 3] an image, all pixels
    kept: list[np.ndarray]  # which of them count
    c2w: np.ndarray
    lens: Intrinsics


class ChunkedReconstructor:
    """A reconstructor made of a multi-view network.

    Args:
        views: the network: images to ``Views``.
        chunk: images a call at most, anchors included.
        shared: anchors that every call gets, spread evenly over all; the first call gets all of them.
    """

    def __init__(
        self, name: str, views: Callable[[UInt8[np.ndarray, "N H W 3"]], Views], chunk: int = 60, shared: int = 40
    ) -> None:
        if shared < 3 or chunk <= shared:
            raise InputError(f"chunk is {chunk}, shared anchors {shared}: give at least 3 anchors and more images")
        self.name, self.views, self.chunk, self.shared = name, views, chunk, shared

    def __call__(self, frames: UInt8[np.ndarray, "T H W 3"], anchors: Anchors) -> Reconstruction | NotReconstructed:
        count = len(anchors.frames)
        if not len(frames) or count < 3:
            return NotReconstructed(f"{len(frames)} frames and {count} anchors: at least 1 and 3 are needed")
        if frames.shape[1:] != anchors.frames.shape[1:]:
            raise InputError("the frames and the anchors differ in size: bring them to one first")
        if self.chunk <= count:
            raise InputError(f"chunk is {self.chunk}, which {count} anchors fill: give more, or fewer anchors")
        shared = np.unique(np.linspace(0, count - 1, min(self.shared, count)).round().astype(int))
        stop = min(self.chunk - count, len(frames))
        first = posed(self.views(np.concatenate([anchors.frames, frames[:stop]])))
        points, poses = _confident(first, slice(count, None)), [first.c2w[count:]]
        room = self.chunk - len(shared)
        while stop < len(frames):
            piece = frames[stop : stop + room]
            made = posed(self.views(np.concatenate([anchors.frames[shared], piece])))
            aligned = between(made, np.arange(len(shared)), first, shared)
            if isinstance(aligned, NotReconstructed):
                return aligned
            points += [aligned(part) for part in _confident(made, slice(len(shared), None))]
            poses.append(transformed_poses(made.c2w[len(shared) :], *aligned))
            stop += len(piece)
        return Reconstruction(
            points=points,
            c2w=np.concatenate(poses),
            found=np.ones(len(frames), bool),
            anchor_points=_confident(first, slice(0, count)),
            anchor_c2w=first.c2w[:count],
            intrinsics=first.lens.resized(frames.shape[2], frames.shape[1]),
        )


def posed(views: Views) -> _Posed:
    """Points and camera-to-world poses of one call; each image with its own lens."""
    height, width = views.depth.shape[1:]
    bottom = np.broadcast_to(np.array([0.0, 0.0, 0.0, 1.0]), (len(views.w2c), 1, 4))
    c2w = invert(np.concatenate([views.w2c[:, :3].astype(np.float64), bottom], axis=1))
    points, kept = [], []
    lenses = [
        Intrinsics(float(m[0, 0]), float(m[1, 1]), float(m[0, 2]), float(m[1, 2]), width, height) for m in views.matrix
    ]
    for depth, confidence, pose, lens in zip(views.depth, views.confidence, c2w, lenses, strict=True):
        points.append(unproject_depth(depth.astype(np.float64), pose, lens).reshape(-1, 3))
        sure = confidence >= np.quantile(confidence, _LEAST_CONFIDENT)
        kept.append((sure & (depth > 0) & np.isfinite(depth)).reshape(-1))
    values = np.median([lens.vector for lens in lenses], axis=0)
    fx, fy, cx, cy = (float(value) for value in values)
    return _Posed(points, kept, c2w, Intrinsics(fx, fy, cx, cy, width, height))


def between(made: _Posed, at: np.ndarray, first: _Posed, first_at: np.ndarray) -> Similarity | NotReconstructed:
    """The similarity that brings ``made`` into the frame of ``first``, by the images they share."""
    source, target = [], []
    for here, there in zip(at, first_at, strict=True):
        both = np.flatnonzero(made.kept[here] & first.kept[there])
        both = both[np.linspace(0, len(both) - 1, min(_PAIRS, len(both))).round().astype(int)] if len(both) else both
        source.append(made.points[here][both])
        target.append(first.points[there][both])
    a, b = np.concatenate(source), np.concatenate(target)
    try:
        similarity = Similarity(*umeyama(a, b))
        near = np.linalg.norm(similarity(a) - b, axis=1)
        similarity = Similarity(*umeyama(a[near <= np.quantile(near, 0.8)], b[near <= np.quantile(near, 0.8)]))
    except InputError as error:
        return NotReconstructed(f"chunks cannot be aligned by their shared anchors: {error}")
    misfit = float(np.median(np.linalg.norm(similarity(a) - b, axis=1)))
    extent = float(np.linalg.norm(np.quantile(b, 0.9, axis=0) - np.quantile(b, 0.1, axis=0)))
    if misfit > _MOST_MISFIT * extent:
        return NotReconstructed(
            f"the shared anchors of two chunks differ by {misfit / extent:.0%} of the scene's extent"
        )
    return similarity


def _confident(made: _Posed, which: slice) -> list[np.ndarray]:
    pairs = zip(made.points[which], made.kept[which], strict=True)
    return [thinned(points[kept], _STORED) for points, kept in pairs]
