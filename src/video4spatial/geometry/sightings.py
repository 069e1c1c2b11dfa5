"""Which of the objects that 3D boxes enclose are seen in a frame, and where: boxes are told apart by measured depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from einops import einsum
from jaxtyping import Bool, Float, Float64, Int

from video4spatial.geometry.boxes3d import seen_box
from video4spatial.geometry.cameras import directions, unproject_depth
from video4spatial.schema import Box, Intrinsics

_FLAT = 1e-6  # metres; a side shorter than this has no direction of its own


@dataclass(frozen=True)
class Sighting:
    """An object as one frame shows it.

    Attributes:
        box: the box around the pixels that show it, in pixels of the image.
        pixels: how many of the depth map's pixels show it.
        hidden: the share of its 3D box, as it lies within the frame, that has something nearer before it, 0 to 1.
    """

    box: Box
    pixels: int
    hidden: float


def owners(
    corners: Float[np.ndarray, "N 8 3"],
    depth: Float[np.ndarray, "H W"],
    c2w: Float[np.ndarray, "4 4"],
    intrinsics: Intrinsics,
    margin: float = 0.02,
) -> Int[np.ndarray, "H W"]:
    """Of every pixel, the number of the box (``boxes3d.oriented_corners``) that holds its point in space; -1: none.

    A box is grown by ``margin`` metres on all sides, for the noise of depth. Of several the smallest so grown has the
    pixel: the cup's, not the table's. Where a thing runs around others, as a skirting board does around the floor,
    boxes cannot tell which it is. ``intrinsics`` are those of the depth map; where it is 0 there is no owner.
    """
    points = unproject_depth(depth, c2w, intrinsics)
    owner = np.full(depth.shape, -1)
    for number in _largest_first(corners, margin):
        window = _window(corners[number], c2w, intrinsics, margin)
        if window is None:
            continue
        origin, axes, lengths = _frame(corners[number])
        local = einsum(points[window] - origin, axes, "H W i, along i -> H W along")
        inside = ((local >= -margin) & (local <= lengths + margin)).all(axis=-1) & (depth[window] > 0)
        owner[window][inside] = number
    return owner


def sightings(
    corners: Float[np.ndarray, "N 8 3"],
    depth: Float[np.ndarray, "H W"],
    c2w: Float[np.ndarray, "4 4"],
    intrinsics: Intrinsics,
    margin: float = 0.02,
) -> list[Sighting | None]:
    """Where each of the boxes is seen, None for those that are not; see ``owners``.

    ``intrinsics`` are those of the image, in whose pixels the boxes come; the depth map is of the same view.
    """
    height, width = depth.shape
    lens = intrinsics.resized(width, height)
    owner = owners(corners, depth, c2w, lens, margin)
    across, down = intrinsics.width / width, intrinsics.height / height
    found: list[Sighting | None] = []
    for number in range(len(corners)):
        rows, columns = np.nonzero(owner == number)
        if not len(rows):
            found.append(None)
            continue
        x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box = Box(float(x0 * across), float(y0 * down), float(x1 * across), float(y1 * down))
        window = _window(corners[number], c2w, lens, margin)
        hidden = 0.0 if window is None else _hidden(corners[number], depth[window], c2w, lens, window, margin)
        found.append(Sighting(box, len(rows), hidden))
    return found


def _largest_first(corners: Float[np.ndarray, "N 8 3"], margin: float) -> Sequence[int]:
    """By the volume of the grown boxes: a flat wall has one too, more than the picture on it."""
    sides = np.linalg.norm(corners[:, [4, 2, 1]] - corners[:, :1], axis=-1) + 2 * margin
    return np.argsort(-sides.prod(axis=-1), kind="stable").tolist()


def _frame(
    corners: Float[np.ndarray, "8 3"],
) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3 3"], Float64[np.ndarray, "3"]]:
    """``(corner, unit axes as rows, lengths)`` of a box."""
    origin = corners[0].astype(np.float64)
    sides = corners[[4, 2, 1]] - origin
    lengths = np.linalg.norm(sides, axis=-1)
    solid = np.flatnonzero(lengths > _FLAT)
    axes = np.zeros((3, 3))
    axes[solid] = sides[solid] / lengths[solid, None]
    if len(solid) < 3:  # the directions that the flat sides leave open
        _, _, basis = np.linalg.svd(axes[solid]) if len(solid) else (0, 0, np.eye(3))
        axes[np.setdiff1d(np.arange(3), solid)] = basis[len(solid) :]
    return origin, axes, lengths


def _window(
    corners: Float[np.ndarray, "8 3"], c2w: Float[np.ndarray, "4 4"], intrinsics: Intrinsics, margin: float
) -> tuple[slice, slice] | None:
    """The rows and columns in which the grown box can be seen."""
    origin, axes, lengths = _frame(corners)
    signs = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    grown = origin + (signs * (lengths + 2 * margin) - margin) @ axes
    box = seen_box(grown, c2w, intrinsics)
    if box is None:
        return None
    rows = slice(int(box.y0), int(np.ceil(box.y1)))
    return rows, slice(int(box.x0), int(np.ceil(box.x1)))


def _hidden(
    corners: Float[np.ndarray, "8 3"],
    depth: Float[np.ndarray, "h w"],
    c2w: Float[np.ndarray, "4 4"],
    intrinsics: Intrinsics,
    window: tuple[slice, slice],
    margin: float,
) -> float:
    entry, hit = _entry(corners, c2w, intrinsics, window)
    before = hit & (depth > 0) & (depth < entry - margin)
    return float(before.sum() / max(int(hit.sum()), 1))


def _entry(
    corners: Float[np.ndarray, "8 3"],
    c2w: Float[np.ndarray, "4 4"],
    intrinsics: Intrinsics,
    window: tuple[slice, slice],
) -> tuple[Float64[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """The depth along z at which the rays of a window enter a box, and which of them do: the slab method."""
    origin, axes, lengths = _frame(corners)
    start = axes @ (c2w[:3, 3] - origin)
    rays = einsum(directions(intrinsics)[window], axes @ c2w[:3, :3], "H W i, along i -> H W along")
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = -start / rays, (lengths - start) / rays
    low, high = np.fmin(near, far).max(axis=-1), np.fmax(near, far).min(axis=-1)
    return np.maximum(low, 0.0), (high >= np.maximum(low, 0.0))
