"""Where the app's files live: a private temporary folder, one inside it for each session, all removed at the end."""

import os
import secrets
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CACHE_VARIABLE = "GRADIO_TEMP_DIR"  # where Gradio keeps uploads and what it serves


class PrivateFolder:
    """The app's folder: mode 0700, with a name that cannot be guessed.

    ``uploads`` is Gradio's own cache; ``session()`` makes a folder for one person. A file in Gradio's cache that two
    sessions use (the same video, uploaded in two tabs) goes when the last of them ends.
    """

    def __init__(self, parent: str | Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="video4spatial-app-", dir=parent)).resolve()
        self.uploads = self._made("uploads")
        self.sessions = self._made("sessions")
        self._claims: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def _made(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(mode=0o700)
        return folder

    def session(self) -> Path:
        """A new folder; its name is the only key to the files in it."""
        folder = self.sessions / secrets.token_urlsafe(24)
        folder.mkdir(mode=0o700)
        return folder

    def claim(self, path: str | Path) -> Path:
        """Count a session in among those that use an uploaded file; ``release`` takes it back."""
        path = Path(path).resolve()
        with self._lock:
            self._claims[path] += 1
        return path

    def release(self, path: Path) -> None:
        """Remove an uploaded file that no session uses any more. Only what lies in ``uploads`` is ever removed."""
        with self._lock:
            self._claims[path] -= 1
            if self._claims[path] > 0:
                return
            del self._claims[path]
            if self.uploads in path.parents:
                self._remove(path)

    def forget(self, names: list[str]) -> None:
        """Remove Gradio's copies of a session's files; their names are unique.

        Copies lie in folders named by their content: another session's file with the same content may be beside one.
        """
        for name in names:
            for copy in self.uploads.glob(f"*/{name}"):
                self._remove(copy)

    def _remove(self, upload: Path) -> None:
        """Remove a file of ``uploads``, and its folder if that is empty then."""
        upload.unlink(missing_ok=True)
        if upload.parent != self.uploads:
            with suppress(OSError):  # not empty
                upload.parent.rmdir()

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def private_folder(parent: str | Path | None = None) -> Iterator[PrivateFolder]:
    """A ``PrivateFolder`` that Gradio is told to keep its cache in, for as long as the context lasts."""
    folder, before = PrivateFolder(parent), os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = str(folder.uploads)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ[CACHE_VARIABLE]
        else:
            os.environ[CACHE_VARIABLE] = before
        folder.close()
