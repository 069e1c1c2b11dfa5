"""Does a clip move as it was asked to? A check that needs nothing but the clip and the asked path.

If the camera moved along the path, each frame can be carried into another by the path's own motion and SOME depth. So
the frames are compared under planes at a few depths, every pixel taking the best (plane sweep: Collins, "A space-sweep
approach to true multi-image matching", CVPR 1996), and what is left is set against the frame's contrast, so that a blur
without contrast agrees with nothing. Turning has to be right at every depth; a translation that is wrong costs less,
since some plane may hide it.
"""

import numpy as np
from einops import einsum
from jaxtyping import Bool, Float, Float32, Float64, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter

from video4spatial.evaluate.outcome import NotComputed
from video4spatial.geometry.cameras import directions
from video4spatial.geometry.poses import invert
from video4spatial.schema import CameraPath, InputError, Intrinsics

WIDTH = 96  # pixels at which frames are compared
INVERSE_DEPTHS = (0.0, 0.12, 0.25, 0.4, 0.6, 0.9)  # 1/metres

_STEPS = 8  # of the clip, between which frames are compared
_APART = (1, 2, 4)  # steps
_LEAST_SHARED = 0.25  # of a frame's pixels that another must show
_BLUR, _WINDOW = 1.0, 5  # pixels
_LEAST_CONTRAST = 3.0  # grey levels; below it a frame agrees with nothing


def path_consistency(frames: UInt8[np.ndarray, "T H W 3"], path: CameraPath) -> float | NotComputed:
    """How much of the frames' contrast the asked motion explains: at most 1; about 0 or below where it explains none.

    The mean over pairs of frames, an eighth, a quarter and half of the clip apart. Raises ``InputError`` unless there
    is a pose a frame.
    """
    if len(frames) != len(path):
        raise InputError(f"{len(frames)} frames and {len(path)} poses: give one a frame")
    lens = path.intrinsics.resized(WIDTH, max(2, round(WIDTH * frames.shape[1] / frames.shape[2])))
    at = np.unique(np.linspace(0, len(frames) - 1, _STEPS + 1).round().astype(int))
    seen = [_small(frames[k], lens) for k in at]
    rays = directions(lens)
    values = []
    for apart in _APART:
        for k in range(len(at) - apart):
            motion = invert(path.c2w[at[k]]) @ path.c2w[at[k + apart]]
            value = explained(seen[k + apart], seen[k], motion, rays, lens)
            values += [] if value is None else [value]
    if not values:
        return NotComputed("no two frames of the path look at the same things")
    return float(np.mean(values))


def explained(
    frame: Float32[np.ndarray, "H W 3"],
    other: Float32[np.ndarray, "H W 3"],
    motion: Float[np.ndarray, "4 4"],
    rays: Float64[np.ndarray, "H W 3"],
    lens: Intrinsics,
) -> float | None:
    """One minus the share of ``frame``'s contrast that ``other``, carried along ``motion`` (from the frame's camera to
    the other's), leaves unexplained; None where they share too little of the view."""
    best = np.full(frame.shape[:2], np.inf)
    for inverse_depth in INVERSE_DEPTHS:
        carried, inside = _carried(other, motion, inverse_depth, rays, lens)
        error = uniform_filter(np.abs(frame - carried).mean(axis=-1), _WINDOW)
        best = np.where(inside & (error < best), error, best)
    shared = np.isfinite(best)
    if shared.mean() < _LEAST_SHARED:
        return None
    part = frame[shared]
    contrast = float(np.abs(part - np.median(part, axis=0)).mean())
    return 0.0 if contrast < _LEAST_CONTRAST else 1 - float(best[shared].mean()) / contrast


def _carried(
    other: Float32[np.ndarray, "H W 3"],
    motion: Float[np.ndarray, "4 4"],
    inverse_depth: float,
    rays: Float64[np.ndarray, "H W 3"],
    lens: Intrinsics,
) -> tuple[Float32[np.ndarray, "H W 3"], Bool[np.ndarray, "H W"]]:
    """What the other camera shows of the plane at that depth ahead of this one, and where it shows it at all."""
    points = einsum(motion[:3, :3], rays, "i j, H W j -> H W i") + inverse_depth * motion[:3, 3]
    z = np.maximum(points[..., 2], 1e-6)
    x = lens.fx * points[..., 0] / z + lens.cx - 0.5
    y = lens.fy * points[..., 1] / z + lens.cy - 0.5
    inside = (points[..., 2] > 1e-3) & (x >= 0) & (y >= 0) & (x <= lens.width - 1) & (y <= lens.height - 1)
    place = np.stack([np.clip(y, -1, lens.height), np.clip(x, -1, lens.width)])
    channels = [map_coordinates(other[..., c], place, order=1, mode="nearest") for c in range(3)]
    return np.stack(channels, axis=-1), inside


def _small(frame: UInt8[np.ndarray, "H W 3"], lens: Intrinsics) -> Float32[np.ndarray, "h w 3"]:
    size = (lens.width, lens.height)
    if (frame.shape[1], frame.shape[0]) != size:
        frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
    return gaussian_filter(frame.astype(np.float32), (_BLUR, _BLUR, 0))
