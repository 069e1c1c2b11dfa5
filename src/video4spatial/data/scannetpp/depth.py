"""``iphone/depth.bin``: LiDAR depth of every video frame, 256 x 192, in one of two variants told apart by their bytes.

Global: one raw-deflate stream of float32 metres, all frames one after the other. Framed: before each frame a
little-endian uint32 with the size of its payload, which is an lz4 block of uint16 millimetres, or raw deflate of
float32 metres. Source: scannetpp/scannetpp ``iphone/prepare_iphone_data.py``, ``extract_depth``.
"""

import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32

from video4spatial.data.scannetpp.files import require_file
from video4spatial.schema import InputError

HEIGHT, WIDTH = 192, 256
_METRES_BYTES = HEIGHT * WIDTH * 4
_MILLIMETRES_BYTES = HEIGHT * WIDTH * 2
_LARGEST_PAYLOAD = 2 * _METRES_BYTES  # no compressed frame comes near it
_CHUNK = 1 << 14
_RAW_DEFLATE = -zlib.MAX_WBITS
_AGAIN = "fetch it again, or read without depth"


def metres_of(payload: bytes) -> Float32[np.ndarray, "192 256"] | None:
    """One frame's payload of the framed variant, decoded; None if it is neither of its two kinds."""
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        raw = inflater.decompress(payload, _METRES_BYTES + 1)
        if inflater.eof and len(raw) == _METRES_BYTES:
            return _valid(np.frombuffer(raw, dtype="<f4"))
    except zlib.error:
        pass
    raw = _unpack_lz4(payload)
    if raw is None or len(raw) != _MILLIMETRES_BYTES:
        return None
    return _valid(np.frombuffer(raw, dtype="<u2") / np.float32(1000))


def _unpack_lz4(payload: bytes) -> bytes | None:
    try:
        import lz4.block
    except ImportError:
        raise InputError("depth.bin needs the lz4 package: pip install 'video4spatial[data]'") from None
    try:
        return lz4.block.decompress(payload, uncompressed_size=_MILLIMETRES_BYTES)
    except lz4.block.LZ4BlockError:
        return None


def _valid(metres: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "192 256"]:
    """As an image; what is no distance (NaN, infinite, negative) is 0."""
    image = metres.reshape(HEIGHT, WIDTH).astype(np.float32)
    image[~(np.isfinite(image) & (image > 0))] = 0
    return image


class FramedDepth:
    """The framed variant: an index of all frames from their sizes alone; one frame is read and decoded at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offsets, self._sizes = self._index()

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, numbers: Sequence[int]) -> Float32[np.ndarray, "T 192 256"]:
        metres = np.empty((len(numbers), HEIGHT, WIDTH), np.float32)
        with self.path.open("rb") as file:
            for row, number in enumerate(numbers):
                file.seek(self._offsets[number])
                decoded = metres_of(file.read(self._sizes[number]))
                if decoded is None:
                    raise InputError(f"{self.path}: the depth of frame {number} is damaged: {_AGAIN}")
                metres[row] = decoded
        return metres

    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        total = self.path.stat().st_size
        offsets, sizes, at = [], [], 0
        with self.path.open("rb") as file:
            while at < total:
                file.seek(at)
                size = int.from_bytes(file.read(4), "little")
                if not 0 < size <= _LARGEST_PAYLOAD:
                    raise InputError(self._unlike(len(sizes), at))
                if at + 4 + size > total:
                    raise InputError(f"{self.path} is cut off after {len(sizes)} whole frames: {_AGAIN}")
                offsets.append(at + 4)
                sizes.append(size)
                at += 4 + size
        return np.array(offsets, dtype=np.int64), np.array(sizes, dtype=np.int64)

    def _unlike(self, frame: int, at: int) -> str:
        if frame == 0:
            return f"{self.path} is neither one deflate stream nor frames with their sizes: {_AGAIN}"
        return f"{self.path} is damaged at byte {at}, after {frame} frames: {_AGAIN}"


@dataclass
class _Cursor:
    """Decompression stopped before frame ``frame``: the file is read up to ``offset``."""

    frame: int
    offset: int
    inflater: Any

    def copy(self) -> "_Cursor":
        return _Cursor(self.frame, self.offset, self.inflater.copy())


def _next_frame(cursor: _Cursor, file: BinaryIO) -> bytes | None:
    """The bytes of the next frame; None at the stream's proper end; ``EOFError`` where it breaks off."""
    parts, missing = [], _METRES_BYTES
    while missing:
        if cursor.inflater.eof:
            if missing < _METRES_BYTES:
                raise EOFError
            return None
        data = cursor.inflater.unconsumed_tail
        if not data:
            file.seek(cursor.offset)
            data = file.read(_CHUNK)
            cursor.offset += len(data)
        piece = cursor.inflater.decompress(data, missing)
        if not piece and not data and not cursor.inflater.eof:
            raise EOFError
        parts.append(piece)
        missing -= len(piece)
    cursor.frame += 1
    return b"".join(parts)


def _starts_global(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            return _next_frame(_Cursor(0, 0, zlib.decompressobj(_RAW_DEFLATE)), file) is not None
        except (zlib.error, EOFError):
            return False


class GlobalDepth:
    """The global variant: it cannot be entered in the middle, so the state of the decompressor is kept at some frames.

    At first use the stream is decompressed once, keeping no frame: that finds its length and damage, and leaves at
    most ``most_states`` states of about 75 kB, evenly spread. A frame is then reached from the state before it, or from
    where the last call stopped, whichever is nearer.
    """

    def __init__(self, path: Path, most_states: int = 128) -> None:
        self.path, self.most_states = path, most_states
        self._rest()

    def __len__(self) -> int:
        with self._lock:
            self._ensure_index()
            return self._count

    def read(self, numbers: Sequence[int]) -> Float32[np.ndarray, "T 192 256"]:
        metres = np.empty((len(numbers), HEIGHT, WIDTH), np.float32)
        wanted = np.asarray(numbers, dtype=np.int64)
        with self._lock, self.path.open("rb") as file:
            self._ensure_index()
            for number in np.unique(wanted):
                metres[wanted == number] = self._frame(int(number), file)
        return metres

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "most_states": self.most_states}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._rest()

    def _rest(self) -> None:
        self._states: list[_Cursor] = []
        self._last: _Cursor | None = None
        self._count = 0
        self._lock = threading.Lock()

    def _ensure_index(self) -> None:
        if self._count:
            return
        cursor, spacing = _Cursor(0, 0, zlib.decompressobj(_RAW_DEFLATE)), 1
        states = [cursor.copy()]
        with self.path.open("rb") as file:
            try:
                while _next_frame(cursor, file) is not None:
                    if cursor.frame % spacing == 0:
                        states.append(cursor.copy())
                    if len(states) > self.most_states:
                        states, spacing = states[::2], 2 * spacing
            except (zlib.error, EOFError):
                raise InputError(f"{self.path} is cut off or damaged after {cursor.frame} frames: {_AGAIN}") from None
        self._states, self._count = states, cursor.frame

    def _frame(self, number: int, file: BinaryIO) -> Float32[np.ndarray, "192 256"]:
        if not 0 <= number < self._count:
            raise IndexError(f"{self.path} has {self._count} frames, numbered from 0: {number} is none")
        state = max((state for state in self._states if state.frame <= number), key=lambda state: state.frame)
        if self._last is None or not state.frame <= self._last.frame <= number:
            self._last = state.copy()
        while self._last.frame < number:
            _next_frame(self._last, file)
        raw = _next_frame(self._last, file)
        return _valid(np.frombuffer(raw or b"", dtype="<f4"))


DepthStream = FramedDepth | GlobalDepth  # depth maps by frame number: float32 metres along z, 0 where there is none


def open_depth(path: Path) -> DepthStream:
    """The stream of whichever variant the file is; little is read.

    Raises:
        InputError: it is missing, empty, cut off (a global stream: found at first use) or of neither variant.
    """
    require_file(path)
    if _starts_global(path):
        return GlobalDepth(path)
    return FramedDepth(path)
