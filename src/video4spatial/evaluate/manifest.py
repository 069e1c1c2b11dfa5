"""The manifest: a benchmark's name, its settings and its cases, as one JSON file that anybody can read."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from video4spatial.evaluate.cases import TASKS, Case, CaseContent
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json, write_json

FORMAT = 1
FILE = "benchmark.json"


@dataclass(frozen=True)
class Benchmark:
    """Cases in the order in which they are worked off: those of one scene together.

    Attributes:
        kind: who makes the content: "rooms" (rendered from seeds), "store" (a prepared dataset) or "files" (written
            out, see ``written.py``).
        settings: what the content is made with, ready for JSON.
        root: the folder the manifest was read from, for kind "files".
    """

    name: str
    kind: str
    width: int
    height: int
    fps: float
    settings: dict[str, Any]
    cases: tuple[Case, ...]
    root: Path | None = field(default=None, compare=False)

    @property
    def counts(self) -> dict[str, int]:
        """Cases a task."""
        return {task: sum(case.task == task for case in self.cases) for task in TASKS}

    @property
    def digest(self) -> str:
        """Tells two benchmarks apart."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def case(self, case_id: str) -> Case:
        for case in self.cases:
            if case.case_id == case_id:
                return case
        raise InputError(f"benchmark {self.name} has no case {case_id!r}")

    def select(self, per_task: int | None = None, tasks: Sequence[str] | None = None) -> "Benchmark":
        """The same benchmark with the first ``per_task`` cases of each task, taken round the scenes, and these tasks.

        Raises ``InputError`` for fewer than one case, or an unknown task.
        """
        unknown = set(tasks or ()) - set(TASKS)
        if unknown or (tasks is not None and not tasks):
            raise InputError(f"there is no task {', '.join(sorted(unknown)) or '(none)'}: use {', '.join(TASKS)}")
        if per_task is not None and per_task < 1:
            raise InputError(f"the number of cases is {per_task}: give at least 1")
        kept: set[str] = set()
        for task in tasks or TASKS:
            turns: dict[str, int] = {}
            ranked = []
            for place, case in enumerate(case for case in self.cases if case.task == task):
                turns[case.scene_id] = turns.get(case.scene_id, -1) + 1
                ranked.append((turns[case.scene_id], place, case.case_id))
            kept |= {case_id for _, _, case_id in sorted(ranked)[:per_task]}
        return replace(self, cases=tuple(case for case in self.cases if case.case_id in kept))

    def shard(self, number: int, of: int) -> tuple[Case, ...]:
        """The ``number``-th of ``of`` contiguous shares (a scene's cases stay together as far as they can)."""
        if not 0 <= number < of:
            raise InputError(f"--shard is {number}/{of}: give NUMBER/OF with NUMBER from 0 to {of - 1}")
        count = len(self.cases)
        return self.cases[number * count // of : (number + 1) * count // of]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "kind": self.kind,
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "counts": self.counts,
            "settings": self.settings,
            "cases": [case.to_json() for case in self.cases],
        }

    def save(self, folder: str | Path) -> None:
        """Write ``folder/benchmark.json``."""
        write_json(Path(folder) / FILE, self.to_json())

    @classmethod
    def load(cls, folder: str | Path) -> "Benchmark":
        """Read ``folder/benchmark.json``; ``InputError`` naming the file and what is wrong with it."""
        path = Path(folder) / FILE
        return cls.from_json(read_json(path), path)

    @classmethod
    def from_json(cls, content: Any, path: Path) -> "Benchmark":
        """``load`` of parsed content; ``path`` is named in errors."""
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{path} is not a benchmark of format {FORMAT}: see docs/evaluation-benchmarks.md")
        rows = content.get("cases")
        if not isinstance(rows, list) or not rows:
            raise InputError(f"{path} lists no cases")
        try:
            name, kind = str(content["name"]), str(content["kind"])
            width, height, fps = int(content["width"]), int(content["height"]), float(content["fps"])
            settings = dict(content["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: {error} is missing or of the wrong kind") from None
        cases = tuple(Case.from_json(row, f"{path}, case {number}") for number, row in enumerate(rows))
        if len({case.case_id for case in cases}) < len(cases):
            raise InputError(f"{path} lists a case_id twice")
        return cls(name, kind, width, height, fps, settings, cases, path.parent)


class Contents:
    """The content of a benchmark's cases, scene by scene: what cases of one scene share is made once."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark

    def of(self, cases: Sequence[Case]) -> Iterator[CaseContent]:
        """Each case's content, in this order; a scene is kept only while its cases last."""
        for scene_id, group in groupby(cases, key=lambda case: case.scene_id):
            scene = self.open_scene(scene_id)
            for case in group:
                yield self.content(case, scene)

    def open_scene(self, scene_id: str) -> Any:
        """What the cases of a scene share."""
        raise NotImplementedError

    def content(self, case: Case, scene: Any) -> CaseContent:
        """A case's content, given its scene."""
        raise NotImplementedError
