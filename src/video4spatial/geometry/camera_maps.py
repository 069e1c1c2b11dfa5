"""A camera path as the transformer takes it: Pluecker maps on the latent grid, four frames a latent."""

import numpy as np
from jaxtyping import Float32

from video4spatial.geometry.cameras import pack_plucker, plucker
from video4spatial.schema import SPACE_STRIDE, TIME_STRIDE, CameraPath, require_4k_plus_1, require_size

LATENTS_A_CHUNK = 32


def camera_maps(path: CameraPath, width: int, height: int) -> Float32[np.ndarray, "24 F h w"]:
    """Packed Pluecker maps of ``path``, a ray through the middle of each latent cell of a ``width`` x ``height`` video.

    Poses are taken as they are: make them relative to the reference frame first (``poses.relative_to``). Source: paper,
    Section 3.3; that four frames are packed into a latent's 24 channels is this project's choice. Made a chunk of
    latents at a time, so that beside the result hardly any memory is taken (2,701 frames at 416x256: 27 MB).

    Raises:
        InputError: the path's length is not 4k + 1, or a side does not divide by 32.
    """
    require_4k_plus_1(len(path), "the camera path's length")
    require_size(width, height)
    columns, rows = width // SPACE_STRIDE, height // SPACE_STRIDE
    lens = path.intrinsics.resized(columns, rows)
    maps = np.empty((24, 1 + len(path) // TIME_STRIDE, rows, columns), np.float32)
    frames = TIME_STRIDE * LATENTS_A_CHUNK
    for start in range(0, max(1, len(path) - 1), frames):
        part = pack_plucker(plucker(path.c2w[start : start + frames + 1], lens, rows, columns))
        first, new = start // TIME_STRIDE, int(start > 0)  # a later chunk begins with a frame that is already there
        maps[:, first + new : first + part.shape[1]] = part[:, new:]
    return maps
