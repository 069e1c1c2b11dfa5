"""Flow matching: the path from data to noise, its velocity, and the noise levels training sees.

    x_t = (1 - sigma) x_0 + sigma noise,        velocity = noise - x_0

Source: paper, Section 3.1; rectified flow as Wan2.2 trains it. ``timestep = 1000 sigma``.
"""

import torch
from jaxtyping import Float
from torch import Tensor

TIMESTEPS = 1000.0


def add_noise(
    x_0: Float[Tensor, "B *shape"], noise: Float[Tensor, "B *shape"], sigma: Float[Tensor, " B"]
) -> Float[Tensor, "B *shape"]:
    """The point at ``sigma`` on the straight path from ``x_0`` to ``noise``."""
    sigma = sigma.view(-1, *[1] * (x_0.ndim - 1)).to(x_0)
    return (1 - sigma) * x_0 + sigma * noise


def velocity(x_0: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The path's direction, what the transformer predicts."""
    return noise - x_0


def shift_sigma(sigma: Float[Tensor, "*shape"], shift: float) -> Float[Tensor, "*shape"]:
    """The scheduler's shift towards noise: ``s sigma / (1 + (s - 1) sigma)``."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def draw_sigma(count: int, shift: float, generator: torch.Generator | None = None) -> Float[Tensor, " B"]:
    """Shifted noise levels, one in each of ``count`` equal strata, so that losses vary less."""
    strata = torch.randperm(count, generator=generator).float()
    uniform = (strata + torch.rand(count, generator=generator)) / count
    return shift_sigma(uniform.clamp(1e-3, 1.0), shift)
