"""``video4spatial ground`` and ``navigate``: encode the context, ask, check if told to, write clip and answer."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video4spatial.commands.best_of import BestOf, Candidate, best_of, print_best_of
from video4spatial.commands.path_export import Exported, export_paths
from video4spatial.commands.plan import warn_before
from video4spatial.commands.progress import encoding_progress
from video4spatial.commands.verifier import verifier_for
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.verify import NO_SCENE
from video4spatial.geometry.formats import load_path
from video4spatial.geometry.paths import preset
from video4spatial.sample.modes import Sampling, choose
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import EncodedScene, Result
from video4spatial.schema import CameraPath, Intrinsics, require_4k_plus_1
from video4spatial.storage.artifacts import CandidatesLayout, write_json

Load = Callable[[str, argparse.Namespace], Video4SpatialPipeline]


@dataclass(frozen=True)
class Answer:
    """What was made: the clip, and if it was verified the best-of-N it comes from; ``path`` the one asked for."""

    result: Result
    best: BestOf | None = None
    path: CameraPath | None = None

    def save(self, options: argparse.Namespace) -> None:
        """Write the clip, and the answer and the camera paths if a place is named for them."""
        self.result.save(options.out)
        if options.json:
            (self.best or self.result).save_json(options.json)
        if options.export_path:
            told = export_paths(options.export_path, self.exported())
            if told["recovered"] is None:
                print(f"note: no recovered path is exported: {told['recovered_missing']}", file=sys.stderr)
            else:
                print(f"note: the recovered path's lengths: {told['recovered']['unit']}", file=sys.stderr)

    def exported(self) -> Exported:
        """The path asked for and the one that the clip shows."""
        height, width = self.result.frames.shape[1:3]
        recovered = NotComputed(NO_SCENE) if self.best is None else self.best.best.checks.recovered
        return Exported(self.path, recovered, self.result.fps, width, height)


def ground(options: argparse.Namespace, load: Load) -> None:
    """Go to the object that ``options.instruction`` names; print where the red box is."""
    answer = ask(options, load, instruction=options.instruction, scene_description=options.scene)
    result, best = answer.result, answer.best
    if result.settings["unknown_words"]:
        print(f"note: {options.model} does not know: {', '.join(result.settings['unknown_words'])}", file=sys.stderr)
    answer.save(options)
    if result.found is None:
        print(f"not found: {_why_not(options.instruction, best)}; the video is in {options.out}")
        return
    box, found = result.found.box, result.found
    corners = f"({box.x0:.0f}, {box.y0:.0f}) to ({box.x1:.0f}, {box.y1:.0f})"
    clearly = f"drawn clearly: {found.confidence:.2f}"
    print(f"{found.label}: red box {corners} in frame {found.frame}, {clearly}; {options.out}{_which(best)}")


def navigate(options: argparse.Namespace, load: Load) -> None:
    """Follow the camera path that ``options.path`` names."""
    answer = ask(options, load, path=lambda pipeline: camera_path(options, pipeline))
    answer.save(options)
    print(f"{len(answer.result.frames)} frames at {answer.result.fps:g} fps; {options.out}{_which(answer.best)}")


def ask(options: argparse.Namespace, load: Load, **instruction: Any) -> Answer:
    """Encode the context and generate; ``instruction`` goes to the pipeline."""
    faster = choose(options.faster, options.steps, options.weights)
    options.weights = faster.weights or options.weights
    sampling = faster.sampling(Sampling(branches="sequential" if options.sequential else "batched"))
    pipeline = load(options.model, options)
    with encoding_progress() as report:
        scene = pipeline.encode_context(options.context, options.first_frame, on_progress=report)
    path = instruction.get("path")
    if path is not None:
        path = instruction["path"] = path(pipeline)
    warn_before(pipeline, scene, options, path is not None, sampling)
    settings: dict[str, Any] = {
        "steps": faster.steps_of(pipeline.config.steps) if faster.steps else options.steps,
        "sampling": sampling,
        "guidance": options.guidance,
        "context_latents": options.context_latents,
        "frames": options.frames,
        **instruction,
    }
    if verifies(options):
        best = _best(options, pipeline, scene, settings)
        answer = Answer(best.result, best, path)
    else:
        answer = Answer(pipeline(scene, seed=options.seed, **settings), None, path)
    for name in answer.result.settings["not_trained_for"]:
        print(f"note: {options.model} was not trained for {name}: expect worse results", file=sys.stderr)
    return answer


def verifies(options: argparse.Namespace) -> bool:
    """Whether the clip is to be checked: where there is something to choose from, or to check it with."""
    return any(value is not None for value in (options.best_of, options.judge, options.reconstructor))


def _best(
    options: argparse.Namespace, pipeline: Video4SpatialPipeline, scene: EncodedScene, settings: dict[str, Any]
) -> BestOf:
    lens = None
    if settings.get("path") is not None:
        lens = settings["path"].intrinsics.resized(int(pipeline.config.width), int(pipeline.config.height))
    verifier, notes = verifier_for(
        pipeline,
        settings.get("instruction"),
        judge=options.judge,
        judge_model=options.judge_model,
        judge_cache=options.judge_cache,
        reconstructor=options.reconstructor,
        context=options.context,
        lens=lens,
    )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    kept = None if options.keep_all is None else CandidatesLayout(Path(options.keep_all))

    def keep(candidate: Candidate, result: Result) -> None:
        if kept is not None:
            result.save(kept.video(candidate.seed))
            write_json(kept.answer(candidate.seed), result.to_dict() | candidate.to_json())

    best = best_of(
        pipeline,
        scene,
        1 if options.best_of is None else options.best_of,
        verifier,
        seed=options.seed,
        stop_at_first=options.stop_at_first,
        on_candidate=keep,
        **settings,
    )
    print_best_of(best)
    return best


def _why_not(instruction: str, best: BestOf | None) -> str:
    if best is None:
        return f"no box was drawn for {instruction!r}"
    made = len(best.candidates)
    seeds = f"seed {best.best.seed}" if made == 1 else f"none of {made} seeds"
    which = "" if made == 1 else f"; seed {best.best.seed} came nearest"
    return f"{seeds} {'did not pass' if made == 1 else 'passed'} the checks for {instruction!r}{which}"


def _which(best: BestOf | None) -> str:
    return "" if best is None else f" (seed {best.best.seed}, best of {len(best.candidates)})"


def camera_path(options: argparse.Namespace, pipeline: Video4SpatialPipeline) -> CameraPath:
    """The path of a file or a preset, one pose a frame."""
    frames = require_4k_plus_1(pipeline.config.frames if options.frames is None else options.frames)
    lens = pipeline.intrinsics
    if options.fov is not None:
        lens = Intrinsics.from_horizontal_fov(options.fov, lens.width, lens.height)
    if Path(options.path).exists() or Path(options.path).suffix:
        return load_path(options.path, lens, options.format, frames)
    return CameraPath(preset(options.path, frames, options.degrees, options.metres), lens)
