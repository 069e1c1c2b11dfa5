"""``video4spatial experiment``: a table or figure of the paper, from the model to the numbers beside the paper's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from video4spatial.commands.evaluate import commit, evaluate_folder, machine
from video4spatial.commands.experiments import Defaults, curves_of, paper_of, rows_of
from video4spatial.commands.generate import Run, claim, generate
from video4spatial.commands.loaded import Models, Settings
from video4spatial.commands.methods import METHODS
from video4spatial.commands.reuse import bring_external, reuse
from video4spatial.evaluate.benchmarks import open_contents
from video4spatial.evaluate.beside_paper import beside_paper
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.metric import Metric
from video4spatial.evaluate.metrics import JOINTS, make_metrics
from video4spatial.evaluate.paper import FULL, Paper, PaperRow
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import TIME_STRIDE, InputError
from video4spatial.storage.artifacts import atomic_path, write_json

ALONE = (0, 1)
BESIDE = ("box", "spatial")  # metrics that stand beside the paper's: the red box, and where the camera went


@dataclass(frozen=True)
class Asked:
    """One call of ``experiment``.

    Attributes:
        trained: by row, a pipeline folder trained for it.
        external: by row (or a new row's name), a folder of videos made elsewhere.
        rivals: by row, the diffusers pipeline of a stock model.
        reuse: folders whose videos of the same method and settings are taken instead of making them again.
        metrics: None: those that the paper's columns need, and what the red box marks.
        repeats: None: the experiment's own.
        shard: share of the cases; other than all of them, only videos are made.
        workers: processes that measure.
    """

    name: str
    benchmark: Benchmark
    folder: GeneratedFolder
    settings: Settings
    load: Callable[[str], Video4SpatialPipeline]
    trained: Mapping[str, str] = field(default_factory=dict)
    external: Mapping[str, Path] = field(default_factory=dict)
    rivals: Mapping[str, str] = field(default_factory=dict)
    reuse: Sequence[Path] = ()
    metrics: Sequence[str] | None = None
    metric_settings: Sequence[str] = ()
    seed: int = 0
    repeats: int | None = None
    shard: tuple[int, int] = ALONE
    command: str = ""
    progress: bool = True
    workers: int = 1


def run_experiment(asked: Asked) -> dict[str, Any] | None:
    """Make what is missing, measure it, and write ``experiment.json`` beside the results. None after a mere share.

    Raises:
        InputError: no such experiment or row; what ``generate`` and ``evaluate`` refuse.
    """
    paper = paper_of(asked.name)
    benchmark = asked.benchmark.select(tasks=[paper.task])
    s = asked.settings
    defaults = Defaults.of(s.model, steps=s.steps, guidance=s.guidance, context_latents=s.context_latents)
    rows = rows_of(asked.name, defaults, context_latents(benchmark))
    rows = (*rows, *(PaperRow(name, name, "external") for name in asked.external if not _has(rows, name)))
    _check(asked, rows)
    metrics = metrics_of(paper, asked.metrics, asked.metric_settings)
    repeats = asked.repeats or paper.repeats
    claim(asked.folder, benchmark)
    for name, source in asked.external.items():
        bring_external(source, asked.folder, name, benchmark)
    made = brought = 0
    for run in _runs(asked, rows, benchmark, defaults, repeats):
        brought += sum(reuse(run, GeneratedFolder(other)) for other in asked.reuse)
        made += generate(run)
    console = Console(stderr=True, quiet=not asked.progress)
    console.print(f"{made} videos made" + (f", {brought} brought" if brought else ""))
    if asked.shard != ALONE:
        console.print("a share only: measure all of them by the same command without --shard")
        return None
    reasons = [_not_run(asked, row) for row in rows]
    ready = [row.method for row, reason in zip(rows, reasons, strict=True) if reason is None]
    ids = [case.case_id for case in benchmark.cases]
    results = evaluate_folder(
        asked.folder,
        metrics,
        ready,
        cases=_per_task(benchmark),
        tasks=[paper.task],
        command=asked.command,
        progress=asked.progress,
        workers=asked.workers,
        metric_settings=asked.metric_settings,
    )
    if FULL in ready:
        repeats = max(repeats, asked.folder.repeats(FULL, ids))
    experiment = described(asked, paper, rows, reasons, repeats)
    write_json(asked.folder.experiment, experiment)
    text = beside_paper(experiment, results)
    with atomic_path(asked.folder.beside_paper) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)
    return experiment


def described(
    asked: Asked, paper: Paper, rows: Sequence[PaperRow], reasons: Sequence[str | None], repeats: int
) -> dict[str, Any]:
    """What ``experiment.json`` says: the paper's rows and numbers, which method of the folder is which row, and why a
    row has none."""
    run = [row.method if reason is None else None for row, reason in zip(rows, reasons, strict=True)]
    return {
        "format": 1,
        "name": paper.name,
        "title": paper.title,
        "kind": paper.kind,
        "source": paper.source,
        "says": paper.says,
        "columns": list(paper.columns),
        "rows": [
            {
                "label": row.label,
                "method": method,
                "paper": dict(row.values),
                "not_run": reason,
                "words": dict(row.words),
                "setting": row.setting,
                "note": _note(asked, row),
            }
            for row, method, reason in zip(rows, run, reasons, strict=True)
        ],
        "curves": curves_of(paper, rows, run, repeats),
        "command": asked.command,
        "commit": commit(),
        "machine": machine(),
        "seeds": [asked.seed + repeat for repeat in range(repeats)],
    }


def metrics_of(paper: Paper, names: Sequence[str] | None = None, settings: Sequence[str] = ()) -> list[Metric]:
    """The metrics asked for; else those of the task that give a column of the paper, and ours beside them."""
    metrics = [metric for metric in make_metrics(names, settings) if paper.task in metric.tasks]
    if names is not None:
        if not metrics:
            raise InputError(f"none of --metrics {', '.join(names)} measures {paper.task}")
        return metrics
    keys = set(paper.columns)
    keys |= {need for joint in JOINTS if joint.column.key in keys for need in joint.needs}
    return [m for m in metrics if m.name in BESIDE or keys & {column.key for column in m.columns}]


def context_latents(benchmark: Benchmark) -> int:
    """Latents of the benchmark's walk-throughs."""
    frames = benchmark.settings.get("context_frames")
    if not isinstance(frames, int):
        content = next(iter(open_contents(benchmark).of(benchmark.cases[:1])))
        frames = len(content.context)
    return (frames - 1) // TIME_STRIDE + 1


def _has(rows: Sequence[PaperRow], method: str) -> bool:
    return any(row.method == method for row in rows)


def _check(asked: Asked, rows: Sequence[PaperRow]) -> None:
    """Options that name a row must name one that they are of."""
    trainable = {row.method for row in rows if row.recipe}
    rivals = {row.method for row in rows if row.source == "rival"}
    for option, given, known in (("--trained", asked.trained, trainable), ("--rival", asked.rivals, rivals)):
        unknown = sorted(set(given) - known)
        if unknown:
            there = f"use {', '.join(sorted(known))}" if known else "it has none of that kind"
            raise InputError(f"{option} {unknown[0]}=...: {asked.name} has no such row; {there}")
    twice = sorted(set(asked.external) & (asked.trained.keys() | asked.rivals.keys()))
    if twice:
        raise InputError(f"--external {twice[0]}=... and a model for the same row: give one of them")


def _runs(
    asked: Asked, rows: Sequence[PaperRow], benchmark: Benchmark, defaults: Defaults, repeats: int
) -> Iterator[Run]:
    """What is to be generated: this model's rows together, then one run for each other model."""

    def run(names: list[str], settings: Settings, renamed: str | None = None) -> Run:
        models = Models(settings, asked.load)
        shared = (asked.seed, repeats, asked.shard, renamed, asked.progress)
        return Run(benchmark, names, asked.folder, models, *shared)

    made_here = [row for row in rows if row.method not in asked.external]
    own = [row.method for row in made_here if row.source == "ours" and row.method not in asked.trained]
    if own:
        yield run(own, asked.settings)
    for row in made_here:
        if row.method in asked.trained:  # all settings but the training are full's
            same = {"steps": defaults.steps, "guidance": defaults.guidance, "context_latents": defaults.context_latents}
            if asked.settings.faster:
                del same["steps"]
            settings = replace(asked.settings, model=asked.trained[row.method], **same)
            yield run([row.method if row.method in METHODS else FULL], settings, row.method)
        elif row.method in asked.rivals:
            yield run([row.method], replace(asked.settings, rival=asked.rivals[row.method], guidance=None))


def _not_run(asked: Asked, row: PaperRow) -> str | None:
    """Why a row has no videos; None where it has. Videos that an earlier call brought or made count."""
    if row.source == "ours" or asked.folder.method(row.method).is_dir():
        return None
    if row.source == "training":
        twin = "rooms_" if asked.benchmark.kind == "rooms" else ""
        train = f"video4spatial train ablations:{twin}{row.recipe} --out runs/{row.method}"
        return f"needs its own training: {train}, then --trained {row.method}=runs/{row.method}/pipeline"
    videos = f"--external {row.method}=FOLDER with its videos"
    if row.source == "rival":
        return f"no model given: --rival {row.method}=FOLDER with its diffusers pipeline, or {videos}"
    return f"made elsewhere: give {videos}"


def _note(asked: Asked, row: PaperRow) -> str:
    if row.method in asked.trained:
        return f"trained for this row: {asked.trained[row.method]}"
    return row.note


def _per_task(benchmark: Benchmark) -> int:
    return max(benchmark.counts.values())
