"""The evaluation of a folder of generated videos: every metric on every video, resumable, nothing dropped."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from video4spatial.evaluate.cases import Case, CaseContent
from video4spatial.evaluate.generated import GeneratedFolder, Video, VideoOutcome
from video4spatial.evaluate.manifest import Benchmark, Contents
from video4spatial.evaluate.method_info import MethodInfo
from video4spatial.evaluate.metric import Joint, Metric, Score, Value, without_video
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.schema import InputError
from video4spatial.storage.journal import Journal

_FORMAT = 1  # raise it when rows change their meaning: kept ones are then measured again


@dataclass
class Row:
    """All that is known of one video of one case.

    Attributes:
        values: by column; None where not computed.
        not_computed: by metric, why.
        notes: by metric.
    """

    method: str
    case_id: str
    task: str
    repeat: int
    outcome: VideoOutcome
    reason: str = ""
    values: dict[str, Value] = field(default_factory=dict)
    not_computed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The row, ready for JSON."""
        return {**asdict(self), "outcome": self.outcome.value}


class Kept:
    """What one metric has measured of one method so far, found again by what it depends on."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self.rows = {record["key"]: record for _, record in self.journal.news()}

    def find(self, key: str) -> Score | NotComputed | None:
        """What was measured under this key, or None."""
        record = self.rows.get(key)
        if record is None:
            return None
        if "reason" in record:
            return NotComputed(record["reason"])
        return Score(record["values"], record["notes"])

    def add(self, key: str, case_id: str, result: Score | NotComputed) -> None:
        """Keep a result, at once on disk."""
        self.journal.append({"key": key, "case": case_id, **asdict(result)})


@dataclass
class Evaluation:
    """Measures what is missing and gives all rows: one for each method, case and repeat.

    Args:
        methods: those of the folder, unless given.
        on_video: called after each video, with the methods' name.
    """

    folder: GeneratedFolder
    benchmark: Benchmark
    contents: Contents
    metrics: Sequence[Metric]
    joints: Sequence[Joint] = ()
    methods: Sequence[str] | None = None
    on_video: Callable[[str], None] = lambda method: None

    def __post_init__(self) -> None:
        names = [column.key for metric in self.metrics for column in metric.columns]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two metrics have a column {', '.join(doubled)}")
        present = self.folder.methods()
        self.methods = present if self.methods is None else list(self.methods)
        absent = sorted(set(self.methods) - set(present))
        if absent or not self.methods:
            there = f"it holds {', '.join(present)}" if present else "it holds none"
            raise InputError(f"{self.folder.root} has no videos of {', '.join(absent) or 'any method'}: {there}")
        self.infos = {method: MethodInfo.load(self.folder.method(method)) for method in self.methods}
        ids = [case.case_id for case in self.benchmark.cases]
        self.repeats = {method: self.folder.repeats(method, ids) for method in self.methods}

    @property
    def videos(self) -> int:
        """How many rows there will be."""
        return sum(self.repeats.values()) * len(self.benchmark.cases)

    def rows(self) -> Iterator[Row]:
        """Each row as it is measured, case by case: what is needed of a case is made once for all methods."""
        kept = {
            (metric.name, method): Kept(self.folder.scores / metric.name / f"{method}.jsonl")
            for metric in self.metrics
            for method in self.infos
        }
        for content in self.contents.of(self.benchmark.cases):
            for method in self.infos:
                for repeat in range(self.repeats[method]):
                    yield self._row(content, method, repeat, kept)
                    self.on_video(method)

    def _row(self, content: CaseContent, method: str, repeat: int, kept: dict[tuple[str, str], Kept]) -> Row:
        case, size = content.case, (self.benchmark.width, self.benchmark.height)
        video = self.folder.read(method, case, size, self.benchmark.fps, repeat)
        row = Row(method, case.case_id, case.task, repeat, video.outcome, video.reason, said=video.said)
        for metric in self.metrics:
            if case.task not in metric.tasks:
                continue
            if video.outcome is not VideoOutcome.OK:
                row.values |= without_video(metric, video.outcome)
                continue
            key = self._key(metric, case, video)
            store = kept[metric.name, method]
            result = store.find(key)
            if result is None:
                result = measured(metric, content, video)
                if isinstance(result, Score) or result.keep:
                    store.add(key, case.case_id, result)
            if isinstance(result, NotComputed):
                row.not_computed[metric.name] = result.reason
                row.values |= {column.key: None for column in metric.columns}
            else:
                row.values |= result.values
                row.notes |= {metric.name: result.notes} if result.notes else {}
        for joint in self.joints:
            if case.task in joint.tasks and all(name in row.values for name in joint.needs):
                row.values[joint.column.key] = joint.of(row.values)
        return row

    def _key(self, metric: Metric, case: Case, video: Video) -> str:
        about = self.benchmark
        depends = {
            "format": _FORMAT,
            "metric": [metric.name, metric.version, metric.settings],
            "benchmark": [about.kind, about.width, about.height, about.fps, about.settings],
            "case": case.to_json(),
            "video": [video.fingerprint, asdict(self.infos[video.method])],
        }
        return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:24]


def measured(metric: Metric, content: CaseContent, video: Video) -> Score | NotComputed:
    """A metric's result with its contract held: all its columns, finite numbers, and a reason for what it cannot do."""
    try:
        result = metric(content, video)
    except InputError as error:  # a file or a package that is not there may be there the next time
        return NotComputed(str(error), keep=False)
    if isinstance(result, NotComputed):
        return result
    expected = {column.key for column in metric.columns}
    if result.values.keys() != expected:
        raise ValueError(f"metric {metric.name} gave {sorted(result.values)}, its columns are {sorted(expected)}")
    for name, value in result.values.items():
        if value is not None and not math.isfinite(value):
            return NotComputed(f"{name} came out as {value}")
    return result
