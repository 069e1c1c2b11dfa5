"""A source into a store: what is chosen of it, what is there already, and the rest encoded by whoever runs."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from video4spatial.data.origin import keep_origin
from video4spatial.data.source import AbsentUnit, Source, SourceUnit
from video4spatial.prepare.records import is_done, read_record, source_of
from video4spatial.prepare.runners import Runner
from video4spatial.prepare.work import UnitReport, Work
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.lock import locked_store
from video4spatial.storage.scene_shards import SceneShards

REINDEX_EVERY = 50  # units; the index is only what readers see meanwhile


@dataclass(frozen=True)
class Chosen:
    """Which units are to be in the store. ``unknown`` are names in the lists of environments that nothing has."""

    units: tuple[SourceUnit, ...]
    absent: tuple[AbsentUnit, ...]
    left_out: int
    unknown: tuple[str, ...]


@dataclass
class Summary:
    """How a run ended: units encoded now, there before, bad (with their reasons), absent; and what was encoded."""

    done: int = 0
    already: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    absent: tuple[AbsentUnit, ...] = ()
    left_out: int = 0
    videos: int = 0
    frames: int = 0
    indexed: int = 0


def choose(
    source: Source, only: Sequence[str] | None = None, leave_out: Sequence[str] = (), limit: int | None = None
) -> Chosen:
    """The units of the environments ``only`` (None: all) but for those to ``leave_out``; of these the first ``limit``.

    Raises:
        InputError: nothing is left, or ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}: give at least 1")

    def wanted(environment_id: str) -> bool:
        return (only is None or environment_id in kept) and environment_id not in dropped

    kept, dropped = set(only or ()), set(leave_out)
    units = [unit for unit in source.units if wanted(unit.environment_id)]
    absent = [unit for unit in source.absent if wanted(unit.environment_id)]
    known = {unit.environment_id for unit in (*source.units, *source.absent)}
    if not units:
        reason = f"{len(absent)} listed are absent" if absent else "none is chosen" if source.units else "it is empty"
        raise InputError(f"{source.root} has nothing to prepare ({reason}): check the folder, the split and the lists")
    left_out = len(source.units) - len(units)
    return Chosen(tuple(units[:limit]), tuple(absent), left_out, tuple(sorted((kept | dropped) - known)))


def prepare_store(
    work: Work,
    chosen: Chosen,
    runner: Runner,
    strict: bool = False,
    on_begin: Callable[[int, int], None] = lambda there, missing: None,
    on_report: Callable[[UnitReport], None] = lambda report: None,
    on_frames: Callable[[int], None] | None = None,
) -> Summary:
    """Bring the store to what is chosen. Whatever ends this, what is there stays whole, and the next run goes on.

    Raises:
        InputError: the store is of another origin, is being written, or cannot be; with ``strict`` the first bad unit.
    """
    layout, shards = StoreLayout(Path(work.store)), SceneShards(work.store)
    with locked_store(layout):
        keep_origin(work.store, work.origin)
        shards.sweep()
        missing = [unit.unit_id for unit in chosen.units if not is_done(layout, unit.unit_id)]
        summary = Summary(already=len(chosen.units) - len(missing), absent=chosen.absent, left_out=chosen.left_out)
        on_begin(summary.already, len(missing))
        with (
            _finished(shards, summary),
            contextlib.closing(_closable(runner.reports(work, missing, on_frames))) as reports,
        ):
            for number, report in enumerate(reports, 1):
                _count(summary, report)
                on_report(report)
                if strict and report.reason is not None:
                    raise InputError(f"{report.unit_id}: {report.reason}")
                if number % REINDEX_EVERY == 0:
                    shards.reindex()
    return summary


def _closable(reports: Iterator[UnitReport]) -> Generator[UnitReport, None, None]:
    yield from reports


@contextlib.contextmanager
def _finished(shards: SceneShards, summary: Summary) -> Iterator[None]:
    """Leave the store in order, also when the run is broken off: no temporary files, the index up to date."""
    try:
        yield
    except BaseException:
        shards.sweep()
        with contextlib.suppress(InputError):  # the error on its way says what to do
            shards.reindex()
        raise
    shards.sweep()
    drop_stale(shards)
    summary.indexed = shards.reindex()


def drop_stale(shards: SceneShards) -> None:
    """Remove shards that their units' records do not name: of units that are bad now, and of stretches that a run was
    killed after, before the source's files changed."""
    records: dict[str, set[str] | None] = {}
    for row in shards.rows():
        unit = source_of(row)
        if unit not in records:
            path = shards.layout.scene(unit)
            videos = read_record(path).get("videos", ()) if path.exists() else None
            records[unit] = None if videos is None else {video["video_id"] for video in videos}
        named = records[unit]
        if named is not None and row["video_id"] not in named:
            (shards.layout.shards / row["shard"]).unlink(missing_ok=True)


def _count(summary: Summary, report: UnitReport) -> None:
    if report.reason is not None:
        summary.bad[report.unit_id] = report.reason
        return
    summary.done += 1
    summary.videos += report.videos
    summary.frames += report.frames
