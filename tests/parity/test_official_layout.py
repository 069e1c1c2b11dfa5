"""Wan2.2-TI2V-5B at its real size (names and shapes, no weights), and the official code's numbers at a tiny one."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from video4spatial.model.official import (
    WAN22_VAE,
    empty_transformer,
    text_encoder_from_official,
    text_encoder_names,
    transformer_names,
    vae_from_official,
    vae_names,
)
from video4spatial.model.stored import empty_part
from video4spatial.model.transformer import CAMERA_KEY, Video4SpatialTransformer3DModel
from video4spatial.model.weights import shapes_of

HERE = Path(__file__).parent
LISTING = json.loads((HERE / "wan22_ti2v_5b.json").read_text(encoding="utf-8"))


def expanded(part: dict) -> dict:
    """A listing with its repeated block written out."""
    return part["top"] | {f"blocks.{i}.{k}": v for i in range(part["blocks"]) for k, v in part["block"].items()}


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
    from diffusers import AutoencoderKLWan

    with torch.device("meta"):
        ours = shapes_of(AutoencoderKLWan(**WAN22_VAE))
    names = vae_names(LISTING["vae"])
    assert {key: tuple(LISTING["vae"][stored]) for key, stored in names.items()} == ours
    assert (len(ours), count(ours.values())) == (196, 704_688_668)
    assert len(WAN22_VAE["latents_mean"]) == len(WAN22_VAE["latents_std"]) == 48


def test_the_official_text_encoders_tensors_are_exactly_umt5s(tmp_path):
    from transformers import UMT5EncoderModel

    from video4spatial.model.official import UMT5_XXL

    (tmp_path / "config.json").write_text(json.dumps(UMT5_XXL))
    ours = shapes_of(empty_part(UMT5EncoderModel, tmp_path))
    official = expanded(LISTING["text_encoder"])
    names = text_encoder_names(official)
    assert {key: tuple(official[stored]) for key, stored in names.items()} == ours
    assert count(shape for key, shape in ours.items() if key != "encoder.embed_tokens.weight") == 5_680_910_336


def scrambled(number: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Numbers in [-0.5, 0.5) that any machine makes alike."""
    x = torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 12.9898 + number * 78.233) * 43758.5453
    return (x - x.floor() - 0.5).reshape(shape)


def made_weights(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """The weights that the reference outputs were computed with."""
    weights = {}
    for number, (key, shape) in enumerate(sorted(shapes.items())):
        w = scrambled(number, tuple(shape))
        if key.endswith("gamma") or "norm" in key:
            w = 1 + 0.2 * w
        elif len(shape) > 1:
            w = w * (4 / math.sqrt(math.prod(shape[1:])))
        else:
            w = 0.1 * w
        weights[key] = w.float()
    return weights


@pytest.fixture(scope="module")
def reference():
    return load_file(HERE / "wan22_vae_umt5_official_tiny.safetensors")


def shrunk_vae() -> dict[str, list[int]]:
    """The VAE's listing at widths 8 and 8 instead of 160 and 256; latent and colour channels stay."""

    def narrow(key: str, shape: list[int]) -> list[int]:
        by = 20 if key.startswith("encoder") else 32
        return [size // by if size % by == 0 and size >= by * 8 else size for size in shape]

    return {key: narrow(key, shape) for key, shape in LISTING["vae"].items()}


@torch.no_grad()
def test_the_official_vaes_numbers(tmp_path, reference):
    torch.save(made_weights(shrunk_vae()), tmp_path / "Wan2.2_VAE.pth")
    vae = vae_from_official(tmp_path / "Wan2.2_VAE.pth").eval()
    mode = vae.encode(reference["vae.video"]).latent_dist.mode()
    torch.testing.assert_close(mode, reference["vae.mode"], rtol=0, atol=2e-6)
    decoded = vae.decode(reference["vae.latents"]).sample
    assert (reference["vae.decoded"].abs() < 1).float().mean() > 0.8  # or the clamp would hide all
    torch.testing.assert_close(decoded, reference["vae.decoded"].clamp(-1, 1), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_official_text_encoders_numbers(tmp_path, reference):
    sizes = {256384: 64, 4096: 32, 10240: 48, 64: 4, 32: 32}
    part = LISTING["text_encoder"] | {"blocks": 2}
    shapes = {key: [sizes[size] for size in shape] for key, shape in expanded(part).items()}
    torch.save(made_weights(shapes), tmp_path / "t5.pth")
    encoder = text_encoder_from_official(tmp_path / "t5.pth")
    out = encoder(reference["text.ids"], reference["text.mask"]).last_hidden_state[:, :8]
    torch.testing.assert_close(out, reference["text.embedding"], rtol=0, atol=1e-5)


def test_stock_config_is_the_classs_default():
    """What the publisher's config.json says, in both layouts, is what the class assumes."""
    from video4spatial.model.official import transformer_config

    official = {"dim": 3072, "eps": 1e-06, "ffn_dim": 14336, "freq_dim": 256, "in_dim": 48, "model_type": "ti2v"}
    official |= {"num_heads": 24, "num_layers": 30, "out_dim": 48, "text_len": 512, "_class_name": "WanModel"}
    defaults = dict(empty_transformer({}, "the 5B").config)
    for key, value in transformer_config(official, Path("config.json")).items():
        assert defaults[key] == value, key
    assert isinstance(empty_transformer({}, "the 5B"), Video4SpatialTransformer3DModel)
