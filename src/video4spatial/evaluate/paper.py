"""The paper's evaluation as data (arXiv 2512.03040): every table, and of every figure what the text says of it.

Numbers are the paper's tables, digit by digit. Curves exist in the paper only as plots: no point of them was read off,
so a figure has numbers only where a table gives the very same setting (its row says so), and elsewhere the direction
that the text states in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from video4spatial.evaluate.cases import Task

Kind = Literal["table", "curve"]
Source = Literal["ours", "training", "rival", "external"]

SD, IF, IF_02, IF_01 = "sd", "if", "if_sd_0.2", "if_sd_0.1"
IQ, DD, PSNR, LPIPS = "iq", "dd", "psnr", "lpips"
BETTER: Mapping[str, str] = {SD: "lower", LPIPS: "lower"} | dict.fromkeys((IF, IF_02, IF_01, IQ, DD, PSNR), "higher")
FULL = "full"


@dataclass(frozen=True)
class PaperRow:
    """One row of a table, or one point of a figure.

    Attributes:
        label: the paper's own.
        method: the folder of its videos here.
        source: who makes them: "ours" (this model, as it is), "training" (a model of this kind, trained by ``recipe``),
            "rival" (a stock model through diffusers, given by folder), "external" (videos made elsewhere).
        values: the paper's, by column.
        words: by column the sign of (this row - full) that the text states, where there is no number.
        setting: how the paper ran it: resolution, context frames, generated frames; or the 3D information it needs.
        recipe: of ``recipes/ablations.py``; an "ours" row that has one can also be run on a model trained so.
        note: what to know when reading the row.
        x: a figure's place on its axis.
    """

    label: str
    method: str
    source: Source = "ours"
    values: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)
    setting: str = ""
    recipe: str = ""
    note: str = ""
    x: float | None = None


@dataclass(frozen=True)
class Paper:
    """A table or figure.

    Attributes:
        columns: in the paper's order.
        x_label: of a figure.
        says: the text's own words about a figure.
    """

    name: str
    title: str
    source: str
    kind: Kind
    task: Task
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    x_label: str = ""
    says: str = ""
    repeats: int = 1

    def row(self, method: str) -> PaperRow:
        """The row of a method's name."""
        return next(row for row in self.rows if row.method == method)


_TABLE_1 = (SD, IF, IF_02, IF_01, IQ, DD)
_TABLE_2 = (PSNR, LPIPS, IQ)
_TABLE_3 = (SD, IF, IF_02)
_OURS = "416x256, 336+1 context, 161+20 generated"


def _1(*values: float) -> dict[str, float]:
    return dict(zip(_TABLE_1, values, strict=True))


def _2(*values: float) -> dict[str, float]:
    return dict(zip(_TABLE_2, values, strict=True))


def _3(*values: float) -> dict[str, float]:
    return dict(zip(_TABLE_3, values, strict=True))


def _only(keys: tuple[str, ...], row: PaperRow) -> dict[str, float]:
    return {key: row.values[key] for key in keys}


TABLE_1 = Paper(
    "table1",
    "Video-based object grounding",
    "Table 1",
    "table",
    "grounding",
    _TABLE_1,
    (
        PaperRow(
            "GT*",
            "ground-truth",
            values=_1(0.0739, 1.0, 1.0, 0.8260, 0.6539, 0.9783),
            setting="416x256, no context, 161 generated",
        ),
        PaperRow(
            "Wan2.2-5B",
            "wan-i2v",
            "rival",
            _1(0.5341, 0.9439, 0.2242, 0.0934, 0.6101, 0.9277),
            setting="1280x704, 1 context, 121 generated",
        ),
        PaperRow(
            "Veo3",
            "veo3",
            "external",
            _1(0.2211, 0.9532, 0.4599, 0.3821, 0.7056, 0.7487),
            setting="1280x720, 1 context, 192 generated",
        ),
        PaperRow(
            "FramePack",
            "framepack",
            "rival",
            _1(0.3672, 0.3, 0.1, 0.1, 0.6315, 0.9678),
            setting="704x544, 104+1 context, 180 generated",
            note="with --rival it starts from one image, its history empty; the paper gave it 105 context frames",
        ),
        PaperRow("Ours", FULL, values=_1(0.1099, 0.7327, 0.6486, 0.4941, 0.6435, 0.9859), setting=_OURS),
        PaperRow(
            "Ours w/o pretraining",
            "no-pretraining",
            "training",
            _1(0.4317, 0.4990, 0.2186, 0.1214, 0.5845, 0.9803),
            setting=_OURS,
            recipe="no_pretraining",
        ),
        PaperRow(
            "Ours w/ only first frame",
            "first-frame-only",
            values=_1(0.4053, 0.7700, 0.2616, 0.1084, 0.6219, 0.9842),
            setting="416x256, 1 context, 161+20 generated",
            note="the paper's Section 4.2 says SD 0.4043 of this row, its Table 1 0.4053",
        ),
        PaperRow(
            "Ours w/o CFG",
            "no-guidance",
            values=_1(0.3890, 0.4042, 0.2031, 0.1113, 0.5299, 0.9985),
            setting=_OURS,
        ),
        PaperRow(
            "Ours w/o context CFG",
            "no-context-guidance",
            values=_1(0.8294, 0.8841, 0.0373, 0.0112, 0.4909, 0.9937),
            setting=_OURS,
        ),
        PaperRow(
            "Ours w/o auxiliary bbox",
            "no-box-tail",
            "training",
            _1(0.1102, 0.6191, 0.5401, 0.3551, 0.6456, 0.9883),
            setting="416x256, 336+1 context, 161 generated",
            recipe="no_box_tail",
        ),
        PaperRow(
            "Ours w/ vanilla RoPE",
            "vanilla-rope",
            values=_1(0.2079, 0.7383, 0.4719, 0.2570, 0.6239, 0.8906),
            setting=_OURS,
            recipe="vanilla_rope",
            note="in sampling only, on a model that was trained with the source's indices, unless --trained gives one "
            "that was trained with contiguous ones; the paper does not say which it was",
        ),
    ),
)

TABLE_2 = Paper(
    "table2",
    "Video-based scene navigation",
    "Table 2",
    "table",
    "navigation",
    _TABLE_2,
    (
        PaperRow("AnySplat", "anysplat", "external", _2(16.40, 0.4402, 0.4568), setting="3D: camera pose"),
        PaperRow(
            "TrajectoryCrafter",
            "trajectory-crafter",
            "external",
            _2(13.56, 0.4920, 0.5630),
            setting="3D: camera pose, depth",
        ),
        PaperRow("Gen3C", "gen3c", "external", _2(12.76, 0.5695, 0.3628), setting="3D: camera pose, depth"),
        PaperRow("Ours", FULL, values=_2(14.27, 0.4674, 0.6320), setting="3D: none"),
    ),
)

TABLE_3 = Paper(
    "table3",
    "Non-continuous context sampling in training",
    "Table 3 (supplement)",
    "table",
    "grounding",
    _TABLE_3,
    (
        PaperRow("Non-continuous", FULL, values=_3(0.1099, 0.7327, 0.6486)),
        PaperRow(
            "Continuous",
            "contiguous-training",
            "training",
            _3(0.3246, 0.8497, 0.4600),
            recipe="contiguous_context",
        ),
    ),
)

_DEFAULT = "Table 1's values: the same setting"
_POINTS = (SD, IF, IF_02)

CONTEXT_LENGTH = Paper(
    "context-length",
    "Context frames at inference, trained with 169",
    "Figure 8 (a)",
    "curve",
    "grounding",
    _POINTS,
    (
        PaperRow("1", "first-frame-only", values=_only(_POINTS, TABLE_1.row("first-frame-only")), note=_DEFAULT, x=1),
        PaperRow("337", FULL, values=_only(_POINTS, TABLE_1.row(FULL)), note=_DEFAULT, x=337),
    ),
    x_label="context frames, the first frame included",
    says="Both SD and IF (SD) improves monotonically as the context frame number increases. Interestingly, IF first "
    "decreases, then rises, and finally saturates.",
)

TRAIN_CONTEXT = Paper(
    "train-context",
    "Context frames in training, inference at 337",
    "Figure 8 (b)",
    "curve",
    "grounding",
    _POINTS,
    (
        PaperRow("1", "train-context-none", "training", words={SD: 1}, recipe="train_context_none", x=1),
        PaperRow("169", FULL, values=_only(_POINTS, TABLE_1.row(FULL)), note=_DEFAULT, x=169),
        PaperRow("337", "train-context-double", "training", words={IF_02: -1}, recipe="train_context_double", x=337),
    ),
    x_label="context frames in training, the first frame included",
    says="Increasing training context generally improves spatial consistency (lower SD), whereas IF (SD) first "
    "increases, then declines, with a pronounced drop at 337 frames.",
)

REPEATS = Paper(
    "repeats",
    "Any success over repeats",
    "Figure 13 (supplement)",
    "curve",
    "grounding",
    (IF_02, IF_01, IF),
    (PaperRow("Ours", FULL),),
    x_label="repeats",
    says="Increasing the number of repeats from 1 to 5 raises IF (SD).",
    repeats=5,
)

GUIDANCE = Paper(
    "guidance",
    "Guidance scale",
    "Figure 14 (supplement)",
    "curve",
    "grounding",
    _POINTS,
    (
        PaperRow(
            "1",
            "no-guidance",
            values=_only(_POINTS, TABLE_1.row("no-guidance")),
            note="Table 1's values without CFG, which is a weight of 1",
            x=1,
        ),
        PaperRow(
            "Ours",
            FULL,
            values=_only(_POINTS, TABLE_1.row(FULL)),
            note="Table 1's values, at the paper's default scale, which it does not state",
        ),
    ),
    x_label="guidance scale",
    says="While a weight of 1 (no CFG) yields suboptimal results, performance improves significantly once the scale "
    "reaches a sufficient level (e.g., 3) and remains robust across a wide range (e.g., 3-7).",
)

PAPER: dict[str, Paper] = {
    paper.name: paper for paper in (TABLE_1, TABLE_2, TABLE_3, CONTEXT_LENGTH, TRAIN_CONTEXT, REPEATS, GUIDANCE)
}
