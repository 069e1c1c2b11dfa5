"""What ``evaluate`` and ``experiment`` left in a folder, read and checked before anything is shown of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from video4spatial.evaluate.directions import Direction, directions
from video4spatial.evaluate.generated import GeneratedFolder, VideoOutcome
from video4spatial.evaluate.run import Row
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json


@dataclass(frozen=True)
class Figure:
    """A mean with its interval over ``of`` cases; ``missing`` have no value. A difference has ``p``."""

    mean: float | None
    low: float | None
    high: float | None
    of: int
    missing: int
    any_of: Mapping[int, "Figure"]
    p: float | None


@dataclass(frozen=True)
class Shown:
    """How a column is shown: ``evaluate.metric.Column`` as ``results.json`` keeps it."""

    key: str
    title: str
    better: Literal["higher", "lower"] | None
    rate: bool
    digits: int

    @property
    def head(self) -> str:
        """The title with an arrow the better way."""
        arrow = {"higher": " ↑", "lower": " ↓", None: ""}[self.better]
        return self.title + arrow


@dataclass(frozen=True)
class OfMethod:
    """One method's part of a task's table."""

    videos: Mapping[str, int]
    figures: Mapping[str, Figure]
    not_computed: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class OfTask:
    """A task's table. ``differences``: by rival, full minus it."""

    task: str
    cases: int
    groups: Mapping[str, tuple[str, ...]]
    methods: Mapping[str, OfMethod]
    differences: Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Series:
    """One curve: which method and what the paper says at each x; ``any_of``: the share that any of x repeats solves."""

    label: str
    key: str
    methods: tuple[str | None, ...]
    paper: tuple[float | None, ...]
    any_of: bool


@dataclass(frozen=True)
class Curve:
    """One plot: series of figures against ``values``."""

    label: str
    values: tuple[float, ...]
    series: tuple[Series, ...]


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's and the method that is it here; ``not_run`` says why there is none."""

    label: str
    method: str | None
    paper: Mapping[str, float]
    not_run: str
    setting: str
    note: str


@dataclass(frozen=True)
class Experiment:
    """``experiment.json``, and the directions that follow from it and the results."""

    title: str
    source: str
    says: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    curves: tuple[Curve, ...]
    seeds: tuple[int, ...]
    directions: tuple[Direction, ...]


@dataclass(frozen=True)
class Measured:
    """A folder that was evaluated."""

    folder: GeneratedFolder
    made_with: Mapping[str, str]
    benchmark: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    columns: Mapping[str, Shown]
    methods: Mapping[str, Mapping[str, Any]]
    tasks: tuple[OfTask, ...]
    rows: tuple[Row, ...]
    experiment: Experiment | None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.root.resolve().name

    def shown(self, key: str) -> Shown:
        """A column; one that was not measured is shown by its key."""
        return self.columns.get(key) or Shown(key, key, None, False, 3)

    def of(self, key: str, method: str | None) -> Figure | None:
        """The figure of a method, whichever task's it is."""
        for task in self.tasks:
            if method is not None and method in task.methods and key in task.methods[method].figures:
                return task.methods[method].figures[key]
        return None

    @classmethod
    def load(cls, root: str | Path) -> "Measured":
        """Raises ``InputError`` naming the file, and what it lacks, unless both are what the commands write."""
        folder = GeneratedFolder(Path(root))
        if not folder.results.exists():
            raise InputError(f"{root} has no {folder.results.name}: run `video4spatial evaluate {root}` first")
        results: Any = read_json(folder.results)
        _require_format(results, folder.results)
        if "columns" not in results:
            raise InputError(f"{folder.results} was written by an older version: run `video4spatial evaluate {root}`")
        try:
            found = _results(folder, results)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{folder.results} is not what `evaluate` writes ({_words(error)}): run it again"
            ) from error
        path = folder.root / "experiment.json"
        if not path.exists():
            return found
        content: Any = read_json(path)
        _require_format(content, path)
        try:
            experiment = _experiment(content, results)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path} is not what `experiment` writes ({_words(error)}): run it again") from error
        return cls(**{**found.__dict__, "experiment": experiment})


def _require_format(content: Any, path: Path) -> None:
    if not isinstance(content, dict) or content.get("format") != 1:
        raise InputError(f"{path} is not of format 1: write it anew with this version of video4spatial")


def _words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _results(folder: GeneratedFolder, results: Mapping[str, Any]) -> Measured:
    return Measured(
        folder,
        {key: str(value) for key, value in results["made_with"].items()},
        dict(results["benchmark"]),
        {name: dict(of) for name, of in results["metrics"].items()},
        {key: _shown(key, of) for key, of in results["columns"].items()},
        {name: dict(of) for name, of in results["methods"].items()},
        tuple(_task(name, table) for name, table in results["tables"].items()),
        tuple(Row(**{**row, "outcome": VideoOutcome(row["outcome"])}) for row in results["rows"]),
        None,
    )


def _shown(key: str, of: Mapping[str, Any]) -> Shown:
    better = of["better"]
    if better not in ("higher", "lower", None):
        raise ValueError(f"column {key}: better is {better!r}")
    return Shown(key, str(of["title"]), better, bool(of["rate"]), int(of["digits"]))


def _task(name: str, table: Mapping[str, Any]) -> OfTask:
    methods = {
        method: OfMethod(
            {outcome: int(n) for outcome, n in of["videos"].items()},
            {key: _figure(entry) for key, entry in of["columns"].items()},
            {metric: {str(r): int(n) for r, n in reasons.items()} for metric, reasons in of["not_computed"].items()},
        )
        for method, of in table["methods"].items()
    }
    differences = {
        pair.partition(" - ")[2]: {key: _figure(entry) for key, entry in of.items()}
        for pair, of in table["differences"].items()
    }
    groups = {metric: tuple(keys) for metric, keys in table["columns"].items()}
    return OfTask(name, int(table["cases"]), groups, methods, differences)


def _figure(entry: Mapping[str, Any]) -> Figure:
    mean, low, high = (None if entry[end] is None else float(entry[end]) for end in ("mean", "low", "high"))
    any_of = {int(n): _figure({**of, "of": entry["of"]}) for n, of in entry.get("any_of", {}).items()}
    p = entry.get("p")
    return Figure(
        mean, low, high, int(entry["of"]), int(entry.get("missing", 0)), any_of, None if p is None else float(p)
    )


def _experiment(content: Mapping[str, Any], results: Mapping[str, Any]) -> Experiment:
    rows = tuple(
        PaperRow(
            str(row["label"]),
            row["method"],
            {key: float(value) for key, value in row["paper"].items()},
            str(row["not_run"] or ""),
            str(row.get("setting") or ""),
            str(row.get("note") or ""),
        )
        for row in content["rows"]
    )
    curves = tuple(
        Curve(
            str(curve["x"]["label"]),
            tuple(float(x) for x in curve["x"]["values"]),
            tuple(_series(series, len(curve["x"]["values"])) for series in curve["series"]),
        )
        for curve in content["curves"]
    )
    return Experiment(
        str(content["title"]),
        str(content["source"]),
        str(content.get("says") or ""),
        tuple(content["columns"]),
        rows,
        curves,
        tuple(content["seeds"]),
        tuple(directions(content, results)),
    )


def _series(series: Mapping[str, Any], places: int) -> Series:
    methods = tuple(series["methods"])
    paper = tuple(series["paper"] or [None] * places)
    if len(methods) != places or len(paper) != places:
        raise ValueError(f"series {series['label']} has not {places} places")
    return Series(str(series["label"]), series["key"], methods, paper, bool(series.get("any_of")))
