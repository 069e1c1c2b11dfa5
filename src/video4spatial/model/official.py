"""Wan2.2-TI2V's own checkpoints into our modules: names, configurations, and nothing else (no tensor is changed).

The transformer's names are diffusers' business (``convert_wan_transformer_to_diffusers``). Its VAE converter knows
Wan2.1's flat blocks only, and neither diffusers nor transformers has one for Wan's UMT5 encoder: these two are renamed
here. Names are mapped before tensors are read, so a wrong file is refused early.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKLWan
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers, convert_wan_vae_to_diffusers
from torch import Tensor
from transformers import UMT5Config, UMT5EncoderModel

from video4spatial.model.transformer import CAMERA_KEY, Video4SpatialTransformer3DModel
from video4spatial.model.weights import Weights, fill, open_weights
from video4spatial.schema import InputError

# fmt: off
LATENTS_MEAN = [  # of Wan2.2's VAE, as published in wan/modules/vae2_2.py
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891,
    0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
    -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723,
    -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
]
LATENTS_STD = [
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
    0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
    0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
]
# fmt: on

WAN22_VAE: dict[str, Any] = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_temporal": 4,
    "scale_factor_spatial": 16,
    "latents_mean": LATENTS_MEAN,
    "latents_std": LATENTS_STD,
}

UMT5_XXL: dict[str, Any] = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
}


def transformer_names(keys: Iterable[str]) -> dict[str, str]:
    """The stored name of each of our transformer's tensors, from official names or diffusers'."""
    keys = list(keys)
    if any(".self_attn." in key for key in keys):
        return convert_wan_transformer_to_diffusers({key: key for key in keys})
    return {key: key for key in keys}


def vae_names(keys: Iterable[str]) -> dict[str, str]:
    """The stored name of each of ``AutoencoderKLWan``'s tensors, from Wan2.2's nested blocks."""
    residual = {"residual.0": "norm1", "residual.2": "conv1", "residual.3": "norm2", "residual.6": "conv2"}
    inner = residual | {"shortcut": "conv_shortcut"}
    renamed = {}
    for key in keys:
        nested = re.fullmatch(
            r"(encoder|decoder)\.(down|up)samples\.(\d+)\.\2samples\.(\d+)\."
            r"(?:(residual\.[0236]|shortcut)|(resample\.1|time_conv))\.(weight|bias|gamma)",
            key,
        )
        if nested is None:
            renamed[key] = key
            continue
        coder, way, block, number, resnet, resample, kind = nested.groups()
        place = f"resnets.{number}.{inner[resnet]}" if resnet else f"{way}sampler.{resample}"
        renamed[f"{coder}.{way}_blocks.{block}.{place}.{kind}"] = key
    return convert_wan_vae_to_diffusers(renamed)  # middle blocks, heads, first and last convolutions


def text_encoder_names(keys: Iterable[str]) -> dict[str, str]:
    """The stored name of each of ``UMT5EncoderModel``'s tensors, from Wan's ``T5Encoder``."""
    inner = {f"attn.{x}": f"layer.0.SelfAttention.{x}" for x in "qkvo"} | {
        "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
        "norm1": "layer.0.layer_norm",
        "norm2": "layer.1.layer_norm",
        "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
        "ffn.fc1": "layer.1.DenseReluDense.wi_1",
        "ffn.fc2": "layer.1.DenseReluDense.wo",
    }
    names = {}
    for key in keys:
        block = re.fullmatch(r"blocks\.(\d+)\.(.+)\.weight", key)
        if key == "token_embedding.weight":
            names["shared.weight"] = names["encoder.embed_tokens.weight"] = key
        elif key == "norm.weight":
            names["encoder.final_layer_norm.weight"] = key
        elif block and block.group(2) in inner:
            names[f"encoder.block.{block.group(1)}.{inner[block.group(2)]}.weight"] = key
        else:
            names[key] = key  # unexpected: reported by name
    return names


def transformer_config(content: object, source: Path) -> dict[str, Any]:
    """Arguments of our transformer from an official ``config.json`` (``WanModel``) or from diffusers'.

    Raises:
        InputError: it is another model's.
    """
    if not isinstance(content, dict):
        raise InputError(f"{source} is not a model's config.json: copy it again")
    if "num_attention_heads" in content:
        return {key: value for key, value in content.items() if not key.startswith("_")}
    names = {"in_dim": "in_channels", "out_dim": "out_channels", "num_heads": "num_attention_heads"}
    names |= {key: key for key in ("ffn_dim", "freq_dim", "num_layers", "eps", "patch_size", "text_dim")}
    lacking = [key for key in ("dim", "num_heads", "num_layers", "in_dim", "out_dim", "ffn_dim") if key not in content]
    if lacking:
        raise InputError(f"{source} lacks {', '.join(lacking)}: it is not the config.json of a Wan transformer")
    if content.get("model_type", "ti2v") not in ("t2v", "ti2v"):
        raise InputError(f"{source}: model_type {content['model_type']!r} is not supported; use Wan2.2-TI2V-5B")
    config = {ours: content[theirs] for theirs, ours in names.items() if theirs in content}
    return config | {"attention_head_dim": content["dim"] // content["num_heads"]}


def empty_transformer(config: Mapping[str, Any], source: str) -> Video4SpatialTransformer3DModel:
    """Our transformer on the meta device; ``InputError`` for what is not a Wan2.2-TI2V transformer."""
    if config.get("image_dim") is not None or config.get("added_kv_proj_dim") is not None:
        raise InputError(f"{source}: image-to-video models with an image encoder are not supported; use Wan2.2-TI2V-5B")
    with init_empty_weights():
        return Video4SpatialTransformer3DModel.from_config(dict(config))  # pyright: ignore


def transformer_from_weights(
    weights: Weights, config: Mapping[str, Any], dtype: torch.dtype | None = None
) -> Video4SpatialTransformer3DModel:
    """Our transformer from official or diffusers names; a camera embedding that they lack is zero."""
    model = empty_transformer(config, weights.source)
    fill(model, weights, transformer_names(weights.shapes), dtype, optional=[CAMERA_KEY])
    return model.materialise_camera_embedding()


def transformer_from_official(
    state: dict[str, Tensor], config: dict[str, Any] | None = None
) -> Video4SpatialTransformer3DModel:
    """Our transformer with the weights of the official ``WanModel``, its key names included.

    Args:
        state: tensors by official key name (Wan2.2's ``wan/modules/model.py``).
        config: arguments of ``Video4SpatialTransformer3DModel`` that differ from the 5B model's.

    Raises:
        InputError: keys are missing or left over after conversion, or tensors have another shape.
    """
    return transformer_from_weights(Weights.of_tensors(state, "the given weights of a WanModel"), config or {})


def vae_from_official(path: str | Path, dtype: torch.dtype | None = None) -> AutoencoderKLWan:
    """``Wan2.2_VAE.pth`` (or the same as safetensors). Widths are read from it; all else is Wan2.2's."""
    weights = open_weights(path)
    names = vae_names(weights.shapes)
    config: dict[str, Any] = WAN22_VAE | _widths(weights, names)
    if config["z_dim"] != WAN22_VAE["z_dim"]:
        raise InputError(f"{path}: a VAE of {config['z_dim']} latent channels; Wan2.2-TI2V's has 48 (Wan2.2_VAE.pth)")
    with init_empty_weights():
        vae = AutoencoderKLWan(**config)
    fill(vae, weights, names, dtype)
    return vae


def _widths(weights: Weights, names: Mapping[str, str]) -> dict[str, int]:
    sources = {"base_dim": "encoder.conv_in.bias", "decoder_base_dim": "decoder.norm_out.gamma"}
    sources |= {"z_dim": "post_quant_conv.bias"}
    return {width: weights.shapes[names[key]][0] for width, key in sources.items() if key in names}


def text_encoder_from_official(path: str | Path, dtype: torch.dtype | None = None) -> UMT5EncoderModel:
    """``models_t5_umt5-xxl-enc-bf16.pth``. Sizes are read from it; all else is UMT5's."""
    weights = open_weights(path)
    shapes = weights.shapes
    sizes: dict[str, Any] = dict(UMT5_XXL)
    heads, q = shapes.get("blocks.0.pos_embedding.embedding.weight"), shapes.get("blocks.0.attn.q.weight")
    embedding, ffn = shapes.get("token_embedding.weight"), shapes.get("blocks.0.ffn.fc1.weight")
    if heads and q and embedding and ffn:
        layers = 1 + max(int(key.split(".")[1]) for key in shapes if re.match(r"blocks\.\d+\.", key))
        sizes = {"vocab_size": embedding[0], "d_model": embedding[1], "d_ff": ffn[0], "num_layers": layers}
        sizes |= {"num_heads": heads[1], "d_kv": q[0] // heads[1]}
    with init_empty_weights():
        encoder: Any = UMT5EncoderModel(UMT5Config(**sizes))
    fill(encoder, weights, text_encoder_names(shapes), dtype)
    encoder.tie_weights()
    return encoder.eval()
