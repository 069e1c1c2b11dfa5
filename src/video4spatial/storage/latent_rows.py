"""One video on its way to disk: checked, laid out for reading, and its row of the index."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.latent_index import LATENTS, checksum


def lay_out(
    video_id: str,
    environment_id: str,
    tensors: Mapping[str, Tensor | np.ndarray],
    *,
    fps: float | int,
    size: tuple[int, int],
    intrinsics: Intrinsics | None = None,
    meta: dict | None = None,
) -> tuple[dict, dict[str, Tensor]]:
    """The row of a video, but for its shard, and its tensors under the names they have in a shard.

    Raises ``InputError`` for a name or shape that does not fit; see ``LatentWriter.add`` for what is given.
    """
    if not video_id or "/" in video_id or not tensors:
        raise InputError(f"video id {video_id!r}: give a non-empty name without '/', and at least one tensor")
    given = {name: _as_tensor(value) for name, value in tensors.items()}
    latents, frames = _lengths(video_id, given)
    shapes = {name: list(tensor.shape) for name, tensor in given.items()}
    stored = {name: _to_disk(name, tensor) for name, tensor in sorted(given.items())}
    lens = intrinsics.vector.tolist() if intrinsics else [None] * 4
    row = {
        "video_id": video_id,
        "environment_id": environment_id,
        "frames": frames,
        "latents": latents,
        "width": size[0],
        "height": size[1],
        "fps": float(fps),
        **dict(zip(("fx", "fy", "cx", "cy"), lens, strict=True)),
        "tensors": json.dumps(shapes),
        "meta": json.dumps(meta or {}),
        "sha256": checksum(stored),
    }
    return row, {f"{video_id}/{name}": tensor for name, tensor in stored.items()}


def save_shard(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; what the system refuses is an ``OSError`` as from any other write."""
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:  # carries the system's error only as text
        code = next((number for number in range(1, 134) if f"(os error {number})" in str(error)), None)
        if code is None:
            raise
        raise OSError(code, os.strerror(code), str(path)) from None


def _as_tensor(value: Tensor | np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value.detach().cpu()


def _to_disk(name: str, tensor: Tensor) -> Tensor:
    """A copy of its own memory: what the caller does to the tensor afterwards must not reach the shard."""
    laid_out = rearrange(tensor, "C F h w -> F C h w") if name in LATENTS else tensor
    return laid_out.clone(memory_format=torch.contiguous_format)


def _lengths(video_id: str, tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """``(latents, frames)`` of the video, agreed on by all tensors that tell."""
    latents = {}
    for name, tensor in tensors.items():
        if name in LATENTS:
            if tensor.ndim != 4:
                raise InputError(f"video {video_id!r}: {name!r} has shape {tuple(tensor.shape)}, not [C, F, h, w]")
            latents[name] = tensor.shape[1]
        elif tensor.ndim == 0:
            raise InputError(f"video {video_id!r}: {name!r} is a scalar: put it into meta")
    poses = tensors["c2w"].shape[0] if "c2w" in tensors else None
    if len(set(latents.values())) > 1:
        raise InputError(f"video {video_id!r}: the latents disagree in length: {latents}")
    count = next(iter(latents.values()), 0 if poses is None else (poses - 1) // 4 + 1)
    frames = poses if poses is not None else max(0, 4 * (count - 1) + 1)
    if latents and count != (frames - 1) // 4 + 1:
        raise InputError(
            f"video {video_id!r}: {frames} poses do not go with {count} latents (4 frames each, 1 the first)"
        )
    return count, frames
