"""The latent store: videos encoded once, read back a few latent frames at a time.

Safetensors shards hold the tensors; a Parquet index holds one row a video. A shard becomes part of the store when the
index that lists it has been renamed into place, so a run that is killed loses at most the videos not yet flushed.

Latents ``[C, F, h, w]`` ("video": causal, "image": each group's first frame alone) lie in the shard as
``[F, C, h, w]``: a scattered latent frame is then one contiguous read. Other tensors lie as they are given and are read
along their first axis.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from einops import rearrange
from torch import Tensor

from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.artifacts import StoreLayout, atomic_path
from video4spatial.storage.latent_index import LATENTS, SCHEMA, StoredVideo, checksum, read_index, stored_video
from video4spatial.storage.latent_rows import lay_out, save_shard
from video4spatial.storage.lock import lock_store
from video4spatial.storage.shard import DamagedShard, Shard

__all__ = ["LATENTS", "LatentStore", "LatentWriter", "StoredVideo"]

SHARD_BYTES = 256 * 2**20
_OPEN_SHARDS = 128


class LatentWriter:
    """Adds videos to the store at ``root``, one at a time; use it as a context manager.

    Videos gather in memory up to ``shard_bytes``, then become one shard and their rows join the index. Opening a root
    again continues after the videos listed (``video_id in writer`` tells); a shard or temporary file that an
    interrupted writer left behind is discarded. A second writer at the same time is refused.
    """

    def __init__(self, root: str | Path, shard_bytes: int = SHARD_BYTES) -> None:
        self.layout = StoreLayout(Path(root))
        self.shard_bytes = shard_bytes
        self._lock = lock_store(self.layout)
        try:
            self._rows = read_index(self.layout.index).to_pylist() if self.layout.index.exists() else []
            self._refuse_scene_shards()
            self._discard_unlisted()
        except BaseException:
            self._lock.close()
            raise
        self._ids = {row["video_id"] for row in self._rows}
        self._pending: list[dict] = []
        self._buffer: dict[str, Tensor] = {}
        self._failed = False

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._ids

    def __enter__(self) -> "LatentWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(
        self,
        video_id: str,
        environment_id: str,
        tensors: Mapping[str, Tensor | np.ndarray],
        *,
        fps: float | int,
        size: tuple[int, int],
        intrinsics: Intrinsics | None = None,
        meta: dict | None = None,
    ) -> None:
        """Add one video: ``tensors`` holds "video" (and "image") ``[C, F, h, w]``, "c2w" ``[T, 4, 4]``, and any others.

        ``size`` is (width, height) in pixels; ``meta`` must be JSON. Raises ``InputError`` for an id that is there
        already, a name or shape that does not fit, or a full disk; what is in the store stays whole.
        """
        if video_id in self._ids:
            raise InputError(f"video {video_id!r} is in {self.layout.root} already: skip it (`in` tells) or rename it")
        row, stored = lay_out(video_id, environment_id, tensors, fps=fps, size=size, intrinsics=intrinsics, meta=meta)
        self._ids.add(video_id)
        self._pending.append(row)
        self._buffer |= stored
        if sum(tensor.nbytes for tensor in self._buffer.values()) >= self.shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Write the videos gathered so far as one shard and list them in the index."""
        if not self._pending:
            return
        try:
            shard = self.layout.shard(1 + max((_number(row["shard"]) for row in self._rows), default=-1))
            with atomic_path(shard) as temporary:
                save_shard(self._buffer, temporary)
            rows = self._rows + [row | {"shard": shard.name} for row in self._pending]
            with atomic_path(self.layout.index) as temporary, temporary.open("wb") as file:
                pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file)
        except BaseException:
            self._failed = True  # closing must not try again and hide this error behind a second one
            raise
        self._rows, self._pending, self._buffer = rows, [], {}

    def close(self) -> None:
        """Flush what is complete, also after an interruption elsewhere, and let the next writer in."""
        try:
            if not self._failed and not self._lock.closed:
                self.flush()
        finally:
            self._lock.close()

    def _refuse_scene_shards(self) -> None:
        if self.layout.scenes.is_dir() or any(not _is_numbered(row["shard"]) for row in self._rows):
            raise InputError(f"{self.layout.root} has a shard for each scene, as prepare writes: choose another folder")

    def _discard_unlisted(self) -> None:
        listed = {row["shard"] for row in self._rows}
        for file in [*self.layout.shards.iterdir(), *self.layout.root.glob(".tmp-*")]:
            if file.name not in listed and file.is_file():
                file.unlink()


class LatentStore:
    """Reads the store at ``root``. Cheap to open, pickle and fork: shards are opened on first use, in each process."""

    def __init__(self, root: str | Path) -> None:
        self.layout = StoreLayout(Path(root))
        if not self.layout.index.exists():
            raise InputError(
                f"{self.layout.root} is not a latent store (no {self.layout.index.name}): encode videos first"
            )
        self.videos: pa.Table = read_index(self.layout.index)
        self._rows = {row.video_id: row for row in map(stored_video, self.videos.to_pylist())}
        self._shards: dict[str, Shard] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_shards": {}}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[StoredVideo]:
        return iter(self._rows.values())

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._rows

    def __getitem__(self, video_id: str) -> StoredVideo:
        """The index row of a video; ``InputError`` if it is not in the store."""
        if video_id not in self._rows:
            raise InputError(f"video {video_id!r} is not in {self.layout.root} ({len(self)} videos): check the id")
        return self._rows[video_id]

    def environments(self) -> dict[str, list[str]]:
        """The video ids of each environment."""
        found: dict[str, list[str]] = {}
        for row in self:
            found.setdefault(row.environment_id, []).append(row.video_id)
        return found

    def read(self, video_id: str, name: str, indices: Sequence[int] | np.ndarray | None = None) -> Tensor:
        """Latent frames ``indices`` of "video" or "image" as ``[C, F, h, w]``; of others, rows of the first axis.

        In the order asked for, repeats allowed; None reads all. Only what is asked for is read; the dtype is as stored.
        Raises ``InputError`` for an unknown name, an index outside, and a damaged or missing shard, naming it.
        """
        row = self._row_with(video_id, name)
        wanted = None if indices is None else _require_within(row, name, indices)
        with self._naming(row):
            rows = self._shard(row, name).read(f"{video_id}/{name}", wanted)
        return rearrange(rows, "F C h w -> C F h w") if name in LATENTS else rows

    def read_into(self, video_id: str, name: str, indices: Sequence[int] | np.ndarray, out: Tensor) -> None:
        """``read`` into ``out``: contiguous, laid out as in the shard (latents ``[F, C, h, w]``), of any precision."""
        row = self._row_with(video_id, name)
        wanted, key = _require_within(row, name, indices), f"{video_id}/{name}"
        with self._naming(row):
            shard = self._shard(row, name)
            if shard.dtype(key) == out.dtype:
                shard.read_into(key, wanted, out)
            else:
                out.copy_(shard.read(key, wanted))

    def dtype(self, video_id: str, name: str) -> torch.dtype:
        """The precision that a tensor is stored in. Raises as ``read`` does."""
        row = self._row_with(video_id, name)
        with self._naming(row):
            return self._shard(row, name).dtype(f"{video_id}/{name}")

    def verify(self) -> int:
        """Read everything and compare checksums; the number of videos, or ``InputError`` naming what is damaged."""
        problems = []
        for row in self:
            try:
                with self._naming(row):
                    stored = {
                        name: self._shard(row, name).read(f"{row.video_id}/{name}") for name in sorted(row.tensors)
                    }
                if checksum(stored) != row.sha256:
                    problems.append(f"{self.layout.shards / row.shard}: video {row.video_id!r} is not what was written")
            except InputError as error:
                problems.append(str(error))
        if problems:
            raise InputError("\n".join(dict.fromkeys(problems)))
        return len(self)

    def _row_with(self, video_id: str, name: str) -> StoredVideo:
        row = self[video_id]
        if name not in row.tensors:
            raise InputError(f"video {video_id!r} has no tensor {name!r}: it has {', '.join(row.tensors)}")
        return row

    def _shard(self, row: StoredVideo, name: str) -> Shard:
        """The open shard that holds tensor ``name`` of a video. Few stay open; what another thread reads stays so until
        it has done."""
        shard = self._shards.get(row.shard)
        if shard is None:
            shard = Shard(self.layout.shards / row.shard)
            for old in list(self._shards)[: max(0, len(self._shards) + 1 - _OPEN_SHARDS)]:
                self._shards.pop(old, None)  # another thread may have been faster
            self._shards[row.shard] = shard
        key = f"{row.video_id}/{name}"
        if shard.shape(key) != _shape_on_disk(name, row.tensors[name]):
            raise DamagedShard(f"{key!r} has shape {shard.shape(key)}, which is not what the index says")
        return shard

    @contextmanager
    def _naming(self, row: StoredVideo) -> Iterator[None]:
        """What is wrong with a video's shard, in the user's terms."""
        try:
            yield
        except (DamagedShard, OSError) as error:
            path = self.layout.shards / row.shard
            how = "missing" if isinstance(error, FileNotFoundError) else f"damaged ({error})"
            remedy = "restore it, or remove the store and encode its videos again"
            raise InputError(f"{path} is {how}: {remedy}") from None


def _require_within(row: StoredVideo, name: str, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    """The indices as an array; ``InputError`` unless all are of the tensor."""
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    length = row.tensors[name][1 if name in LATENTS else 0]
    if len(wanted) and not (wanted.min() >= 0 and wanted.max() < length):
        raise InputError(f"{name!r} of video {row.video_id!r} has {length} entries: index {wanted.tolist()} is outside")
    return wanted


def _shape_on_disk(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[1], shape[0], *shape[2:]) if name in LATENTS else shape


def _is_numbered(shard: str) -> bool:
    return re.fullmatch(r"shard-\d+\.safetensors", shard) is not None


def _number(shard: str) -> int:
    return int(Path(shard).stem.removeprefix("shard-"))
