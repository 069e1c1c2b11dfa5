"""How near a video comes to the true one, pixel by pixel (paper, Table 2: PSNR), through torchmetrics."""

from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from video4spatial.evaluate.cases import CaseContent, Task
from video4spatial.evaluate.generated import Video
from video4spatial.evaluate.metric import Column, NotComputed, Score
from video4spatial.schema import InputError

PSNR_CAP = 100.0  # dB: identical frames have an infinite PSNR, which no mean could hold
_SSIM_WINDOW = 11  # pixels (Wang et al. 2004)
_BATCH = 32  # frames at once: bounds the memory


def psnr(a: UInt8[np.ndarray, "T H W 3"], b: UInt8[np.ndarray, "T2 H2 W2 3"]) -> float:
    """Peak signal-to-noise ratio in dB of two videos: the mean over frames, without the first.

    The first frame is given to the model, so it would only flatter; it is excluded. Identical frames count 100 dB, and
    so does anything above. Raises ``InputError`` if the shapes differ or there are fewer than two frames.
    """
    return float(psnr_of_frames(a, b).mean())


def ssim(a: UInt8[np.ndarray, "T H W 3"], b: UInt8[np.ndarray, "T2 H2 W2 3"]) -> float:
    """Structural similarity, at most 1, of two videos: the mean over frames, without the first, which is given.

    Gaussian window of 11 pixels, sigma 1.5, K = (0.01, 0.03), over the RGB channels (Wang et al., "Image Quality
    Assessment", 2004). Raises ``InputError`` if the shapes differ, there are fewer than two frames, or they are smaller
    than the window.
    """
    return float(ssim_of_frames(a, b).mean())


def psnr_of_frames(a: UInt8[np.ndarray, "T H W 3"], b: UInt8[np.ndarray, "T2 H2 W2 3"]) -> Float32[np.ndarray, "T-1"]:
    """``psnr`` of each frame but the first: T - 1 values in dB."""
    values = [
        peak_signal_noise_ratio(x, y, data_range=(0.0, 1.0), reduction="none", dim=(1, 2, 3)) for x, y in _pairs(a, b)
    ]
    return torch.cat(values).clamp(max=PSNR_CAP).numpy()


def ssim_of_frames(a: UInt8[np.ndarray, "T H W 3"], b: UInt8[np.ndarray, "T2 H2 W2 3"]) -> Float32[np.ndarray, "T-1"]:
    """``ssim`` of each frame but the first: T - 1 values."""
    if min(a.shape[1:3]) < _SSIM_WINDOW:
        raise InputError(f"SSIM needs frames of at least {_SSIM_WINDOW} pixels a side, not {a.shape[2]}x{a.shape[1]}")
    values = []
    for x, y in _pairs(a, b):
        value = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
        assert isinstance(value, Tensor)
        values.append(value.reshape(len(x)))
    return torch.cat(values).numpy()


def _pairs(a: np.ndarray, b: np.ndarray) -> list[tuple[Tensor, Tensor]]:
    """Frames 1, 2, ... of both as float [n, 3, H, W] in 0 to 1, a batch at a time."""
    if a.shape != b.shape:
        raise InputError(f"videos of {a.shape} and {b.shape} cannot be compared: frames and sizes must be equal")
    if len(a) < 2:
        raise InputError(f"a video of {len(a)} frames leaves nothing to compare: its first frame is given")
    starts = range(1, len(a), _BATCH)
    return [(_tensor(a[start : start + _BATCH]), _tensor(b[start : start + _BATCH])) for start in starts]


def _tensor(frames: np.ndarray) -> Tensor:
    return torch.from_numpy(rearrange(frames, "T H W c -> T c H W").astype(np.float32) / 255)


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
