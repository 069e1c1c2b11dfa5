"""Checkpoints: each process writes its part in the background, whole or not at all, and any number of them reads it.

A checkpoint is a folder of safetensors files (``torch.distributed.checkpoint`` in Hugging Face's format) and a
``progress.json`` with the step and every file's size and SHA-256. Only what trains is kept: weights that training does
not touch come from the run's base again. Several machines need a folder that all of them see.
"""

import hashlib
import shutil
import threading
import warnings
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NoReturn

import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout, read_json, write_json
from video4spatial.train.parallel import Ranks
from video4spatial.train.state import TrainingState

PROGRESS = "progress.json"
warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # a run of one process means it so


class Checkpointer:
    """Saves a run's state while training goes on.

    ``start`` copies the state and returns; the copy is written in the background. ``finish``, called by every process
    when every one ``is_written``, gives the checkpoint its name: what has no ``progress.json`` under its final name is
    not a checkpoint.
    """

    def __init__(self, layout: RunLayout, ranks: Ranks, keep: int = 2) -> None:
        self.layout, self.ranks, self.keep = layout, ranks, keep
        self._saving: Future[Any] | None = None
        self._hashed = threading.Event()
        self._files: dict[str, dict[str, Any]] = {}
        self._error: str | None = None
        self._progress: dict[str, Any] = {}
        self._group: Any = dist.new_group(backend="gloo") if ranks.size > 1 else None
        if ranks.is_main:
            for left in layout.checkpoints.glob(".tmp-*"):  # an interrupted run's
                shutil.rmtree(left, ignore_errors=True)
        ranks.barrier()

    @property
    def temporary(self) -> Path:
        """Where the checkpoint is written that is under way."""
        return self.layout.checkpoints / f".tmp-step-{self._progress['step']:08d}"

    @property
    def step(self) -> int | None:
        """The step of the last save, ended or under way."""
        return self._progress.get("step")

    def start(self, state: TrainingState, step: int, progress: dict[str, Any]) -> None:
        """Begin to save the state after ``step`` steps; waits for the save before, if it is still under way."""
        self.finish()
        self._progress = {"step": step, **progress}
        self._hashed.clear()
        self._files, self._error = {}, None
        self.ranks.on_main(self._make_temporary)
        writer = HuggingFaceStorageWriter(str(self.temporary), save_distributed=True)
        alone = self.ranks.size == 1
        saving: Any = dcp.async_save(state.tensors(), storage_writer=writer, process_group=self._group, no_dist=alone)
        self._saving = saving
        saving.add_done_callback(self._written)

    def _make_temporary(self) -> None:
        try:
            self.temporary.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise InputError(
                f"{self.temporary} cannot be written ({problem.strerror}): choose another folder with --out"
            ) from None

    def _written(self, saving: Future[Any]) -> None:
        """In the background: sizes and checksums of this process's share of the files."""
        try:
            saving.result()
            for path in self.temporary.glob(f"shard-{self.ranks.rank + 1:05d}-*"):  # on a shared disk, sure to be seen
                self._files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
        except BaseException as error:  # reported by ``finish``, in the foreground
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            full = "No space left" in reason
            remedy = "the disk is full: free space, or resume elsewhere" if full else "is the folder still there?"
            self._error = f"{self.temporary} could not be written ({reason}): {remedy}"
        finally:
            self._hashed.set()

    @property
    def under_way(self) -> bool:
        return self._saving is not None

    @property
    def is_written(self) -> bool:
        """Whether this process has nothing left to write."""
        return self._hashed.is_set()

    def finish(self) -> Path | None:
        """Wait for the save under way and make it the latest checkpoint; the older ones but ``keep`` go.

        Raises:
            InputError: it could not be written; the checkpoint before it is still the latest.
        """
        if self._saving is None:
            return None
        self._hashed.wait()
        self._saving = None
        parts = self.ranks.gather_objects(self._files)
        self.ranks.raise_together(self._error)
        files = {name: entry for part in parts for name, entry in part.items()}
        self.ranks.on_main(lambda: self._publish(dict(sorted(files.items()))))
        return self.layout.checkpoint(self._progress["step"])

    def _publish(self, files: dict[str, dict[str, Any]]) -> None:
        """Give what is written its final name."""
        step = self._progress["step"]
        folder = self.layout.checkpoint(step)
        write_json(self.temporary / PROGRESS, {**self._progress, "processes": self.ranks.size, "files": files})
        if folder.exists():
            shutil.rmtree(folder)
        self.temporary.rename(folder)
        self.layout.set_latest(step)
        earlier = [number for number in self.layout.steps() if number <= step]  # later ones: the run was taken back
        for old in earlier[: -self.keep]:
            shutil.rmtree(self.layout.checkpoint(old), ignore_errors=True)


def load_checkpoint(folder: Path, state: TrainingState, ranks: Ranks) -> dict[str, Any]:
    """Restore everything in place, by whatever number of processes it was written; returns the progress.

    Raises:
        InputError: a file is missing or damaged (an earlier whole checkpoint is then named), or does not fit this run.
    """
    try:
        progress = ranks.together(lambda: undamaged(folder, ranks))
    except InputError as error:
        problem = str(error)
        ranks.on_main(lambda: offer_earlier(folder, problem))  # raises on all; only one reads the earlier ones through
        raise
    reader = HuggingFaceStorageReader(str(folder))
    stored = {name: tuple(entry.size) for name, entry in _metadata(reader).items()}
    tensors = state.empty(stored, str(folder))
    dcp.load(tensors, storage_reader=reader, no_dist=ranks.size == 1)
    state.take(tensors)
    return progress


def _metadata(reader: HuggingFaceStorageReader) -> dict[str, Any]:
    return dict(reader.read_metadata().state_dict_metadata)


def read_progress(folder: Path) -> dict[str, Any]:
    """The checkpoint's ``progress.json``, checked."""
    progress = read_json(folder / PROGRESS)
    known = isinstance(progress, dict) and isinstance(progress.get("step"), int)
    if not known or not isinstance(progress.get("files"), dict):  # pyright: ignore[reportAttributeAccessIssue]
        raise InputError(f"{folder / PROGRESS} is not a checkpoint's")
    return progress  # pyright: ignore[reportReturnType]


def undamaged(folder: Path, ranks: Ranks) -> dict[str, Any]:
    """The checkpoint's progress, after this process's share of its files has been found whole."""
    progress = read_progress(folder)
    if problem := damage(folder, progress, ranks.rank, ranks.size):
        raise InputError(problem)
    return progress


def damage(folder: Path, progress: dict[str, Any], rank: int = 0, size: int = 1) -> str | None:
    """What is wrong with this process's share of the files; None if they are what was written."""
    for name, entry in list(progress["files"].items())[rank::size]:
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_size != entry["bytes"]:
            return f"{path} is damaged: it has {path.stat().st_size} bytes, {entry['bytes']} were written"
        if sha256(path) != entry["sha256"]:
            return f"{path} is damaged: its checksum is not that of what was written"
    return None


def offer_earlier(folder: Path, problem: str) -> NoReturn:
    """Raise ``problem`` with ``folder``, naming the last checkpoint before it that is whole."""
    layout = RunLayout(folder.parent.parent)
    for step in reversed(layout.steps()):
        earlier = layout.checkpoint(step)
        if earlier.name < folder.name and is_whole(earlier):
            raise InputError(f"{problem}: the checkpoint of step {step} is whole: resume with --at {step}")
    raise InputError(f"{problem}: no earlier checkpoint is whole: start again, or restore the file")


def is_whole(folder: Path) -> bool:
    """Whether every file of the checkpoint is what was written."""
    try:
        return damage(folder, read_progress(folder)) is None
    except InputError:
        return False


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
