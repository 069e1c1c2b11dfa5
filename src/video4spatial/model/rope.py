"""Rotary position embedding over sparse temporal indices.

A context latent keeps the index it has in its source video, and the target's indices start after a gap (paper,
Section 3.4, non-contiguous RoPE). Indices therefore are neither contiguous nor bounded by a table's length: the
temporal angles are computed from the indices, the spatial ones come from the stock tables.
"""

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor

from video4spatial.model.diffusers_internals import WanRotaryPosEmbed

THETA = 10000.0


def temporal_angles(frame_index: Int[Tensor, "*batch F"], dim: int) -> Float[Tensor, "*batch F {dim}"]:
    """Rotation angles of each index, every frequency repeated twice as the interleaved tables of Wan have it."""
    exponent = torch.arange(0, dim, 2, dtype=torch.float64, device=frame_index.device) / dim
    angles = frame_index.to(torch.float64)[..., None] * (1.0 / THETA**exponent)
    return angles.repeat_interleave(2, dim=-1)


def target_index(context_index: Int[Tensor, "*batch Fc"], frames: int, gap: int) -> Int[Tensor, "*batch F"]:
    """Indices of ``frames`` target latents: after the last context index plus ``gap`` latents; from 0 without context.

    Source: paper, Section 3.4 (a fixed gap of 50 between context and target). Nothing is read back from the device.
    """
    later = torch.arange(frames, dtype=torch.long, device=context_index.device)
    if not context_index.shape[-1]:
        return later.expand(*context_index.shape[:-1], -1)
    return context_index.amax(dim=-1, keepdim=True) + 1 + gap + later


class SparseRotaryPosEmbed(WanRotaryPosEmbed):
    """``WanRotaryPosEmbed`` whose temporal rows are chosen by ``frame_index``; without one it is the stock module."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, hidden_states: Float[Tensor, "B C F h w"], frame_index: Int[Tensor, "*batch F"] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines ``[1 or B, N, 1, head_dim]`` of the frame-major token sequence.

        ``frame_index`` is ``[F]`` (shared by the batch) or ``[B, F]``; any non-negative integers, in any order.
        """
        if frame_index is None:
            frame_index = torch.arange(hidden_states.shape[2], device=hidden_states.device)
        _, patch_h, patch_w = self.patch_size
        rows, columns = hidden_states.shape[-2] // patch_h, hidden_states.shape[-1] // patch_w
        angles = temporal_angles(frame_index.reshape(-1, frame_index.shape[-1]), self.t_dim)
        widths = [self.t_dim, self.h_dim, self.w_dim]

        def table(temporal: Tensor, stock: Tensor) -> Tensor:
            _, vertical, horizontal = stock.split(widths, dim=1)
            batch, frames, _ = temporal.shape
            parts = [
                repeat(temporal.to(stock.dtype), "b f d -> b f h w d", h=rows, w=columns),
                repeat(vertical[:rows], "h d -> b f h w d", b=batch, f=frames, w=columns),
                repeat(horizontal[:columns], "w d -> b f h w d", b=batch, f=frames, h=rows),
            ]
            return rearrange(torch.cat(parts, dim=-1), "b f h w d -> b (f h w) 1 d")

        return table(angles.cos(), self.freqs_cos), table(angles.sin(), self.freqs_sin)  # pyright: ignore
