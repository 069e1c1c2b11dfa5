"""What an ask will need, before it is made: the planner's memory, and its time where the device's speed is known."""

from dataclasses import replace
from typing import Any

from video4spatial.app.asked import Asked
from video4spatial.sample.devices import Device, this_device
from video4spatial.sample.plan import estimate
from video4spatial.sample.request import Models, Request


def device_of(pipeline: Any) -> Device:
    """The device the pipeline runs on, its own weights counted as free memory."""
    device = this_device(pipeline._execution_device)
    parts = (pipeline.transformer, pipeline.vae, pipeline.text_encoder)
    there = sum(p.nbytes for part in parts for p in part.parameters() if p.device.type == pipeline.device.type)
    return replace(device, memory=device.memory + there)


def plan_words(pipeline: Any, device: Device, scene: Any, asked: Asked, pace: float | None = None) -> str:
    """A line for the page: memory, whether it fits, and the time.

    ``pace``: seconds a teraflop took here so far, measured on this session's asks; used where the device's is unknown.
    """
    guidance = pipeline.default_guidance(asked.task == "navigate") if asked.guidance is None else asked.guidance
    height, width = scene.first_frame.shape[:2]
    wanted = int(pipeline.config.context_latents) if asked.context_latents is None else asked.context_latents
    request = Request.of(
        pipeline.config,
        getattr(pipeline, "placement", None),
        width=width,
        height=height,
        context_frames=4 * len(scene) - 3,
        context_latents=min(wanted, len(scene)),
        frames=asked.frames,
        steps=asked.steps,
        guides=guidance != 1,
    )
    made = estimate(request, Models.of(pipeline), device)
    parts = [p for p in made.phases if p.name != "encoding context"]
    seconds, flops = [p.seconds for p in parts], sum(p.flops for p in parts)
    if all(s is not None for s in seconds):
        time = f"about {_time(asked.best_of * sum(s for s in seconds if s is not None))} (predicted)"
    elif pace is not None:
        time = f"about {_time(asked.best_of * flops / 1e12 * pace)} (at the pace of the asks so far)"
    else:
        time = "time known after the first ask"
    fits = "fits" if made.fits(device) else "does NOT fit"
    return f"{_bytes(made.peak)} of memory, which {fits} into {device.name} ({_bytes(device.usable)} free); {time}"


def teraflops(pipeline: Any, settings: dict[str, Any], scene: Any, frames: int) -> float:
    """Operations of an ask that was made (10^12), so that its seconds give the pace of this machine."""
    height, width = scene.first_frame.shape[:2]
    request = Request.of(
        pipeline.config,
        width=width,
        height=height,
        context_frames=4 * len(scene) - 3,
        context_latents=settings["context_latents"],
        frames=frames,
        steps=settings["steps"],
        guides=settings["guidance"] != 1,
    )
    made = estimate(request, Models.of(pipeline))
    return sum(p.flops for p in made.phases if p.name != "encoding context") / 1e12


def _bytes(value: float) -> str:
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
