"""Imaging Quality and Dynamic Degree, by VBench's rules (Huang et al., "VBench", CVPR 2024; version 0.1.5).

The rules are here; what looks at pixels (MUSIQ, an optical flow) is handed in, and its name travels with every result.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from video4spatial.evaluate.frames import Frames, each_frame
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.schema import InputError

LONGEST = 512  # pixels: MUSIQ is shown no longer side
RATE = 8  # frames a second that the flow is taken between, at most about so many
TOP = 0.05  # share of the pixels, those that move most, that stands for a pair of frames
STEP, STEP_SIZE = 6.0, 256.0  # a pair moves beyond 6 pixels where the shorter side has 256
_FEWEST = 3  # sampled frames: with 2 the rule asks for round(4 * 2/16) = 0 moving pairs, and stillness would pass


@runtime_checkable
class FrameScorer(Protocol):
    """Technical quality of one image, 0 to 100, without a reference. ``name`` says what it is, and its weights."""

    name: str

    def __call__(self, frame: Float32[Tensor, "3 H W"]) -> float:
        """``frame`` in 0 to 1, RGB."""
        ...


@runtime_checkable
class OpticalFlow(Protocol):
    """Where each pixel of one frame is in the next, in pixels ``(right, down)``. ``name`` says what it is.

    A back end may pad the frames and give the padded frame's flow. ``smallest``: the shorter side it needs, in pixels.
    """

    name: str
    smallest: int

    def __call__(self, a: UInt8[np.ndarray, "H W 3"], b: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "h w 2"]:
        """The flow from ``a`` to ``b``."""
        ...


@dataclass(frozen=True)
class ImagingQuality:
    """Imaging Quality of one video.

    Attributes:
        value: 0 to 1: the mean over all frames, over 100.
        frames: each frame's, 0 to 100, as the scorer gives it.
        scorer: its name.
    """

    value: float
    frames: tuple[float, ...]
    scorer: str


@dataclass(frozen=True)
class DynamicDegree:
    """Whether one video moves, and what that was decided by.

    Attributes:
        dynamic: ``moving >= needed``; a set of videos scores the share of them that are.
        moving: pairs of sampled frames whose step exceeds the threshold; ``needed`` of them make a video dynamic.
        steps: each pair's, in pixels: the mean of the largest 5 % of the flow's lengths.
        threshold: in pixels, strict.
        sampled: frames looked at: every ``every``-th of the video at ``fps``.
        flow: the optical flow's name.
    """

    dynamic: bool
    moving: int
    needed: int
    steps: tuple[float, ...]
    threshold: float
    sampled: int
    every: int
    fps: float
    flow: str


def imaging_quality(frames: Frames, scorer: FrameScorer | NotComputed) -> ImagingQuality | NotComputed:
    """VBench's Imaging Quality of a video: ``scorer`` on every frame, a longer side above 512 brought to 512.

    One frame is in memory at a time. Raises ``InputError`` for a video of no frames.
    """
    if isinstance(scorer, NotComputed):
        return scorer
    values = [float(scorer(fit_longest(frame))) for frame in each_frame(frames)]
    if not values:
        raise InputError("a video of no frames has no Imaging Quality: give at least one")
    for index, value in enumerate(values):
        if not math.isfinite(value):
            return NotComputed(f"{scorer.name} gives {value} for frame {index}")
    return ImagingQuality(sum(values) / len(values) / 100, tuple(values), scorer.name)


def fit_longest(frame: UInt8[np.ndarray, "H W 3"]) -> Float32[Tensor, "3 h w"]:
    """The frame as MUSIQ is shown it, in 0 to 1: bilinear without antialiasing, never enlarged, sides rounded down.

    Rounding is of the product in floating point, as VBench does it: a longer side of 561 becomes 511, not 512.
    """
    pixels = torch.from_numpy(rearrange(frame, "H W c -> c H W").astype(np.float32))
    height, width = frame.shape[:2]
    longest = max(height, width)
    if longest > LONGEST:
        scale = LONGEST / longest
        size = (int(scale * height), int(scale * width))
        if min(size) < 1:
            raise InputError(f"frames of {width}x{height} have no pixel left at a longest side of {LONGEST}: crop them")
        pixels = interpolate(pixels[None], size=size, mode="bilinear", align_corners=False, antialias=False)[0]
    return pixels / 255


def dynamic_degree(frames: Frames, fps: float, flow: OpticalFlow | NotComputed) -> DynamicDegree | NotComputed:
    """VBench's Dynamic Degree of a video shown at ``fps``, which changes the result.

    Every ``max(1, round(fps/8))``-th frame is looked at, n in all. A pair of neighbours moves if the mean of the
    largest 5 % of its flow exceeds ``6 min(H, W)/256`` pixels; the video is dynamic if ``round(4 n/16)`` pairs move,
    halves being rounded to even. Two frames are in memory at a time.

    Not computed where that says nothing (fewer than 3 sampled frames) or the flow cannot be taken. Raises
    ``InputError`` for a video of no frames or an ``fps`` that is none.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps is {fps}: give the frames a second at which the video is shown")
    if isinstance(flow, NotComputed):
        return flow
    every = max(1, round(fps / RATE))
    steps: list[float] = []
    threshold, sampled, last = 0.0, 0, None
    for frame in _every(frames, every):
        height, width = frame.shape[:2]
        if min(height, width) < flow.smallest:
            return NotComputed(f"{flow.name} needs frames of {flow.smallest} pixels a side, not {width}x{height}")
        if last is not None:
            steps.append(_step(flow(last, frame)))
            if not math.isfinite(steps[-1]):
                return NotComputed(f"{flow.name} gives no flow between frames {(sampled - 1) * every} and after")
        threshold, sampled, last = STEP * (min(height, width) / STEP_SIZE), sampled + 1, frame
    if not sampled:
        raise InputError("a video of no frames has no Dynamic Degree: give at least one")
    if sampled < _FEWEST:
        return NotComputed(f"{sampled} sampled frames (every {every} of the video) say nothing: {_FEWEST} are needed")
    needed = round(4 * (sampled / 16))
    moving = sum(step > threshold for step in steps)
    return DynamicDegree(moving >= needed, moving, needed, tuple(steps), threshold, sampled, every, fps, flow.name)


def _every(frames: Frames, every: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    return (frame for index, frame in enumerate(each_frame(frames)) if index % every == 0)


def _step(flow: Float32[np.ndarray, "h w 2"]) -> float:
    """The mean length of the flow's largest 5 %, in pixels."""
    lengths = np.hypot(flow[..., 0], flow[..., 1]).ravel()
    count = int(len(lengths) * TOP)
    return float(np.partition(lengths, len(lengths) - count)[len(lengths) - count :].mean())
