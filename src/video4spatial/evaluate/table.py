"""The table: means with their intervals, differences to the full model, and how many cases each figure is of."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from video4spatial.evaluate.cases import TASKS
from video4spatial.evaluate.generated import VideoOutcome
from video4spatial.evaluate.metric import Column, Joint, Metric, Value
from video4spatial.evaluate.repeats import any_success_of_cases
from video4spatial.evaluate.run import Row
from video4spatial.evaluate.statistics import (
    Interval,
    bootstrap_interval,
    paired_difference,
    paired_test,
    rate_interval,
)
from video4spatial.storage.markdown import plain

FULL = "full"
JOINT = "joint"
Groups = dict[str, list[Column]]


def column_groups(metrics: Sequence[Metric], joints: Sequence[Joint], task: str) -> Groups:
    """The columns of a task, by metric; figures made of several metrics are a group of their own."""
    groups: Groups = {}
    for metric in metrics:
        if task in metric.tasks:
            shown = [column for column in metric.columns if column.tasks is None or task in column.tasks]
            groups |= {metric.name: shown} if shown else {}
    present = {column.key for columns in groups.values() for column in columns}
    together = [joint.column for joint in joints if task in joint.tasks and present.issuperset(joint.needs)]
    return groups | ({JOINT: together} if together else {})


def tables(rows: Sequence[Row], metrics: Sequence[Metric], joints: Sequence[Joint] = ()) -> dict[str, Any]:
    """One table a task, ready for JSON:

    ``{task: {"cases", "methods": {method: {"videos": {outcome: n}, "columns": {key: entry}, "not_computed": {metric:
    {reason: n}}}}, "differences": {"full - rival": {key: entry}}}}``. An entry has mean, low, high, ``of`` (cases with
    a value) and ``missing`` (cases without); with repeats also ``any_of`` for rates: the share of cases that succeed in
    any of n repeats (``repeats.py``). An entry of no case has a mean of None. A difference has ``p`` beside its
    interval (``paired_test``). Outcomes add up to cases times repeats.
    """
    found: dict[str, Any] = {}
    for task in TASKS:
        of_task = [row for row in rows if row.task == task]
        if not of_task:
            continue
        groups = column_groups(metrics, joints, task)
        columns = [column for group in groups.values() for column in group]
        by_method: dict[str, list[Row]] = {}
        for row in of_task:
            by_method.setdefault(row.method, []).append(row)
        found[task] = {
            "cases": len({row.case_id for row in of_task}),
            "columns": {name: [column.key for column in group] for name, group in groups.items()},
            "methods": {method: _method(by_method[method], columns) for method in ordered(by_method)},
            "differences": _differences(by_method, columns),
        }
    return found


def ordered(methods: Sequence[str] | dict[str, Any]) -> list[str]:
    """Method names with ``full`` first, the others by name."""
    return sorted(methods, key=lambda name: (name != FULL, name))


def _method(rows: list[Row], columns: list[Column]) -> dict[str, Any]:
    reasons: dict[str, Counter[str]] = {}
    for row in rows:
        for metric, reason in row.not_computed.items():
            reasons.setdefault(metric, Counter())[reason] += 1
    outcomes = Counter(row.outcome for row in rows)
    return {
        "videos": {outcome.value: outcomes[outcome] for outcome in VideoOutcome if outcomes[outcome]},
        "columns": {column.key: _entry(rows, column) for column in columns},
        "not_computed": {metric: dict(sorted(of.items())) for metric, of in reasons.items()},
    }


def per_case(rows: Sequence[Row], key: str) -> dict[str, list[Value]]:
    """A column's values of each case, one a repeat; None where there is none. Cases it is not asked of are left out."""
    values: dict[str, list[Value]] = {}
    for row in sorted(rows, key=lambda row: (row.case_id, row.repeat)):
        if row.outcome is not VideoOutcome.NOT_APPLICABLE:
            values.setdefault(row.case_id, []).append(row.values.get(key))
    return values


def case_means(rows: Sequence[Row], key: str) -> dict[str, float]:
    """A column's mean over the repeats of each case that has a value."""
    cases = {case: [float(v) for v in of if v is not None] for case, of in per_case(rows, key).items()}
    return {case: float(np.mean(of)) for case, of in cases.items() if of}


def _entry(rows: list[Row], column: Column) -> dict[str, Any]:
    cases, means = per_case(rows, column.key), case_means(rows, column.key)
    told = {"of": len(means), "missing": len(cases) - len(means)}
    if not means:
        return {"mean": None, "low": None, "high": None, **told}
    repeats = max(len(of) for of in cases.values())
    values = list(means.values())
    entry = {**_interval(_rate(values) if column.rate else bootstrap_interval(values)), **told}
    if column.rate and repeats > 1:
        entry["any_of"] = {
            str(n): _interval(_rate(list(any_success_of_cases(cases, n).values()))) for n in range(1, repeats + 1)
        }
    return entry


def _rate(values: list[float]) -> Interval:
    """The interval of a rate's values, one a case; of truth values where no case is between."""
    whole = all(value in (0.0, 1.0) for value in values)
    return rate_interval([value == 1.0 for value in values]) if whole else bootstrap_interval(values)


def _differences(by_method: dict[str, list[Row]], columns: list[Column]) -> dict[str, Any]:
    """``full`` minus every other method, over the cases that both have a value of."""
    if FULL not in by_method:
        return {}
    found: dict[str, Any] = {}
    for rival in ordered(by_method)[1:]:
        entries = {}
        for column in columns:
            a, b = (case_means(by_method[name], column.key) for name in (FULL, rival))
            shared = sorted(a.keys() & b.keys())
            if shared:
                ours, theirs = [a[case] for case in shared], [b[case] for case in shared]
                pair, p = paired_difference(ours, theirs), paired_test(ours, theirs)
                entries[column.key] = {**_interval(pair), "of": len(shared), "p": p}
        found[f"{FULL} - {rival}"] = entries
    return found


def _interval(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def markdown(found: dict[str, Any], metrics: Sequence[Metric], joints: Sequence[Joint] = ()) -> str:
    """The tables as Markdown, a table for each task and metric."""
    parts = []
    for task, table in found.items():
        lines = [f"## {task.capitalize()}: {table['cases']} cases", ""]
        lines += ["Mean over cases [95 % bootstrap interval] (n of N measured, where not all cases have a value).", ""]
        for method, of in table["methods"].items():
            told = [f"{n} {outcome.replace('_', ' ')}" for outcome, n in of["videos"].items() if outcome != "ok"]
            lines += [f"- {plain(method)}: {', '.join(told)}"] if told else []
        lines += _not_computed(table["methods"])
        for name, columns in column_groups(metrics, joints, task).items():
            if not _has_values(table["methods"], columns):
                continue
            lines += ["", "| method | " + " | ".join(plain(_title(column)) for column in columns) + " |"]
            lines.append("|---" * (len(columns) + 1) + "|")
            for row, entries in [*_shown(table["methods"]), *table["differences"].items()]:
                cells = [_text(entries.get(column.key), column, table["cases"]) for column in columns]
                lines.append(f"| {plain(row)} | " + " | ".join(cells) + " |")
            settings = next((m.settings for m in metrics if m.name == name), {})
            if settings:
                lines += ["", plain(f"{name}: " + ", ".join(f"{key} {value}" for key, value in settings.items()))]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _not_computed(methods: dict[str, Any]) -> list[str]:
    """A line for each metric and reason, with the methods it is true of."""
    found: dict[tuple[str, str], list[str]] = {}
    for method, of in methods.items():
        for metric, reasons in of["not_computed"].items():
            for reason, n in reasons.items():
                found.setdefault((metric, reason), []).append(f"{method} {n}")
    told = (f"{metric} not computed: {reason} (videos: {', '.join(of)})" for (metric, reason), of in found.items())
    return [f"- {plain(line)}" for line in told]


def _has_values(methods: dict[str, Any], columns: Sequence[Column]) -> bool:
    return any(of["columns"][column.key]["mean"] is not None for of in methods.values() for column in columns)


def _shown(methods: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(method, of["columns"]) for method, of in methods.items()]


def _title(column: Column) -> str:
    arrow = {"higher": " ↑", "lower": " ↓", None: ""}[column.better]
    return column.title + arrow


def _text(entry: dict[str, Any] | None, column: Column, cases: int) -> str:
    if entry is None or entry["mean"] is None:
        return "–"
    d = column.digits
    of = "" if entry["of"] == cases else f" ({entry['of']} of {cases})"
    return f"{entry['mean']:.{d}f} [{entry['low']:.{d}f}, {entry['high']:.{d}f}]{of}"
