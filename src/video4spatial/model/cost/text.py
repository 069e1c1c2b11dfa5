"""The text encoder's cost by formula (UMT5: gated feed-forward, a table of relative positions in every layer)."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TextShape:
    """The sizes of a ``UMT5EncoderModel``; defaults are UMT5-XXL's."""

    vocabulary: int = 256384
    dim: int = 4096
    layers: int = 24
    heads: int = 64
    head_dim: int = 64
    ffn: int = 10240
    buckets: int = 32

    @classmethod
    def from_config(cls, config: Any) -> "TextShape":
        """From a text encoder's ``config``."""
        return cls(
            vocabulary=config.vocab_size,
            dim=config.d_model,
            layers=config.num_layers,
            heads=config.num_heads,
            head_dim=config.d_kv,
            ffn=config.d_ff,
            buckets=config.relative_attention_num_buckets,
        )

    @property
    def inner(self) -> int:
        """Width of queries, keys and values."""
        return self.heads * self.head_dim


def text_parameters(shape: TextShape) -> int:
    """All parameters of the encoder, its embedding table included."""
    s = shape
    layer = 4 * s.dim * s.inner + 3 * s.dim * s.ffn + 2 * s.dim + s.buckets * s.heads
    return s.vocabulary * s.dim + s.layers * layer + s.dim


def text_weight_bytes(shape: TextShape, element: int = 2, quantised: bool = False) -> int:
    """Bytes of the weights; ``quantised``: linear weights in one byte, a scale of ``element`` bytes a channel."""
    total = element * text_parameters(shape)
    if quantised:
        s = shape
        weights = s.layers * (4 * s.dim * s.inner + 3 * s.dim * s.ffn)
        channels = s.layers * (3 * s.inner + 2 * s.dim + 2 * s.ffn)
        total -= (element - 1) * weights - element * channels
    return total


def text_layer_bytes(shape: TextShape, element: int = 2, quantised: bool = False) -> int:
    """Bytes of one layer, the unit that is offloaded."""
    table = element * (shape.vocabulary * shape.dim + shape.dim)
    return (text_weight_bytes(shape, element, quantised) - table) // shape.layers


def text_flops(shape: TextShape, tokens: int, batch: int = 2) -> float:
    """Operations of encoding ``batch`` sentences of ``tokens`` tokens (padding included)."""
    s = shape
    linear = 2.0 * tokens * (4 * s.dim * s.inner + 3 * s.dim * s.ffn)
    return batch * s.layers * (linear + 4.0 * tokens * tokens * s.inner)


def text_bytes(shape: TextShape, tokens: int, batch: int = 2, element: int = 2) -> int:
    """Peak bytes of activations, the larger of two moments.

    * attention: input, x, query, key, value; the position bias, its sum with the padding mask and a copy of that;
    * feed-forward: input, x and five wide tensors of the gate and its GELU.
    """
    s = shape
    token = batch * tokens * element
    bias = s.heads * tokens * tokens * element
    attention = token * (2 * s.dim + 3 * s.inner) + bias * (1 + 2 * batch)
    return max(attention, token * (2 * s.dim + 5 * s.ffn))
