"""``video4spatial evaluate``: a pipeline and its ablations on held-out rooms."""

import argparse
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from video4spatial.commands.demo import rooms_of
from video4spatial.evaluate.benchmark import GroundingCase, NavigationCase
from video4spatial.evaluate.heldout import HeldOutEvaluation
from video4spatial.sample.guidance import Guidance
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import Found

ABLATIONS = ("full", "first_frame_only", "no_guidance")


def evaluate_pipeline(pipeline: Video4SpatialPipeline, options: argparse.Namespace) -> dict[str, Any]:
    """Fill ``options.out`` with the table, its JSON and two contact sheets; print the table."""
    pipeline.set_progress_bar_config(disable=True)
    steps = options.steps or pipeline.config.steps

    def generate(method: str, case: NavigationCase | GroundingCase, seed: int) -> tuple[np.ndarray, Found | None]:
        navigates = isinstance(case, NavigationCase)
        scale = pipeline.default_guidance(navigates) if options.guidance is None else options.guidance
        result = pipeline(
            pipeline.encode_context(case.context),
            **instruction_of(case),
            seed=seed,
            steps=steps,
            guidance=Guidance(scale, "none") if method == "no_guidance" else Guidance(scale),
            context_latents=0 if method == "first_frame_only" else None,
            frames=len(case.truth.frames),
        )
        return result.frames, result.found

    evaluation = HeldOutEvaluation(
        config=rooms_of(pipeline),
        generate=generate,
        reconstruct=lambda frames: pipeline.codec.decode(pipeline.codec.encode(frames)),
        out=Path(options.out),
        settings={"model": options.model, "steps": steps, "guidance": options.guidance, "commit": commit()},
        navigation=options.cases,
        grounding=options.cases,
        target_frames=pipeline.config.frames,
        grounding_frames=pipeline.config.frames,
        seed=options.seed,
    )
    table = evaluation.run()
    Console().print((Path(options.out) / "table.md").read_text(encoding="utf-8"), markup=False)
    return table


def instruction_of(case: NavigationCase | GroundingCase) -> dict[str, Any]:
    """The case's instruction as the pipeline takes it."""
    if isinstance(case, NavigationCase):
        return {"path": case.path}
    return {"instruction": case.target, "scene_description": case.scene}


def commit() -> str:
    """The checkout's commit, or "unknown" for an installed package."""
    here = Path(__file__).parent
    try:
        asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return asked.stdout.strip() or "unknown"
