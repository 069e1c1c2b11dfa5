"""Generated videos on disk, whoever made them: where they lie, and what may be wrong with them.

    DIR/benchmark.json                     the benchmark they answer (written by ``generate``)
    DIR/results.json, results.md           what was measured (written by ``evaluate``)
    DIR/experiment.json, experiment.md     the same beside the paper's (written by ``experiment``)
    DIR/<method>/method.json               what is said of all of a method's videos (optional)
    DIR/<method>/<case_id>.mp4             or .mov, .mkv, or a folder of images <case_id>/
    DIR/<method>/<case_id>.json            what is said of this video (optional)
    DIR/<method>/<case_id>-repeat<n>.mp4   further videos of the same case, n = 1, 2, ...

A video that cannot be measured has an outcome that says why. It is counted, never dropped.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from video4spatial.evaluate.cases import Case
from video4spatial.evaluate.method_info import MethodInfo, at_length
from video4spatial.schema import Clip, InputError
from video4spatial.storage.artifacts import read_json
from video4spatial.storage.video import probe, read_video, resize_clip

SUFFIXES = (".mp4", ".mov", ".mkv")
_METHOD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")


class VideoOutcome(Enum):
    """What became of a case's video."""

    OK = "ok"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    WRONG_LENGTH = "wrong_length"
    WRONG_SIZE = "wrong_size"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class Video:
    """One method's answer to one case.

    Attributes:
        outcome: OK, or why there are no frames.
        reason: in words, where it is not OK.
        frames: all of them, the tail included, at the benchmark's size; empty unless OK.
        own: the same frames at the system's own size, where that was another; else None.
        tail_frames: how many of the last are the box tail.
        fps: as shown: resampled videos have the benchmark's.
        said: the JSON beside the video.
        fingerprint: of the files, to know them again.
    """

    method: str
    case_id: str
    repeat: int
    outcome: VideoOutcome
    reason: str = ""
    frames: UInt8[np.ndarray, "T H W 3"] = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))
    own: UInt8[np.ndarray, "T H2 W2 3"] | None = None
    tail_frames: int = 0
    fps: float = 0.0
    said: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def moving(self) -> UInt8[np.ndarray, "T2 H W 3"]:
        """The frames ahead of the tail: what is measured as video."""
        return self.frames[: len(self.frames) - self.tail_frames]

    @property
    def own_moving(self) -> UInt8[np.ndarray, "T2 H2 W2 3"]:
        """``moving`` at the system's own size, as it came: nothing cropped, nothing resized."""
        frames = self.frames if self.own is None else self.own
        return frames[: len(frames) - self.tail_frames]

    @property
    def tail(self) -> UInt8[np.ndarray, "T2 H W 3"]:
        """The frames of its box tail."""
        return self.frames[len(self.frames) - self.tail_frames :]


@dataclass(frozen=True)
class GeneratedFolder:
    """A folder of generated videos (see the top of this file)."""

    root: Path

    @property
    def benchmark(self) -> Path:
        """The questions that the videos answer."""
        return self.root / "benchmark.json"

    @property
    def results(self) -> Path:
        """The figures, as JSON."""
        return self.root / "results.json"

    @property
    def table(self) -> Path:
        """The figures, as Markdown."""
        return self.root / "results.md"

    @property
    def experiment(self) -> Path:
        """Which table or figure of the paper the results are of (written by ``experiment``)."""
        return self.root / "experiment.json"

    @property
    def beside_paper(self) -> Path:
        """The results beside the paper's, as a table."""
        return self.root / "experiment.md"

    @property
    def scores(self) -> Path:
        """What has been measured already: one journal a metric and method."""
        return self.root / "scores"

    def method(self, name: str) -> Path:
        """The folder of a method. Raises ``InputError`` for a name that cannot be one."""
        if not _METHOD_NAME.fullmatch(name) or name == "scores":
            raise InputError(f"{name!r} cannot be a method's folder: use letters, digits, - _ . @ +")
        return self.root / name

    def video(self, method: str, case_id: str, repeat: int = 0) -> Path:
        """The video of a case, of one of a method's repeats."""
        return self.method(method) / f"{stem(case_id, repeat)}.mp4"

    def said(self, method: str, case_id: str, repeat: int = 0) -> Path:
        """What the method said beside that video, if it did."""
        return self.method(method) / f"{stem(case_id, repeat)}.json"

    def methods(self) -> list[str]:
        """The folders that hold a method's videos, by name."""
        if not self.root.is_dir():
            raise InputError(f"{self.root} is not a folder: give what `video4spatial generate --out` wrote")
        folders = (f for f in self.root.iterdir() if f.is_dir() and _METHOD_NAME.fullmatch(f.name))
        return sorted(f.name for f in folders if f.name != "scores")

    def repeats(self, method: str, case_ids: Sequence[str]) -> int:
        """How many videos a case there are at most; at least 1."""
        known, most = set(case_ids), 0
        for file in self.method(method).iterdir():
            match = re.fullmatch(r"(.+)-repeat(\d+)", file.stem if file.suffix else file.name)
            if match and match.group(1) in known:
                most = max(most, int(match.group(2)))
        return most + 1

    def read(self, method: str, case: Case, size: tuple[int, int], fps: float, repeat: int = 0) -> Video:
        """A case's video at the benchmark's size ``(width, height)``, or the outcome that says why not.

        Raises ``InputError`` only for what makes a whole method unusable: a bad ``method.json``.
        """
        info = MethodInfo.load(self.method(method))
        here = {"method": method, "case_id": case.case_id, "repeat": repeat}
        said_path = self.said(method, case.case_id, repeat)
        try:
            said = read_json(said_path) if said_path.exists() else {}
        except InputError as error:
            return Video(**here, outcome=VideoOutcome.UNREADABLE, reason=str(error))
        said = said if isinstance(said, dict) else {}
        if said.get("not_applicable"):
            return Video(**here, outcome=VideoOutcome.NOT_APPLICABLE, reason=str(said["not_applicable"]), said=said)
        path = self._find(method, case.case_id, repeat)
        if path is None:
            name = stem(case.case_id, repeat)
            return Video(**here, outcome=VideoOutcome.MISSING, reason=f"no {name}.mp4 in {method}", said=said)
        here |= {"said": said, "fingerprint": fingerprint(path)}
        tail = 0 if case.task == "navigation" else case.tail_frames if info.tail_frames is None else info.tail_frames
        try:
            probed = probe(path)
            clip = read_video(path)
        except (InputError, ValueError) as error:
            return Video(**here, outcome=VideoOutcome.UNREADABLE, reason=str(error))
        if clip.size != size and info.size == "exact":
            reason = f"{clip.size[0]}x{clip.size[1]}, not {size[0]}x{size[1]}"
            return Video(**here, outcome=VideoOutcome.WRONG_SIZE, reason=reason)
        frames = at_length(clip.frames, case.moving + tail, info.length)
        if frames is None or len(frames) < tail + 2:
            reason = f"{len(clip)} frames, not {case.moving + tail}"
            return Video(**here, outcome=VideoOutcome.WRONG_LENGTH, reason=reason)
        own = None
        if clip.size != size:
            own, frames = frames, resize_clip(Clip(frames, fps), *size).frames
        shown = fps if info.length == "resample" or path.is_dir() else probed.fps
        return Video(**here, outcome=VideoOutcome.OK, frames=frames, own=own, tail_frames=tail, fps=shown)

    def _find(self, method: str, case_id: str, repeat: int) -> Path | None:
        base = self.method(method) / stem(case_id, repeat)
        files = [base.with_name(base.name + suffix) for suffix in SUFFIXES]
        return next((path for path in (*files, base) if path.exists()), None)


def stem(case_id: str, repeat: int) -> str:
    """The name of a case's file without its suffix."""
    return f"{case_id}-repeat{repeat}" if repeat else case_id


def fingerprint(path: Path) -> str:
    """Of a video's bytes, or of all files in a folder of images."""
    digest = hashlib.sha256()
    try:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return digest.hexdigest()[:16]
