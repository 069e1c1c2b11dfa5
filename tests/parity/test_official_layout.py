"""Wan2.2-TI2V-5B at its real size (names and shapes, no weights), and the official code's numbers at a tiny one."""

import json
import math
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import load_file
from transformers import UMT5EncoderModel
from wan_layouts import LISTING, PARITY, expanded, text_state, vae_state

from video4spatial.model.official import (
    UMT5_XXL,
    WAN22_VAE,
    empty_transformer,
    text_encoder_from_official,
    text_encoder_names,
    transformer_config,
    transformer_names,
    vae_from_official,
    vae_names,
)
from video4spatial.model.stored import empty_part
from video4spatial.model.transformer import CAMERA_KEY, Video4SpatialTransformer3DModel
from video4spatial.model.weights import shapes_of


def count(shapes) -> int:
    return sum(math.prod(shape) for shape in shapes)


OFFICIAL = expanded(LISTING["transformer"])  # official name -> [diffusers name inside its block, shape]


def diffusers_name(official: str) -> str:
    block = official.split(".")[1] if official.startswith("blocks.") else None
    return OFFICIAL[official][0] if block is None else f"blocks.{block}.{OFFICIAL[official][0]}"


def test_the_listing_is_the_published_5b():
    assert len(OFFICIAL) == 825
    assert count(shape for _, shape in OFFICIAL.values()) == 4_999_787_712
    attention = [s for k, (_, s) in OFFICIAL.items() if ".self_attn." in k]
    assert count(attention) == 1_133_015_040
    assert count(LISTING["vae"].values()) == 704_688_668
    assert count(expanded(LISTING["text_encoder"]).values()) == 5_680_910_336


def test_our_transformer_has_exactly_the_5bs_tensors():
    ours = shapes_of(empty_transformer({}, "the 5B"))
    assert ours.pop(CAMERA_KEY) == (3072, 24, 1, 2, 2)
    assert ours == {diffusers_name(official): tuple(shape) for official, (_, shape) in OFFICIAL.items()}


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_official_transformer_names_convert_to_exactly_these(prefix):
    names = transformer_names(prefix + key for key in OFFICIAL)
    assert names == {diffusers_name(official): prefix + official for official in OFFICIAL}
    assert transformer_names(names) == {key: key for key in names}  # diffusers' own names stay


def test_the_official_vaes_tensors_are_exactly_ours():
    with torch.device("meta"):
        ours = shapes_of(AutoencoderKLWan(**WAN22_VAE))
    names = vae_names(LISTING["vae"])
    assert {key: tuple(LISTING["vae"][stored]) for key, stored in names.items()} == ours
    assert (len(ours), count(ours.values())) == (196, 704_688_668)
    assert len(WAN22_VAE["latents_mean"]) == len(WAN22_VAE["latents_std"]) == 48


def test_the_official_text_encoders_tensors_are_exactly_umt5s(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(UMT5_XXL))
    ours = shapes_of(empty_part(UMT5EncoderModel, tmp_path))
    official = expanded(LISTING["text_encoder"])
    names = text_encoder_names(official)
    assert {key: tuple(official[stored]) for key, stored in names.items()} == ours
    assert count(shape for key, shape in ours.items() if key != "encoder.embed_tokens.weight") == 5_680_910_336


@pytest.fixture(scope="module")
def reference():
    return load_file(PARITY / "wan22_vae_umt5_official_tiny.safetensors")


@torch.no_grad()
def test_the_official_vaes_numbers(tmp_path, reference):
    torch.save(vae_state(), tmp_path / "Wan2.2_VAE.pth")
    vae = vae_from_official(tmp_path / "Wan2.2_VAE.pth").eval()
    mode = vae.encode(reference["vae.video"]).latent_dist.mode()
    torch.testing.assert_close(mode, reference["vae.mode"], rtol=0, atol=2e-6)
    decoded = vae.decode(reference["vae.latents"]).sample
    assert (reference["vae.decoded"].abs() < 1).float().mean() > 0.8  # or the clamp would hide all
    torch.testing.assert_close(decoded, reference["vae.decoded"].clamp(-1, 1), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_official_text_encoders_numbers(tmp_path, reference):
    torch.save(text_state(), tmp_path / "t5.pth")
    encoder = text_encoder_from_official(tmp_path / "t5.pth")
    out = encoder(reference["text.ids"], reference["text.mask"]).last_hidden_state[:, :8]
    torch.testing.assert_close(out, reference["text.embedding"], rtol=0, atol=1e-5)


def test_stock_config_is_the_classs_default():
    """What the publisher's config.json says, in both layouts, is what the class assumes."""
    official = {"dim": 3072, "eps": 1e-06, "ffn_dim": 14336, "freq_dim": 256, "in_dim": 48, "model_type": "ti2v"}
    official |= {"num_heads": 24, "num_layers": 30, "out_dim": 48, "text_len": 512, "_class_name": "WanModel"}
    defaults = dict(empty_transformer({}, "the 5B").config)
    for key, value in transformer_config(official, Path("config.json")).items():
        assert defaults[key] == value, key
    assert isinstance(empty_transformer({}, "the 5B"), Video4SpatialTransformer3DModel)
