"""What tells two files or folders of weights apart, whatever they are called."""

import hashlib
from pathlib import Path
from typing import BinaryIO

from video4spatial.schema import InputError

_WHOLE = 2**26  # bytes up to which a file is read whole
_BLOCKS, _BLOCK = 64, 2**18  # of a larger one: so many, evenly spread, its ends among them


def content_digest(path: Path) -> str:
    """12 hexadecimal digits of a file's content, or of a folder's files and their names (hidden ones aside).

    Of a file above 64 MiB only its length and 64 blocks of 256 KiB, evenly spread: training changes weights everywhere.
    Raises ``InputError`` for a path that is not there or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for file in _files(path):
            size = file.stat().st_size
            if file != path:
                digest.update(f"{file.relative_to(path).as_posix()}\0{size}\0".encode())
            with file.open("rb") as stream:
                _update(digest, stream, size)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path") from None
    return digest.hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    inside = (file for file in path.rglob("*") if file.is_file())
    return sorted(file for file in inside if not any(part[0] == "." for part in file.relative_to(path).parts))


def _update(digest: "hashlib._Hash", stream: BinaryIO, size: int) -> None:
    if size <= _WHOLE:
        digest.update(stream.read())
        return
    digest.update(f"{size}\0".encode())
    for number in range(_BLOCKS):
        stream.seek(number * (size - _BLOCK) // (_BLOCKS - 1))
        digest.update(stream.read(_BLOCK))
