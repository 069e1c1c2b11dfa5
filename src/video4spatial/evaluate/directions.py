"""Whether an ablation goes the way it does in the paper: row by row, column by column, against the full model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from video4spatial.evaluate.paper import FULL
from video4spatial.evaluate.statistics import Interval

FEWEST = 8  # cases: a bootstrap over fewer shows too little doubt


class Agreement(StrEnum):
    """What our measurement says of the paper's direction. Every direction of the paper has exactly one."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Direction:
    """One row's column against ``full``.

    Attributes:
        paper: sign of the paper's (row - full); 0 where the two are equal, which no measurement can agree with.
        difference: the paper's; None where the text states the direction in words.
        ours: our (row - full), paired over the cases that both have a value of; None where not measured.
        of: how many cases those are.
        reason: why it is undecided or not measured.
    """

    label: str
    method: str | None
    key: str
    paper: int
    difference: float | None
    ours: Interval | None
    of: int
    agreement: Agreement
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        interval = None if self.ours is None else self.ours._asdict()
        return {**self.__dict__, "ours": interval, "agreement": self.agreement.value}


def agreement(paper: int, ours: Interval | None, of: int) -> tuple[Agreement, str]:
    """The verdict on one direction, and why where there is none: undecided where the paired interval holds 0, or is of
    fewer than 8 cases."""
    if ours is None or of == 0:
        return Agreement.NOT_MEASURED, "no case has a value of both"
    if of < FEWEST:
        return Agreement.UNDECIDED, f"{of} cases are too few to tell"
    if ours.low <= 0 <= ours.high:
        return Agreement.UNDECIDED, "the paired 95 % interval includes 0"
    if paper == 0:
        return Agreement.UNDECIDED, "the paper's values are equal"
    return (Agreement.AGREES if (ours.mean > 0) == (paper > 0) else Agreement.DISAGREES), ""


def directions(experiment: Mapping[str, Any], results: Mapping[str, Any]) -> list[Direction]:
    """Every direction that the paper gives for an experiment (``experiment.json``), judged by its ``results.json``.

    A row has one for each column with a number of the paper beside full's, or with a sign in ``words``. Rows that were
    not run are among them, not measured.
    """
    full = next((row for row in experiment["rows"] if row["method"] == FULL), None)
    known = {} if full is None else full["paper"]
    found = []
    for row in experiment["rows"]:
        if row is full:
            continue
        for key in experiment["columns"]:
            difference = None
            if key in row["paper"] and key in known:
                difference = row["paper"][key] - known[key]
                paper = (difference > 0) - (difference < 0)
            elif key in row.get("words", {}):
                paper = row["words"][key]
            else:
                continue
            ours, of = paired(results, row["method"], key)
            verdict, reason = agreement(paper, ours, of)
            if row["not_run"]:
                reason = "not run"
            found.append(Direction(row["label"], row["method"], key, paper, difference, ours, of, verdict, reason))
    return found


def paired(results: Mapping[str, Any], method: str | None, key: str) -> tuple[Interval | None, int]:
    """Our (method - full) of a column, from the paired differences (full - method) that ``results.json`` holds; and
    over how many cases."""
    if method is None:
        return None, 0
    for table in results["tables"].values():
        entry = table["differences"].get(f"{FULL} - {method}", {}).get(key)
        if entry is not None:
            return Interval(-entry["mean"], -entry["high"], -entry["low"]), entry["of"]
    return None, 0


def tally(found: Sequence[Direction]) -> dict[str, int]:
    """How many directions have which agreement; they add up to all."""
    counts = Counter(direction.agreement for direction in found)
    return {verdict.value: counts[verdict] for verdict in Agreement}
