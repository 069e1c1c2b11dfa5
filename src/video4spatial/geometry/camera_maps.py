"""A camera path as the transformer takes it: Pluecker maps on the latent grid, four frames a latent."""

import numpy as np
from jaxtyping import Float32

from video4spatial.geometry.cameras import pack_plucker, plucker
from video4spatial.schema import SPACE_STRIDE, CameraPath, require_4k_plus_1, require_size


def camera_maps(path: CameraPath, width: int, height: int) -> Float32[np.ndarray, "24 F h w"]:
    """Packed Pluecker maps of ``path``, a ray through the middle of each latent cell of a ``width`` x ``height`` video.

    Poses are taken as they are: make them relative to the reference frame first (``poses.relative_to``). Source: paper,
    Section 3.3; that four frames are packed into a latent's 24 channels is this project's choice.

    Raises:
        InputError: the path's length is not 4k + 1, or a side does not divide by 32.
    """
    require_4k_plus_1(len(path), "the camera path's length")
    require_size(width, height)
    columns, rows = width // SPACE_STRIDE, height // SPACE_STRIDE
    maps = plucker(path.c2w, path.intrinsics.resized(columns, rows), rows, columns)
    return pack_plucker(maps)
