"""The methods of ``video4spatial generate``: our model and its sampling-time ablations, baselines, rivals."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from video4spatial.commands.loaded import Models
from video4spatial.evaluate.baselines import hold_first_frame, nearest_poses, walk_on
from video4spatial.evaluate.cases import CaseContent
from video4spatial.sample.guidance import Guidance
from video4spatial.sample.session import Result
from video4spatial.schema import Clip, InputError


@dataclass(frozen=True)
class Made:
    """A method's video of one case: ``answer`` is what it says itself, ready for JSON."""

    frames: np.ndarray
    fps: float
    answer: dict[str, Any] = field(default_factory=dict)


NotApplicable = str  # why a method has no video of a case


Make = Callable[[Models, CaseContent, int], Made | NotApplicable]


@dataclass(frozen=True)
class Method:
    """One way to answer a case.

    Attributes:
        does: in a line, for help and tables.
        make: the video of a case, given the sampling seed; or why there is none.
        needs: what it runs: nothing, our "model", or a "rival".
        info: what its ``method.json`` says beside title and settings.
    """

    name: str
    does: str
    make: Make
    needs: str = "nothing"
    info: Mapping[str, Any] = field(default_factory=dict)


def _ours(**ablation: Any) -> Make:
    def make(models: Models, content: CaseContent, seed: int) -> Made:
        pipeline, case, asked = models.pipeline, content.case, models.settings
        navigates = case.task == "navigation"
        scale = pipeline.default_guidance(navigates) if asked.guidance is None else asked.guidance
        guidance = Guidance(ablation.get("scale", scale), ablation.get("guidance", "joint"))
        if navigates:
            told: dict[str, Any] = {"path": content.path}
        else:
            told = {"instruction": case.target, "scene_description": case.scene or None}
        faster = models.faster
        result = pipeline(
            models.scene(content),
            **told,
            seed=seed,
            steps=faster.steps_of(pipeline.config.steps) if faster.steps else asked.steps,
            guidance=guidance,
            context_latents=ablation.get("context_latents", asked.context_latents),
            context_choice=ablation.get("context_choice", "uniform"),
            frames=case.frames if navigates else case.moving + models.tail_frames,
            vanilla_rope=ablation.get("vanilla_rope", False),
            sampling=models.sampling,
        )
        return Made(result.frames, content.fps, _answer(result))

    return make


def _answer(result: Result) -> dict[str, Any]:
    told = result.to_dict()
    return {name: told[name] for name in ("box", "confidence", "settings") if name in told}


def _ground_truth(models: Models, content: CaseContent, seed: int) -> Made | NotApplicable:
    if content.truth is None:
        return "an absent object has no true video"
    return Made(content.truth.frames, content.fps)


def _vae(models: Models, content: CaseContent, seed: int) -> Made | NotApplicable:
    if content.truth is None:
        return "an absent object has no true video"
    codec = models.pipeline.codec
    return Made(codec.decode(codec.encode(content.truth.frames)), content.fps)


def _held(models: Models, content: CaseContent, seed: int) -> Made:
    first = Clip(content.first_frame[None], content.fps)
    return Made(hold_first_frame(first, content.case.frames), content.fps)


def _walk_on(models: Models, content: CaseContent, seed: int) -> Made:
    return Made(walk_on(content), content.fps)


def _nearest_poses(models: Models, content: CaseContent, seed: int) -> Made | NotApplicable:
    frames = nearest_poses(content)
    return "an absent object has no true way" if frames is None else Made(frames, content.fps)


def _rival(name: str) -> Make:
    def make(models: Models, content: CaseContent, seed: int) -> Made | NotApplicable:
        if not content.case.sentence:
            return f"{name} follows no camera path"
        rival = models.rival(name)
        frames = rival(content.first_frame, content.case.sentence, seed)
        return Made(frames, rival.model.fps, {"settings": rival.settings})

    return make


_WHOLE = {"tail_frames": 0, "size": "fit", "length": "resample"}

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("full", "the model as in the paper", _ours(), "model"),
        Method("first-frame-only", "no context beside the first frame", _ours(context_latents=0), "model"),
        Method("no-guidance", "no null branch", _ours(guidance="none"), "model"),
        Method("no-context-guidance", "guidance over the instruction only", _ours(guidance="text"), "model"),
        Method("vanilla-rope", "contiguous RoPE indices over the sequence", _ours(vanilla_rope=True), "model"),
        Method(
            "contiguous-context",
            "the context's latents are one contiguous run, drawn by the seed",
            _ours(context_choice="contiguous"),
            "model",
        ),
        Method("vae-reconstruction", "the true video through the model's VAE: the ceiling", _vae, "model"),
        Method("ground-truth", "the true video", _ground_truth),
        Method("first-frame-held", "the first frame, held", _held),
        Method(
            "nearest-context-frame",
            "retrieval without poses: the walk played on from its frame nearest in pixels to the first frame",
            _walk_on,
        ),
        Method(
            "nearest-context-frame-oracle",
            "retrieval with oracle poses: for each true pose the context frame nearest to it",
            _nearest_poses,
        ),
        Method(
            "wan-i2v",
            "stock Wan2.2-TI2V-5B image-to-video: first frame and sentence",
            _rival("wan-i2v"),
            "rival",
            _WHOLE,
        ),
        Method("framepack", "FramePack from the first frame and sentence", _rival("framepack"), "rival", _WHOLE),
    )
}


_CONTEXT, _GUIDANCE = re.compile(r"context-(\d{1,6})"), re.compile(r"guidance-(\d{1,4}(?:\.\d{1,4})?)")


def method_of(name: str) -> Method:
    """The method of a name, or ``InputError`` that lists them.

    Beside those of ``METHODS`` there is ``context-N``, which looks at N latents of the walk-through (paper, Fig. 8 a),
    and ``guidance-W``, guided at scale W (Fig. 14), whatever else the run asks for.
    """
    if name in METHODS:
        return METHODS[name]
    if match := _CONTEXT.fullmatch(name):
        latents = int(match.group(1))
        return Method(name, f"{latents} latents of context", _ours(context_latents=latents), "model")
    if match := _GUIDANCE.fullmatch(name):
        scale = float(match.group(1))
        return Method(name, f"guidance scale {scale:g}", _ours(scale=scale), "model")
    raise InputError(f"there is no method {name!r}: use one of {', '.join(METHODS)}, context-N or guidance-W")
