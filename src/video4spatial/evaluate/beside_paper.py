"""Our numbers beside the paper's, as Markdown: each row, each column, and whether the direction agrees."""

from collections.abc import Mapping
from typing import Any

from video4spatial.evaluate.directions import Agreement, Direction, directions, tally
from video4spatial.evaluate.paper import BETTER
from video4spatial.storage.markdown import plain

_MARKS = {
    Agreement.AGREES: "✓",
    Agreement.DISAGREES: "✗",
    Agreement.UNDECIDED: "?",
    Agreement.NOT_MEASURED: "",
}


def beside_paper(experiment: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The table of ``experiment.json`` and ``results.json``."""
    found = directions(experiment, results)
    marks = {(direction.label, direction.key): _MARKS[direction.agreement] for direction in found}
    columns = experiment["columns"]
    lines = [
        f"# {experiment['title']} ({experiment['source']})",
        "",
        "Ours (the paper's); n of N: measured in so many cases, where not in all. Against full: ✓ goes the paper's "
        "way, ✗ the other, ? cannot be told (paired interval).",
        "",
        "| row | " + " | ".join(_title(key) for key in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for row in experiment["rows"]:
        cells = [_cell(row, key, results, marks.get((row["label"], key), "")) for key in columns]
        lines.append(f"| {plain(row['label'])} | " + " | ".join(cells) + " |")
    lines += any_of(experiment, results)
    missing = [row for row in experiment["rows"] if row["not_run"]]
    if missing:
        lines += ["", "Not run:", "", *(_item(row["label"], row["not_run"]) for row in missing)]
    noted = [row for row in experiment["rows"] if row["note"]]
    if noted:
        lines += ["", "Notes:", "", *(_item(row["label"], row["note"]) for row in noted)]
    if experiment["says"]:
        lines += ["", f"The paper: {experiment['says']}"]
    lines += ["", f"Directions: {', '.join(f'{count} {what}' for what, count in tally(found).items())}"]
    against = [_disagreement(direction) for direction in found if direction.agreement is Agreement.DISAGREES]
    return "\n".join([*lines, *against]) + "\n"


def any_of(experiment: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    """The share of cases that any of n repeats solves, a row an n; nothing where there are no repeats."""
    repeats = range(1, len(experiment["seeds"]) + 1)
    keys = [key for key in experiment["columns"] if _entry(results, "full", key).get("any_of")]
    if not keys:
        return []
    lines = ["", "| any of n repeats | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for n in repeats:
        entries = [_entry(results, "full", key)["any_of"].get(str(n)) for key in keys]
        cells = ["–" if e is None else f"{e['mean']:.3f} [{e['low']:.3f}, {e['high']:.3f}]" for e in entries]
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    return lines


def _item(label: str, text: str) -> str:
    """A line of a list."""
    return f"- {plain(label)}: {plain(text)}"


def _title(key: str) -> str:
    return f"{key} {'↓' if BETTER[key] == 'lower' else '↑'}"


def _cell(row: Mapping[str, Any], key: str, results: Mapping[str, Any], mark: str) -> str:
    entry = _entry(results, row["method"], key)
    mean = entry.get("mean")
    ours = "–" if mean is None else f"{mean:.4f}"
    if mean is not None and entry.get("missing"):
        ours += f", {entry['of']} of {entry['of'] + entry['missing']}"
    paper = f" ({row['paper'][key]:.4f})" if key in row["paper"] else ""
    return f"{ours}{paper} {mark}".rstrip()


def _entry(results: Mapping[str, Any], method: str | None, key: str) -> dict[str, Any]:
    for table in results["tables"].values():
        found = table["methods"].get(method, {}).get("columns", {}).get(key)
        if found is not None:
            return found
    return {}


def _disagreement(direction: Direction) -> str:
    assert direction.ours is not None
    way = "above" if direction.paper > 0 else "below"
    ours = f"{direction.ours.mean:+.4f} [{direction.ours.low:+.4f}, {direction.ours.high:+.4f}]"
    return (
        f"- {plain(direction.label)}, {direction.key}: {way} full in the paper, here {ours} over {direction.of} cases"
    )
