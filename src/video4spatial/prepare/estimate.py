"""What preparing would come to, before it is done: frames, hours of video, latents, bytes, time. Nothing is written."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from video4spatial.data.origin import Origin
from video4spatial.data.runs import Run, unbroken_runs
from video4spatial.data.sampled import Sampled, sampled_length
from video4spatial.data.source import SourceUnit
from video4spatial.model.latents import LatentCodec
from video4spatial.prepare.encode import encode_scene
from video4spatial.prepare.unit import one_thread
from video4spatial.schema import SPACE_STRIDE, TIME_STRIDE, InputError

FRAMES_TIMED = 17
_HALF, _POSE = 2, 16 * 8  # bytes of a latent's number, and of a pose


def latents_of(frames: int) -> int:
    """Latent frames of ``frames`` = 4k + 1 frames."""
    return (frames - 1) // TIME_STRIDE + 1


def stored_bytes(frames: int, size: tuple[int, int], channels: int = 48, posed: bool = True) -> int:
    """Bytes of a stored video's tensors: two latents for each four frames, a pose for each frame. Exact; a shard's
    header and a unit's record add about 2 kB a video."""
    cells = (size[0] // SPACE_STRIDE) * (size[1] // SPACE_STRIDE)
    return 2 * latents_of(frames) * channels * cells * _HALF + (frames * _POSE if posed else 0)


@dataclass
class Estimate:
    """What would be stored of the units that can be opened, and why of the others nothing.

    Attributes:
        seconds: of video, at the speed it was taken.
        rate: frames a second that this machine encoded, of ``timed`` frames; None if there was nothing to encode.
    """

    videos: int = 0
    frames: int = 0
    latents: int = 0
    bytes: int = 0
    seconds: float = 0.0
    bad: dict[str, str] = field(default_factory=dict)
    timed: int = 0
    rate: float | None = None


def estimate(
    origin: Origin,
    units: tuple[SourceUnit, ...],
    codec: LatentCodec,
    on_unit: Callable[[], None] = lambda: None,
) -> Estimate:
    """Open every unit and count; read and encode a few frames of the first, on ``codec``'s device, for the rate."""
    found, source = Estimate(), origin.source(frames_only=True)
    for unit in units:
        try:
            runs = unbroken_runs(source.open(unit.unit_id), at_least=(origin.clip - 1) * origin.every + 1)
            if found.rate is None:
                found.timed, found.rate = _timed(origin, runs[0], codec)
            for run in runs:
                _count(found, origin, run, codec.channels)
        except InputError as error:
            found.bad[unit.unit_id] = str(error)
        on_unit()
    return found


def _count(found: Estimate, origin: Origin, run: Run, channels: int) -> None:
    frames = sampled_length(len(run), origin.every)
    found.videos += 1
    found.frames += frames
    found.latents += 2 * latents_of(frames)
    found.bytes += stored_bytes(frames, origin.size, channels, run.c2w is not None)
    found.seconds += frames * origin.every / run.fps


def _timed(origin: Origin, run: Run, codec: LatentCodec) -> tuple[int, float]:
    frames = min(FRAMES_TIMED, sampled_length(len(run), origin.every))
    stop = run.start + (frames - 1) * origin.every + 1
    seen = Sampled(Run(run.scene, run.start, stop), origin.every, *origin.size)
    device: torch.device = codec.vae.device
    with one_thread(device):
        encode_scene(seen, codec)  # kernels are chosen and compiled at the first
        began = time.perf_counter()
        encode_scene(seen, codec)
    return frames, frames / (time.perf_counter() - began)
