"""Context far longer than any trained on: 680 latents (2,717 frames), and indices past Wan's table of 1024."""

import dataclasses

import numpy as np
import pytest
import torch

from video4spatial.sample.guidance import Conditions, Guidance, guided_velocity
from video4spatial.sample.modes import Sampling
from video4spatial.sample.session import EncodedScene

LATENTS = 680


def conditions(index: torch.Tensor) -> Conditions:
    generator = torch.Generator().manual_seed(0)
    frames = index.shape[1]
    return Conditions(
        context=torch.randn(1, 48, frames, 2, 4, generator=generator),
        context_index=index,
        context_noise=torch.randn(1, 48, frames, 2, 4, generator=generator),
        text=torch.randn(1, 6, 64, generator=generator),
        null_text=torch.randn(1, 6, 64, generator=generator),
        camera=torch.randn(1, 24, 3, 2, 4, generator=generator),
        gap=50,
    )


@torch.no_grad()
@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling("sequential"), Sampling(context_attention="causal")], ids=str
)
def test_nothing_breaks_past_index_1024(tiny_transformer, sampling):
    """Every other latent of a video of 1,360: the target is at 1,409; only distances in time count."""
    target = torch.randn(1, 48, 3, 2, 4, generator=torch.Generator().manual_seed(1))
    time = torch.tensor(500.0)
    far = conditions(2 * torch.arange(LATENTS)[None])
    found = guided_velocity(tiny_transformer, target, time, far, Guidance(3.0), sampling)
    assert torch.isfinite(found).all()
    moved = dataclasses.replace(far, context_index=far.context_index + 5000)
    torch.testing.assert_close(
        guided_velocity(tiny_transformer, target, time, moved, Guidance(3.0), sampling), found, rtol=0, atol=1e-3
    )
    nearer = dataclasses.replace(far, context_index=far.context_index // 2)
    assert (guided_velocity(tiny_transformer, target, time, nearer, Guidance(3.0), sampling) - found).abs().max() > 1e-3


def test_a_clip_from_680_latents(tiny_pipeline):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(48, LATENTS, 2, 4, generator=generator)
    scene = EncodedScene(latents, latents[:, -1:], np.zeros((32, 64, 3), np.uint8), 16.0)
    for sampling in (Sampling(), Sampling(context_attention="causal")):
        result = tiny_pipeline(scene, path="turn-left", steps=1, context_latents=LATENTS, sampling=sampling)
        assert result.settings["context_index"] == list(range(LATENTS))
        assert result.frames.shape == (17, 32, 64, 3)
