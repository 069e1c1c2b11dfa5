"""Every name on disk, and writes that leave the whole file or nothing."""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from video4spatial.schema import InputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_BAD_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO}


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary sibling of ``path`` to write (a file, or a folder to make), renamed to ``path`` on success.

    The sibling keeps the suffix, so that writers which go by it still do, and is removed on any failure: ``path`` is
    then as it was before. Parent folders are made. A full disk, a forbidden or impossible place raises ``InputError``
    naming ``path`` and the remedy; other errors pass unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _replace(temporary, path)
    except OSError as error:
        explained = _explained(error, path, temporary)
        if explained is None:
            raise
        raise explained from error
    finally:
        _remove(temporary)


@contextlib.contextmanager
def explained_writes(path: str | Path) -> Iterator[None]:
    """Raise ``InputError`` naming ``path`` and the remedy where writing it in place fails as in ``atomic_path``."""
    path = Path(path)
    try:
        yield
    except OSError as error:
        explained = _explained(error, path, path)
        if explained is None:
            raise
        raise explained from error


def _replace(temporary: Path, path: Path) -> None:
    if temporary.is_dir():
        aside = path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")
        if path.exists():  # a folder that holds files cannot be renamed over
            os.replace(path, aside)
        try:
            os.replace(temporary, path)
        except OSError:
            if aside.exists():
                os.replace(aside, path)
            raise
        _remove(aside)
        return
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())  # else a power cut can leave the new name on an empty file
    os.replace(temporary, path)


def _remove(path: Path) -> None:
    if os.path.isdir(path) and not os.path.islink(path):  # these two never raise, pathlib's do (a name too long)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _explained(error: OSError, path: Path, temporary: Path) -> InputError | None:
    """The error in the user's terms, None where it is not about writing ``path``."""
    if error.errno in _FULL:
        return InputError(f"{path} could not be written: the disk is full. Free space or choose another folder")
    about = {os.fspath(name) for name in (error.filename, error.filename2) if isinstance(name, str | os.PathLike)}
    places = {str(temporary), str(path), *(str(parent) for parent in path.parents)}
    if about and not about & places and not any(name.startswith(f"{temporary}{os.sep}") for name in about):
        return None
    if error.errno in _DENIED:
        return InputError(f"{path} may not be written ({os.strerror(error.errno)}): choose a folder of your own")
    if error.errno in _BAD_PLACE:
        return InputError(f"{path} cannot be written ({os.strerror(error.errno)}): choose another name or folder")
    return None


def require_writable(path: str | Path) -> None:
    """Raise ``InputError`` unless a file ``path`` can be written: its folder is there, or can be made."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: choose a file name in it")
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written ({folder} is a file): choose another name or folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path} may not be written ({folder} is read-only): choose a folder of your own")


def write_json(path: str | Path, content: object) -> None:
    """Write JSON, indented, atomically. NaN and infinity are refused (``ValueError``): they are not JSON."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | Path) -> object:
    """The parsed file; ``InputError`` naming the file (and line) if it is missing, unreadable or not JSON."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}); mend or remove it") from None
    except (UnicodeDecodeError, RecursionError):
        raise InputError(f"{path} is not a JSON text file: check the path") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


@dataclass(frozen=True)
class StoreLayout:
    """Names inside a latent store."""

    root: Path

    @property
    def index(self) -> Path:
        """One row a video (Parquet). What it does not list is not in the store."""
        return self.root / "index.parquet"

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    def shard(self, number: int) -> Path:
        return self.shards / f"shard-{number:06d}.safetensors"

    def scene_shard(self, name: str) -> Path:
        """A shard of its own for what was made of one scene video."""
        return self.shards / f"{name}.safetensors"

    @property
    def scenes(self) -> Path:
        """What became of each unit of the source."""
        return self.root / "scenes"

    def scene(self, unit: str) -> Path:
        return self.scenes / f"{unit}.json"

    @property
    def clips(self) -> Path:
        """Grounding clips with their box tails: a store of its own."""
        return self.root / "clips"

    @property
    def labels(self) -> Path:
        """What curation found in each stored video."""
        return self.root / "labels"

    def label(self, video_id: str) -> Path:
        return self.labels / f"{video_id}.json"

    @property
    def curation(self) -> Path:
        """What the labels and clips were made with."""
        return self.root / "curation.json"

    @property
    def curation_report(self) -> Path:
        """What became of every frame that curation looked at, counted."""
        return self.root / "curation-report.json"

    @property
    def absent(self) -> Path:
        """Instructions that name an object of another environment."""
        return self.root / "absent.jsonl"

    @property
    def texts(self) -> Path:
        """Embeddings of the sentences of this store's videos: a store of its own."""
        return self.root / "text"

    @property
    def answers(self) -> Path:
        """What VLMs answered about this store's frames, found again by what was asked."""
        return self.root / "answers.jsonl"

    @property
    def origin(self) -> Path:
        """What the latents were made with."""
        return self.root / "origin.json"

    @property
    def lock(self) -> Path:
        """Held by the one process that writes."""
        return self.root / ".lock"


@dataclass(frozen=True)
class CandidatesLayout:
    """Names inside the folder that keeps every clip of best-of-N."""

    root: Path

    def video(self, seed: int) -> Path:
        return self.root / f"seed-{seed:06d}.mp4"

    def answer(self, seed: int) -> Path:
        return self.root / f"seed-{seed:06d}.json"


@dataclass(frozen=True)
class PathExportLayout:
    """Names inside the folder of an exported camera path: each path in every format, and what the clip shows."""

    root: Path

    def path(self, which: str, format: str) -> Path:
        """``which``: "asked" or "recovered"."""
        return self.root / which / EXPORTED_PATHS[format]

    @property
    def points(self) -> Path:
        return self.root / "recovered" / "points.ply"

    @property
    def summary(self) -> Path:
        """Which paths there are, their scale and frames of reference."""
        return self.root / "path.json"


EXPORTED_PATHS = {
    "nerfstudio": "transforms.json",
    "colmap": "colmap",
    "tum": "path.tum",
    "ros-yaml": "path.ros.yaml",
    "ros-json": "path.ros.json",
    "waypoints-csv": "waypoints.csv",
}
"""Formats of ``geometry.formats`` that an export writes, and the name of each."""
COLMAP_FILES = ("cameras.txt", "images.txt", "points3D.txt")
"""What a COLMAP text model's folder holds."""


@dataclass(frozen=True)
class RunLayout:
    """Names inside the folder of a training run."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order."""
        if not self.checkpoints.is_dir():
            return []
        found = (re.fullmatch(r"step-(\d{8,})", folder.name) for folder in self.checkpoints.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    @property
    def latest(self) -> Path:
        """A text file that names the last complete checkpoint."""
        return self.root / "latest"

    def set_latest(self, step: int) -> None:
        """Point ``latest`` to the checkpoint of ``step``, which must be complete."""
        with atomic_path(self.latest) as temporary:
            temporary.write_text(self.checkpoint(step).name + "\n", encoding="utf-8")

    def latest_checkpoint(self) -> Path | None:
        """The checkpoint ``latest`` names, None if there is none yet; ``InputError`` if it names one that is gone."""
        if not self.latest.is_file():
            return None
        folder = self.checkpoints / self.latest.read_text(encoding="utf-8").strip()
        if not folder.is_dir() or folder.parent != self.checkpoints:
            raise InputError(
                f"{self.latest} names {folder.name!r}, which is not in {self.checkpoints}: correct or remove it"
            )
        return folder

    @property
    def log(self) -> Path:
        """One JSON object a line: the step and its figures."""
        return self.root / "log.jsonl"

    @property
    def failure(self) -> Path:
        """A run's folder of its own: the state before the step that failed."""
        return self.root / "failure"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    @property
    def previews(self) -> Path:
        return self.root / "previews"

    def preview(self, step: int, name: str = "preview") -> Path:
        return self.previews / f"step-{step:08d}-{name}.mp4"
