"""How near a video comes to the true one, pixel by pixel (paper, Table 2: PSNR), through torchmetrics."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from video4spatial.evaluate.cases import CaseContent, Task
from video4spatial.evaluate.frames import Frames, pairs_without_first
from video4spatial.evaluate.generated import Video
from video4spatial.evaluate.metric import Column, Score
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.schema import InputError

PSNR_CAP = 100.0  # dB: identical frames have an infinite PSNR, which no mean could hold
_SSIM_WINDOW = 11  # pixels (Wang et al. 2004)


def psnr(a: Frames, b: Frames) -> float:
    """Peak signal-to-noise ratio in dB of two videos: the mean over frames, without the first.

    The first frame is given to the model, so it would only flatter; it is excluded. Identical frames count 100 dB, and
    so does anything above. Raises ``InputError`` if the shapes differ or there are fewer than two frames.
    """
    return float(psnr_of_frames(a, b).mean())


def ssim(a: Frames, b: Frames) -> float:
    """Structural similarity, at most 1, of two videos: the mean over frames, without the first, which is given.

    Gaussian window of 11 pixels, sigma 1.5, K = (0.01, 0.03), over the RGB channels (Wang et al., "Image Quality
    Assessment", 2004), at every pixel: beyond the edges the frame is mirrored (Wang et al. leave such pixels out).
    Raises ``InputError`` if the shapes differ, there are fewer than two frames, or they are smaller than the window.
    """
    return float(ssim_of_frames(a, b).mean())


def psnr_of_frames(a: Frames, b: Frames) -> Float32[np.ndarray, " n"]:
    """``psnr`` of each frame but the first: T - 1 values in dB."""
    values = [
        peak_signal_noise_ratio(x, y, data_range=(0.0, 1.0), reduction="none", dim=(1, 2, 3))
        for x, y in pairs_without_first(a, b)
    ]
    return torch.cat(values).clamp(max=PSNR_CAP).numpy()


def ssim_of_frames(a: Frames, b: Frames) -> Float32[np.ndarray, " n"]:
    """``ssim`` of each frame but the first: T - 1 values."""
    values = []
    for x, y in pairs_without_first(a, b):
        height, width = x.shape[-2:]
        if min(height, width) < _SSIM_WINDOW:
            raise InputError(f"SSIM needs frames of at least {_SSIM_WINDOW} pixels a side, not {width}x{height}")
        value = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
        assert isinstance(value, Tensor)
        values.append(value.reshape(len(x)))
    return torch.cat(values).numpy()


class Fidelity:
    """PSNR and SSIM against the true clip (paper, Table 2), box tails and the given first frame left out.

    A video that is taken as a prefix is compared with as much of the truth.
    """

    name = "fidelity"
    version = 1
    tasks: tuple[Task, ...] = ("navigation",)
    columns = (Column("psnr", "PSNR (dB)", digits=2), Column("ssim", "SSIM"))
    settings: dict[str, Any] = {}  # noqa: RUF012

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        if content.truth is None:
            return NotComputed("the case has no true clip")
        frames = video.moving
        truth = content.truth.frames[: len(frames)]
        return Score({"psnr": psnr(frames, truth), "ssim": ssim(frames, truth)})
