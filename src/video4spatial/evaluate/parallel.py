"""An evaluation's measuring shared out over processes, a scene at a time.

Each process appends what it measured to the same journals (``run.Kept``), so that whoever runs the evaluation after it
finds everything measured: the results are those of one process.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace

from video4spatial.evaluate.benchmarks import open_contents
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.run import Evaluation
from video4spatial.model.quiet import quiet_libraries
from video4spatial.schema import InputError


@dataclass(frozen=True)
class Measuring:
    """What a process needs to measure a part: metrics by name and setting (``make_metrics``), made in each anew."""

    folder: GeneratedFolder
    benchmark: Benchmark
    metrics: Sequence[str] | None
    settings: Sequence[str]
    methods: Sequence[str]

    def scene(self, scene_id: str) -> "Measuring":
        cases = tuple(case for case in self.benchmark.cases if case.scene_id == scene_id)
        return replace(self, benchmark=replace(self.benchmark, cases=cases))


def measure_scenes(measuring: Measuring, workers: int, on_videos: Callable[[int], None] = lambda count: None) -> None:
    """Measure all videos by ``workers`` processes; ``on_videos`` is called with the videos of each scene that is done.

    Raises ``InputError`` for fewer than one worker, or where one ended before its scene did; what the others measured
    is kept.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}: give at least 1")
    scenes = list(dict.fromkeys(case.scene_id for case in measuring.benchmark.cases))
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(scenes)), context, _begin, (measuring,))
    try:
        for done in as_completed([pool.submit(_measure, scene) for scene in scenes]):
            on_videos(done.result())
    except BrokenProcessPool:
        raise InputError(
            "a worker process ended before its scene did (is there enough memory?): run again with fewer --workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_mine: list[tuple[Measuring, list]] = []  # of this worker process: what is measured, and its metrics


def _begin(measuring: Measuring) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to end
    quiet_libraries()  # before what loads them
    import torch

    from video4spatial.evaluate.metrics import make_metrics

    torch.set_num_threads(1)  # the processes are the parallelism
    _mine.append((measuring, make_metrics(measuring.metrics, measuring.settings)))


def _measure(scene_id: str) -> int:
    whole, metrics = _mine[0]
    part = whole.scene(scene_id)
    evaluation = Evaluation(part.folder, part.benchmark, open_contents(part.benchmark), metrics, (), part.methods)
    return sum(1 for _ in evaluation.rows())
