"""``video4spatial modes``: the faster modes, and what each changes."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from video4spatial.sample.modes import MODES


def print_modes() -> None:
    """Print the table of modes; without any of them sampling is exact."""
    table = Table(title="Without any of these, sampling is exact.")
    table.add_column("--faster", no_wrap=True)
    table.add_column("what it changes")
    table.add_column("result")
    for mode in MODES.values():
        table.add_row(escape(mode.usage), mode.changes, mode.accuracy)
    Console().print(table)
