"""Self-attention with an optional cache of the context's keys and values.

When context attends only to context (``context_attention="causal"``), the context's keys and values do not depend on
the target or on its noise level: they are computed once a clip and joined to the target's at every sampling step.
"""

import torch
from torch import Tensor

from video4spatial.model.diffusers_internals import WanAttention, WanAttnProcessor, dispatch_attention_fn, project_qkv


class ContextCache:
    """Rotated self-attention keys and values of the context tokens, one entry a layer.

    The first pass (over the context alone) fills it; after ``freeze()`` every later pass (over the target alone) reads
    it. Make one per guidance branch and clip.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Tensor, Tensor]] = {}
        self._frozen = False

    def freeze(self) -> "ContextCache":
        """Stop filling: from now on the stored keys and values are put before those given."""
        if not self._entries:
            raise RuntimeError("the context cache is empty: run the transformer over the context first")
        self._frozen = True
        return self

    def join(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store ``key`` and ``value`` ``[B, N, heads, head_dim]``, or return them with the stored ones in front."""
        if not self._frozen:
            self._entries[layer] = (key, value)
            return key, value
        context_key, context_value = self._entries[layer]
        return torch.cat([context_key, key], dim=1), torch.cat([context_value, value], dim=1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply interleaved rotary embedding to ``x`` ``[B, N, heads, head_dim]`` exactly as diffusers' Wan does."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    c, s = cos[..., 0::2], sin[..., 1::2]
    return torch.stack((even * c - odd * s, even * s + odd * c), dim=-1).flatten(-2).type_as(x)


class CachedContextAttnProcessor(WanAttnProcessor):
    """The stock processor; with a ``context_cache`` it takes the context's keys and values from there."""

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
        context_cache: ContextCache | None = None,
    ) -> Tensor:
        if context_cache is None:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        query, key, value = project_qkv(attn, hidden_states, None)  # pyright: ignore[reportArgumentType]
        query, key = attn.norm_q(query), attn.norm_k(key)
        query, key, value = (x.unflatten(2, (attn.heads, -1)) for x in (query, key, value))
        if rotary_emb is not None:
            query, key = rotate(query, *rotary_emb), rotate(key, *rotary_emb)
        key, value = context_cache.join(id(attn), key, value)
        out = dispatch_attention_fn(
            query,
            key,
            value,
            attn_mask=attention_mask,
            dropout_p=0.0,
            is_causal=False,
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        out = out.flatten(2, 3).type_as(query)
        return attn.to_out[1](attn.to_out[0](out))
