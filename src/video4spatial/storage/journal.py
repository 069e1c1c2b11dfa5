"""An append-only file of JSON records, one a line, that several processes may write and read at the same time.

A process killed while it appends leaves at most a line without an end; the next append closes that line, and every
reader passes over it. Nothing that was ever written whole is lost or changed.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import explained_writes

_BLOCK = 1 << 20  # bytes read at a time


class Journal:
    """The records of ``path``, made on the first append. Threads may share one, processes open their own.

    Attributes:
        damaged: lines passed over so far because they hold no JSON object: what killed writers left.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damaged = 0
        self._read_to = 0
        self._guard = threading.Lock()

    def append(self, record: dict) -> None:
        """Add a record; when this returns it is on the disk. Raises ``InputError`` where the disk is full or denied."""
        line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        with self._guard, explained_writes(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)  # anew: locks survive a fork badly
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                _append_whole(file, line)
            finally:
                os.close(file)

    def news(self) -> Iterator[tuple[int, dict]]:
        """``(offset, record)`` of every whole record that was appended, by anyone, since the last call. One thread at a
        time may read news."""
        if not self.path.exists():
            return
        with self._opened() as file:
            size = os.fstat(file.fileno()).st_size
            if size < self._read_to:
                raise InputError(f"{self.path} became shorter while it was in use: nothing but this may write it")
            file.seek(self._read_to)
            while line := file.readline():
                if not line.endswith(b"\n"):  # being written right now, or left by a killed writer
                    return
                offset, self._read_to = self._read_to, self._read_to + len(line)
                record = _record(line)
                if record is None:
                    self.damaged += 1
                else:
                    yield offset, record

    def read(self, offset: int) -> dict:
        """The record at an offset that ``news`` gave."""
        with self._opened() as file:
            file.seek(offset)
            return json.loads(file.readline())

    def _opened(self):
        try:
            return self.path.open("rb", buffering=_BLOCK)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}): check the path") from None


def _append_whole(file: int, line: bytes) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        line = b"\n" + line
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


def _record(line: bytes) -> dict | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
