"""Every private name of diffusers that the model needs, in one place, so that an upgrade has one file to mend.

Pinned to diffusers 0.42; the parity tests tell when a name's meaning has moved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.hooks.context_parallel import apply_context_parallel
from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY as LORA_METADATA_KEY
from diffusers.loaders.lora_conversion_utils import (
    _convert_musubi_wan_lora_to_diffusers,
    _convert_non_diffusers_wan_lora_to_diffusers,
)
from diffusers.models._modeling_parallel import (
    ContextParallelConfig,
    ContextParallelInput,
    ContextParallelOutput,
    ParallelConfig,
)
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, WanResample, patchify, unpatchify
from diffusers.models.transformers.transformer_wan import (
    WanAttention,
    WanAttnProcessor,
    WanRotaryPosEmbed,
    WanTransformerBlock,
    _get_qkv_projections,
)

project_qkv = _get_qkv_projections
LORA_CONVERTERS = {  # by the prefix of the names they take
    "diffusion_model.": _convert_non_diffusers_wan_lora_to_diffusers,
    "lora_unet_": _convert_musubi_wan_lora_to_diffusers,
}


def causal_features(vae: Any, part: str) -> list[Any]:
    """A fresh, empty feature cache for the VAE's "encoder" or "decoder": one place a causal convolution."""
    return [None] * vae._cached_conv_counts[part]


def onload(model: Any) -> None:
    """Bring a model that accelerate keeps off the device back to it, as calling its ``forward`` would."""
    hook = getattr(model, "_hf_hook", None)
    if hook is not None:
        hook.pre_forward(model)


def offload(model: Any) -> None:
    """Send a model that accelerate keeps off the device away from it again; any other stays where it is."""
    hook = getattr(model, "_hf_hook", None)
    if hook is not None:
        hook.init_hook(model)


@contextmanager
def borrowed(model: Any) -> Iterator[None]:
    """A phase that needs ``model`` and after which it is not needed: see ``offload``."""
    try:
        yield
    finally:
        offload(model)


__all__ = [
    "LORA_CONVERTERS",
    "LORA_METADATA_KEY",
    "ContextParallelConfig",
    "ContextParallelInput",
    "ContextParallelOutput",
    "ParallelConfig",
    "TransformerBlockMetadata",
    "TransformerBlockRegistry",
    "WanAttention",
    "WanAttnProcessor",
    "WanCausalConv3d",
    "WanResample",
    "WanRotaryPosEmbed",
    "WanTransformerBlock",
    "apply_context_parallel",
    "borrowed",
    "causal_features",
    "dispatch_attention_fn",
    "offload",
    "onload",
    "patchify",
    "project_qkv",
    "unpatchify",
]
