"""The tables of one evaluated folder: scores, differences to full, outcomes, what was not computed, settings."""

from collections.abc import Sequence

from video4spatial.evaluate.generated import VideoOutcome
from video4spatial.evaluate.report.blocks import Block, Cell, Items, Table, Text
from video4spatial.evaluate.report.figures import against_full, difference_cell, mean_cell
from video4spatial.evaluate.report.folder import Measured, OfTask
from video4spatial.evaluate.table import FULL, JOINT

STAND_IN = "stand-in"
_REASONS = 3  # shown of a method's videos with one outcome


def scores(measured: Measured, task: OfTask) -> list[Block]:
    """For each metric its means, and below them its differences to full."""
    found: list[Block] = []
    unknown: list[str] = []
    for metric, keys in task.groups.items():
        columns = [measured.shown(key) for key in keys]
        head = ["method", *(column.head for column in columns)]
        name = "several metrics together" if metric == JOINT else metric
        if all(of.figures[key].mean is None for of in task.methods.values() for key in keys if key in of.figures):
            titles = ", ".join(column.title for column in columns)
            unknown.append(f"{name} ({titles})")
            continue
        rows = [
            [Cell(method), *(mean_cell(of.figures.get(column.key), column, task.cases) for column in columns)]
            for method, of in task.methods.items()
        ]
        told = settings_of(measured, metric)
        notes = [f"Settings: {told}."] if told else []
        found.append(Table(f"{task.task.capitalize()}, {name}: means over {task.cases} cases", head, rows, notes))
        rows = [
            [Cell(rival), *(difference_cell(against_full(task, rival, c.key), c, task.cases) for c in columns)]
            for rival, of in task.differences.items()
            if of.keys() & set(keys)
        ]
        if rows:
            found.append(Table(f"{task.task.capitalize()}, {name}: each method minus {FULL}, paired", head, rows))
    if unknown:
        found.append(Text(f"{task.task.capitalize()}, without a value in any video: {'; '.join(unknown)}. Why: below."))
    if not task.groups:
        found.append(Text("No metric was measured for this task.", soft=True))
    return found


def outcomes(measured: Measured, task: OfTask) -> Table:
    """What became of every video; each row adds up to cases times repeats."""
    kinds = [outcome.value for outcome in VideoOutcome]
    head = ["method", *(kind.replace("_", " ") for kind in kinds), "total", "cases x repeats"]
    rows = []
    for method, of in task.methods.items():
        repeats = int(measured.methods.get(method, {}).get("repeats", 1))
        counts = [of.videos.get(kind, 0) for kind in kinds]
        rows.append([Cell(method), *(Cell(str(n)) for n in counts), Cell(str(sum(counts)))])
        rows[-1].append(Cell(f"{task.cases} x {repeats} = {task.cases * repeats}"))
    return Table(f"{task.task.capitalize()}: what became of the videos", head, rows)


def reasons(measured: Measured, task: OfTask) -> list[Block]:
    """Why videos are not usable, and why metrics have no value; alike reasons of several methods in one line."""
    lines = []
    unusable: dict[tuple[str, str], list[str]] = {}
    for row in measured.rows:
        if row.task == task.task and row.outcome is not VideoOutcome.OK:
            unusable.setdefault((row.method, row.outcome.value), []).append(row.reason or "no reason told")
    for (method, outcome), told in unusable.items():
        different = list(dict.fromkeys(told))
        more = f"; and {len(different) - _REASONS} more" if len(different) > _REASONS else ""
        lines.append(f"{method}, {outcome.replace('_', ' ')} {len(told)}: {'; '.join(different[:_REASONS])}{more}")
    by_reason: dict[tuple[str, str], list[str]] = {}
    for method, of in task.methods.items():
        for metric, told in of.not_computed.items():
            for reason, count in told.items():
                by_reason.setdefault((metric, reason), []).append(f"{method} {count}")
    lines += [f"{m} not computed: {why} (videos: {', '.join(of)})" for (m, why), of in sorted(by_reason.items())]
    return [Items(lines)] if lines else []


def settings_of(measured: Measured, metric: str) -> str:
    """A metric's settings as text."""
    return ", ".join(f"{key} {value}" for key, value in measured.metrics.get(metric, {}).get("settings", {}).items())


def stand_ins(measured: Measured, keys: Sequence[str]) -> list[str]:
    """A sentence for each of these columns whose metric uses a stand-in."""
    told = []
    for of in measured.metrics.values():
        of_it = [measured.shown(key).title for key in keys if key in of.get("columns", {})]
        used = [str(value) for value in of.get("settings", {}).values() if STAND_IN in str(value)]
        if of_it and used:
            told.append(f"{', '.join(of_it)}: measured with {', '.join(used)}, not with what the paper used.")
    return told


def metrics_table(measured: Measured) -> Table:
    """Every metric, its version, settings and stand-ins."""
    rows = []
    for metric, of in measured.metrics.items():
        used = [str(value) for value in of.get("settings", {}).values() if STAND_IN in str(value)]
        about = settings_of(measured, metric) or "none"
        rows.append([Cell(metric), Cell(str(of.get("version", ""))), Cell(about), Cell(", ".join(used) or "no")])
    return Table("Metrics and their settings", ["metric", "version", "settings", "stand-in"], rows)


def methods_table(measured: Measured) -> Table:
    """Every method as its ``method.json`` tells it."""
    rows = []
    for method, of in measured.methods.items():
        settings = ", ".join(f"{key} {value}" for key, value in of.get("settings", {}).items())
        taken = f"size {of.get('size', 'exact')}, length {of.get('length', 'exact')}"
        rows.append([Cell(method), Cell(str(of.get("title", ""))), Cell(str(of.get("repeats", 1)))])
        rows[-1] += [Cell(taken), Cell(settings or "none told"), Cell(str(of.get("notes", "")))]
    head = ["method", "title", "repeats", "taken as", "settings", "notes"]
    return Table("Methods and how they were run", head, rows)
