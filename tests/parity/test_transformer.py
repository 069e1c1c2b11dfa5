"""Parity of the transformer: with stock diffusers (exact) and with the official implementation's numbers."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors import safe_open

from video4spatial.model.attention import ContextCache
from video4spatial.model.context import assemble
from video4spatial.model.official import transformer_from_official
from video4spatial.model.transformer import Video4SpatialTransformer3DModel

OFFICIAL = Path(__file__).parent / "wan_official_tiny.safetensors"
TINY = {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "in_channels": 8,
    "out_channels": 8,
    "text_dim": 16,
    "ffn_dim": 64,
    "num_layers": 2,
}


def tiny_pair() -> tuple[WanTransformer3DModel, Video4SpatialTransformer3DModel]:
    torch.manual_seed(0)
    stock = WanTransformer3DModel(**TINY).eval()
    ours = Video4SpatialTransformer3DModel(**TINY).eval()
    report = ours.load_state_dict(stock.state_dict(), strict=False)
    assert report.missing_keys == ["camera_embedding.weight"]
    assert not report.unexpected_keys
    return stock, ours


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 8, 5, 4, 6, generator=generator), torch.randn(2, 7, 16, generator=generator)


@torch.no_grad()
def test_without_context_it_is_stock_wan_exactly(pair, inputs):
    stock, ours = pair
    latents, text = inputs
    timestep = torch.tensor([999.0, 31.5])
    expected = stock(latents, timestep, text, return_dict=False)[0]
    assert torch.equal(ours(latents, timestep, text, return_dict=False)[0], expected)
    camera = torch.zeros(2, 24, 5, 4, 6)
    assert torch.equal(ours(latents, timestep, text, camera=camera, return_dict=False)[0], expected)


@torch.no_grad()
def test_timesteps_a_frame_equal_timesteps_a_token(pair, inputs):
    stock, ours = pair
    latents, text = inputs
    frames = torch.tensor([[0.0, 700.0, 700.0, 700.0, 700.0], [0.0, 12.0, 500.0, 3.0, 999.0]])
    tokens = frames.repeat_interleave(2 * 3, dim=1)
    expected = stock(latents, tokens, text, return_dict=False)[0]
    torch.testing.assert_close(ours(latents, frames, text, return_dict=False)[0], expected, rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("case", ["same_timestep", "first_frame_clean"])
def test_official_numbers(case):
    with safe_open(OFFICIAL, "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    config = json.loads(metadata["config"])
    state = {k.removeprefix("official."): v for k, v in tensors.items() if k.startswith("official.")}
    model = transformer_from_official(state, config).eval()
    t = float(metadata["timestep"])
    first = 0.0 if case == "first_frame_clean" else t
    timestep = torch.tensor([[first, t, t, t, t]])
    out = model(tensors["input.latents"], timestep, tensors["input.text_padded"], return_dict=False)[0]
    error = (out[0] - tensors[f"velocity.{case}"]).abs().max().item()
    assert error < 2e-5


@torch.no_grad()
def test_cached_context_equals_block_masked_joint_attention(pair, inputs):
    _, ours = pair
    latents, text = inputs
    context, target = latents[:, :, :2], latents[:, :, 2:]
    index = torch.tensor([[3, 40], [7, 2000]])
    sequence = assemble(context, index, target, torch.tensor([600.0, 300.0]))
    tokens = 5 * 6
    mask = torch.ones(tokens, tokens, dtype=torch.bool)
    mask[: 2 * 6, 2 * 6 :] = False
    joint = ours(
        sequence.latents,
        sequence.timestep,
        text,
        frame_index=sequence.frame_index,
        attention_mask=mask,
        return_dict=False,
    )[0]
    cache = ContextCache()
    ours(
        context,
        sequence.timestep[:, :2],
        text,
        frame_index=sequence.frame_index[:, :2],
        context_cache=cache,
        return_dict=False,
    )
    cache.freeze()
    alone = ours(
        target,
        sequence.timestep[:, 2:],
        text,
        frame_index=sequence.frame_index[:, 2:],
        context_cache=cache,
        return_dict=False,
    )[0]
    torch.testing.assert_close(alone, sequence.target(joint), rtol=0, atol=5e-6)
    unmasked = ours(sequence.latents, sequence.timestep, text, frame_index=sequence.frame_index, return_dict=False)[0]
    assert (sequence.target(unmasked) - alone).abs().max() > 1e-4


@torch.no_grad()
def test_full_size_parameter_count():
    with torch.device("meta"):
        model = Video4SpatialTransformer3DModel()
    names = dict(model.named_parameters())
    camera = names.pop("camera_embedding.weight")
    assert (len(names), sum(p.numel() for p in names.values())) == (825, 4_999_787_712)
    assert camera.shape == (3072, 24, 1, 2, 2)
