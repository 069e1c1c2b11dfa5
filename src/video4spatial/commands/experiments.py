"""The named experiments: the paper's rows (``evaluate/paper.py``), and what of our own stands beside them.

Figures are laid out around the model's own settings: the small model does at 12 context latents what the paper's does
at 84, so lengths are shares of what ``full`` looks at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from video4spatial.evaluate.paper import FULL, IF_02, PAPER, SD, Paper, PaperRow
from video4spatial.schema import TIME_STRIDE, InputError
from video4spatial.storage.artifacts import read_json

SHARES = (0, 1 / 8, 1 / 4, 1 / 2, 1)  # of full's context latents; then doubled while the walk-through has as many
SCALES = (1.0, 2.0, 3.0, 5.0, 7.0)  # the paper's text names 1 and 3 to 7

_HELD = PaperRow("First frame, held", "first-frame-held")
_SHARE = "training context, as a share of full's (paper: 169 frames)"
_TRAIN_SHARES = (
    ("train-context-none", 0.0),
    ("train-context-quarter", 0.25),
    ("train-context-half", 0.5),
    (FULL, 1.0),
    ("train-context-double", 2.0),
)


@dataclass(frozen=True)
class Defaults:
    """What ``full`` does: the model's own settings, or those asked for."""

    steps: int
    guidance: float
    context_latents: int

    @classmethod
    def of(cls, model: str, **asked: Any) -> "Defaults":
        """Those of a model's folder, without loading its weights; ``asked`` goes first where it is not None.

        Raises:
            InputError: no such model, or its settings are not there.
        """
        from video4spatial.model.load import resolve_model  # torch: a mere list of experiments does without

        path = resolve_model(model) / "model_index.json"
        kept = read_json(path)
        names = ("steps", "guidance", "context_latents")
        if not isinstance(kept, dict) or not all(name in kept for name in names):
            raise InputError(f"{path} does not say {', '.join(names)}: it is not a pipeline of this project")
        found = {name: kept[name] if asked.get(name) is None else asked[name] for name in names}
        return cls(int(found["steps"]), float(found["guidance"]), int(found["context_latents"]))


Layout = Callable[[Paper, Defaults, int], tuple[PaperRow, ...]]


def rows_of(name: str, defaults: Defaults, available: int) -> tuple[PaperRow, ...]:
    """An experiment's rows, the paper's and ours, in order. ``available``: latents of the benchmark's walk-throughs.

    Raises ``InputError`` for an unknown experiment.
    """
    paper = paper_of(name)
    layout = _LAYOUTS.get(name)
    return paper.rows if layout is None else layout(paper, defaults, available)


def paper_of(name: str) -> Paper:
    """The table or figure of that name, or ``InputError`` that lists them."""
    if name not in PAPER:
        raise InputError(f"there is no experiment {name!r}: use one of {', '.join(PAPER)}")
    return PAPER[name]


def _with(*extra: PaperRow) -> Layout:
    return lambda paper, defaults, available: (*paper.rows, *extra)


def _context_length(paper: Paper, defaults: Defaults, available: int) -> tuple[PaperRow, ...]:
    whole = defaults.context_latents
    if not 0 < whole <= available:
        raise InputError(f"full looks at {whole} latents, the walk-throughs have {available}: give --context-latents")
    counts = {int(share * whole) for share in SHARES}
    while 2 * max(counts) <= available:
        counts.add(2 * max(counts))
    rows = []
    for count in sorted(counts):
        frames = TIME_STRIDE * count + 1
        worse = {SD: 1, IF_02: -1} if count < whole else {}  # the text: both improve monotonically
        row = PaperRow(str(frames), f"context-{count}", words=worse)
        if count in (0, whole):
            row = paper.row("first-frame-only" if count == 0 else FULL)
        rows.append(replace(row, label=str(frames), x=frames, note=_where(row, frames)))
    return tuple(rows)


def _where(row: PaperRow, x: float) -> str:
    """The note of a paper's point that stands at another place here."""
    elsewhere = row.x is not None and row.x != x
    return f"{row.note} (at {row.x:g} in the paper)" if elsewhere else row.note


def _train_context(paper: Paper, defaults: Defaults, available: int) -> tuple[PaperRow, ...]:
    rows = []
    known = {row.method: row for row in paper.rows}
    for method, share in _TRAIN_SHARES:
        recipe = method.replace("-", "_")
        row = known.get(method) or PaperRow("", method, "training", recipe=recipe)
        at = "" if row.x is None else f", in the paper {row.x:g} frames"
        rows.append(replace(row, label=f"{share:g}{at}", x=share))
    return tuple(rows)


def _guidance(paper: Paper, defaults: Defaults, available: int) -> tuple[PaperRow, ...]:
    rows = []
    for scale in sorted({*SCALES, defaults.guidance}):
        if scale == defaults.guidance:
            row = paper.row(FULL)
        elif scale == 1:
            row = paper.row("no-guidance")
        else:
            row = PaperRow("", f"guidance-{scale:g}")
        rows.append(replace(row, label=f"{scale:g}", x=scale))
    return tuple(rows)


_LAYOUTS: dict[str, Layout] = {
    "table1": _with(_HELD, PaperRow("Walk-through played on from the nearest frame", "nearest-context-frame")),
    "table2": _with(
        PaperRow("True video through the VAE", "vae-reconstruction"),
        PaperRow("Ours w/ only first frame", "first-frame-only"),
        PaperRow("Nearest context frame, oracle poses", "nearest-context-frame-oracle"),
        _HELD,
    ),
    "table3": _with(PaperRow("Continuous, in sampling only", "contiguous-context")),
    "context-length": _context_length,
    "train-context": _train_context,
    "guidance": _guidance,
}


def _in_place(paper: Paper, row: PaperRow) -> bool:
    """Whether the paper's value of this row stands at the same place of its axis."""
    return paper.name == "train-context" or any(own.method == row.method and own.x == row.x for own in paper.rows)


def _drawn(values: list[float | None]) -> list[float | None] | None:
    return values if any(value is not None for value in values) else None


def curves_of(paper: Paper, rows: Sequence[PaperRow], run: Sequence[str | None], repeats: int) -> list[dict[str, Any]]:
    """A figure's curves for ``experiment.json``: one, with a series a column. ``run``: each row's method, None where it
    was not run; ``any_of`` marks the share of cases that any of x repeats solves. Of the paper only those values are
    among them that stand at the same place of its axis; None elsewhere."""
    if paper.kind == "table":
        return []
    if paper.name == "repeats":
        values: list[float] = list(range(1, repeats + 1))
        series = [
            {"label": key, "key": key, "methods": [FULL] * repeats, "paper": None, "any_of": True}
            for key in paper.columns
        ]
    else:
        values = [row.x for row in rows if row.x is not None]
        series = [
            {
                "label": key,
                "key": key,
                "methods": list(run),
                "paper": _drawn([row.values.get(key) if _in_place(paper, row) else None for row in rows]),
            }
            for key in paper.columns
        ]
    label = _SHARE if paper.name == "train-context" else paper.x_label
    return [{"x": {"label": label, "values": values}, "series": series}]
