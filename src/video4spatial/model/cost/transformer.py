"""The transformer's cost by formula: parameters, operations of a forward pass, bytes of weights and of activations.

Parameters and operations are exact (tests compare them with the real modules and with PyTorch's own counter). Bytes of
activations are those of eager execution, where every operation writes its result: compiled code needs less.

Notation: ``D`` width, ``F`` width of the feed-forward layer, ``N`` tokens, ``e`` bytes of an element. ``W = 4 / e`` is
how many times larger a float32 copy is (modulation, norms and residual sums are computed in float32).
"""

from dataclasses import dataclass
from typing import Any

PIXELS_A_TOKEN = 32  # the VAE's stride in space times the transformer's patch; tokens a latent frame = w h / 32^2
FRAMES_A_LATENT = 4


@dataclass(frozen=True)
class SequenceShape:
    """What goes through the transformer at once: ``[context | target]`` latent frames and the text beside them."""

    context: int
    target: int
    width: int = 416
    height: int = 256
    text: int = 512

    @property
    def frames(self) -> int:
        """Latent frames, context and target."""
        return self.context + self.target

    @property
    def tokens_a_frame(self) -> int:
        """Tokens of one latent frame."""
        return (self.width // PIXELS_A_TOKEN) * (self.height // PIXELS_A_TOKEN)

    @property
    def tokens(self) -> int:
        """Tokens of context and target together."""
        return self.frames * self.tokens_a_frame


@dataclass(frozen=True)
class TransformerShape:
    """The sizes of a ``Video4SpatialTransformer3DModel``; defaults are Wan2.2-TI2V-5B's."""

    layers: int = 30
    heads: int = 24
    head_dim: int = 128
    ffn: int = 14336
    in_channels: int = 48
    out_channels: int = 48
    text_dim: int = 4096
    freq_dim: int = 256
    patch: tuple[int, ...] = (1, 2, 2)
    camera_channels: int = 24
    cross_attn_norm: bool = True

    @classmethod
    def from_config(cls, config: Any) -> "TransformerShape":
        """From a model's ``config`` (or the mapping that its config.json holds)."""
        c = dict(config)
        return cls(
            layers=c["num_layers"],
            heads=c["num_attention_heads"],
            head_dim=c["attention_head_dim"],
            ffn=c["ffn_dim"],
            in_channels=c["in_channels"],
            out_channels=c["out_channels"],
            text_dim=c["text_dim"],
            freq_dim=c["freq_dim"],
            patch=tuple(c["patch_size"]),
            camera_channels=c.get("camera_channels", 0),
            cross_attn_norm=c["cross_attn_norm"],
        )

    @property
    def dim(self) -> int:
        """Channels of a token."""
        return self.heads * self.head_dim

    @property
    def patch_volume(self) -> int:
        """Latent pixels of a patch."""
        volume = 1
        for side in self.patch:
            volume *= side
        return volume


def parameter_counts(shape: TransformerShape) -> dict[str, int]:
    """Parameters by part; ``sum(values())`` is the model's. "attention" and "camera" are what the paper trains."""
    s, d = shape, shape.dim
    attention = 4 * (d * d + d) + 2 * d  # four projections with biases; RMS norms of queries and keys
    return {
        "attention": s.layers * 2 * attention,
        "feed-forward": s.layers * (2 * d * s.ffn + s.ffn + d),
        "modulation": s.layers * 6 * d + 2 * d,
        "norms": s.layers * 2 * d * s.cross_attn_norm,
        "time": (s.freq_dim * d + d) + (d * d + d) + (d * 6 * d + 6 * d),
        "text": (s.text_dim * d + d) + (d * d + d),
        "patches": s.patch_volume * s.in_channels * d + d,
        "camera": s.patch_volume * s.camera_channels * d,
        "head": d * s.patch_volume * s.out_channels + s.patch_volume * s.out_channels,
    }


def parameters(shape: TransformerShape) -> int:
    """All parameters."""
    return sum(parameter_counts(shape).values())


def block_parameters(shape: TransformerShape) -> int:
    """Parameters of one block, the unit that is offloaded or gathered."""
    counts = parameter_counts(shape)
    return (counts["attention"] + counts["feed-forward"] + counts["norms"]) // shape.layers + 6 * shape.dim


def block_linears(shape: TransformerShape) -> tuple[int, int]:
    """Weights (without biases) of a block's linear layers, and their output channels: what quantisation shrinks."""
    d = shape.dim
    return 8 * d * d + 2 * d * shape.ffn, 9 * d + shape.ffn


def weight_bytes(shape: TransformerShape, element: int = 2, quantised: bool = False) -> int:
    """Bytes of the weights held in ``element`` bytes each.

    The time embedding, the modulation tables and the norms stay in float32 (``_keep_in_fp32_modules``). ``quantised``:
    the blocks' linear weights in one byte each, with a scale of ``element`` bytes an output channel (int8, fp8).
    """
    counts = parameter_counts(shape)
    kept = counts["modulation"] + counts["norms"] + counts["time"]
    total = element * (sum(counts.values()) - kept) + 4 * kept
    if quantised:
        weights, channels = block_linears(shape)
        total -= shape.layers * ((element - 1) * weights - element * channels)
    return total


def block_bytes(shape: TransformerShape, element: int = 2, quantised: bool = False) -> int:
    """Bytes of one block's weights."""
    weights, channels = block_linears(shape)
    full = element * (block_parameters(shape) - 8 * shape.dim) + 4 * 8 * shape.dim
    return full - ((element - 1) * weights - element * channels if quantised else 0)


def forward_flops(
    shape: TransformerShape, sequence: SequenceShape, cached: int = 0, camera: bool = True
) -> dict[str, float]:
    """Operations (a multiply and an add are two) of one forward pass of one sample, by part.

    Args:
        cached: context tokens whose keys and values come from a cache; ``sequence`` then is the target alone.
        camera: whether the camera embedding runs.
    """
    s, d, n, text = shape, shape.dim, sequence.tokens, sequence.text
    channels = s.in_channels + (s.camera_channels if camera else 0)
    outside = sequence.frames * (s.freq_dim * d + d * d + 6 * d * d)  # time MLP: a row a latent frame
    outside += text * (s.text_dim * d + d * d) + n * d * s.patch_volume * s.out_channels
    per_block = n * (6 * d * d + 2 * d * s.ffn) + text * 2 * d * d
    return {
        "linear": 2.0 * (s.layers * per_block + outside),
        "self-attention": 4.0 * s.layers * n * (n + cached) * d,
        "cross-attention": 4.0 * s.layers * n * text * d,
        "patches": 2.0 * n * d * s.patch_volume * channels,
    }


def cache_bytes(shape: TransformerShape, context_tokens: int, element: int = 2) -> int:
    """Keys and values of the context, of every layer: what ``context_attention="causal"`` keeps, a branch."""
    return 2 * shape.layers * context_tokens * shape.dim * element


def standing_bytes(shape: TransformerShape, sequence: SequenceShape, batch: int, element: int) -> int:
    """What lives through all blocks: rotary tables, the time modulation (float32) and the text's embedding."""
    rotary = 2 * sequence.tokens * shape.head_dim * 4
    modulation = sequence.frames * (6 + 6 + 1) * shape.dim * 4  # the model's, a block's own sum, the time embedding
    return batch * (rotary + modulation + sequence.text * shape.dim * element)


def forward_bytes(
    shape: TransformerShape,
    sequence: SequenceShape,
    batch: int = 1,
    element: int = 2,
    cached: int = 0,
    quantised: bool = False,
    fused_norm: bool = False,
) -> int:
    """Peak bytes of activations of a forward pass without gradients, in eager execution.

    The peak lies in one of a block's four widest moments (in units of one token tensor, ``N D e`` bytes). Alive at all
    of them are the block's input, and after self-attention its update as well:

    * norm of queries: input, x, query, key, value; float32 copies where the norm is not one kernel (``fused_norm``);
    * rotation: input, x, query, key, value, the result and three half-width float32 products;
    * feed-forward: input, update, residual, x; the wide layer before and after its GELU (``F / D`` each);
    * gated sum: input, update, residual, x; residual, update, product and sum in float32.

    Args:
        batch: sequences at once; both guidance branches in one batch are 2.
        cached: context tokens with cached keys and values, joined to the target's in front of attention.
        quantised: one linear layer's weights are expanded to ``element`` bytes while it runs.
    """
    token_tensor = batch * sequence.tokens * shape.dim * element
    wide = 4 / element
    copies = wide if element < 4 else 0  # `.float()` copies nothing where it is float32 already
    ratio = shape.ffn / shape.dim
    joined = 2 * batch * cached * shape.dim * element
    moments = {
        "norm of queries": token_tensor * (6 if fused_norm else 5 + copies + 2 * wide),
        "rotation": token_tensor * (6 + 1.5 * wide),
        "attention": token_tensor * 6 + joined,
        "feed-forward": token_tensor * (4 + 2 * ratio),
        "gated sum": token_tensor * (4 + 3 * wide + copies),
    }
    expanded = shape.dim * max(shape.ffn, shape.dim) * element if quantised else 0
    return round(standing_bytes(shape, sequence, batch, element) + max(moments.values()) + expanded)
