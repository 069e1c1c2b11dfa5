"""The latent store's index: one row a video, and the checksum that says whether a shard is still what was written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from video4spatial.schema import InputError, Intrinsics

LATENTS = ("video", "image")  # stored as [F, C, h, w], read as [C, F, h, w]
SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("environment_id", pa.string()),
        ("shard", pa.string()),
        ("frames", pa.int64()),
        ("latents", pa.int64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("fps", pa.float64()),
        *((name, pa.float64()) for name in ("fx", "fy", "cx", "cy")),
        ("tensors", pa.string()),
        ("meta", pa.string()),
        ("sha256", pa.string()),
    ]
)


@dataclass(frozen=True)
class StoredVideo:
    """One row of the index. ``tensors`` maps each name to its shape as it is read: latents ``(C, F, h, w)``."""

    video_id: str
    environment_id: str
    shard: str
    frames: int
    latents: int
    width: int
    height: int
    fps: float
    intrinsics: Intrinsics | None
    tensors: dict[str, tuple[int, ...]]
    meta: dict
    sha256: str


def checksum(stored: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order given (writers and readers sort by name)."""
    digest = hashlib.sha256()
    for name, tensor in stored.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_index(path: Path) -> pa.Table:
    """The index as a table; ``InputError`` naming the file if it is damaged or of another layout."""
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged ({error}): restore it, or remove the store and encode again") from None
    if not table.schema.equals(SCHEMA):
        raise InputError(f"{path} has other columns than this version writes: encode the store again")
    return table


def stored_video(row: dict) -> StoredVideo:
    """The typed form of one row of the index."""
    fx, fy, cx, cy = (row.pop(name) for name in ("fx", "fy", "cx", "cy"))
    intrinsics = None if fx is None else Intrinsics(fx, fy, cx, cy, row["width"], row["height"])
    tensors = {name: tuple(shape) for name, shape in json.loads(row["tensors"]).items()}
    return StoredVideo(**row | {"intrinsics": intrinsics, "tensors": tensors, "meta": json.loads(row["meta"])})
