"""``video4spatial ground`` and ``navigate``: encode the context, ask once, write the clip and the answer."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from video4spatial.commands.plan import warn_before
from video4spatial.commands.progress import encoding_progress
from video4spatial.geometry.formats import load_path
from video4spatial.geometry.paths import preset
from video4spatial.sample.modes import Sampling, choose
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import Result
from video4spatial.schema import CameraPath, Intrinsics, require_4k_plus_1

Load = Callable[[str, argparse.Namespace], Video4SpatialPipeline]


def ground(options: argparse.Namespace, load: Load) -> None:
    """Go to the object that ``options.instruction`` names; print where the red box is."""
    result = ask(options, load, instruction=options.instruction, scene_description=options.scene)
    if result.settings["unknown_words"]:
        print(f"note: {options.model} does not know: {', '.join(result.settings['unknown_words'])}", file=sys.stderr)
    save(result, options)
    if result.found is None:
        print(f"not found: no box was drawn for {options.instruction!r}; the video is in {options.out}")
        return
    box, found = result.found.box, result.found
    corners = f"({box.x0:.0f}, {box.y0:.0f}) to ({box.x1:.0f}, {box.y1:.0f})"
    clearly = f"drawn clearly: {found.confidence:.2f}"
    print(f"{found.label}: red box {corners} in frame {found.frame}, {clearly}; {options.out}")


def navigate(options: argparse.Namespace, load: Load) -> None:
    """Follow the camera path that ``options.path`` names."""
    result = ask(options, load, path=lambda pipeline: camera_path(options, pipeline))
    save(result, options)
    print(f"{len(result.frames)} frames at {result.fps:g} fps; {options.out}")


def ask(options: argparse.Namespace, load: Load, **instruction: Any) -> Result:
    """Encode the context and generate; ``instruction`` goes to the pipeline."""
    faster = choose(options.faster, options.steps, options.weights)
    options.weights = faster.weights or options.weights
    sampling = faster.sampling(Sampling(branches="sequential" if options.sequential else "batched"))
    pipeline = load(options.model, options)
    with encoding_progress() as report:
        scene = pipeline.encode_context(options.context, options.first_frame, on_progress=report)
    if "path" in instruction:
        instruction["path"] = instruction["path"](pipeline)
    warn_before(pipeline, scene, options, "path" in instruction, sampling)
    result = pipeline(
        scene,
        seed=options.seed,
        steps=faster.steps_of(pipeline.config.steps) if faster.steps else options.steps,
        sampling=sampling,
        guidance=options.guidance,
        context_latents=options.context_latents,
        frames=options.frames,
        **instruction,
    )
    for name in result.settings["not_trained_for"]:
        print(f"note: {options.model} was not trained for {name}: expect worse results", file=sys.stderr)
    return result


def save(result: Result, options: argparse.Namespace) -> None:
    """Write the clip, and the answer if a file is named for it."""
    result.save(options.out)
    if options.json:
        result.save_json(options.json)


def camera_path(options: argparse.Namespace, pipeline: Video4SpatialPipeline) -> CameraPath:
    """The path of a file or a preset, one pose a frame."""
    frames = require_4k_plus_1(pipeline.config.frames if options.frames is None else options.frames)
    lens = pipeline.intrinsics
    if options.fov is not None:
        lens = Intrinsics.from_horizontal_fov(options.fov, lens.width, lens.height)
    if Path(options.path).exists() or Path(options.path).suffix:
        return load_path(options.path, lens, options.format, frames)
    return CameraPath(preset(options.path, frames, options.degrees, options.metres), lens)
