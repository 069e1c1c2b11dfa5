"""Bringing clips to the model's size: crop the middle to its aspect, then average areas."""

from functools import lru_cache

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from scipy.sparse import csr_array

from video4spatial.schema import Clip, InputError, Intrinsics


def centre_crop(width: int, height: int, to_width: int, to_height: int) -> tuple[int, int, int, int]:
    """``(left, top, width, height)`` of the largest middle window of the target's aspect, to whole pixels."""
    if min(width, height, to_width, to_height) < 1:
        raise InputError(f"cannot resize {width}x{height} to {to_width}x{to_height}: give sizes of at least 1")
    crop_width = min(width, max(1, round(height * to_width / to_height)))
    crop_height = min(height, max(1, round(width * to_height / to_width)))
    return (width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height


def resize_clip(clip: Clip, width: int, height: int) -> Clip:
    """Crop the middle to the aspect of ``width`` x ``height`` and resize: exact area averages when shrinking (no
    aliasing at any ratio), bicubic when enlarging."""
    left, top, crop_width, crop_height = centre_crop(*clip.size, width, height)
    frames = clip.frames[:, top : top + crop_height, left : left + crop_width]
    if (crop_width, crop_height) != (width, height):
        resize = _shrink if width <= crop_width and height <= crop_height else _enlarge
        frames = (
            np.stack([resize(frame, width, height) for frame in frames])
            if len(clip)
            else np.empty((0, height, width, 3), np.uint8)
        )
    return Clip(np.ascontiguousarray(frames), clip.fps)


def fit_intrinsics(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """The intrinsics of ``resize_clip``'s result."""
    left, top, crop_width, crop_height = centre_crop(intrinsics.width, intrinsics.height, width, height)
    return intrinsics.cropped(float(left), float(top), crop_width, crop_height).resized(width, height)


def _shrink(frame: UInt8[np.ndarray, "H W 3"], width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    rows = rearrange(frame, "H W c -> H (W c)").astype(np.float32)
    rows = rearrange(_areas(frame.shape[0], height) @ rows, "h (W c) -> W (h c)", c=3)
    columns = _areas(frame.shape[1], width) @ rows
    return np.rint(rearrange(columns, "w (h c) -> h w c", c=3)).astype(np.uint8)


@lru_cache(maxsize=16)
def _areas(source: int, target: int) -> csr_array:
    """Row i weighs the source pixels that [i, i+1) of the target covers by the share it covers of each."""
    edges = np.arange(target + 1) * (source / target)
    first = np.floor(edges[:-1]).astype(int)
    span = int(np.ceil(source / target)) + 1
    pixel = first[:, None] + np.arange(span)
    share = np.minimum(pixel + 1, edges[1:, None]) - np.maximum(pixel, edges[:-1, None])
    keep = (share > 1e-9) & (pixel < source)
    row = np.broadcast_to(np.arange(target)[:, None], pixel.shape)
    weights = (share * target / source).astype(np.float32)
    return csr_array((weights[keep], (row[keep], pixel[keep])), shape=(target, source))


def _enlarge(frame: UInt8[np.ndarray, "H W 3"], width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    return np.array(Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), Image.Resampling.BICUBIC))
