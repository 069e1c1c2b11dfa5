"""What the modules of the command line share: how a command is added, models loaded, options read."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from video4spatial.schema import InputError

if TYPE_CHECKING:
    from video4spatial.sample.pipeline import Video4SpatialPipeline

Run = Callable[[argparse.Namespace], int | None]
AddCommand = Callable[[str, Run, str], argparse.ArgumentParser]  # name, what it does, and that in a sentence


def quiet_libraries() -> None:
    """Keep model libraries from printing into a command's output; imported here, for help is instant."""
    from video4spatial.model.quiet import quiet_libraries as quiet

    quiet()


def load_pipeline(name: str, options: argparse.Namespace | None = None) -> "Video4SpatialPipeline":
    """The pipeline as the options ask, LoRAs fused in; without options wholly on the GPU, where there is one."""
    import torch

    quiet_libraries()
    from video4spatial.sample.placement import Placement, load_placed

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if options is None:
        return load_placed(name, Placement(release_text_encoder=False), device)
    weights = options.weights or "as-is"
    placement = Placement(options.offload, weights, compile=options.compile, attention=options.attention)
    return load_placed(name, placement, device, options.dtype, [parse_lora(lora) for lora in options.lora])


def require_writable_video(path: str) -> None:
    """Say at once, not after minutes, that the output cannot be written."""
    from video4spatial.storage.video import require_video_name

    require_video_name(path)


def require_writable_answer(path: str | None) -> None:
    """The same for the JSON beside it, if one is asked for."""
    from video4spatial.storage.artifacts import require_writable

    if path:
        require_writable(path)


def parse_size(text: str) -> tuple[int, int]:
    """ "416x256" as (width, height), both even."""
    width, sign, height = text.lower().partition("x")
    if not (sign and width.isdecimal() and height.isdecimal() and int(width) > 0 and int(height) > 0):
        raise InputError(f"--size is {text!r}: write it as WIDTHxHEIGHT, for example 416x256")
    if int(width) % 2 or int(height) % 2:
        raise InputError(f"--size is {text!r}: both sides must be even, for H.264")
    return int(width), int(height)


def parse_lora(text: str) -> tuple[str, float]:
    """ "folder=0.8" as (folder, 0.8); the scale is 1 unless given."""
    path, sign, scale = text.rpartition("=")
    if not sign or Path(text).exists():
        return text, 1.0
    try:
        return path, float(scale)
    except ValueError:
        raise InputError(f"--lora is {text!r}: write FILE_OR_FOLDER=SCALE, for example lora=0.8") from None
