"""The training step: the loss on one screen.

    x_t = (1 - sigma) x_0 + sigma noise;   loss = || model([context | x_0[first], x_t]) - (noise - x_0) ||^2

over the target's noisy latents only (paper, Sections 3.2 and 3.4). With chance ``drop`` an example loses its
instruction and its context together: the context's slots then hold pure noise and are told so by the maximum timestep,
as in the null branch of sampling. With ``null_context="none"`` it has no context tokens instead.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor

from video4spatial.data.dataset import Batch
from video4spatial.flow import TIMESTEPS, add_noise, draw_sigma, velocity
from video4spatial.model.context import MAX_TIMESTEP, Sequence, assemble
from video4spatial.model.instruction import encode_text
from video4spatial.train.config import TransformerRun


@dataclass
class Draw:
    """The randomness of one step, drawn apart from the loss so that a step can be repeated exactly."""

    noise: Float[Tensor, "B C F h w"]
    context_noise: Float[Tensor, "B C Fc h w"]
    sigma: Float[Tensor, " B"]
    dropped: Bool[Tensor, " B"]


def draw(
    batch: Batch, config: TransformerRun, step: int, sigma: float | None = None, part: int = 0, parts: int = 1
) -> Draw:
    """Noise, noise levels and drops of part ``part`` of ``parts`` of step ``step``; with ``sigma`` that level for all,
    and nothing dropped.

    Each example's come from its number in the step's whole batch, so that it does not matter how many processes and
    micro-batches share it; the noise levels are stratified over the whole of it.
    """
    count, total = len(batch), len(batch) * parts
    mine = range(part * count, (part + 1) * count)
    together = torch.Generator().manual_seed((config.seed + 1) * 1_000_003 + step)
    sigmas = draw_sigma(total, config.shift, together)[mine.start : mine.stop]
    dropped = torch.rand(total, generator=together)[mine.start : mine.stop] < config.drop
    noise, context_noise = [], []
    for number in mine:
        seed = int(np.random.SeedSequence([config.seed, step, number]).generate_state(1, np.uint64)[0])
        alone = torch.Generator().manual_seed(seed)
        noise.append(torch.randn(batch.target.shape[1:], generator=alone))
        context_noise.append(torch.randn(batch.context.shape[1:], generator=alone))
    return Draw(
        torch.stack(noise),
        torch.stack(context_noise),
        sigmas if sigma is None else torch.full((count,), sigma),
        dropped if sigma is None else torch.zeros(count, dtype=torch.bool),
    )


def flow_matching_loss(
    model: Any,
    batch: Batch,
    text: Float[Tensor, "B L D"],
    null_text: Float[Tensor, "1 L D"],
    random: Draw,
    config: TransformerRun,
) -> Float[Tensor, " B"]:
    """Mean squared velocity error of each example, over its noisy latents."""
    gone = random.dropped.to(batch.target.device)
    wide = gone.view(-1, 1, 1, 1, 1)
    noise = random.noise.to(batch.target)
    sigma = random.sigma.to(batch.target.device)

    noisy = add_noise(batch.target, noise, sigma)
    target = torch.cat([batch.target[:, :, :1], noisy[:, :, 1:]], dim=2)
    sequence = assemble(
        context=torch.where(wide, random.context_noise.to(batch.context), batch.context),
        context_index=batch.context_index,
        target=target,
        timestep=sigma * TIMESTEPS,
        camera=batch.camera.masked_fill(wide, 0.0),
        context_timestep=gone.float() * MAX_TIMESTEP,
        gap=config.gap,
        vanilla_rope=config.vanilla_rope,
    )
    mask = None
    if config.null_context == "none" and sequence.context_frames:
        if random.dropped.all():
            sequence = sequence.target_alone()
        elif random.dropped.any():
            mask = without_context(sequence, gone, model.config.patch_size)
    predicted = model(
        sequence.latents,
        sequence.timestep,
        torch.where(gone.view(-1, 1, 1), null_text, text),
        frame_index=sequence.frame_index,
        camera=sequence.camera,
        attention_mask=mask,
        context_frames=sequence.context_frames,
        context_attention=config.context_attention,
        return_dict=False,
    )[0]
    wanted = velocity(batch.target, noise)
    error = sequence.target(predicted).float() - wanted.float()
    return error[:, :, 1:].square().mean(dim=(1, 2, 3, 4))


def without_context(
    sequence: Sequence, gone: Bool[Tensor, " B"], patch_size: tuple[int, ...] | list[int]
) -> Bool[Tensor, "B 1 1 N"]:
    """Which keys each example's tokens attend to, where the examples ``gone`` have no context tokens.

    Their context stays in the batch, but no target token sees it, so that loss and gradients are those of the target
    alone. A mask instead of a second, shorter batch: every process then runs the same passes, as sharded parameters
    need it.
    """
    tokens_a_frame = math.prod(n // p for n, p in zip(sequence.latents.shape[3:], patch_size[1:], strict=True))
    seen = torch.ones(len(gone), sequence.latents.shape[2], dtype=torch.bool, device=gone.device)
    seen[:, : sequence.context_frames] = ~gone[:, None]
    return repeat(seen, "b f -> b 1 1 (f s)", s=tokens_a_frame)


class TextTable:
    """Embeddings of the sentences met so far: the text encoder is frozen, so each is computed once."""

    def __init__(self, tokenizer: Any, text_encoder: Any, device: torch.device, limit: int = 20000) -> None:
        self.tokenizer, self.text_encoder, self.device, self.limit = tokenizer, text_encoder, device, limit
        self._known: dict[str, Tensor] = {}
        self.null = self([""])

    def __call__(self, sentences: list[str]) -> Float[Tensor, "B L D"]:
        new = sorted(set(sentences) - self._known.keys())
        if new:
            if len(self._known) > self.limit:
                self._known = {"": self._known[""]}
                new = sorted(set(sentences) - self._known.keys())
            if new:
                embeddings = encode_text(self.tokenizer, self.text_encoder, new).to(self.device)
                self._known.update(zip(new, embeddings, strict=True))
        return torch.stack([self._known[sentence] for sentence in sentences])


def select_trained(model: torch.nn.Module, which: str) -> int:
    """Let only the chosen parameters train; the number of parameters that do.

    "attention": self- and cross-attention projections and their norms, and the camera embedding, which must train with
    them or it stays silent (paper, Section 4.1).
    """
    for name, parameter in model.named_parameters():
        attention = ".attn1." in name or ".attn2." in name or name.startswith("camera_embedding")
        parameter.requires_grad_(which == "all" or attention)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
