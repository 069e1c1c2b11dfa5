"""Training the small VAE: single frames first (several times cheaper), then clips."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from video4spatial.geometry.boxes import draw_box
from video4spatial.model.diffusers_internals import WanCausalConv3d, unpatchify
from video4spatial.model.latents import LatentCodec, to_signal
from video4spatial.model.load import inflate_from_images, resolve_part, small_vae
from video4spatial.schema import Box
from video4spatial.train.config import VaeRun
from video4spatial.train.loop import choose_device
from video4spatial.train.stream import RoomPool, validation_seeds
from video4spatial.train.workers import render_clips

CLIP_FRAMES = 17


@contextlib.contextmanager
def single_frame_convolutions() -> Iterator[None]:
    """Within it, causal convolutions of single frames use their newest tap only: the same result for a third."""
    stock = WanCausalConv3d.forward

    def forward(self: WanCausalConv3d, x: Tensor, cache_x: Tensor | None = None) -> Tensor:
        alone = x.shape[2] == 1 and cache_x is None and self.kernel_size[0] == 3 and self.stride[0] == 1
        if not alone:
            return stock(self, x, cache_x)
        left, right, top, bottom = (int(side) for side in self._padding[:4])
        padded = F.pad(x[:, :, 0], (left, right, top, bottom))
        return F.conv2d(padded, self.weight[:, :, 2], self.bias).unsqueeze(2)

    WanCausalConv3d.forward = forward
    try:
        yield
    finally:
        WanCausalConv3d.forward = stock


def decode_signal(vae: Any, z: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B 3 T H W"]:
    """``vae.decode`` without its clamp, at which gradients die."""
    vae.clear_cache()
    z = vae.post_quant_conv(z)
    parts = []
    for i in range(z.shape[2]):
        vae._conv_idx = [0]
        part = vae.decoder(z[:, :, i : i + 1], feat_cache=vae._feat_map, feat_idx=vae._conv_idx, first_chunk=i == 0)
        parts.append(part)
    vae.clear_cache()
    return unpatchify(torch.cat(parts, dim=2), vae.config.patch_size)


def draw_random_box(frame: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """A red box somewhere near the middle, so that the code learns to carry them."""
    height, width = frame.shape[:2]
    x, y = rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height
    w, h = rng.uniform(0.12, 0.7) * width, rng.uniform(0.12, 0.8) * height
    box = Box(max(x - w / 2, 0), max(y - h / 2, 0), min(x + w / 2, width), min(y + h / 2, height))
    return draw_box(frame, box)


def augment(clip: UInt8[np.ndarray, "T H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "T H W 3"]:
    """Mirror, reverse, exchange colours; sometimes a red box on a single frame, red whatever the colours became."""
    if rng.random() < 0.5:
        clip = clip[:, :, ::-1]
    if len(clip) > 1 and rng.random() < 0.2:
        clip = clip[::-1]
    if rng.random() < 0.25:
        clip = clip[..., rng.permutation(3)]
    if len(clip) == 1 and rng.random() < 0.15:
        clip = draw_random_box(np.ascontiguousarray(clip[0]), rng)[None]
    return np.ascontiguousarray(clip)


def psnr(a: Tensor, b: Tensor) -> float:
    """Mean over the batch of the PSNR (dB) of signals in [-1, 1]."""
    return (10 * torch.log10(4 / (a - b).square().mean(dim=(1, 2, 3, 4)))).mean().item()


class VaeTask:
    """Reconstruct frames, then clips: L1 and L2 of the signal, and a slight pull of the code to a unit Gaussian."""

    def __init__(self, config: VaeRun, show_progress: bool = True) -> None:
        self.config = config
        self.device = choose_device(config.device)
        self.model: Any = self._start().train().to(self.device)  # diffusers types neither configs nor outputs
        render = partial(render_clips, clips=config.clips_a_room, length=CLIP_FRAMES)
        self.pool: RoomPool[np.ndarray, np.ndarray] = RoomPool(
            config.stream, render, lambda seed, clips: clips, show_progress=show_progress
        )
        self._judged: Tensor | None = None
        self.ids: list[str] = []

    def _start(self) -> Any:
        torch.manual_seed(self.config.seed)
        if self.config.start is None:
            return inflate_from_images(small_vae(self.config.width))
        return AutoencoderKLWan.from_pretrained(resolve_part(self.config.start, "vae"), torch_dtype=torch.float32)

    def _batch(self, step: int, number: int, frames: int, size: int) -> Float[Tensor, "B 3 T H W"]:
        """The run's ``number``-th batch, out of the rooms of ``step``."""
        rng = np.random.default_rng([self.config.seed, number])
        rooms = self.pool.at(step)
        clips, self.ids = [], []
        for _ in range(size):
            place = int(rng.integers(len(rooms)))
            room = rooms[place]
            clip = room[rng.integers(len(room))]
            self.ids.append(f"room{self.pool.seeds(step)[place]}")
            first = rng.integers(len(clip) - frames + 1)
            clips.append(to_signal(augment(clip[first : first + frames], rng)))
        return torch.stack(clips).to(self.device)

    def loss(self, step: int, progress: float, micro: int = 0) -> tuple[Tensor, dict[str, float]]:
        number = step * self.config.micro_batches(1) + micro
        torch.manual_seed((self.config.seed + 1) * 1_000_003 + number)
        if progress < self.config.image_share:
            signal = self._batch(step, number, 1, self.config.image_batch)
            with single_frame_convolutions():
                return self._loss(signal)
        frames = self.config.clips[number % len(self.config.clips)]
        return self._loss(self._batch(step, number, frames, self.config.clip_batch))

    def _loss(self, signal: Tensor) -> tuple[Tensor, dict[str, float]]:
        dtype = torch.bfloat16 if self.config.precision == "bf16" else torch.float32
        with torch.autocast(self.device.type, dtype, enabled=self.config.precision == "bf16"):
            posterior = self.model.encode(signal).latent_dist
            restored = decode_signal(self.model, posterior.sample()).float()
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).float().mean()
        error = restored - signal
        l1, l2 = error.abs().mean(), error.square().mean()
        return l1 + l2 + self.config.kl * kl, {"l1": l1.item(), "kl": kl.item()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        if self._judged is None:
            rooms = validation_seeds(self.config.validation_rooms)
            clips = [render_clips(seed, self.config.stream.rooms, 4, CLIP_FRAMES) for seed in rooms]
            self._judged = torch.stack([to_signal(clip) for clip in np.concatenate(clips)]).to(self.device)
        images = self._judged[:, :, ::8]
        images = rearrange(images, "b c t h w -> (b t) c 1 h w")
        restored = [self.model.decode(self.model.encode(x).latent_dist.mode()).sample for x in (images, self._judged)]
        return {"psnr_frames": psnr(restored[0], images), "psnr_clips": psnr(restored[1], self._judged)}

    @torch.no_grad()
    def export(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """Save the VAE with the statistics of its latents over the pool's clips in its config."""
        self.set_statistics()
        self.model.save_pretrained(folder / "vae")

    @torch.no_grad()
    def set_statistics(self, clips: int = 200) -> None:
        """Measure the latents' mean and standard deviation a channel, and write them into the VAE's config."""
        self.model.register_to_config(latents_mean=[0.0] * LatentCodec(self.model).channels)
        self.model.register_to_config(latents_std=[1.0] * LatentCodec(self.model).channels)
        codec = LatentCodec(self.model)
        rooms = self.pool.at(0)
        rng = np.random.default_rng(0)
        latents = []
        for _ in range(clips):
            room = rooms[rng.integers(len(rooms))]
            latents.append(codec.encode(room[rng.integers(len(room))]))
        values = rearrange(torch.stack(latents), "n c f h w -> c (n f h w)").double()
        self.model.register_to_config(latents_mean=[round(v, 5) for v in values.mean(1).tolist()])
        self.model.register_to_config(latents_std=[round(v, 5) for v in values.std(1).tolist()])

    def close(self) -> None:
        self.pool.close()
