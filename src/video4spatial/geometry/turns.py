"""Quarter turns of the image: pixels, intrinsics and poses turned together, so that geometry stays as it was.

``turns`` counts quarter turns anticlockwise, as ``numpy.rot90`` does: 0, 1, 2 or 3 (-1 is 3). A camera held on its side
is brought upright by turning its images; the camera axes then turn about the line of sight.
"""

import numpy as np
from jaxtyping import Float, Float64, Shaped

from video4spatial.schema import Intrinsics

# Directions in the turned camera's axes, to the axes before one anticlockwise turn: x was -y', y was x'.
_ONE_TURN = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def turn_images(images: Shaped[np.ndarray, "T H W *C"], turns: int) -> Shaped[np.ndarray, "T h w *C"]:
    """Images, depth maps or masks, each turned."""
    return np.ascontiguousarray(np.rot90(images, turns, axes=(1, 2)))


def turn_intrinsics(intrinsics: Intrinsics, turns: int) -> Intrinsics:
    """The intrinsics of the turned image: focal lengths and sides swap for odd turns, the principal point moves along.

    One turn takes the pixel (x, y) of a W x H image to (y, W - x).
    """
    k = intrinsics
    for _ in range(turns % 4):
        k = Intrinsics(k.fy, k.fx, k.cy, k.width - k.cx, k.height, k.width)
    return k


def turn_poses(c2w: Float[np.ndarray, "*batch 4 4"], turns: int) -> Float64[np.ndarray, "*batch 4 4"]:
    """The poses of the camera whose images were turned: the place and the line of sight stay."""
    return (c2w @ np.linalg.matrix_power(_ONE_TURN, turns % 4)).astype(np.float64)
