"""How far long work is, on stderr while it lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LONG = 500  # frames: shorter videos are encoded before a bar would be read


def counting_bar(console: Console | None = None, disable: bool = False, transient: bool = False) -> Progress:
    """How many of how many, and the time left, on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console or Console(stderr=True), disable=disable, transient=transient)


@contextmanager
def encoding_progress(console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """Gives the callback for ``encode_context(on_progress=...)``; a bar appears for long videos and goes at the end."""
    bar = counting_bar(console, transient=True)
    task = bar.add_task("encoding the context video, frames", total=None)

    def report(done: int, total: int) -> None:
        if total >= LONG:
            bar.start()
            bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()
