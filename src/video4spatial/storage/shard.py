"""A safetensors shard read by position: scattered rows of its tensors go straight to where they are wanted.

Not mapped into memory: a file that is cut off while it is read is then an error, not a SIGBUS, and what the page cache
holds comes as fast. Nothing moves a file offset, so threads and forked processes may share one.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_LARGEST_HEADER = 100 * 2**20  # safetensors' own limit
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class DamagedShard(ValueError):
    """The file is not the whole of a safetensors file, or lacks a tensor it should have; says how."""


@dataclass(frozen=True)
class _Entry:
    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int
    row_bytes: int


class Shard:
    """The open shard at ``path``; closed when nothing refers to it any more.

    Raises:
        OSError: it cannot be opened.
        DamagedShard: its header and its length do not agree, or the header is none.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        try:
            self._entries = _read_header(self._file.fileno())
        except BaseException:
            self._file.close()
            raise

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def dtype(self, name: str) -> torch.dtype:
        return self._entry(name).dtype

    def shape(self, name: str) -> tuple[int, ...]:
        return self._entry(name).shape

    def read(self, name: str, rows: np.ndarray | None = None) -> Tensor:
        """The rows of tensor ``name`` (None: all), in the order given."""
        entry = self._entry(name)
        wanted = np.arange(entry.shape[0]) if rows is None else rows
        out = torch.empty(len(wanted), *entry.shape[1:], dtype=entry.dtype)
        self.read_into(name, wanted, out)
        return out

    def read_into(self, name: str, rows: np.ndarray, out: Tensor) -> None:
        """Fill ``out``, contiguous and of the tensor's dtype, with ``rows``; one system call a run of neighbours."""
        entry = self._entry(name)
        if out.dtype != entry.dtype or tuple(out.shape) != (len(rows), *entry.shape[1:]) or not out.is_contiguous():
            raise ValueError(f"{len(rows)} rows of {entry} do not fit into {out.dtype} {tuple(out.shape)}")
        if not out.numel():
            return
        view = out.view(-1).view(torch.uint8).numpy().data
        firsts = np.concatenate(([0], np.flatnonzero(np.diff(rows) != 1) + 1))
        sources = (entry.offset + rows[firsts] * entry.row_bytes).tolist()
        places = [*(firsts * entry.row_bytes).tolist(), len(view)]
        for number, source in enumerate(sources):
            self._fill(view[places[number] : places[number + 1]], source)

    def _fill(self, view: memoryview, offset: int) -> None:
        while len(view):  # a call reads 2 GiB at most
            count = os.preadv(self._file.fileno(), [view], offset)
            if not count:
                raise DamagedShard(f"it ends before byte {offset + len(view)}")
            view, offset = view[count:], offset + count

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise DamagedShard(f"it has no tensor {name!r}")
        return self._entries[name]


def _read_header(descriptor: int) -> dict[str, _Entry]:
    """The tensors of the file, checked against its length."""
    size = os.fstat(descriptor).st_size
    length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
    if size < 8 or length > min(_LARGEST_HEADER, size - 8):
        raise DamagedShard("its header is cut off")
    try:
        header = json.loads(os.pread(descriptor, length, 8))
        entries = {name: _entry(told, 8 + length) for name, told in header.items() if name != "__metadata__"}
        end = max((told["data_offsets"][1] for name, told in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise DamagedShard("its header cannot be read") from None
    if size != 8 + length + end:
        raise DamagedShard(f"it has {size} bytes, its header tells of {8 + length + end}")
    return entries


def _entry(told: dict, start: int) -> _Entry:
    """One line of the header; raises ``ValueError`` or ``KeyError`` where it does not agree with itself."""
    dtype, shape, (first, last) = _DTYPES[told["dtype"]], tuple(told["shape"]), told["data_offsets"]
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    if not shape or first < 0 or last - first != shape[0] * row_bytes:
        raise ValueError("the shape does not fit the bytes")
    return _Entry(dtype, shape, start + first, row_bytes)
