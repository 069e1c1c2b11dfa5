"""Self-attention in which the context may attend to itself alone, so that its keys and values are computed once a clip.

Joint attention (the paper): every token attends to every token. Causal (``context_attention="causal"``, ours): context
attends to context, target to everything. The context's keys and values then do not depend on the target or on its noise
level. In training both parts go through together, as two attentions without a mask; in sampling the context goes first,
alone, and leaves its keys and values in a ``ContextCache`` that every step's target reads. Both give the same target.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from video4spatial.model.diffusers_internals import WanAttention, WanAttnProcessor, dispatch_attention_fn, project_qkv


class LayerContext:
    """One layer's rotated keys and values of the context, ``[B, N, heads, head_dim]``, once they are known."""

    def __init__(self, key: Tensor | None = None, value: Tensor | None = None, frozen: bool = False) -> None:
        self.key, self.value, self.frozen = key, value, frozen

    def join(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store ``key`` and ``value``, or return them with the stored ones in front."""
        if not self.frozen:
            self.key, self.value = key, value
            return key, value
        assert self.key is not None
        assert self.value is not None
        return torch.cat([self.key, key], dim=1), torch.cat([self.value, value], dim=1)


class ContextCache:
    """Rotated self-attention keys and values of the context tokens, one entry a layer.

    The first pass (over the context alone) fills it; after ``freeze()`` every later pass (over the target alone) reads
    it. Make one per clip, with a row for each guidance branch.
    """

    def __init__(self) -> None:
        self._layers: dict[int, LayerContext] = {}
        self._frozen = False

    def layer(self, number: int) -> LayerContext:
        """What layer ``number`` stores or reads."""
        if number not in self._layers:
            if self._frozen:
                raise RuntimeError(f"the context cache has no layer {number}: was it filled by this transformer?")
            self._layers[number] = LayerContext()
        return self._layers[number]

    def freeze(self) -> "ContextCache":
        """Stop filling: from now on the stored keys and values are put before those given."""
        if not self._layers:
            raise RuntimeError("the context cache is empty: run the transformer over the context first")
        for layer in self._layers.values():
            layer.frozen = True
        self._frozen = True
        return self

    def row(self, number: int) -> "ContextCache":
        """One branch of a frozen cache; shares its memory."""
        if not self._frozen:
            raise RuntimeError("freeze the context cache before taking a row of it")
        one = ContextCache()
        rows = slice(number, number + 1)
        for index, layer in self._layers.items():
            assert layer.key is not None
            assert layer.value is not None
            one._layers[index] = LayerContext(layer.key[rows], layer.value[rows], frozen=True)
        one._frozen = True
        return one


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply interleaved rotary embedding to ``x`` ``[B, N, heads, head_dim]`` exactly as diffusers' Wan does."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    c, s = cos[..., 0::2], sin[..., 1::2]
    return torch.stack((even * c - odd * s, even * s + odd * c), dim=-1).flatten(-2).type_as(x)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Arithmetic in the tensors' own precision inside autocast (which the meta device does not know)."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


class QueryKeyNorm(nn.RMSNorm):
    """``nn.RMSNorm`` in its input's precision, also in training: a float32 weight on bfloat16 input would leave
    PyTorch's fused kernel, and autocast on CUDA would keep float32 copies of queries and keys."""

    def forward(self, x: Tensor) -> Tensor:
        with without_autocast(x.device):
            return nn.functional.rms_norm(x, list(self.normalized_shape), self.weight.to(x.dtype), self.eps)

    @classmethod
    def in_place_of(cls, norm: nn.RMSNorm) -> "QueryKeyNorm":
        """The same norm, with the same weight."""
        made = cls(list(norm.normalized_shape), eps=norm.eps, device="meta")
        made.weight = norm.weight
        return made


class ContextAttnProcessor(WanAttnProcessor):
    """The stock processor, unless the context is to attend to itself alone.

    ``context_tokens``: the leading tokens are context, and attend to one another only. ``context_cache``: the context's
    keys and values are stored there, or come from there.
    """

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
        context_cache: LayerContext | None = None,
        context_tokens: int = 0,
    ) -> Tensor:
        if context_cache is None and not context_tokens:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        query, key, value = project_qkv(attn, hidden_states, None)  # pyright: ignore[reportArgumentType]
        query, key = attn.norm_q(query), attn.norm_k(key)
        query, key, value = (x.unflatten(2, (attn.heads, -1)) for x in (query, key, value))
        if rotary_emb is not None:
            query, key = rotate(query, *rotary_emb), rotate(key, *rotary_emb)
        if context_cache is not None:
            key, value = context_cache.join(key, value)
            out = self._attend(query, key, value, attention_mask)
        else:
            out = self._attend_block_causal(query, key, value, attention_mask, context_tokens)
        out = out.flatten(2, 3).type_as(query)
        return attn.to_out[1](attn.to_out[0](out))

    def _attend_block_causal(
        self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, context_tokens: int
    ) -> Tensor:
        """Context to context, target to all: two calls instead of a mask of ``N x N``, and less arithmetic.

        A mask over keys (``[B, 1, 1, N]``) holds for the target's queries only: context that the target may not see
        still needs something to attend to, and changes nothing.
        """
        if attention_mask is not None and attention_mask.shape[-2] != 1:
            raise ValueError(f"with context_tokens a mask may only be over keys, not {tuple(attention_mask.shape)}")
        n = context_tokens
        context = self._attend(query[:, :n], key[:, :n], value[:, :n], None)
        target = self._attend(query[:, n:], key, value, attention_mask)
        return torch.cat([context, target], dim=1)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None) -> Tensor:
        return dispatch_attention_fn(
            query,
            key,
            value,
            attn_mask=attention_mask,
            dropout_p=0.0,
            is_causal=False,
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
