"""Between videos and normalised latents: the causal video VAE, with its statistics applied in one place.

The VAE strides 4 in time and 16 in space. A video is encoded once, causally, and latents are then picked by index; a
sub-clip encoded alone would give other latents (paper, Section 4.1: latents are pre-encoded and sampled).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from video4spatial.model.causal import CausalDecoder, CausalEncoder, causal_frames, causal_steps
from video4spatial.model.diffusers_internals import onload
from video4spatial.schema import InputError, require_4k_plus_1, require_size


def to_signal(frames: UInt8[np.ndarray, "T H W 3"] | UInt8[Tensor, "T H W 3"]) -> Float[Tensor, "3 T H W"]:
    """uint8 RGB frames to float32 in [-1, 1], channels first."""
    return rearrange(torch.as_tensor(np.asarray(frames)).float() / 127.5 - 1.0, "t h w c -> c t h w")


def to_frames(signal: Float[Tensor, "3 T H W"]) -> UInt8[np.ndarray, "T H W 3"]:
    """The inverse of ``to_signal``, rounded and clamped."""
    pixels = ((signal.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(pixels, "c t h w -> t h w c").cpu().numpy()


class LatentCodec:
    """Encode frames to normalised latents and back: ``(z - mean) / std`` with the VAE's own statistics.

    Videos pass through the VAE in causal chunks (``causal.py``): beside input and output, memory does not grow with
    their length.

    Args:
        vae: the video VAE.
        latents_a_call: how many latents go through it at once. 1 is bit-equal to the stock whole-clip VAE
            (``causal.py`` tells the one exception); more differ from it by rounding only, may be faster, and take as
            much more memory.
    """

    def __init__(self, vae: AutoencoderKLWan, latents_a_call: int = 1) -> None:
        if latents_a_call < 1:
            raise InputError(f"latents_a_call is {latents_a_call}: give at least 1")
        self.vae: Any = vae  # diffusers types neither configs nor outputs
        self.latents_a_call = latents_a_call
        self.mean = torch.tensor(self.vae.config.latents_mean).view(-1, 1, 1, 1)
        self.std = torch.tensor(self.vae.config.latents_std).view(-1, 1, 1, 1)

    @property
    def channels(self) -> int:
        """Latent channels (48 in Wan2.2)."""
        return self.vae.config.z_dim

    def normalise(self, z: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B C F h w"]:
        return (z - self.mean.to(z)) / self.std.to(z)

    def denormalise(self, z: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B C F h w"]:
        return z * self.std.to(z) + self.mean.to(z)

    def encode(self, frames: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "C F h w"]:
        """Causal latents of a whole video of 4k + 1 frames; the posterior's mode. Result in float32 on the CPU.

        Raises:
            InputError: the frame count is not 4k + 1, or a side does not divide by 32.
        """
        require_4k_plus_1(len(frames))
        return self.encode_stream([frames])

    @torch.no_grad()
    def encode_stream(
        self,
        frames: Iterable[UInt8[np.ndarray, "T H W 3"] | UInt8[np.ndarray, "H W 3"]],
        on_frames: Callable[[int], None] | None = None,
    ) -> Float[Tensor, "C F h w"]:
        """``encode`` of frames as they come, singly or in chunks of any length; each latent goes to the CPU at once.

        Args:
            frames: 4k + 1 in all.
            on_frames: called with the number of frames encoded so far.

        Raises:
            InputError: sizes that do not fit or differ; at the end, that there were not 4k + 1 frames.
        """
        encoder = CausalEncoder(self.vae)
        latents, done = [], 0
        for chunk in causal_frames(frames, self.latents_a_call):
            latents.append(self.normalise(encoder(self._signal(chunk)[None]))[0].float().cpu())
            done += len(chunk)
            if on_frames is not None:
                on_frames(done)
        return torch.cat(latents, dim=1)

    @torch.no_grad()
    def encode_images(self, frames: UInt8[np.ndarray, "N H W 3"], batch: int = 32) -> Float[Tensor, "C N h w"]:
        """Each frame encoded by itself, as the first frame of a clip is; float32 on the CPU."""
        require_size(frames.shape[2], frames.shape[1])
        parts = []
        for start in range(0, len(frames), batch):
            onload(self.vae)
            signal = rearrange(self._signal(frames[start : start + batch]), "c n h w -> n c 1 h w")
            z = self.normalise(self.vae.encode(signal).latent_dist.mode())
            parts.append(rearrange(z, "n c 1 h w -> c n h w").float().cpu())
        return torch.cat(parts, dim=1)

    def decode(self, latents: Float[Tensor, "C F h w"]) -> UInt8[np.ndarray, "T H W 3"]:
        """Frames of a clip whose first latent is a single-frame one: ``T = 1 + 4 (F - 1)``."""
        return np.concatenate(list(self.decode_stream(latents)))

    @torch.no_grad()
    def decode_stream(self, latents: Float[Tensor, "C F h w"]) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
        """``decode`` chunk by chunk: one frame, then four frames a latent; on the device is only the chunk at hand."""
        decoder = CausalDecoder(self.vae)
        for step in causal_steps(latents.shape[1], self.latents_a_call):
            z = self.denormalise(latents[None, :, step].to(self.vae.device, self.vae.dtype))
            yield to_frames(decoder(z)[0])

    def _signal(self, frames: np.ndarray) -> Tensor:
        return to_signal(frames).to(self.vae.device, self.vae.dtype)
