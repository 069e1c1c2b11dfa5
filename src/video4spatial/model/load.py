"""Where models come from: the shipped one, a pipeline folder, or a small one made from scratch.

Small models are made of the real classes with Wan2.2's strides (16 in space, 4 in time, patch 2), so no other line of
code asks which model it has.
"""

import math
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from video4spatial.model.diffusers_internals import WanCausalConv3d, WanResample
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.schema import InputError

SHIPPED = Path(__file__).parent.parent / "weights"
LATENT_CHANNELS = 48


def resolve_model(name: str | Path) -> Path:
    """The folder of a shipped model's name, or of a pipeline saved by ``save_pretrained``.

    Raises:
        InputError: there is no such model; the shipped names are listed.
    """
    for folder in (SHIPPED / str(name), Path(name)):
        if (folder / "model_index.json").is_file():
            return folder
    if (Path(name) / "pipeline" / "model_index.json").is_file():
        raise InputError(f"model {str(name)!r} is a run's folder: give its pipeline, --model {Path(name) / 'pipeline'}")
    shipped = sorted(p.parent.name for p in SHIPPED.glob("*/model_index.json"))
    raise InputError(
        f"model {str(name)!r} is neither a shipped model ({', '.join(shipped) or 'none'}) "
        "nor a folder with a model_index.json: give one of these to --model"
    )


def resolve_part(name: str | Path, part: str) -> Path:
    """The folder of one part ("vae", "transformer") of a shipped model, a pipeline, or a run.

    Raises:
        InputError: there is none.
    """
    for folder in (SHIPPED / str(name) / part, Path(name) / part, Path(name)):
        if (folder / "config.json").is_file():
            return folder
    raise InputError(f"{name!s}: no {part} is there; give a shipped model's name, a pipeline folder or a run's folder")


def small_vae(width: int = 48) -> AutoencoderKLWan:
    """A VAE with Wan2.2's strides (4, 16, 16) and 48 channels, but patches of 4 pixels and two down blocks.

    At ``width`` 48 it has 6.3M parameters. Working on 4x4 patches costs a quarter of working on 2x2 ones.
    """
    return AutoencoderKLWan(
        base_dim=width,
        decoder_base_dim=width,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        is_residual=True,
        in_channels=48,
        out_channels=48,
        patch_size=4,
        scale_factor_spatial=16,
        scale_factor_temporal=4,
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
    )


@torch.no_grad()
def inflate_from_images(vae: Any) -> AutoencoderKLWan:
    """Initialise a fresh VAE so that what it learns on single frames already holds for clips.

    Of every temporal kernel only the newest frame's tap is alive, and the temporal resamplers start as an average
    (down) and a repetition (up). A frame's latent, repeated, then decodes to a still clip of exactly that frame. (The
    encoder's stock shortcut pads the first frame's past with zeros: a still clip's later latents are alike, but not the
    first one.) The posterior starts narrow.
    """
    for module in vae.modules():
        if isinstance(module, WanCausalConv3d) and module.kernel_size[0] == 3:
            module.weight[:, :, :2] = 0
            module.weight[:, :, 2] *= math.sqrt(3)
    module: Any
    for module in vae.modules():
        if isinstance(module, WanResample) and hasattr(module, "time_conv"):
            weight, width = module.time_conv.weight, module.time_conv.weight.shape[1]
            weight.zero_()
            assert module.time_conv.bias is not None
            module.time_conv.bias.zero_()
            if module.mode == "downsample3d":
                weight[:, :, 1:, 0, 0] = torch.eye(width)[..., None] / 2
            else:
                weight[:, :, 2, 0, 0] = torch.eye(width).repeat(2, 1)
    channels = vae.config.z_dim
    vae.quant_conv.weight[channels:] *= 0.1
    vae.quant_conv.bias[channels:] = -6.0
    return vae


def small_transformer(
    width: int = 192, layers: int = 6, head_dim: int = 32, text_dim: int = 64, ffn_ratio: float = 3.0
) -> Video4SpatialTransformer3DModel:
    """The transformer at a small size, initialised for training from scratch (see ``initialise``)."""
    if width % head_dim:
        raise InputError(f"width is {width}, but it must divide by head_dim {head_dim}")
    return initialise(
        Video4SpatialTransformer3DModel(
            num_attention_heads=width // head_dim,
            attention_head_dim=head_dim,
            text_dim=text_dim,
            freq_dim=64,
            ffn_dim=int(width * ffn_ratio),
            num_layers=layers,
            rope_max_seq_len=64,
        )
    )


@torch.no_grad()
def initialise(model: Video4SpatialTransformer3DModel) -> Video4SpatialTransformer3DModel:
    """Initialise for training from scratch: Xavier, silent output, and self-attention that looks for likeness.

    Each layer's self-attention starts with equal query and key projections, so that a token first attends to tokens
    that resemble it, wherever in context or target they are (after Trockman and Kolter, "Mimetic initialization of
    self-attention layers", ICML 2023). Small models otherwise take very long to discover the context.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                module.bias.zero_()
    block: Any
    for block in model.blocks:
        block.attn1.to_k.weight.copy_(block.attn1.to_q.weight)
        block.scale_shift_table.normal_(std=0.02)
        block.scale_shift_table[:, (2, 5)] += 0.5  # gates: every block speaks from the start
    model.condition_embedder.time_proj.weight.mul_(0.1)
    model.scale_shift_table.normal_(std=0.02)
    model.proj_out.weight.zero_()
    model.proj_out.bias.zero_()
    model.camera_embedding.weight.zero_()
    return model


def word_tokenizer(words: list[str], max_tokens: int = 48) -> PreTrainedTokenizerFast:
    """A tokenizer that knows exactly ``words`` (lower case), a word a token."""
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", ",", ".", *sorted(set(words))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=max_tokens,
    )


def small_text_encoder(vocabulary_size: int, width: int = 64, layers: int = 1, seed: int = 0) -> UMT5EncoderModel:
    """A UMT5 encoder with random, frozen weights: words get distinct embeddings, the transformer learns their sense."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = UMT5Config(
            vocab_size=vocabulary_size,
            d_model=width,
            d_kv=16,
            d_ff=2 * width,
            num_layers=layers,
            num_heads=4,
            dropout_rate=0.0,
        )
        return UMT5EncoderModel(config).eval().requires_grad_(False)


def sampler() -> UniPCMultistepScheduler:
    """Wan2.2-TI2V's sampler: UniPC on flow sigmas with shift 5."""
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0, num_train_timesteps=1000
    )
