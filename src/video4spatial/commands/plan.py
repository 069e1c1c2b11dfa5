"""``video4spatial plan``: what a request needs, whether it fits a GPU, and what would."""

import argparse
import sys
from typing import Any, cast

from video4spatial.sample.devices import Device, find_device, this_device
from video4spatial.sample.modes import choose
from video4spatial.sample.plan import (
    Estimate,
    Proposal,
    estimate,
    least_memory,
    longest_context,
    propose,
    warn_if_too_large,
)
from video4spatial.sample.request import Models, Request
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json, require_writable, write_json


def plan(options: argparse.Namespace, frame: tuple[int, int] | None) -> None:
    """Print the table of phases and the settings that fit; ``options`` are those of the command line."""
    if options.json:
        require_writable(options.json)
    device = at_hand() if options.gpu is None else find_device(options.gpu)
    models, request = requested(options, device, frame)
    made = estimate(request, models, device)
    proposals = propose(request, device, models)
    print("\n".join(report(request, models, device, made, proposals)))
    if options.json:
        write_json(options.json, as_json(request, device, made, proposals))


def warn_before(pipeline: Any, scene: Any, options: argparse.Namespace, navigates: bool, sampling: Any = None) -> None:
    """Say on stderr, before sampling starts, that it will not fit into the memory that is free; and what would."""
    guidance = pipeline.default_guidance(navigates) if options.guidance is None else options.guidance
    height, width = scene.first_frame.shape[:2]
    wanted = pipeline.config.context_latents if options.context_latents is None else options.context_latents
    request = Request.of(
        pipeline.config,
        getattr(pipeline, "placement", None),
        sampling,
        width=width,
        height=height,
        context_frames=4 * len(scene) - 3,
        context_latents=min(int(wanted), len(scene)),
        frames=options.frames,
        steps=options.steps,
        guides=guidance != 1,
    )
    warning = warn_if_too_large(pipeline, request)
    if warning is not None:
        print(f"video4spatial {options.command}: warning: {warning}", file=sys.stderr)


def at_hand() -> Device:
    """The GPU of this machine.

    Raises:
        InputError: there is none, so that --gpu has to say which one to plan for.
    """
    import torch

    if not torch.cuda.is_available():
        raise InputError("no GPU is at hand: give --gpu, a memory such as 24GB or a name such as 'RTX 4090'")
    return this_device("cuda")


def requested(options: argparse.Namespace, device: Device, frame: tuple[int, int] | None) -> tuple[Models, Request]:
    """The models and the request that the command line describes; without --model the paper's."""
    if options.model is None:
        models, config = Models(), vars(Request())
    else:
        from video4spatial.model.load import resolve_model  # it needs torch, and the plan of the 5B model does not

        folder = resolve_model(options.model)
        models, config = (
            Models.in_folder(folder, device.is_gpu),
            dict(cast(dict, read_json(folder / "model_index.json"))),
        )
    width, height = frame or (None, None)
    if options.guidance is not None and not 0 <= options.guidance < float("inf"):
        raise InputError(f"--guidance is {options.guidance}: give a number of at least 0 (1 is off)")
    faster = choose(options.faster, options.steps, options.weights)
    steps = options.steps if options.steps is not None else faster.steps_of(int(config["steps"]))
    request = Request.of(
        config,
        faster.sampling(),
        width=width,
        height=height,
        context_frames=options.context_frames,
        context_latents=options.context_latents,
        frames=options.frames,
        steps=steps,
        guides=None if options.guidance is None else options.guidance != 1,
        branches="sequential" if options.sequential else None,
        offload=options.offload,
        weights=options.weights or faster.weights,
    )
    return models, request


def report(request: Request, models: Models, device: Device, made: Estimate, proposals: list[Proposal]) -> list[str]:
    """The lines that are printed."""
    tokens = request.sequence(request.context_latents, models.text_tokens).tokens
    lines = [
        f"{request.frames} frames of {request.width}x{request.height} from {request.context_latents} context latents: "
        f"{tokens:,} tokens, {request.steps} steps{', guided' if request.guides else ''}, {models.dtype}; "
        f"{made.flops / 1e15:.2f} PFLOP",
        "",
        f"{'phase':<18}{'peak memory':>12}{'seconds':>10}",
    ]
    for phase in made.phases:
        lines.append(f"{phase.name:<18}{size(phase.peak):>12}{seconds(phase.seconds):>10}")
    lines.append(f"{'clip':<18}{size(made.peak):>12}{seconds(made.seconds):>10}")
    verdict = "fits" if made.fits(device) else "does NOT fit"
    reserve = f", {device.reserve / 1e9:.1f} GB of it left to the driver and its libraries" if device.reserve else ""
    lines += [
        "",
        f"{verdict} into {device.name} ({device.memory / 1e9:.1f} GB{reserve}); most is {made.dominant}",
        f"memory: by formula, for eager execution; time: {device.basis}",
    ]
    if request.block_cache is not None:
        lines.append("the blocks that block-cache skips depend on the clip: the seconds are those of none skipped")
    longest = longest_context(request, device, models)
    if longest:
        lines.append(f"with these settings up to {longest} context latents ({4 * longest - 3} frames) fit")
    if not proposals:
        least = least_memory(request, models) + device.reserve
        return [*lines, "", f"nothing fits: the most frugal settings need a device of {size(least)}"]
    lines += ["", "settings that fit:"]
    for proposal in proposals:
        spent = f"{size(proposal.estimate.peak):>11}{seconds(proposal.estimate.seconds):>10}"
        lines.append(f"{spent}   {proposal.options or 'as asked'}")
    used = dict.fromkeys(change for proposal in proposals for change in proposal.changes)
    return [*lines, *(["", *used] if used else [])]


def size(value: float) -> str:
    """Bytes, in 10^9 or 10^6."""
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.1f} MB"


def seconds(value: float | None) -> str:
    """A time, or a dash where it is unknown."""
    if value is None:
        return "-"
    return f"{value:.1f} s" if value < 600 else f"{value / 60:.0f} min"


def as_json(request: Request, device: Device, made: Estimate, proposals: list[Proposal]) -> dict[str, Any]:
    """The same, for programs."""

    def one(each: Estimate) -> dict[str, Any]:
        phases = {
            p.name: {"peak_bytes": p.peak, "parts": p.parts, "flops": p.flops, "seconds": p.seconds}
            for p in each.phases
        }
        return {"peak_bytes": each.peak, "seconds": each.seconds, "fits": each.fits(device), "phases": phases}

    return {
        "request": vars(request),
        "device": vars(device) | {"basis": device.basis},
        "estimate": one(made),
        "proposals": [{"changes": p.changes, "request": vars(p.request)} | one(p.estimate) for p in proposals],
    }
