"""The cost of training by formula: operations of a step, bytes a GPU holds, days of a run.

Same notation as ``transformer.py``. Everything that a backward pass needs is listed by name in ``saved_bytes``.
"""

from dataclasses import dataclass, replace
from typing import Literal

from video4spatial.model.cost.transformer import (
    SequenceShape,
    TransformerShape,
    block_parameters,
    forward_flops,
    parameter_counts,
    parameters,
    standing_bytes,
)

Trains = Literal["attention", "all", "lora"]
STATE_BYTES = {"adamw": 8.0, "adamw8bit": 2.0 + 2 * 4 / 256}  # two moments; 8-bit ones have a float32 scale every 256
SECONDS_A_DAY = 86400.0
ASSUMED_SHARE = 0.4  # model FLOP utilisation assumed where nothing was measured


def trained_parameters(shape: TransformerShape, trains: Trains, rank: int = 32) -> int:
    """How many parameters train: attention and camera embedding (the paper), all, or LoRA of ``rank`` in attention."""
    counts = parameter_counts(shape)
    if trains == "all":
        return parameters(shape)
    if trains == "lora":
        return shape.layers * 8 * 2 * rank * shape.dim + counts["camera"]
    return counts["attention"] + counts["camera"]


def training_flops(
    shape: TransformerShape,
    sequence: SequenceShape,
    trains: Trains = "attention",
    checkpointing: bool = True,
    rank: int = 32,
) -> dict[str, float]:
    """Operations of one sample's training step, by part.

    ``backward, inputs`` goes through every linear layer that something trained lies in front of: all that see tokens,
    those of text and time only if they train too. ``backward, weights`` goes only through those that train. Attention's
    backward pass is 2.5 forward passes (five products instead of two, the scores computed again). ``recompute`` is the
    second forward pass of activation checkpointing: it is not counted as model FLOPs (MFU).
    """
    forward = forward_flops(shape, sequence)
    d, n = shape.dim, sequence.tokens
    attention_linear = 2.0 * shape.layers * (6 * d * d * n + 2 * d * d * sequence.text)
    low_rank = 2.0 * shape.layers * 2 * rank * d * (6 * n + 2 * sequence.text) if trains == "lora" else 0.0
    weights = {"attention": attention_linear, "all": forward["linear"], "lora": low_rank}[trains]
    total = sum(forward.values()) + low_rank
    head = 2.0 * n * d * shape.patch_volume * shape.out_channels
    inputs = 2.0 * shape.layers * n * (6 * d * d + 2 * d * shape.ffn) + head
    if trains == "all":
        inputs += 2.0 * shape.layers * sequence.text * 2 * d * d  # keys and values of the text
        inputs += 2.0 * (sequence.text * d * d + sequence.frames * 7 * d * d)
    recomputed = total - forward["patches"] - _outside_blocks(shape, sequence)
    return {
        "forward": total,
        "backward, inputs": inputs + low_rank,
        "backward, weights": weights + (forward["patches"] if trains == "all" else _camera_flops(shape, sequence)),
        "backward, attention": 2.5 * (forward["self-attention"] + forward["cross-attention"]),
        "recompute": recomputed if checkpointing else 0.0,
    }


def _camera_flops(shape: TransformerShape, sequence: SequenceShape) -> float:
    return 2.0 * sequence.tokens * shape.dim * shape.patch_volume * shape.camera_channels


def _outside_blocks(shape: TransformerShape, sequence: SequenceShape) -> float:
    """Operations of the linear layers outside the blocks: time, text, head."""
    none = replace(shape, layers=0)
    return forward_flops(none, sequence)["linear"]


def model_flops(flops: dict[str, float]) -> float:
    """Operations that the model itself asks for: all but the recomputation. The numerator of MFU."""
    return sum(value for name, value in flops.items() if name != "recompute")


def saved_bytes(
    shape: TransformerShape,
    sequence: SequenceShape,
    batch: int = 1,
    element: int = 2,
    trains: Trains = "attention",
    fused_norm: bool = True,
) -> int:
    """Bytes that one block keeps for its backward pass.

    In units of one token tensor: the inputs of three layer norms (float32); the inputs of the attention projections;
    the RMS norms of queries and keys (their inputs; without a fused kernel the float32 copy and the normalised value);
    attention's query, key, value and output, and query and output of cross-attention; the input of GELU. Training
    everything adds the normalised values (their scales train), the gates' operands and the feed-forward's inputs.
    """
    wide, ratio = 4 / element, shape.ffn / shape.dim
    norm = 1.0 if fused_norm else 2 * wide
    units = 3 * wide + 2 + 3 * norm + 6 + ratio
    if trains == "all":
        units += 2 * wide + 1 + 1 + ratio + wide
    text_units = norm + 2
    modulation = sequence.frames * 8 * shape.dim * 4  # the block's sum and the two (1 + scale)
    sums = 2 * sequence.tokens * shape.heads * 4  # attention's row sums
    tokens = units * sequence.tokens + text_units * sequence.text
    return round(batch * (tokens * shape.dim * element + modulation + sums))


def activation_bytes(
    shape: TransformerShape,
    sequence: SequenceShape,
    batch: int = 1,
    element: int = 2,
    trains: Trains = "attention",
    checkpointing: bool = True,
    fused_norm: bool = True,
) -> int:
    """Peak bytes of activations of a training step, gradients of weights not counted.

    With checkpointing each block keeps its input, and one block at a time what its backward pass needs; without, all
    do. On top: what the head keeps, and the working set (``_working_bytes``).
    """
    token_tensor = batch * sequence.tokens * shape.dim * element
    saved = saved_bytes(shape, sequence, batch, element, trains, fused_norm)
    wide = 4 / element
    head = token_tensor * (wide if trains != "all" else 2 * wide + 1)
    blocks = shape.layers * token_tensor + saved if checkpointing else shape.layers * saved
    working = _working_bytes(shape, token_tensor, element, trains, checkpointing)
    return round(standing_bytes(shape, sequence, batch, element) + head + blocks + working)


def _working_bytes(shape: TransformerShape, token_tensor: int, element: int, trains: Trains, again: bool) -> float:
    """What lives besides kept tensors when the feed-forward's backward pass begins.

    The gradient that comes in, in float32 and ``element`` bytes, and the wide layer's gradient (twice where its GELU
    comes first); or, if more, what the recomputation of a block still holds at its end.
    """
    wide, ratio = 4 / element, shape.ffn / shape.dim
    units = 1 + wide + (1 if trains == "all" else 2) * ratio
    return token_tensor * (max(units, 6 + ratio) if again and trains != "all" else units)


def step_bytes(
    shape: TransformerShape,
    sequence: SequenceShape,
    gradients: int,
    batch: int = 1,
    element: int = 2,
    trains: Trains = "attention",
    checkpointing: bool = True,
    fused_norm: bool = True,
) -> int:
    """Peak bytes of a step that starts without gradients: as they come, kept activations go.

    The peak lies where the backward pass begins (all activations, no gradients) or in its last block (one block's
    activations, all gradients but its own).
    """
    most = activation_bytes(shape, sequence, batch, element, trains, checkpointing, fused_norm)
    token_tensor = batch * sequence.tokens * shape.dim * element
    saved = saved_bytes(shape, sequence, batch, element, trains, fused_norm)
    gone = (shape.layers - 1) * (token_tensor if checkpointing else saved)
    head = token_tensor * (4 / element if trains != "all" else 8 / element + 1)
    last = most - gone - head + gradients * (shape.layers - 1) / shape.layers
    return round(max(most, last))


@dataclass(frozen=True)
class TrainingEstimate:
    """What a run costs. ``memory`` is bytes a GPU by part, ``flops`` operations a sample by part.

    ``days`` is predicted: ``samples`` times the operations, at ``share`` of ``tflops`` on each of ``gpus``.
    """

    parameters: int
    trained: int
    memory: dict[str, int]
    flops: dict[str, float]
    samples: int
    gpus: int
    tflops: float | None
    share: float

    @property
    def memory_per_gpu(self) -> int:
        """Bytes on each GPU, all parts together."""
        return sum(self.memory.values())

    @property
    def days(self) -> float:
        """Time of model FLOPs at ``share`` model FLOP utilisation (so the recomputation is inside the share)."""
        assert self.tflops is not None
        return self.samples * model_flops(self.flops) / (self.gpus * self.tflops * 1e12 * self.share) / SECONDS_A_DAY

    def lines(self) -> list[str]:
        """For printing: parameters, memory a GPU by part, days."""
        rows = [f"parameters {self.parameters / 1e9:.3f}B, of which {self.trained / 1e9:.3f}B train"]
        rows += [f"  {name:<34}{size / 1e9:8.2f} GB" for name, size in self.memory.items() if size]
        rows.append(f"  {'memory a GPU':<34}{self.memory_per_gpu / 1e9:8.2f} GB")
        rows.append(
            f"{sum(self.flops.values()) / 1e12:.3g} TFLOP a sample ({model_flops(self.flops) / 1e12:.3g} without "
            f"recomputation), {self.samples:,} samples"
        )
        if self.tflops is None:
            return [*rows, "days: name a GPU to have them predicted"]
        rows.append(
            f"predicted {self.days:.1f} days on {self.gpus} GPUs of {self.tflops:.0f} TFLOP/s, at an assumed "
            f"{self.share:.0%} model FLOP utilisation"
        )
        return rows


def training_estimate(
    shape: TransformerShape | None = None,
    sequence: SequenceShape | None = None,
    *,
    steps: int = 20_000,
    global_batch: int = 160,
    batch: int = 1,
    gpus: int = 8,
    trains: Trains = "attention",
    rank: int = 32,
    checkpointing: bool = True,
    shard: bool = True,
    context_parallel: int = 1,
    optimiser: Literal["adamw", "adamw8bit"] = "adamw",
    frozen_bytes: int = 2,
    trained_bytes: int = 4,
    compute_bytes: int = 2,
    average: bool = False,
    tflops: float | None = 989.0,
    share: float = ASSUMED_SHARE,
    fused_norm: bool = True,
) -> TrainingEstimate:
    """Memory a GPU and days of a run. Defaults: the paper's grounding run on 8 H100.

    Args:
        shape, sequence: default the 5B model, and 42 context latents before 46 target latents, of which the first is
            the first frame.
        batch: samples at once on a GPU (or on a context-parallel group).
        shard: FSDP: weights, gradients and optimiser states are spread over the GPUs; two blocks are whole at a time.
        context_parallel: GPUs that share one sequence (each holds a part of its tokens).
        frozen_bytes, trained_bytes, compute_bytes: bytes a value of frozen weights, of trained ones, of the arithmetic.
        average: a moving average of the trained weights is kept (float32).
        tflops, share: of a GPU in the arithmetic's precision (None: not known, and days cannot be predicted), and the
            model FLOP utilisation assumed.
    """
    shape = shape or TransformerShape()
    sequence = sequence or SequenceShape(context=42, target=46)
    total, trained = parameters(shape), trained_parameters(shape, trains, rank)
    frozen = total - trained if trains != "lora" else total - parameter_counts(shape)["camera"]
    parts = gpus if shard else 1
    local = SequenceShape(
        -(-sequence.context // context_parallel),
        -(-sequence.target // context_parallel),
        sequence.width,
        sequence.height,
        sequence.text,
    )
    split = shard and gpus > 1
    gathered = frozen * frozen_bytes + trained * trained_bytes  # the whole model, each weight in its own precision
    counts = parameter_counts(shape)
    own = {
        "attention": counts["attention"] // shape.layers,
        "all": block_parameters(shape),
        "lora": 16 * rank * shape.dim,
    }
    kept = block_parameters(shape) - (0 if trains == "lora" else own[trains])
    block = kept * frozen_bytes + own[trains] * trained_bytes
    memory = {
        "frozen weights": frozen * frozen_bytes // parts,
        "trained weights": trained * trained_bytes // parts,
        "gradients": trained * trained_bytes // parts,
        "optimiser states": round(trained * STATE_BYTES[optimiser] / parts),
        "moving average": 4 * trained // parts if average else 0,
        "two gathered blocks": 2 * block if split else 0,
        "their gradients": 2 * own[trains] * trained_bytes if split else 0,
        "gathered embeddings and head": gathered - shape.layers * block if split else 0,
        "activations": activation_bytes(shape, local, batch, compute_bytes, trains, checkpointing, fused_norm),
    }
    return TrainingEstimate(
        parameters=total + (trained - parameter_counts(shape)["camera"] if trains == "lora" else 0),
        trained=trained,
        memory=memory,
        flops=training_flops(shape, sequence, trains, checkpointing, rank),
        samples=steps * global_batch,
        gpus=gpus,
        tflops=tflops,
        share=share,
    )
