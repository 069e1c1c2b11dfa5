"""What a clip is going to be, shown while it is sampled: the clean latents that the sampler expects, a few decoded."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video4spatial.model.latents import LatentCodec

SHOWN = 4  # pictures of a preview
EVERY = 4  # steps between previews


def expected_latents(scheduler: Any) -> Float[Tensor, "C F h w"] | None:
    """x_0 as UniPC predicts it at the step just done; None for a sampler that does not keep it."""
    kept = getattr(scheduler, "model_outputs", None)
    if not kept or kept[-1] is None or not getattr(scheduler.config, "predict_x0", False):
        return None
    return kept[-1][0]


@torch.no_grad()
def preview(scheduler: Any, codec: LatentCodec) -> tuple[UInt8[np.ndarray, "H W 3"], ...]:
    """A few frames, each latent decoded by itself as a picture: cheap, and blurred where things move."""
    latents = expected_latents(scheduler)
    if latents is None:
        return ()
    chosen = np.unique(np.linspace(0, latents.shape[1] - 1, SHOWN).round().astype(int))
    return tuple(codec.decode(latents[:, i : i + 1])[0] for i in chosen.tolist())


def is_due(done: int, steps: int) -> bool:
    """Whether a preview is worth its time at this step: not at the last, whose clip comes anyway."""
    return done < steps and (done == 2 or done % EVERY == 0)
