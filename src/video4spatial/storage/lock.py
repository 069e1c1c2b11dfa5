"""One writer a store."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout


def lock_store(layout: StoreLayout) -> TextIO:
    """Be the one process that writes the store, until the file is closed or the process ends, however it ends.

    Raises:
        InputError: another process writes it, or it cannot be made.
    """
    try:
        layout.shards.mkdir(parents=True, exist_ok=True)
        lock = layout.lock.open("w")
    except OSError as error:
        raise InputError(f"{layout.root} cannot hold a latent store: {error.strerror}; choose another folder") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InputError(f"{layout.root} is being written by another process: wait for it or choose another") from None
    return lock


@contextmanager
def locked_store(layout: StoreLayout) -> Iterator[None]:
    """``lock_store`` for as long as the block lasts."""
    with lock_store(layout):
        yield
