"""``video4spatial prepare``: a source of scenes into a store of latents."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from video4spatial import __version__
from video4spatial.data.origin import Origin
from video4spatial.data.source import RoomOptions, Source, open_source
from video4spatial.data.splits import read_split
from video4spatial.model.frozen import frozen_vae, native_size, vae_fingerprint
from video4spatial.prepare.estimate import estimate
from video4spatial.prepare.runners import Runner
from video4spatial.prepare.store import Chosen, Summary, choose, prepare_store
from video4spatial.prepare.verify import repair_store, verify_store
from video4spatial.prepare.work import UnitReport, Work
from video4spatial.schema import InputError, require_4k_plus_1, require_size

SOME_BAD = 3  # exit code: the run went through, but not all of it is sound
PAPER_SIZE = (416, 256)
_NAMES_SHOWN = 5
_TOLD_EVERY = 60.0  # seconds, where there is no terminal to draw a bar on
_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}  # as print would


def prepare(options: argparse.Namespace, size: tuple[int, int] | None) -> int:
    """Prepare, or what ``options`` ask for instead; the exit code."""
    if options.repair and not options.verify:
        raise InputError("--repair removes what --verify finds: give both")
    if options.verify:
        return _verify(Path(options.store), options.repair)
    source = _source(options, size or native_size(options.model) or PAPER_SIZE)
    codec = frozen_vae(options.model)
    origin = _origin(options, source, size or native_size(options.model) or PAPER_SIZE, vae_fingerprint(codec))
    chosen = choose(source, origin.only, origin.leave_out, options.limit)
    _tell_chosen(source, chosen)
    device = _device(options.device)
    if options.dry_run:
        codec.vae.to(device)
        return _dry_run(origin, chosen, codec, options.workers or 1)
    work = Work(str(Path(options.store).absolute()), origin, device)
    summary = _with_progress(work, chosen, Runner(options.workers, options.ray), options.strict)
    _tell(options.store, summary)
    return SOME_BAD if summary.bad else 0


def _source(options: argparse.Namespace, size: tuple[int, int]) -> Source:
    asked = dict(_setting(text) for text in options.set)
    given: dict[str, Any] = {"split": options.split, "tours": options.tours}
    asked |= {name: value for name, value in given.items() if value is not None}
    if options.source == "rooms":
        asked = {"width": size[0], "height": size[1]} | asked
        frames = asked.get("frames", RoomOptions.frames)
        if isinstance(frames, int):
            require_4k_plus_1(frames, "frames of a tour")
        return open_source("rooms", options.root, asked)
    return open_source(options.source, Path(options.root).absolute(), asked)


def _origin(options: argparse.Namespace, source: Source, size: tuple[int, int], fingerprint: str) -> Origin:
    require_size(*size, "--size")
    return Origin(
        kind=source.kind,
        root=source.root,
        options=source.options,
        every=source.every if options.every is None else options.every,
        size=size,
        clip=require_4k_plus_1(options.clip, "--clip"),
        vae=options.model,
        fingerprint=fingerprint,
        only=None if options.only is None else tuple(sorted(read_split(options.only))),
        leave_out=() if options.leave_out is None else tuple(sorted(read_split(options.leave_out))),
        version=__version__,
    )


def _setting(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(f"--set is {text!r}: write NAME=VALUE, for example max_gap=0.25")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device is {name!r}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU here; give auto or cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _verify(store: Path, repair: bool) -> int:
    with _bar("reading back, MB") as (bar, row):
        found = verify_store(store, lambda count: bar.advance(row, count / 1e6))
    for damage in found.damage:
        print(f"{damage.path} {damage.problem}", file=sys.stderr)
    clips = f" and {found.clips} clips" if found.clips else ""
    print(
        f"{store}: {found.videos} videos{clips} are sound, {found.bytes / 1e9:.3f} GB read, "
        f"{len(found.damage)} damaged files"
    )
    if found.unfinished:
        print(f"{found.unfinished} shards are of scenes that a run did not finish: run prepare again to go on")
    if not found.damage:
        return 0
    if not repair:
        print("to make them anew: the same with --verify --repair, which removes them; then prepare again without")
        return SOME_BAD
    units = repair_store(store, found)
    print(f"removed; {units} scenes are to be made anew: run prepare again, without --verify")
    if any(damage.of_clips for damage in found.damage):
        print("and clips: run curate again, as before")
    return SOME_BAD


def _dry_run(origin: Origin, chosen: Chosen, codec: Any, workers: int) -> int:
    with _bar("opening scenes", len(chosen.units)) as (bar, row):
        found = estimate(origin, chosen.units, codec, lambda: bar.advance(row))
    _tell_bad(found.bad)
    print(f"scenes  {len(chosen.units) - len(found.bad)} of {len(chosen.units)}, {found.videos} unbroken videos")
    print(f"frames  {found.frames} of {origin.size[0]}x{origin.size[1]}, {found.seconds / 3600:.2f} hours of video")
    print(f"latents {found.latents} (causal and single-frame)")
    print(f"disk    {found.bytes / 1e9:.3f} GB, and about 2 kB a video")
    if found.rate:
        hours = found.frames / found.rate / workers / 3600
        how = f"{found.rate:.1f} frames/s: {found.timed} frames of the first scene, read and encoded here just now"
        print(f"time    {hours:.2f} hours with {workers} processes if each does {how}, on {codec.vae.device}")
    print("nothing was written")
    return SOME_BAD if found.bad else 0


class _Speed(ProgressColumn):
    """Frames a second since the run began."""

    def render(self, task: Task) -> Text:
        frames, elapsed = task.fields.get("frames", 0), task.elapsed or 0
        return Text(f"{frames / elapsed:.1f} frames/s" if frames and elapsed else "")


@contextmanager
def _bar(what: str, total: int | None = None) -> Iterator[tuple[Progress, Any]]:
    """On stderr, and only where someone looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        yield bar, bar.add_task(what, total=total, frames=0)


def _with_progress(work: Work, chosen: Chosen, runner: Runner, strict: bool) -> Summary:
    finished, last = 0, time.monotonic()
    with _bar("scenes", len(chosen.units)) as (bar, row):

        def begun(there: int, missing: int) -> None:
            bar.update(row, completed=there)
            if there:
                bar.console.print(f"{there} of {there + missing} scenes are there already")

        def at(frames: int) -> None:
            bar.update(row, frames=finished + frames)

        def reported(report: UnitReport) -> None:
            nonlocal finished, last
            finished += report.frames
            bar.update(row, advance=1, frames=finished)
            if bar.disable and time.monotonic() - last >= _TOLD_EVERY:  # no bar in a log file
                last, told = time.monotonic(), bar.tasks[0]
                speed = f"{finished / told.elapsed:.1f} frames/s" if told.elapsed else ""
                print(f"{told.completed:.0f} of {told.total:.0f} scenes, {speed}", file=sys.stderr, flush=True)
            if report.reason is not None:
                bar.console.print(
                    f"bad: {report.unit_id}: {report.reason}", markup=False, highlight=False, soft_wrap=True
                )

        return prepare_store(work, chosen, runner, strict, begun, reported, at)


def _tell_chosen(source: Source, chosen: Chosen) -> None:
    absent: dict[str, list[str]] = {}
    for unit in chosen.absent:
        absent.setdefault(unit.reason, []).append(unit.unit_id)
    for reason, units in absent.items():
        more = f" and {len(units) - _NAMES_SHOWN} more" if len(units) > _NAMES_SHOWN else ""
        print(f"absent: {', '.join(units[:_NAMES_SHOWN])}{more}: {reason}", file=sys.stderr)
    if chosen.unknown:
        names = f"{chosen.unknown[0]!r}" + (f" and {len(chosen.unknown) - 1} more" if len(chosen.unknown) > 1 else "")
        print(f"{source.kind} at {source.root} has no environment {names}, which the lists name", file=sys.stderr)


def _tell_bad(bad: dict[str, str]) -> None:
    for unit, reason in sorted(bad.items()):
        print(f"bad: {unit}: {reason}", file=sys.stderr)


def _tell(store: str, summary: Summary) -> None:
    left = f", {summary.left_out} left out" if summary.left_out else ""
    made = f"{summary.done} scenes done ({summary.videos} videos, {summary.frames} frames)"
    rest = f"{summary.already} were there, {len(summary.bad)} bad, {len(summary.absent)} absent{left}"
    print(f"{store}: {made}, {rest}; {summary.indexed} videos in the store")
