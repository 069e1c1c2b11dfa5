"""From noise to a clip's latents: the sampler's steps along the guided velocity, the first frame pinned at each."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

StepCallback = Callable[[int, int, Tensor], None]
Velocity = Callable[[Tensor, Tensor, float], Tensor]


def denoise(
    scheduler: Any,
    velocity: Velocity,
    noise: Float[Tensor, "1 C F h w"],
    first: Float[Tensor, "1 C 1 h w"],
    steps: int,
    on_step: StepCallback | None = None,
    bar: Any = None,
) -> Float[Tensor, "1 C F h w"]:
    """Integrate ``velocity`` from ``noise`` to the clip's latents, in float32.

    Args:
        scheduler: diffusers' UniPC on flow sigmas.
        velocity: of ``(latents, timestep, sigma)``; asked in the precision of ``first``.
        first: the known first latent, clean; it is put back after every step.
        on_step: called with (steps done, steps, latents) after each step; raise in it to stop.
        bar: a progress bar to be advanced.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    scheduler.set_begin_index(0)
    sigmas = scheduler.sigmas.tolist()  # kept on the host: no step waits for the device
    pinned = first.float()
    latents = torch.cat([pinned, noise[:, :, 1:].float()], dim=2)
    with nullcontext() if bar is None else bar:
        for number, (timestep, sigma) in enumerate(zip(scheduler.timesteps, sigmas[:-1], strict=True)):
            flow = velocity(latents.to(first.dtype), timestep, sigma)
            latents = scheduler.step(flow, timestep, latents, return_dict=False)[0]
            latents = torch.cat([pinned, latents[:, :, 1:]], dim=2)
            if bar is not None:
                bar.update()
            if on_step is not None:
                on_step(number + 1, steps, latents)
    return latents
