"""Which latents are target and which are context (paper, Section 3.4).

Context is made of latents, each four contiguous source frames, that need not be contiguous with one another; within
one video it never overlaps the target's window, so that nothing leaks.
"""

from typing import Literal

import numpy as np
from jaxtyping import Int

from video4spatial.schema import TIME_STRIDE, InputError

Mode = Literal["scattered", "contiguous", "uniform"]


def draw_target(latents: int, length: int, rng: np.random.Generator) -> tuple[int, int]:
    """A random window ``[start, stop)`` of ``length`` latents; its first one is the known first frame.

    Raises:
        InputError: the video is shorter than the window.
    """
    if latents < length:
        raise InputError(f"a video of {latents} latents is too short for a target of {length}: use a longer video")
    start = int(rng.integers(latents - length + 1))
    return start, start + length


def available_context(latents: int, target: tuple[int, int] | None) -> Int[np.ndarray, " n"]:
    """Latent indices that may serve as context: those whose frames do not overlap the target's (``None``: all).

    The target's first latent stands for one frame, 4 * start; the video latent of that index covers frames up to it,
    and is left out as well.
    """
    index = np.arange(latents)
    return index if target is None else index[(index < target[0]) | (index >= target[1])]


def shown_by(start: int, stop: int) -> tuple[int, int]:
    """The latents ``[first, last)`` of a video that show any of its frames ``[start, stop)``.

    Latent 0 shows frame 0, latent i frames 4i - 3 to 4i.
    """
    return -(-start // TIME_STRIDE), (stop - 1 + TIME_STRIDE - 1) // TIME_STRIDE + 1


def longest_choice(available: Int[np.ndarray, " n"], mode: Mode) -> int:
    """How many of ``available`` can be chosen: all, or their longest run where they must be contiguous."""
    if mode != "contiguous" or not len(available):
        return len(available)
    return max(len(run) for run in _runs(available))


def choose_context(
    available: Int[np.ndarray, " n"], count: int, mode: Mode = "scattered", rng: np.random.Generator | None = None
) -> Int[np.ndarray, " k"]:
    """``count`` context indices out of ``available``, ascending; all of them if there are fewer.

    ``scattered`` draws at random (training), ``uniform`` spreads them evenly (sampling), ``contiguous`` takes one run
    (the paper's ablation, Table 3).
    """
    if count >= len(available):
        return available
    if mode == "uniform":
        return available[np.round(np.linspace(0, len(available) - 1, count)).astype(int)]
    if rng is None:
        raise ValueError(f"mode {mode!r} draws at random: give it a generator")
    if mode == "scattered":
        return np.sort(rng.choice(available, count, replace=False))
    runs = [run for run in _runs(available) if len(run) >= count]
    if not runs:
        raise InputError(
            f"no run of {count} contiguous context latents is left: use a longer video or a shorter context"
        )
    starts = np.array([len(run) - count + 1 for run in runs])
    run = runs[rng.choice(len(runs), p=starts / starts.sum())]
    first = rng.integers(len(run) - count + 1)
    return run[first : first + count]


def _runs(index: Int[np.ndarray, " n"]) -> list[np.ndarray]:
    return np.split(index, np.nonzero(np.diff(index) != 1)[0] + 1)
