"""``video4spatial benchmark``: a benchmark of rooms, or of a prepared store, written out."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from video4spatial.data.splits import read_split
from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.manifest import FILE, Benchmark
from video4spatial.evaluate.stored_cases import StoredSettings, stored_benchmark
from video4spatial.evaluate.written import write_benchmark
from video4spatial.storage.artifacts import StoreLayout


def make_benchmark(options: argparse.Namespace, size: tuple[int, int] | None) -> None:
    """Write ``options.out``: the manifest, and unless told otherwise every file."""
    folder = Path(options.benchmark)
    if StoreLayout(folder).origin.is_file() and not (folder / FILE).exists():
        asked = of_store(options).select(options.cases, options.task)
    else:
        asked = open_benchmark(options.benchmark, size, options.cases, options.task)
    if options.manifest_only:
        asked.save(options.out)
    else:
        with Progress(console=Console(stderr=True)) as bar:
            work = bar.add_task("cases", total=len(asked.cases))
            write_benchmark(asked, open_contents(asked), Path(options.out), lambda case: bar.advance(work))
    print(f"{options.out}: " + ", ".join(f"{count} {task}" for task, count in asked.counts.items()))


def of_store(options: argparse.Namespace) -> Benchmark:
    """The benchmark of a prepared and curated store, named after its folder."""
    chosen = None if options.environments is None else read_split(options.environments)
    settings = StoredSettings(
        options.benchmark,
        options.scenes,
        options.grounding,
        options.navigation,
        options.absent,
        options.navigation_frames,
        environments=chosen,
        seed=options.draw,
    )
    return stored_benchmark(Path(options.benchmark).resolve().name, settings)
