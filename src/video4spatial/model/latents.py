"""Between videos and normalised latents: the causal video VAE, with its statistics applied in one place.

The VAE strides 4 in time and 16 in space. A video is encoded once, causally, and latents are then picked by index; a
sub-clip encoded alone would give other latents (paper, Section 4.1: latents are pre-encoded and sampled).
"""

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from video4spatial.schema import require_4k_plus_1, require_size


def to_signal(frames: UInt8[np.ndarray, "T H W 3"] | UInt8[Tensor, "T H W 3"]) -> Float[Tensor, "3 T H W"]:
    """uint8 RGB frames to float32 in [-1, 1], channels first."""
    return rearrange(torch.as_tensor(np.asarray(frames)).float() / 127.5 - 1.0, "t h w c -> c t h w")


def to_frames(signal: Float[Tensor, "3 T H W"]) -> UInt8[np.ndarray, "T H W 3"]:
    """The inverse of ``to_signal``, rounded and clamped."""
    pixels = ((signal.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(pixels, "c t h w -> t h w c").cpu().numpy()


class LatentCodec:
    """Encode frames to normalised latents and back: ``(z - mean) / std`` with the VAE's own statistics."""

    def __init__(self, vae: AutoencoderKLWan) -> None:
        self.vae: Any = vae  # diffusers types neither configs nor outputs
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

    @torch.no_grad()
    def encode(self, frames: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "C F h w"]:
        """Causal latents of a whole video of 4k + 1 frames; the posterior's mode. Result in float32 on the CPU.

        Raises:
            InputError: the frame count is not 4k + 1, or a side does not divide by 32.
        """
        require_4k_plus_1(len(frames))
        require_size(frames.shape[2], frames.shape[1])
        z = self.vae.encode(self._signal(frames)[None]).latent_dist.mode()
        return self.normalise(z)[0].float().cpu()

    @torch.no_grad()
    def encode_images(self, frames: UInt8[np.ndarray, "N H W 3"], batch: int = 32) -> Float[Tensor, "C N h w"]:
        """Each frame encoded by itself, as the first frame of a clip is; float32 on the CPU."""
        require_size(frames.shape[2], frames.shape[1])
        parts = []
        for start in range(0, len(frames), batch):
            signal = rearrange(self._signal(frames[start : start + batch]), "c n h w -> n c 1 h w")
            z = self.normalise(self.vae.encode(signal).latent_dist.mode())
            parts.append(rearrange(z, "n c 1 h w -> c n h w").float().cpu())
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "C F h w"]) -> UInt8[np.ndarray, "T H W 3"]:
        """Frames of a clip whose first latent is a single-frame one: ``T = 1 + 4 (F - 1)``."""
        z = self.denormalise(latents[None].to(self.vae.device, self.vae.dtype))
        return to_frames(self.vae.decode(z).sample[0])

    def _signal(self, frames: np.ndarray) -> Tensor:
        return to_signal(frames).to(self.vae.device, self.vae.dtype)
