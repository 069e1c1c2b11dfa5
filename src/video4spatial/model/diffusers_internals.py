"""Every private name of diffusers that the model needs, in one place, so that an upgrade has one file to mend.

Pinned to diffusers 0.42; the parity tests tell when a name's meaning has moved.
"""

from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.hooks.context_parallel import apply_context_parallel
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

__all__ = [
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
    "dispatch_attention_fn",
    "patchify",
    "project_qkv",
    "unpatchify",
]
