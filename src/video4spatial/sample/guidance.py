"""Joint classifier-free guidance over instruction and context (paper, Section 3.4).

    v = v(x, t, null, z_ctx) + w (v(x, t, g, x_ctx) - v(x, t, null, z_ctx)),        z_ctx ~ N(0, I)

In the null branch the context's slots hold pure noise and are told so by the maximum timestep, as masked history is in
History Guidance (the paper is silent on the timestep); the first frame stays clean in both branches.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video4spatial.model.context import MAX_TIMESTEP, assemble
from video4spatial.schema import InputError

GUIDANCE_MODES = ("joint", "text", "none")


@dataclass(frozen=True)
class Guidance:
    """How strongly, and over what, to guide.

    ``joint`` (the paper) drops instruction and context together in the null branch, ``text`` (ablation) only the
    instruction, ``none`` (ablation) does without a null branch. ``scale`` 1 costs one evaluation a step, like ``none``.
    """

    scale: float = 5.0
    mode: Literal["joint", "text", "none"] = "joint"

    def __post_init__(self) -> None:
        if self.mode not in GUIDANCE_MODES:
            raise InputError(f"guidance mode is {self.mode!r}: use one of {', '.join(GUIDANCE_MODES)}")
        if not 0 <= self.scale < float("inf"):
            raise InputError(f"guidance is {self.scale}: give a number of at least 0 (1 is off, the paper uses 5)")

    @property
    def guides(self) -> bool:
        return self.mode != "none" and self.scale != 1.0


@dataclass
class Conditions:
    """What one clip is conditioned on; a batch of one."""

    context: Float[Tensor, "1 C Fc h w"]
    context_index: Int[Tensor, "1 Fc"]
    context_noise: Float[Tensor, "1 C Fc h w"]
    text: Float[Tensor, "1 L D"]
    null_text: Float[Tensor, "1 L D"]
    camera: Float[Tensor, "1 K F h w"]
    gap: int
    vanilla_rope: bool = False


def guided_velocity(
    transformer: Any,
    target: Float[Tensor, "1 C F h w"],
    timestep: Float[Tensor, ""] | Int[Tensor, ""],
    conditions: Conditions,
    guidance: Guidance,
) -> Float[Tensor, "1 C F h w"]:
    """The target's velocity at ``timestep`` (0 to 1000); ``target``'s first latent is the clean first frame.

    Both branches go through the transformer as one batch.
    """
    c = conditions
    branches = 2 if guidance.guides else 1
    context = [c.context, c.context_noise if guidance.mode == "joint" else c.context][:branches]
    context_time = [0.0, MAX_TIMESTEP if guidance.mode == "joint" else 0.0][:branches]
    sequence = assemble(
        context=torch.cat(context),
        context_index=c.context_index.expand(branches, -1),
        target=target.expand(branches, -1, -1, -1, -1),
        timestep=timestep.float().reshape(1).expand(branches).to(target.device),
        camera=torch.cat([c.camera, torch.zeros_like(c.camera)][:branches]),
        context_timestep=torch.tensor(context_time, device=target.device),
        gap=c.gap,
        vanilla_rope=c.vanilla_rope,
    )
    prediction = transformer(
        sequence.latents,
        sequence.timestep,
        torch.cat([c.text, c.null_text][:branches]),
        frame_index=sequence.frame_index,
        camera=sequence.camera,
        return_dict=False,
    )[0]
    velocity = sequence.target(prediction).float()
    if branches == 1:
        return velocity
    conditional, null = velocity.chunk(2)
    return null + guidance.scale * (conditional - null)
