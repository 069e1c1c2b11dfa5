"""The video VAE, some latents at a time: the same numbers as over the whole clip, in memory that does not grow with it.

The VAE is causal: every temporal convolution looks back two frames at most. diffusers' own whole-clip ``encode`` and
``decode`` use that (first frame, then four frames a call, with the last features of each convolution handed on), but
take the whole clip in and keep the whole result on the device. Here a caller drives the same calls, and each stream
owns its features: streams may be interleaved or abandoned, and leave nothing in the VAE.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video4spatial.model.diffusers_internals import causal_features, onload, patchify, unpatchify
from video4spatial.schema import TIME_STRIDE, InputError, require_4k_plus_1, require_size


class CausalEncoder:
    """One video on its way through the encoder: the first call takes its first frame, later ones ``4n`` frames each.

    With one latent a call these are the stock calls, but for the last, 1x1x1 convolution, which ``vae.encode`` applies
    to all latents at once. The result is bit-equal to ``vae.encode``'s wherever that convolution does not choose
    another kernel for one frame (seen on the CPU at 4 x 2 latent cells, not from 6 x 4 up; tested). With more latents a
    call sums are taken in another order (float32: below 1e-5 of latents around 1).
    """

    def __init__(self, vae: Any) -> None:
        onload(vae)
        self.vae = vae
        self.features = causal_features(vae, "encoder")

    def __call__(self, signal: Float[Tensor, "1 3 T H W"]) -> Float[Tensor, "1 C F h w"]:
        """The posterior's mode, not normalised."""
        if self.vae.config.patch_size is not None:
            signal = patchify(signal, self.vae.config.patch_size)
        moments = self.vae.quant_conv(self.vae.encoder(signal, feat_cache=self.features, feat_idx=[0]))
        return moments.chunk(2, dim=1)[0]


class CausalDecoder:
    """One clip on its way through the decoder: the first call takes its first latent (one frame), later ones several.

    As for ``CausalEncoder``: one latent a call is bit-equal to ``vae.decode``, more differ by rounding (no pixel by
    more than one grey level).
    """

    def __init__(self, vae: Any) -> None:
        onload(vae)
        self.vae = vae
        self.features = causal_features(vae, "decoder")
        self.begun = False

    def __call__(self, z: Float[Tensor, "1 C F h w"]) -> Float[Tensor, "1 3 T H W"]:
        """Frames in [-1, 1] of latents that are not normalised."""
        z = self.vae.post_quant_conv(z)
        signal = self.vae.decoder(z, feat_cache=self.features, feat_idx=[0], first_chunk=not self.begun)
        self.begun = True
        if self.vae.config.patch_size is not None:
            signal = unpatchify(signal, self.vae.config.patch_size)
        return torch.clamp(signal, min=-1.0, max=1.0)


def causal_frames(
    frames: Iterable[UInt8[np.ndarray, "T H W 3"] | UInt8[np.ndarray, "H W 3"]], latents: int
) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
    """Regroup single frames or chunks of any length: the first frame, then ``4 latents`` frames at a time.

    Raises:
        InputError: a frame's size does not divide by 32 or is not the first one's; at the end: not 4k + 1 frames.
    """
    waiting: list[np.ndarray] = []
    count, size = 0, None
    for item in frames:
        for frame in item if item.ndim == 4 else item[None]:
            if size is None:
                size = frame.shape
                require_size(size[1], size[0])
            if frame.shape != size:
                found = f"{frame.shape[1]}x{frame.shape[0]}, but the first one is {size[1]}x{size[0]}"
                raise InputError(f"frame {count} is {found}: all frames of a video must agree")
            waiting.append(frame)
            count += 1
            if len(waiting) == (1 if count == 1 else TIME_STRIDE * latents):
                yield np.stack(waiting)
                waiting = []
    require_4k_plus_1(count)
    if waiting:
        yield np.stack(waiting)


def causal_steps(frames: int, latents: int) -> Iterator[slice]:
    """Where to cut ``frames`` latents: the first one, then ``latents`` at a time."""
    start = 0
    while start < frames:
        stop = 1 if start == 0 else min(start + latents, frames)
        yield slice(start, stop)
        start = stop
