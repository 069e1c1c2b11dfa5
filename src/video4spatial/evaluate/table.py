"""The table: means with their intervals, what the parts of the method are worth, and every case's value."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from video4spatial.evaluate.marked import Outcome
from video4spatial.evaluate.statistics import Interval, bootstrap_interval, paired_difference, rate_interval
from video4spatial.schema import InputError

FULL, CEILING = "full", "vae_reconstruction"
MEASURES = ("psnr", "ssim")
_RATES = (
    ("found", "box read back"),
    ("right", "right, of all"),
    ("right_of_decided", "right, of decided"),
    ("decided", "decided, of boxes"),
    ("colour_agrees", "colour agrees"),
    ("centred", "centred, of boxes"),
)


@dataclass(frozen=True)
class CaseResult:
    """One method on one navigation case. ``psnr`` in dB."""

    method: str
    case_id: str
    psnr: float
    ssim: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "CaseResult":
        return cls(**row)


@dataclass(frozen=True)
class GroundingResult:
    """One method on one grounding case.

    Attributes:
        found: a red box was read back; the rest is None (``confidence`` 0) where it was not.
        outcome: what the box marks, by the room's labels.
        colour_agrees: the box's pixels have the target's colour word; None too if it has none.
        centred: the box's centre lies in the frame's central 60 % (SPEC, Instruction Following).
        marked: what was marked in words, "red chair"; empty if undecided or nothing.
        likeness: in dB, how well the view that decided it resembles the frame.
    """

    method: str
    case_id: str
    found: bool
    confidence: float
    outcome: Outcome | None = None
    colour_agrees: bool | None = None
    centred: bool | None = None
    marked: str = ""
    likeness: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": self.outcome.value if self.outcome else None}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "GroundingResult":
        outcome = None if row["outcome"] is None else Outcome(row["outcome"])
        return cls(**{**row, "outcome": outcome})


ResultT = TypeVar("ResultT", CaseResult, GroundingResult)
Rows = dict[str, list[ResultT]]


def navigation_table(results: Sequence[CaseResult]) -> dict[str, Any]:
    """PSNR and SSIM a method, paired differences to the full model, and its gap to the ceiling; ready for JSON.

    Raises ``InputError`` if there are no results, or the methods have not the same cases.
    """
    rows = _by_method(results)
    values = {method: {name: [getattr(row, name) for row in of] for name in MEASURES} for method, of in rows.items()}

    def difference(a: str, b: str) -> dict[str, Any]:
        return {name: _entry(paired_difference(values[a][name], values[b][name])) for name in MEASURES}

    table: dict[str, Any] = {
        "cases": len(next(iter(rows.values()))),
        "methods": {
            method: {name: _entry(bootstrap_interval(of[name])) for name in MEASURES} for method, of in values.items()
        },
        "differences": {},
        "values": {method: {row.case_id: [row.psnr, row.ssim] for row in of} for method, of in rows.items()},
    }
    if FULL in rows:
        rivals = [method for method in rows if method not in (FULL, CEILING)]
        table["differences"] = {f"{FULL} - {rival}": difference(FULL, rival) for rival in rivals}
        if CEILING in rows:
            table["ceiling_gap"] = difference(CEILING, FULL)
    return table


def grounding_table(results: Sequence[GroundingResult]) -> dict[str, Any]:
    """Rates a method, each with the number of cases it is taken over, and paired differences; ready for JSON.

    ``right`` counts over all cases: no box, or an undecided one, is not right. ``right_of_decided`` counts over boxes
    that could be decided. A rate over no case is None. A difference whose interval has no width says only that no case
    differed. Raises as ``navigation_table``.
    """
    rows = _by_method(results)
    methods = {}
    for method, of in rows.items():
        boxes = [row for row in of if row.found]
        decided = [row for row in boxes if row.outcome is not Outcome.UNDECIDED]
        methods[method] = {
            "found": _rate(of, lambda row: row.found),
            "right": _rate(of, _is_right),
            "right_of_decided": _rate(decided, _is_right),
            "decided": _rate(boxes, lambda row: row.outcome is not Outcome.UNDECIDED),
            "colour_agrees": _rate([row for row in boxes if row.colour_agrees is not None], lambda r: r.colour_agrees),
            "centred": _rate(boxes, lambda row: row.centred),
            "outcomes": {outcome.value: sum(row.outcome is outcome for row in of) for outcome in Outcome},
        }
    rivals = [method for method in rows if FULL in rows and method not in (FULL, "ground_truth")]
    return {
        "cases": len(next(iter(rows.values()))),
        "methods": methods,
        "differences": {
            f"{FULL} - {rival}": {
                "found": _entry(paired_difference([r.found for r in rows[FULL]], [r.found for r in rows[rival]])),
                "right": _entry(
                    paired_difference([_is_right(r) for r in rows[FULL]], [_is_right(r) for r in rows[rival]])
                ),
            }
            for rival in rivals
        },
        "values": {
            method: {row.case_id: row.outcome.value if row.outcome else "no_box" for row in of}
            for method, of in rows.items()
        },
    }


def markdown(table: dict[str, Any]) -> str:
    """The table ``{"navigation": ..., "grounding": ...}`` (either may be absent) as Markdown."""
    parts = []
    if "navigation" in table:
        of = table["navigation"]
        lines = [
            f"## Navigation: {of['cases']} held-out trajectories",
            "",
            "Mean over cases [95 % bootstrap interval]; the given first frame is not counted.",
            "",
            "| method | PSNR (dB) | SSIM |",
            "|---|---|---|",
        ]
        contrasts = dict(of["differences"])
        if "ceiling_gap" in of:
            contrasts[f"{CEILING} - {FULL}"] = of["ceiling_gap"]
        for name, row in [*of["methods"].items(), *contrasts.items()]:
            lines.append(f"| {name} | {_text(row['psnr'], 2)} | {_text(row['ssim'], 3)} |")
        parts.append("\n".join(lines))
    if "grounding" in table:
        of = table["grounding"]
        lines = [
            f"## Grounding: {of['cases']} held-out cases",
            "",
            "Share of cases [95 % interval] (of how many). A box is right if its content has the target's category and "
            "colour by the room's own labels; undecided where no view of the room resembles the frame.",
            "",
            "| method | " + " | ".join(title for _, title in _RATES) + " |",
            "|---" * (len(_RATES) + 1) + "|",
        ]
        for name, row in of["methods"].items():
            lines.append(f"| {name} | " + " | ".join(_text(row[rate], 2) for rate, _ in _RATES) + " |")
        for name, row in of["differences"].items():
            cells = [_text(row.get(rate), 2) if rate in row else "" for rate, _ in _RATES]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _by_method(results: Sequence[ResultT]) -> Rows:
    """Rows of each method, in the order of cases; methods in the order they first appear."""
    rows: Rows = {}
    for result in results:
        rows.setdefault(result.method, []).append(result)
    if not rows:
        raise InputError("a table needs results: evaluate at least one case")
    for of in rows.values():
        of.sort(key=lambda row: row.case_id)
    cases = {method: [row.case_id for row in of] for method, of in rows.items()}
    first = next(iter(cases))
    for method, ids in cases.items():
        if ids != cases[first] or len(set(ids)) != len(ids):
            raise InputError(f"{method} and {first} have not the same cases, once each: evaluate the missing ones")
    return rows


def _is_right(row: GroundingResult) -> bool:
    return row.outcome is Outcome.RIGHT


def _rate(rows: Sequence[GroundingResult], holds: Callable[[GroundingResult], bool | None]) -> dict[str, Any] | None:
    if not rows:
        return None
    return _entry(rate_interval([bool(holds(row)) for row in rows])) | {"of": len(rows)}


def _entry(interval: Interval) -> dict[str, Any]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _text(entry: dict[str, Any] | None, digits: int) -> str:
    if entry is None:
        return "–"
    of = f" ({entry['of']})" if "of" in entry else ""
    return f"{entry['mean']:.{digits}f} [{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]{of}"
