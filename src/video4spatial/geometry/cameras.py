"""Pinhole cameras: rays through pixels, projection, Pluecker maps and their packing for latents."""

import numpy as np
from einops import einsum, rearrange, repeat
from jaxtyping import Float, Float32, Float64

from video4spatial.schema import InputError, Intrinsics, require_4k_plus_1


def require_size(intrinsics: Intrinsics, height: int, width: int) -> None:
    """Raise ``InputError`` unless ``intrinsics`` describe a ``width`` x ``height`` image (nothing is rescaled)."""
    if (intrinsics.width, intrinsics.height) != (width, height):
        raise InputError(
            f"the intrinsics are of a {intrinsics.width}x{intrinsics.height} image, but {width}x{height} is asked for: "
            "bring them to that size first (Intrinsics.resized, Intrinsics.cropped or storage.video.fit_intrinsics)"
        )


def directions(intrinsics: Intrinsics) -> Float64[np.ndarray, "H W 3"]:
    """Ray directions in camera axes with z = 1, through the pixel centres (+0.5)."""
    x = (np.arange(intrinsics.width) + 0.5 - intrinsics.cx) / intrinsics.fx
    y = (np.arange(intrinsics.height) + 0.5 - intrinsics.cy) / intrinsics.fy
    grid_x, grid_y = np.meshgrid(x, y)
    return np.stack([grid_x, grid_y, np.ones_like(grid_x)], axis=-1)


def rays(
    c2w: Float[np.ndarray, "T 4 4"], intrinsics: Intrinsics, height: int, width: int
) -> tuple[Float64[np.ndarray, "T 3"], Float32[np.ndarray, "T H W 3"]]:
    """World-space rays: origins (metres) and unit directions, one through each pixel centre."""
    require_size(intrinsics, height, width)
    camera = directions(intrinsics)
    camera /= np.linalg.norm(camera, axis=-1, keepdims=True)
    world = einsum(c2w[:, :3, :3].astype(np.float32), camera.astype(np.float32), "T i j, H W j -> T H W i")
    return c2w[:, :3, 3].astype(np.float64), world


def plucker(
    c2w: Float[np.ndarray, "T 4 4"], intrinsics: Intrinsics, height: int, width: int
) -> Float32[np.ndarray, "T 6 H W"]:
    """Per-pixel Pluecker coordinates ``[o x d, d]`` of every frame (paper section 3.2; layout as in CameraCtrl).

    ``o`` is the camera centre in metres and ``d`` the unit direction, both in the frame ``c2w`` is given in: call
    ``relative_to`` first. The intrinsics must be those of the ``width`` x ``height`` image.
    """
    origins, world = rays(c2w, intrinsics, height, width)
    moment = np.cross(origins.astype(np.float32)[:, None, None], world)
    return rearrange([moment, world], "two T H W i -> T (two i) H W")


def pack_plucker(maps: Float[np.ndarray, "T 6 H W"]) -> Float[np.ndarray, "24 F H W"]:
    """Four frames a latent: the first frame stands alone in the causal VAE and is repeated 4 times.

    Channel ``4 * i + j`` of latent ``f`` is coordinate ``i`` of its ``j``-th frame (the order of VideoX-Fun's camera
    control). Raises ``InputError`` unless T = 4k + 1.
    """
    require_4k_plus_1(len(maps), "the number of poses")
    first = repeat(maps[0], "c H W -> four c H W", four=4)
    return rearrange(np.concatenate([first, maps[1:]]), "(F four) c H W -> (c four) F H W", four=4)


def project(
    points: Float[np.ndarray, "N 3"], c2w: Float[np.ndarray, "4 4"], intrinsics: Intrinsics
) -> tuple[Float64[np.ndarray, "N 2"], Float64[np.ndarray, "N"]]:
    """World points to pixels (continuous, centres at +0.5) and depths along z in metres.

    Points at or behind the camera plane have depth <= 0; their pixels are NaN.
    """
    camera = einsum(points - c2w[:3, 3], c2w[:3, :3].astype(np.float64), "N j, j i -> N i")
    depth = camera[:, 2]
    safe = np.where(depth > 0, depth, np.nan)
    pixels = np.stack(
        [intrinsics.fx * camera[:, 0] / safe + intrinsics.cx, intrinsics.fy * camera[:, 1] / safe + intrinsics.cy],
        axis=-1,
    )
    return pixels, depth


def unproject(
    pixels: Float[np.ndarray, "N 2"],
    depth: Float[np.ndarray, "N"],
    c2w: Float[np.ndarray, "4 4"],
    intrinsics: Intrinsics,
) -> Float64[np.ndarray, "N 3"]:
    """The inverse of ``project``: world points of pixels at depths along z (metres)."""
    x = (pixels[:, 0] - intrinsics.cx) / intrinsics.fx
    y = (pixels[:, 1] - intrinsics.cy) / intrinsics.fy
    camera = np.stack([x, y, np.ones_like(x)], axis=-1) * depth[:, None]
    return (einsum(c2w[:3, :3], camera, "i j, N j -> N i") + c2w[:3, 3]).astype(np.float64)


def unproject_depth(
    depth: Float[np.ndarray, "H W"], c2w: Float[np.ndarray, "4 4"], intrinsics: Intrinsics
) -> Float64[np.ndarray, "H W 3"]:
    """World points of a depth map (metres along z). Invalid depth, 0, gives the camera centre: mask it."""
    require_size(intrinsics, *depth.shape)
    camera = directions(intrinsics) * depth[..., None]
    return einsum(c2w[:3, :3].astype(np.float64), camera, "i j, H W j -> H W i") + c2w[:3, 3]
