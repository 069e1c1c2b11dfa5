"""Oriented 3D boxes: their corners, and the 2D box in which one is seen."""

from itertools import combinations

import numpy as np
from einops import einsum
from jaxtyping import Float, Float64
from scipy.spatial import ConvexHull, QhullError

from video4spatial.geometry.poses import invert
from video4spatial.schema import Box, Intrinsics

_NEAR = 0.02  # metres; what lies nearer to the camera plane is cut off
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_PAIRS = np.array(list(combinations(range(8), 2)))


def oriented_corners(
    centre: Float[np.ndarray, "3"], lengths: Float[np.ndarray, "3"], axes: Float[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "8 3"]:
    """The corners of a box: ``lengths`` are full, along the unit vectors that are the ROWS of ``axes``.

    Their order is that of all scene objects: x of the box slowest, z fastest, each from its low to its high end.
    """
    return einsum(_SIGNS * lengths / 2, axes, "corner i, i j -> corner j") + centre


def upright_corners(points: Float[np.ndarray, "N 3"]) -> Float64[np.ndarray, "8 3"]:
    """The corners of the box around ``points`` that stands upright (z up) with the smallest footprint.

    A smallest rectangle has a side along a side of the convex hull. Points on one line, or one point, give a flat box.
    """
    plan = points[:, :2].astype(np.float64)
    try:
        hull = plan[ConvexHull(plan).vertices]
        sides = np.roll(hull, -1, axis=0) - hull
    except (QhullError, ValueError):  # on one line, in one place, or fewer than three
        hull = plan
        sides = plan[[np.argmax(np.linalg.norm(plan - plan[0], axis=1))]] - plan[0]
    angles = np.arctan2(sides[:, 1], sides[:, 0])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    y = np.stack([-np.sin(angles), np.cos(angles)], axis=-1)
    along = einsum(np.stack([x, y]), hull, "two side i, point i -> side two point")
    low, high = along.min(axis=-1), along.max(axis=-1)
    best = int(np.argmin((high - low).prod(axis=-1)))
    axes = np.eye(3)
    axes[0, :2], axes[1, :2] = x[best], y[best]
    bottom, top = float(points[:, 2].min()), float(points[:, 2].max())
    middle, lengths = np.append((low + high)[best] / 2, (bottom + top) / 2), np.append((high - low)[best], top - bottom)
    return oriented_corners(middle @ axes, lengths, axes)


def seen_box(corners: Float[np.ndarray, "8 3"], c2w: Float[np.ndarray, "4 4"], intrinsics: Intrinsics) -> Box | None:
    """The 2D box around a 3D box's projection, cut to the image; None if it lies outside or behind.

    A box that reaches behind the camera is cut at a near plane first. Whether something stands before it is not known
    here. The corners may come in any order.
    """
    w2c = invert(c2w)
    camera = corners @ w2c[:3, :3].T + w2c[:3, 3]
    points = camera[camera[:, 2] >= _NEAR]
    first, second = camera[_PAIRS[:, 0]], camera[_PAIRS[:, 1]]
    crosses = (first[:, 2] < _NEAR) != (second[:, 2] < _NEAR)
    first, second = first[crosses], second[crosses]
    share = (_NEAR - first[:, 2:]) / (second[:, 2:] - first[:, 2:])
    points = np.concatenate([points, first + share * (second - first)])
    if not len(points):
        return None
    k = intrinsics
    x = np.clip(k.fx * points[:, 0] / points[:, 2] + k.cx, 0, k.width)
    y = np.clip(k.fy * points[:, 1] / points[:, 2] + k.cy, 0, k.height)
    box = Box(float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    return box if box.area > 0 else None
