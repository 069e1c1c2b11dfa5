"""A camera path as the transformer takes it: Pluecker maps on the latent grid, four frames a latent."""

from functools import lru_cache

import numpy as np
from einops import rearrange
from jaxtyping import Float, Float32, Float64

from video4spatial.geometry.cameras import directions
from video4spatial.schema import SPACE_STRIDE, TIME_STRIDE, CameraPath, Intrinsics, require_4k_plus_1, require_size


def camera_maps(
    path: CameraPath, width: int, height: int, out: Float32[np.ndarray, "24 F h w"] | None = None
) -> Float32[np.ndarray, "24 F h w"]:
    """Packed Pluecker maps of ``path``, a ray through the middle of each latent cell of a ``width`` x ``height`` video.

    ``pack_plucker(plucker(...))`` as one product: both halves of ``[o x d, d]`` are linear in the ray's direction in
    camera axes, with matrices ``[o]_x R`` and ``R`` that are put in the packed order while they are small.

    Poses are taken as they are: make them relative to the reference frame first (``poses.relative_to``). ``out`` is
    filled and returned if it is given, contiguous. Source: paper, Section 3.3; that four frames are packed into a
    latent's 24 channels is this project's choice.

    Raises:
        InputError: the path's length is not 4k + 1, or a side does not divide by 32.
    """
    require_4k_plus_1(len(path), "the camera path's length")
    require_size(width, height)
    rays = _unit_directions(path.intrinsics.resized(width // SPACE_STRIDE, height // SPACE_STRIDE))
    frames = np.concatenate([np.zeros(TIME_STRIDE - 1, dtype=np.int64), np.arange(len(path))])
    matrices = rearrange(_plucker_matrices(path.c2w)[frames], "(F four) c i -> (c four) F i", four=TIME_STRIDE).astype(
        np.float32
    )
    maps = out
    if maps is None:
        maps = np.empty((*matrices.shape[:2], height // SPACE_STRIDE, width // SPACE_STRIDE), np.float32)
    np.matmul(matrices, rays, out=maps.reshape(*matrices.shape[:2], -1))  # a view: the product lands in place
    return maps


@lru_cache(maxsize=64)
def _unit_directions(lens: Intrinsics) -> Float32[np.ndarray, "3 N"]:
    """Unit directions in camera axes through the pixel centres, row by row."""
    camera = directions(lens)
    camera /= np.linalg.norm(camera, axis=-1, keepdims=True)
    found = rearrange(camera, "h w i -> i (h w)").astype(np.float32)
    found.setflags(write=False)  # shared by all who ask
    return found


def _plucker_matrices(c2w: Float[np.ndarray, "T 4 4"]) -> Float64[np.ndarray, "T 6 3"]:
    """What takes a direction in camera axes to ``[o x d, d]`` in the axes of ``c2w``."""
    rotation, (x, y, z) = c2w[:, :3, :3].astype(np.float64), c2w[:, :3, 3].astype(np.float64).T
    cross = np.zeros((len(c2w), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross -= np.swapaxes(cross, 1, 2)
    return np.concatenate([cross @ rotation, rotation], axis=1)
