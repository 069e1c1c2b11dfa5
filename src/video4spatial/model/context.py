"""One sequence out of context and target: which latents are clean, at which timestep, at which index.

Paper, Section 3.2: the sequence is ``[context | target]``; context latents are clean and at timestep 0, in training
and in sampling; the target's first latent is the known first frame, clean as well.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video4spatial.model.rope import target_index

CONTEXT_GAP = 50
MAX_TIMESTEP = 1000.0


@dataclass
class Sequence:
    """What the transformer is called with (without text)."""

    latents: Float[Tensor, "B C F h w"]
    timestep: Float[Tensor, "B F"]
    frame_index: Int[Tensor, "B F"]
    camera: Float[Tensor, "B K F h w"] | None
    context_frames: int

    def target(self, prediction: Float[Tensor, "B C F h w"]) -> Float[Tensor, "B C Ft h w"]:
        """The target's part of a prediction over the whole sequence (its first latent included)."""
        return prediction[:, :, self.context_frames :]

    def context_alone(self) -> "Sequence":
        """The context by itself, at the same indices and timesteps (it carries no pose, hence no camera)."""
        n = self.context_frames
        return Sequence(self.latents[:, :, :n], self.timestep[:, :n], self.frame_index[:, :n], None, n)

    def target_alone(self) -> "Sequence":
        """The target by itself, at the same indices and timesteps: it still comes after the context, and its gap."""
        n = self.context_frames
        camera = None if self.camera is None else self.camera[:, :, n:]
        return Sequence(self.latents[:, :, n:], self.timestep[:, n:], self.frame_index[:, n:], camera, 0)

    def renew(self, target: Float[Tensor, "B C Ft h w"], timestep: Float[Tensor, ""]) -> "Sequence":
        """Put the next step's target and timestep in place; everything else stays. Returns itself."""
        self.latents[:, :, self.context_frames :] = target
        self.timestep[:, self.context_frames + 1 :] = timestep
        return self


def assemble(
    context: Float[Tensor, "B C Fc h w"],
    context_index: Int[Tensor, "B Fc"],
    target: Float[Tensor, "B C Ft h w"],
    timestep: Float[Tensor, " B"],
    camera: Float[Tensor, "B K Ft h w"] | None = None,
    context_timestep: Float[Tensor, " B"] | float = 0.0,
    gap: int = CONTEXT_GAP,
    vanilla_rope: bool = False,
) -> Sequence:
    """Put clean context before a target whose first latent is clean and whose others are at ``timestep``.

    Args:
        context: clean latents, or noise in the null branch; ``Fc`` may be 0.
        context_index: each context latent's index in its own source video.
        target: first latent clean, the others noisy.
        timestep: of the noisy latents, in [0, 1000].
        camera: packed Pluecker maps of the target; context gets zeros, since it carries no pose.
        context_timestep: 0 for clean context; the maximum where the context is noise.
        gap: indices left free between context and target.
        vanilla_rope: contiguous indices over the whole sequence (the paper's ablation).
    """
    batch, _, context_frames = context.shape[:3]
    target_frames = target.shape[2]
    times = torch.zeros(batch, context_frames + target_frames, device=target.device)
    times[:, :context_frames] = torch.as_tensor(context_timestep, device=times.device).float().reshape(-1, 1)
    times[:, context_frames + 1 :] = timestep.float()[:, None]
    if vanilla_rope:
        index = torch.arange(context_frames + target_frames, device=target.device).expand(batch, -1)
    else:
        index = torch.cat([context_index, target_index(context_index, target_frames, gap)], dim=1)
    if camera is not None:
        blank = camera.new_zeros(batch, camera.shape[1], context_frames, *camera.shape[3:])
        camera = torch.cat([blank, camera], dim=2)
    return Sequence(torch.cat([context, target], dim=2), times, index, camera, context_frames)
