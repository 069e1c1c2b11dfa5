"""The benchmarks there are, by name or folder, and who makes their content."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from video4spatial.evaluate.manifest import FILE, Benchmark, Contents
from video4spatial.evaluate.rooms_cases import TINY, RoomsSettings, rooms_benchmark
from video4spatial.evaluate.rooms_content import RoomsContents
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, read_json

NAMED = {
    "rooms": RoomsSettings(hidden_start=True),
    "rooms:long": RoomsSettings(
        width=192, height=128, context_frames=337, frames=181, tail_frames=20, navigation_frames=161
    ),
    "rooms:tiny": TINY,
}
_KNOWN = Path(__file__).parent / "known"  # manifests that take minutes to find; they are what `rooms_benchmark` gives


def open_benchmark(
    spec: str | Path,
    size: tuple[int, int] | None = None,
    cases: int | None = None,
    tasks: Sequence[str] | None = None,
) -> Benchmark:
    """A benchmark by name, or by the folder that holds its ``benchmark.json``.

    Args:
        size: ``(width, height)`` other than its own; for benchmarks of rooms.
        cases, tasks: a part of it (``Benchmark.select``).

    Raises:
        InputError: no such benchmark, or a size that it cannot have.
    """
    if (Path(spec) / FILE).is_file():
        benchmark = Benchmark.load(spec)
        if benchmark.kind == "files" and "files" not in benchmark.settings:  # so that a copy of the manifest finds them
            where = {**benchmark.settings, "files": str(Path(spec).resolve())}
            benchmark = replace(benchmark, settings=where)
        if size is not None and size != (benchmark.width, benchmark.height):
            raise InputError(f"{spec} is {benchmark.width}x{benchmark.height}: leave out --size, or make it anew")
    elif str(spec) in NAMED:
        benchmark = _named(str(spec), size)
    else:
        close = get_close_matches(str(spec), NAMED, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        if StoreLayout(Path(spec)).origin.is_file():
            hint = f" It is a prepared store: make a benchmark of it with `video4spatial benchmark {spec} DIR`"
        raise InputError(f"{spec} is neither a folder with {FILE} nor one of {', '.join(NAMED)}.{hint}")
    return benchmark if cases is None and tasks is None else benchmark.select(cases, tasks)


def _named(name: str, size: tuple[int, int] | None) -> Benchmark:
    settings = NAMED[name]
    width, height = size or (settings.width, settings.height)
    known = _KNOWN / f"{name.replace(':', '-')}.json"
    if known.exists() and width * settings.height == height * settings.width:  # the same view in other pixels
        kept = Benchmark.from_json(read_json(known), known)
        sized = {**kept.settings, "width": width, "height": height}
        return replace(kept, width=width, height=height, settings=sized, root=None)
    return rooms_benchmark(name, replace(settings, width=width, height=height))


def open_contents(benchmark: Benchmark) -> Contents:
    """What makes or reads the content of this benchmark's cases. Raises ``InputError`` for an unknown kind."""
    if benchmark.kind == "rooms":
        return RoomsContents(benchmark)
    if benchmark.kind == "files":
        from video4spatial.evaluate.written import WrittenContents

        return WrittenContents(benchmark)
    if benchmark.kind == "store":
        from video4spatial.evaluate.stored_content import StoredContents

        return StoredContents(benchmark)
    raise InputError(f"benchmark {benchmark.name} is of kind {benchmark.kind!r}: use rooms, store or files")
