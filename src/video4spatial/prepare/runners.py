"""Who encodes: this process, worker processes on this machine, or Ray's actors on many. All run ``Preparer``.

Each unit writes files of its own, so nothing is shared but the folder, and the order in which units end is no matter.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from video4spatial.prepare.environment import environment
from video4spatial.prepare.work import UnitReport, Work
from video4spatial.schema import InputError

if TYPE_CHECKING:
    from video4spatial.prepare.unit import Preparer

OBJECT_STORE_BYTES = 100 * 2**20  # Ray moves only names and reports


@dataclass(frozen=True)
class Runner:
    """How units are shared out.

    Attributes:
        workers: processes; None: this one alone, or with Ray one for each GPU (where there are none, each CPU) it has.
        ray: the address of a cluster, or "local" for Ray on this machine; None: without Ray.
    """

    workers: int | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers is {self.workers}: give at least 1")

    def reports(
        self, work: Work, units: Sequence[str], on_frames: Callable[[int], None] | None = None
    ) -> Iterator[UnitReport]:
        """The reports of ``units`` as they come; closing the iterator ends whoever is at work.

        ``on_frames`` is called while this process encodes, with the frames of the video at hand.
        """
        if not units:
            return iter(())
        if self.ray is not None:
            return _by_ray(work, units, self.workers, self.ray)
        if (self.workers or 1) > 1:
            return _by_processes(work, units, min(self.workers or 1, len(units)))
        return _here(work, units, on_frames)


def _here(work: Work, units: Sequence[str], on_frames: Callable[[int], None] | None) -> Iterator[UnitReport]:
    from video4spatial.prepare.unit import Preparer

    preparer = Preparer(work, on_frames)
    for unit in units:
        yield preparer.prepare_unit(unit)


def _by_processes(work: Work, units: Sequence[str], workers: int) -> Iterator[UnitReport]:
    context = multiprocessing.get_context("forkserver")  # workers start from nothing, but for the libraries
    context.set_forkserver_preload(["video4spatial.prepare.preloaded"])
    alive, hold = context.Pipe(duplex=False)
    number = context.Value("i", 0)
    pool = ProcessPoolExecutor(workers, context, _begin_worker, (work, alive, number))
    try:
        for done in as_completed([pool.submit(_in_worker, unit) for unit in units]):
            yield done.result()
    except BrokenProcessPool:
        raise InputError(
            "a worker process ended before its unit did (is there enough memory?): run again with fewer --workers"
        ) from None
    finally:
        hold.close()  # workers see it and end, in the middle of a unit if need be
        pool.shutdown(wait=True, cancel_futures=True)


_preparer: list["Preparer"] = []  # this worker process's own


def _begin_worker(work: Work, alive: Connection, number: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to end
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    torch = _torch_for_one()
    from video4spatial.prepare.unit import Preparer

    with number.get_lock():
        mine, number.value = number.value, number.value + 1
    gpus = torch.cuda.device_count() if work.device == "cuda" else 0
    _preparer.append(Preparer(replace(work, device=f"cuda:{mine % gpus}") if gpus else work))


def _end_with_parent(alive: Connection) -> None:
    """No worker outlives its parent, however that ended: two runs would write one store."""
    try:
        alive.recv()
    except (EOFError, OSError):
        os._exit(1)


def _in_worker(unit: str) -> UnitReport:
    return _preparer[0].prepare_unit(unit)


def _torch_for_one() -> Any:
    """torch in a process that shares the machine with others like it, its libraries quiet."""
    from video4spatial.model.quiet import quiet_libraries

    quiet_libraries()
    import torch

    torch.set_num_threads(1)
    return torch


class RayPreparer:
    """``Preparer`` as Ray Data runs it: rows in, rows out. What stops a run travels as a row too."""

    def __init__(self) -> None:
        self.preparer: Preparer | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        unit, stop = str(row["unit"]), ""
        try:
            if self.preparer is None:
                _torch_for_one()
                from video4spatial.prepare.unit import Preparer

                self.preparer = Preparer(Work.from_text(str(row["work"])))
            report = self.preparer.prepare_unit(unit)
        except InputError as error:
            report, stop = UnitReport(unit), str(error)
        return {**asdict(report), "reason": report.reason or "", "stop": stop}


def _by_ray(work: Work, units: Sequence[str], workers: int | None, address: str) -> Iterator[UnitReport]:
    try:
        with environment(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0"):
            import ray
            import ray.data
    except ImportError:
        raise InputError("--ray needs Ray Data: pip install 'video4spatial[ray]'") from None
    begun = not ray.is_initialized()
    if begun:
        _join_ray(ray, address, workers)
    try:
        resources = ray.cluster_resources()
        gpu = work.device == "cuda" and resources.get("GPU", 0) >= 1
        actors = workers or int(resources.get("GPU" if gpu else "CPU", 1)) or 1
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        text = work.to_text()
        rows = ray.data.from_items([{"unit": unit, "work": text} for unit in units], override_num_blocks=len(units))
        pool = ray.data.ActorPoolStrategy(size=min(actors, len(units)))
        actor: Any = RayPreparer  # Ray makes one in each process; its types want a function
        reports = rows.map(actor, compute=pool, num_cpus=1, num_gpus=1 if gpu else 0)
        for row in reports.iter_rows():
            if row["stop"]:
                raise InputError(row["stop"])
            yield UnitReport(row["unit_id"], row["videos"], row["frames"], row["reason"] or None)
    finally:
        if begun:
            ray.shutdown()


def _join_ray(ray: Any, address: str, workers: int | None) -> None:
    if address != "local":
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"--ray {address}: no cluster answers there ({error}): see `ray status`") from None
        return
    with environment(RAY_USAGE_STATS_ENABLED="0", RAY_BACKEND_LOG_LEVEL="fatal"):
        ray.init(
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=OBJECT_STORE_BYTES,
        )
