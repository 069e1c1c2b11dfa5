"""Lines and places that the scene is drawn from. Pure arrays; axes are ours (x right, y down, z forward)."""

from math import ceil

import numpy as np
from jaxtyping import Float, Float64

from video4spatial.schema import Intrinsics

MOST_LABELS = 8  # on each half of an axis
LEAST_HALF = 3.0  # metres: the grid is never smaller


def pyramids(
    c2w: Float[np.ndarray, "T 4 4"], intrinsics: Intrinsics, depth: float
) -> Float64[np.ndarray, "S two three"]:
    """What each camera sees, as 8 lines: from its centre to the image's corners ``depth`` metres ahead, and around."""
    x = np.array([0.0, intrinsics.width, intrinsics.width, 0.0]) - intrinsics.cx
    y = np.array([0.0, 0.0, intrinsics.height, intrinsics.height]) - intrinsics.cy
    corners = depth * np.stack([x / intrinsics.fx, y / intrinsics.fy, np.ones(4)], axis=1)
    points = np.concatenate([np.zeros((1, 3)), corners])
    lines = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])
    world = np.einsum("tij,pj->tpi", c2w[:, :3, :3], points) + c2w[:, None, :3, 3]
    return world[:, lines].reshape(-1, 2, 3).astype(np.float64)


def polyline(places: Float[np.ndarray, "T 3"]) -> Float64[np.ndarray, "S two three"]:
    """The lines from each place to the next; one of no length for a single place."""
    if len(places) == 1:
        places = np.repeat(places, 2, axis=0)
    return np.stack([places[:-1], places[1:]], axis=1).astype(np.float64)


def spread(frames: int, most: int) -> list[int]:
    """At most ``most`` frame numbers at even steps, the first and the last among them."""
    return sorted({round(float(at)) for at in np.linspace(0, frames - 1, min(frames, most))})


def grid_half(places: Float[np.ndarray, "T 3"]) -> float:
    """Half the side of the grid around the reference frame that the path keeps within, in whole metres."""
    return max(LEAST_HALF, float(ceil(np.abs(places[:, [0, 2]]).max() + 0.5)))


def label_step(half: float) -> int:
    """Metres between the numbers along an axis of the grid: 1, 2, 5, 10 or 20."""
    return next((step for step in (1, 2, 5, 10) if half / step <= MOST_LABELS), 20)


def outlook(places: Float[np.ndarray, "T 3"]) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
    """From where the whole path is seen, and the place to look at: from behind, the left and above."""
    low, high = np.minimum(places.min(axis=0), -0.3), np.maximum(places.max(axis=0), 0.3)
    middle = (low + high) / 2
    away = 1.1 * max(1.5, float(np.linalg.norm(high - low)))
    return middle + away * np.array([-0.5, -0.62, -0.72]), middle


def shown_metres(value: float) -> str:
    """``value`` as the grid's labels show it."""
    return f"{value:g} m"
