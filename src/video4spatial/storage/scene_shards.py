"""A latent store written one shard a scene, by any number of processes in any order, and the same bytes in the end.

A shard carries the index rows of its videos in its header. ``index.parquet`` is made from the headers, so nothing is
shared while scenes are written, and whatever is killed leaves whole shards or none.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.artifacts import StoreLayout, atomic_path
from video4spatial.storage.latent_index import SCHEMA
from video4spatial.storage.latent_rows import lay_out, save_shard

_ROWS = "rows"  # the one key of a header's metadata: with several, safetensors would write them in any order
_LARGEST_HEADER = 100 * 2**20  # safetensors' own limit


class GatheringShard:
    """Videos gathered for one shard; nothing is on disk before all are."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        self.tensors: dict[str, Tensor] = {}

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
        """As ``LatentWriter.add``."""
        if any(row["video_id"] == video_id for row in self.rows):
            raise InputError(f"video {video_id!r} is in this shard already: rename it")
        row, stored = lay_out(video_id, environment_id, tensors, fps=fps, size=size, intrinsics=intrinsics, meta=meta)
        self.rows.append(row)
        self.tensors |= stored


class SceneShards:
    """Writes the store at ``root``. Processes may share it, each writing shards of its own; one calls ``reindex``.

    It takes no lock: who starts the writers holds ``storage.lock.locked_store``.
    """

    def __init__(self, root: str | Path) -> None:
        self.layout = StoreLayout(Path(root))
        self._read: dict[str, tuple[tuple[int, int], list[dict]]] = {}

    def has(self, name: str) -> bool:
        """Whether the shard of a scene video is there (whole: half a shard never has its name)."""
        return self.layout.scene_shard(name).is_file()

    def write(
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
        """Write one video as the shard of its name. Arguments and errors are those of ``LatentWriter.add``."""
        with self.shard(video_id) as shard:
            shard.add(video_id, environment_id, tensors, fps=fps, size=size, intrinsics=intrinsics, meta=meta)

    @contextmanager
    def shard(self, name: str) -> Iterator[GatheringShard]:
        """Gather several videos (or none) for the shard ``name``, which is written when the block ends well.

        A shard that is there is replaced. ``reindex`` lists it. Raises ``InputError`` for a full disk; the store is
        then as it was before.
        """
        if not name or "/" in name or name.startswith("."):
            raise InputError(f"shard {name!r}: give a name without '/' that does not begin with a dot")
        gathered = GatheringShard()
        yield gathered
        with atomic_path(self.layout.scene_shard(name)) as temporary:
            save_shard(gathered.tensors, temporary, {_ROWS: json.dumps(gathered.rows)})

    def rows(self) -> list[dict]:
        """The rows of all shards, by their headers alone, in order of the video ids.

        Raises:
            InputError: a shard is cut off or not one of a scene, or two hold one video; names them.
        """
        if not self.layout.shards.is_dir():
            return []
        files = [path for path in self.layout.shards.iterdir() if not path.name.startswith(".")]
        found: dict[str, dict] = {}
        for path in sorted(files):
            for row in self._rows_of(path):
                other = found.setdefault(row["video_id"], row)
                if other is not row:
                    raise InputError(
                        f"{self.layout.shards / other['shard']} and {path} both hold video {row['video_id']!r}: "
                        "remove one of them"
                    )
        self._read = {path.name: self._read[path.name] for path in files}
        return [found[name] for name in sorted(found)]

    def reindex(self) -> int:
        """Write ``index.parquet`` from the shards' headers; how many videos it lists. Raises as ``rows`` does."""
        rows = self.rows()
        with atomic_path(self.layout.index) as temporary, temporary.open("wb") as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file)
        return len(rows)

    def sweep(self) -> list[Path]:
        """Remove temporary files that killed writers left, when none is at work; what was removed."""
        folders = (self.layout.root, self.layout.shards, self.layout.scenes)
        left = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob(".tmp-*"))]
        for path in left:
            path.unlink(missing_ok=True)
        return left

    def _rows_of(self, path: Path) -> list[dict]:
        state = path.stat()
        stamp = (state.st_size, state.st_mtime_ns)
        known = self._read.get(path.name)
        if known is None or known[0] != stamp:
            known = stamp, read_rows(path)
            self._read[path.name] = known
        return [row | {"shard": path.name} for row in known[1]]


def read_rows(path: Path) -> list[dict]:
    """The rows in a shard's header, without reading its tensors.

    Raises:
        InputError: it is cut off, or no shard of a scene.
    """
    damaged = InputError(f"{path} is damaged or no shard of a scene: remove it and run again, which makes it anew")
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= _LARGEST_HEADER else {}
            rows = json.loads(header["__metadata__"][_ROWS])
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            size = path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        raise damaged from None
    names = [field.name for field in SCHEMA if field.name != "shard"]
    if size != 8 + length + max(ends, default=0) or not isinstance(rows, list):
        raise damaged
    if not all(isinstance(row, dict) and sorted(row) == sorted(names) for row in rows):
        raise damaged
    return rows
