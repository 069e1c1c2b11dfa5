"""Best of N: the same ask with N seeds, each clip verified, the best one kept, and all scores told.

from video4spatial.commands.best_of import best_of
from video4spatial.commands.verifier import verifier_for

verifier, notes = verifier_for(pipeline, instruction="the red dresser")
best = best_of(pipeline, scene, 4, verifier, instruction="the red dresser", seed=0)
best.result, best.passed, best.to_dict()["candidates"]
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.repeats import any_success
from video4spatial.evaluate.verify import GROUNDING, NAVIGATION, Checks, Preference, Verifier, rank
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import EncodedScene, Result
from video4spatial.schema import CameraPath, InputError
from video4spatial.storage.artifacts import write_json

MOST = 64


@dataclass(frozen=True)
class Candidate:
    """One seed's clip, as it was found to be."""

    seed: int
    checks: Checks

    def without_path(self) -> "Candidate":
        """The same without its recovered path and points, which are large."""
        return replace(self, checks=replace(self.checks, recovered=NotComputed("another seed's clip was kept")))

    def to_json(self) -> dict[str, Any]:
        """Seed, verdict and scores."""
        return {"seed": self.seed, "passed": self.checks.passed, **self.checks.to_json()}


Told = Callable[[Candidate, Result], None]


@dataclass(frozen=True)
class BestOf:
    """The best clip of N.

    Attributes:
        result: the clip that is kept. Of grounding it says "not found" unless it passed; what box it draws, if any, is
            among the candidate's scores.
        drawn: the same as the pipeline gave it.
        candidates: all that were made, in the order of their seeds.
        kept: which of them it is; it alone still has its recovered path.
        asked: how many there were to be; more than there are where the first that passed ended it.
    """

    result: Result
    drawn: Result
    candidates: tuple[Candidate, ...]
    kept: int
    asked: int
    verifier: Verifier

    @property
    def best(self) -> Candidate:
        """The clip that is kept, with its scores."""
        return self.candidates[self.kept]

    @property
    def passed(self) -> bool | None:
        """Whether the kept clip does what was asked, as far as was checked; None: nothing could tell."""
        return self.best.checks.passed

    @property
    def order(self) -> tuple[Preference, ...]:
        """What clips are compared by, first things first."""
        return order_of(self.result.task)

    @property
    def success_by_n(self) -> dict[str, list[float]]:
        """The chance that any of n of these seeds succeeds, n = 1 .. all: Figure 13's curve of this one ask, by the
        rule of ``experiment repeats``. Of what was checked: "passed", and "followed", whose mean is IF."""
        curves = {}
        for key in ("passed", "followed"):
            values = [candidate.checks.values.get(key) for candidate in self.candidates]
            if any(value is not None for value in values):
                curves[key] = [any_success(values, n) for n in range(1, len(values) + 1)]
        return curves

    def to_dict(self) -> dict[str, Any]:
        """The structured answer of the kept clip, and every candidate's scores or why they are missing."""
        judge, scene = self.verifier.judge, self.verifier.scene
        return self.result.to_dict() | {
            "best_of": {
                "asked": self.asked,
                "made": len(self.candidates),
                "kept_seed": self.best.seed,
                "passed": self.passed,
                "judge": None if judge is None else judge.identity,
                "reconstructor": getattr(getattr(scene, "reconstructor", None), "name", None),
                "order": [f"{step.key} ({step.better} first)" for step in self.order],
                "success_by_n": {key: [round(v, 4) for v in values] for key, values in self.success_by_n.items()},
            },
            "candidates": [candidate.to_json() for candidate in self.candidates],
        }

    def save(self, path: str | Path) -> None:
        """Write the kept clip as a video."""
        self.result.save(path)

    def save_json(self, path: str | Path) -> None:
        """Write ``to_dict``."""
        write_json(path, self.to_dict())


def order_of(task: str) -> tuple[Preference, ...]:
    """The order of preference of "ground" or "navigate"."""
    return GROUNDING if task == "ground" else NAVIGATION


def best_of(
    pipeline: Video4SpatialPipeline,
    scene: EncodedScene,
    count: int,
    verifier: Verifier,
    *,
    instruction: str | None = None,
    path: CameraPath | str | None = None,
    seed: int = 0,
    stop_at_first: bool = False,
    on_candidate: Told | None = None,
    **settings: Any,
) -> BestOf:
    """Ask with the seeds ``seed``, ``seed + 1``, ... and keep the best clip.

    Which is the best: ``evaluate.verify.rank`` in ``order_of(task)``; among equals the lowest seed. No more than two
    clips are held at a time.

    Args:
        stop_at_first: make no more once one passed.
        on_candidate: called with each candidate and its clip, as the pipeline gave it, once it is verified; raise in it
            to stop.
        settings: what else ``Video4SpatialPipeline.__call__`` takes (``steps``, ``on_step``, ...).

    Raises:
        InputError: a count below 1, what the pipeline refuses, or ``stop_at_first`` where nothing tells whether a clip
            passed.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"best-of is {count}: give from 1 to {MOST}")
    candidates: list[Candidate] = []
    kept, drawn = 0, None
    for number in range(count):
        result = pipeline(scene, instruction, path, seed=seed + number, **settings)
        candidate = Candidate(seed + number, verified(pipeline, verifier, result, instruction, path))
        if stop_at_first and candidate.checks.passed is None:
            raise InputError(f"stop-at-first has nothing to go by: {candidate.checks.missing['passed']}")
        candidates.append(candidate)
        order = order_of(result.task)
        if drawn is None or rank(candidate.checks, order) < rank(candidates[kept].checks, order):
            loser, kept, drawn = kept, number, result
        else:
            loser = number
        if loser != kept:
            candidates[loser] = candidates[loser].without_path()
        if on_candidate is not None:
            on_candidate(candidate, result)
        if stop_at_first and candidate.checks.passed:
            break
    assert drawn is not None
    answer = drawn if candidates[kept].checks.passed is not False else replace(drawn, found=None)
    return BestOf(answer, drawn, tuple(candidates), kept, count, verifier)


def verified(
    pipeline: Video4SpatialPipeline,
    verifier: Verifier,
    result: Result,
    instruction: str | None = None,
    path: CameraPath | str | None = None,
) -> Checks:
    """What the verifier finds in one clip of this ask."""
    if path is None:
        assert instruction is not None
        return verifier.grounding(result.frames, int(pipeline.config.tail_frames), instruction)
    return verifier.navigation(result.frames, pipeline.resolve_path(path, len(result.frames)))


def table_of(best: BestOf) -> Table:
    """All candidates' scores for the terminal, a dash where there is none; the kept one is marked."""
    steps = [step for step in best.order if any(step.key in c.checks.values for c in best.candidates)]
    table = Table(title=f"best of {len(best.candidates)}: seed {best.best.seed}", title_justify="left")
    table.add_column("seed", justify="right")
    for step in steps:
        table.add_column(step.title, justify="right")
    for number, candidate in enumerate(best.candidates):
        chosen = number == best.kept
        row = [_shown(candidate.checks, step) for step in steps]
        table.add_row(f"{'* ' if chosen else ''}{candidate.seed}", *row, style="bold" if chosen else None)
    return table


def missing_of(best: BestOf) -> Iterator[str]:
    """Why scores are missing, each reason once."""
    titles = {step.key: step.title for step in best.order}
    told: dict[tuple[str, str], list[int]] = {}
    for candidate in best.candidates:
        for key, reason in candidate.checks.missing.items():
            told.setdefault((key, reason), []).append(candidate.seed)
    by_reason: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (key, reason), seeds in told.items():
        by_reason.setdefault((reason, tuple(seeds)), []).append(titles.get(key, key))
    for (reason, seeds), names in by_reason.items():
        which = "" if len(seeds) == len(best.candidates) else f" (seed {', '.join(map(str, seeds))})"
        yield f"{', '.join(names)}: {reason}{which}"


def print_best_of(best: BestOf, console: Console | None = None) -> None:
    """The table and the reasons, on stderr."""
    console = console or Console(stderr=True)
    console.print(table_of(best))
    for line in missing_of(best):
        console.print(f"no {line}", style="dim", markup=False, highlight=False)


def _shown(checks: Checks, step: Preference) -> str:
    value = checks.values.get(step.key)
    if value is None:
        return "-"
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:.{step.digits}f}"
