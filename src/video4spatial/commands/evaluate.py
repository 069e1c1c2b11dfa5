"""``video4spatial evaluate``: measure a folder of generated videos; or, given a benchmark's name, make them first."""

import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from video4spatial import __version__
from video4spatial.commands.progress import counting_bar
from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.generated import GeneratedFolder, VideoOutcome
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.metric import Column, Metric
from video4spatial.evaluate.metrics import JOINTS
from video4spatial.evaluate.parallel import Measuring, measure_scenes
from video4spatial.evaluate.run import Evaluation, Row
from video4spatial.evaluate.sheets import write_sheets
from video4spatial.evaluate.table import markdown, tables
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path, write_json

MODEL_CARD = (  # what is shown beside a small model
    "full",
    "first-frame-only",
    "no-guidance",
    "first-frame-held",
    "nearest-context-frame-oracle",
    "vae-reconstruction",
    "ground-truth",
)


def evaluate_folder(
    folder: GeneratedFolder,
    metrics: Sequence[Metric],
    methods: Sequence[str] | None = None,
    benchmark: str | None = None,
    cases: int | None = None,
    tasks: Sequence[str] | None = None,
    command: str = "",
    progress: bool = True,
    size: tuple[int, int] | None = None,
    workers: int = 1,
    metric_settings: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure what is missing, write ``results.json``, ``results.md`` and the sheets, print the tables.

    Raises ``InputError``, after that, if no video at all could be measured.

    ``benchmark`` is the name or folder of the one that the videos answer, where the folder does not hold its manifest,
    ``size`` its size if not its own. With more than one of ``workers`` so many processes measure first, a scene at a
    time; they make ``metrics`` anew from their names and ``metric_settings`` (``make_metrics``).
    """
    if not folder.root.is_dir():
        raise InputError(f"{folder.root} is not a folder: give the one that holds a folder of videos for each method")
    if benchmark is None and not folder.benchmark.exists():
        raise InputError(f"{folder.root} has no benchmark.json: say which one its videos answer, --benchmark NAME")
    asked = open_benchmark(benchmark or folder.root, size, cases, tasks)
    evaluation = Evaluation(folder, asked, open_contents(asked), metrics, JOINTS, methods)
    with counting_bar(disable=not progress) as bar:
        if workers != 1:
            shared = bar.add_task(f"measuring, {workers} processes", total=evaluation.videos)
            names = [metric.name for metric in metrics]
            part = Measuring(folder, asked, names, metric_settings, list(evaluation.infos))
            measure_scenes(part, workers, lambda count: bar.advance(shared, count))
        work = bar.add_task("measuring", total=evaluation.videos)
        evaluation.on_video = lambda method: bar.update(work, advance=1, description=f"measuring {method}")
        rows = list(evaluation.rows())
    results = described(asked, evaluation, rows, command)
    write_json(folder.results, results)
    with atomic_path(folder.table) as temporary:
        temporary.write_text(markdown(results["tables"], metrics, JOINTS), encoding="utf-8")
    write_sheets(folder, asked, open_contents(asked), list(evaluation.infos))
    print(folder.table.read_text(encoding="utf-8"))
    if not any(row.outcome is VideoOutcome.OK for row in rows):
        counts = Counter(row.outcome.value.replace("_", " ") for row in rows)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        raise InputError(
            f"none of the {len(rows)} videos in {folder.root} could be measured ({told}): check their names, sizes "
            "and lengths against docs/evaluation-benchmarks.md"
        )
    return results


def described(benchmark: Benchmark, evaluation: Evaluation, rows: list[Row], command: str) -> dict[str, Any]:
    """All that ``results.json`` says: the tables, every row, and what they were made with."""
    found = tables(rows, evaluation.metrics, evaluation.joints)
    shown = {key for table in found.values() for keys in table["columns"].values() for key in keys}
    columns = [column for metric in evaluation.metrics for column in metric.columns]
    columns += [joint.column for joint in evaluation.joints]
    return {
        "format": 1,
        "made_with": {"command": command, "commit": commit(), "version": __version__, "machine": machine()},
        "benchmark": {key: value for key, value in benchmark.to_json().items() if key != "cases"}
        | {"digest": benchmark.digest},
        "metrics": {
            metric.name: {
                "version": metric.version,
                "settings": metric.settings,
                "columns": {column.key: column.title for column in metric.columns},
            }
            for metric in evaluation.metrics
        },
        "columns": {column.key: described_column(column) for column in columns if column.key in shown},
        "methods": {
            name: {"title": info.title, "notes": info.notes, "size": info.size, "length": info.length}
            | {"settings": info.settings, "repeats": evaluation.repeats[name]}
            for name, info in evaluation.infos.items()
        },
        "tables": found,
        "rows": [row.to_json() for row in rows],
    }


def described_column(column: Column) -> dict[str, Any]:
    """What a reader needs to show a column's figures and to know a good one."""
    return {"title": column.title, "better": column.better, "rate": column.rate, "digits": column.digits}


def machine() -> str:
    """The processor and, where there is one, the GPU."""
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return f"{processor()}{gpu}"


def processor() -> str:
    """The processor's own name where the system tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    """The checkout's commit, or "unknown" for an installed package."""
    here = Path(__file__).parent
    try:
        asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return asked.stdout.strip() or "unknown"
