"""An ask, made: the pipeline (or best of N) at work with its steps told, and the files that come of it."""

import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from video4spatial.app.asked import Asked, State
from video4spatial.app.context import Context, Tell
from video4spatial.app.preview import is_due, preview
from video4spatial.app.running import Step
from video4spatial.commands.best_of import BestOf, best_of
from video4spatial.commands.demo import marked
from video4spatial.commands.path_export import Exported, export_paths
from video4spatial.commands.verifier import verifier_for
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.verify import NO_SCENE
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import Result
from video4spatial.schema import CameraPath, InputError, require_4k_plus_1
from video4spatial.storage.artifacts import write_json
from video4spatial.storage.video import write_video


@dataclass(frozen=True)
class Made:
    """A clip, the answer that goes with it, and how grounding ended."""

    result: Result
    answer: dict[str, Any]
    path: CameraPath | None
    best: BestOf | None
    seconds: float

    @property
    def state(self) -> State:
        if self.result.task == "navigate":
            return "done"
        return "not found" if self.result.found is None else "found"


def make(pipeline: Video4SpatialPipeline, context: Context, asked: Asked, tell: Tell) -> Made:
    """Sample what is asked; ``tell`` hears of every step and may raise to stop.

    Raises:
        InputError: what the pipeline refuses, or best of N where nothing can tell which clip is best.
    """
    began = time.monotonic()
    frames = require_4k_plus_1(int(pipeline.config.frames) if asked.frames is None else asked.frames)
    path = None if asked.route is None else asked.route.poses(pipeline.intrinsics, frames)
    settings: dict[str, Any] = {
        "instruction": asked.instruction,
        "path": path,
        "scene_description": asked.scene_description if asked.instruction is not None else None,
        "seed": asked.seed,
        "steps": asked.steps,
        "guidance": asked.guidance,
        "context_latents": asked.context_latents,
        "frames": frames,
    }
    if asked.best_of == 1:
        result = pipeline(context.scene, on_step=_steps(pipeline, tell), **settings)
        return Made(result, result.to_dict(), path, None, time.monotonic() - began)
    if path is not None and context.room is None:
        raise InputError("best of N cannot tell here which clip follows the path best: ask for one at a time")
    verifier, _ = verifier_for(pipeline, asked.instruction, reconstructor=context.room)
    made = 0

    def counted(*_: Any) -> None:
        nonlocal made
        made += 1

    best = best_of(
        pipeline,
        context.scene,
        asked.best_of,
        verifier,
        on_candidate=counted,
        on_step=_steps(pipeline, tell, lambda: (made, asked.best_of)),
        **settings,
    )
    return Made(best.result, best.to_dict(), path, best, time.monotonic() - began)


def _steps(
    pipeline: Video4SpatialPipeline, tell: Tell, which: Callable[[], tuple[int, int]] = lambda: (0, 1)
) -> Callable[[int, int, Any], None]:
    resident = pipeline.placement is None or pipeline.placement.offload == "none"

    def on_step(done: int, steps: int, _: Any) -> None:
        number, of = which()
        pictures: tuple[UInt8[np.ndarray, "H W 3"], ...] = ()
        if resident and is_due(done, steps):
            pictures = preview(pipeline.scheduler, pipeline.codec)
        doing = "sampling" if of == 1 else f"sampling seed {number + 1} of {of}"
        tell(Step(doing, number * steps + done, of * steps, pictures))

    return on_step


def write(made: Made, folder: Path, number: int) -> dict[str, Path]:
    """The files of an ask, by what they are; names are unique, so that copies of them can be found."""
    stem = f"{made.result.task}-{number:02d}-{secrets.token_hex(6)}"
    files = {"video": folder / f"{stem}.mp4", "answer": folder / f"{stem}.json"}
    made.result.save(files["video"])
    write_json(files["answer"], made.answer)
    if made.result.found is not None:
        files["shown"] = folder / f"{stem}-box.mp4"
        write_video(files["shown"], marked(made.result))
    if made.path is not None:
        height, width = made.result.frames.shape[1:3]
        recovered = NotComputed(NO_SCENE) if made.best is None else made.best.best.checks.recovered
        exported = folder / f"{stem}-path"
        export_paths(exported, Exported(made.path, recovered, made.result.fps, width, height))
        files["path"] = Path(shutil.make_archive(str(exported), "zip", exported))
        files["waypoints"] = folder / f"{stem}-waypoints.csv"
        shutil.copyfile(exported / "asked" / "waypoints.csv", files["waypoints"])
        shutil.rmtree(exported)
    return files
