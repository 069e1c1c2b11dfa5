"""The held-out evaluation: all methods over all cases, resumable, to one table and two sheets."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from rich.progress import Progress

from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig
from video4spatial.evaluate.baselines import hold_first_frame
from video4spatial.evaluate.benchmark import GroundingCase, NavigationCase, grounding_cases, navigation_cases
from video4spatial.evaluate.layout import EvaluationLayout, read_strip, write_strip
from video4spatial.evaluate.measure import GroundingMeasure, measure_navigation, read_answer
from video4spatial.evaluate.table import (
    CEILING,
    CaseResult,
    GroundingResult,
    grounding_table,
    markdown,
    navigation_table,
)
from video4spatial.schema import Found, InputError
from video4spatial.storage.artifacts import atomic_path, read_json, write_json
from video4spatial.storage.sheet import contact_sheet, evenly, write_image

NAVIGATION_METHODS = ("full", "first_frame_only", "no_guidance", "first_frame_held", "vae_reconstruction")
GROUNDING_METHODS = ("full", "first_frame_only", "no_guidance", "ground_truth")

_METHODS = {"navigation": NAVIGATION_METHODS, "grounding": GROUNDING_METHODS}
_FORMAT = 1  # raise it when cases or measures change their meaning: old rows are then refused
_SHEET_FRAMES = 8

Case = NavigationCase | GroundingCase
Frames = UInt8[np.ndarray, "T H W 3"]
Generate = Callable[[str, Case, int], tuple[np.ndarray, Found | None]]
Row = dict[str, Any]


@dataclass
class HeldOutEvaluation:
    """Runs every method over every case, and writes ``table.json``, ``table.md`` and a contact sheet a task.

    Stopped and started again it goes on where it was: each case's rows are kept in ``out/cases``. The counts may grow
    from one run to the next; everything else must stay.

    Args:
        config: the rooms, their size, rate and the context's length.
        generate: ``(method, case, seed) -> (frames, found)``; asked for "full", "first_frame_only" and "no_guidance".
            The frames have the shape of ``case.truth.frames``; ``found`` is what grounding read back, else None.
        reconstruct: frames through the model's VAE and back, at their shape: the ceiling.
        out: the folder to write.
        settings: what else tells this run from another (model, steps, guidance, ...), ready for JSON.
        navigation, grounding: how many cases of each, 0 for none.
        target_frames, grounding_frames: clip lengths, 4k + 1; the second includes the box tail.
        seed: each case is generated with ``seed`` plus its number, the same for all methods.
        sheet_cases: how many of the first cases are shown.
        progress: show a bar on the terminal.
    """

    config: RoomsConfig
    generate: Generate
    reconstruct: Callable[[np.ndarray], np.ndarray]
    out: Path
    settings: dict[str, Any] = field(default_factory=dict)
    navigation: int = 32
    grounding: int = 32
    target_frames: int = 49
    grounding_frames: int = 49
    seed: int = 0
    sheet_cases: int = 4
    progress: bool = True

    def run(self) -> dict[str, Any]:
        """Evaluate what is missing, write everything, and return the table.

        Raises ``InputError`` if ``out`` holds cases of other settings, no case is asked for, or ``generate`` returns
        frames of another shape.
        """
        counts = {"navigation": self.navigation, "grounding": self.grounding}
        if min(counts.values()) < 0 or not any(counts.values()):
            raise InputError(f"cases asked for: {counts}; give one or more of either")
        layout = EvaluationLayout(Path(self.out))
        settings = self._claim(layout)
        table: dict[str, Any] = {"settings": settings, "manifest": {}}
        with Progress(disable=not self.progress) as bar:
            for task, count in counts.items():
                if not count:
                    continue
                saved = self._evaluate(layout, task, count, bar)
                table["manifest"][task] = [case["manifest"] for case in saved]
                rows = [row for case in saved for row in case["rows"].values()]
                if task == "navigation":
                    table[task] = navigation_table([CaseResult.from_json(row) for row in rows])
                else:
                    table[task] = grounding_table([GroundingResult.from_json(row) for row in rows])
                self._write_sheet(layout, task, saved)
        write_json(layout.table_json, table)
        with atomic_path(layout.table_markdown) as temporary:
            temporary.write_text(markdown(table), encoding="utf-8")
        return table

    def _claim(self, layout: EvaluationLayout) -> Row:
        """Write the settings that the rows in ``out`` belong to, or check that they are these."""
        values = {
            "format": _FORMAT,
            "rooms": asdict(self.config),
            "target_frames": self.target_frames,
            "grounding_frames": self.grounding_frames,
            "seed": self.seed,
            "given": self.settings,
        }
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
        settings = {"hash": digest, **values}
        if not layout.settings.exists():
            write_json(layout.settings, settings)
            return settings
        kept = read_json(layout.settings)
        if not isinstance(kept, dict) or kept.get("hash") != digest:
            raise InputError(f"{layout.root} holds an evaluation with other settings: choose another --out")
        return settings

    def _evaluate(self, layout: EvaluationLayout, task: str, count: int, bar: Progress) -> list[Row]:
        """The saved cases, those that were missing made first."""
        methods, saved, next_seed = _METHODS[task], [], HELD_OUT_SEED
        work = bar.add_task(task, total=count * len(methods))
        for number in range(count):
            path = layout.case(task, number)
            content: Row = read_json(path) if path.exists() else {"manifest": None, "rows": {}}  # type: ignore[assignment]
            missing = [method for method in methods if method not in content["rows"]]
            bar.advance(work, len(methods) - len(missing))
            if missing:
                case = self._case(task, next_seed)
                content["manifest"] = case.to_manifest()
                self._keep_strip(layout, task, number, "context", case.context.frames)
                self._keep_strip(layout, task, number, "truth", case.truth.frames)
                for method, row, frames in self._measured(case, missing, self.seed + number):
                    self._keep_strip(layout, task, number, method, frames)
                    content["rows"][method] = row.to_json()
                    write_json(path, content)
                    bar.advance(work)
            next_seed = content["manifest"]["room_seed"] + 1
            saved.append(content | {"rows": {method: content["rows"][method] for method in methods}})
        return saved

    def _case(self, task: str, first_seed: int) -> Case:
        if task == "navigation":
            return next(navigation_cases(1, self.config, self.target_frames, first_seed))
        return next(grounding_cases(1, self.config, self.grounding_frames, first_seed))

    def _measured(
        self, case: Case, methods: list[str], seed: int
    ) -> Iterator[tuple[str, CaseResult | GroundingResult, Frames]]:
        grounding = GroundingMeasure(case) if isinstance(case, GroundingCase) else None
        for method in methods:
            frames, found = self._frames(method, case, seed)
            if isinstance(case, NavigationCase):
                yield method, measure_navigation(method, case, frames), frames
            else:
                assert grounding is not None
                yield method, grounding(method, frames, found), frames

    def _frames(self, method: str, case: Case, seed: int) -> tuple[Frames, Found | None]:
        """The method's video of the case, and what it found."""
        truth = case.truth.frames
        if method == "first_frame_held":
            return hold_first_frame(case.truth, len(truth)), None
        if isinstance(case, GroundingCase) and method == "ground_truth":
            return truth, read_answer(truth, case)
        frames, found = (self.reconstruct(truth), None) if method == CEILING else self.generate(method, case, seed)
        if frames.shape != truth.shape or frames.dtype != np.uint8:
            made = f"{frames.dtype} {frames.shape}"
            raise InputError(f"{method} made {made} for {case.case_id}: it takes uint8 {truth.shape}")
        return frames, found

    def _keep_strip(self, layout: EvaluationLayout, task: str, number: int, row: str, frames: Frames) -> None:
        if number < self.sheet_cases:
            write_strip(layout.strip(task, number, row), frames[evenly(len(frames), _SHEET_FRAMES)])

    def _write_sheet(self, layout: EvaluationLayout, task: str, saved: list[Row]) -> None:
        given = ("context", "truth") if task == "navigation" else ("context",)  # ground_truth is a method there
        rows = {}
        for number, case in enumerate(saved[: self.sheet_cases]):
            title = case["manifest"].get("target") or case["manifest"]["case_id"]
            for name in (*given, *_METHODS[task]):
                path = layout.strip(task, number, name)
                if path.exists():  # fewer cases may have been shown when this one was made
                    label = f"{number + 1}. {title}: {name}{_caption(case['rows'].get(name))}"
                    rows[label] = read_strip(path, self.config.width)
        if rows:
            write_image(layout.sheet(task), contact_sheet(rows, _SHEET_FRAMES))


def _caption(row: Row | None) -> str:
    if row is None:
        return ""
    if "psnr" in row:
        return f", {row['psnr']:.2f} dB"
    marked = f" ({row['marked']})" if row["marked"] else ""
    return f", {row['outcome'] or 'no box'}{marked}"
