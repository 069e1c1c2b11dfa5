"""What a request will need, before it runs: peak memory and seconds of each phase, and settings that fit.

Memory is the formulas of ``model.cost``: weights that are on the device, and the largest set of tensors alive at once,
in eager execution. What the device's libraries take besides is ``devices.RESERVE``. Seconds are operations over the
device's rate, or the bus's where weights are fetched meanwhile; where nothing was measured the rate is an assumed share
of the datasheet's, and the output says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from video4spatial.model.cost.text import TextShape, text_bytes, text_flops, text_layer_bytes, text_weight_bytes
from video4spatial.model.cost.transformer import (
    FRAMES_A_LATENT,
    SequenceShape,
    block_bytes,
    cache_bytes,
    forward_bytes,
    forward_flops,
    weight_bytes,
)
from video4spatial.model.cost.vae import chunk_bytes, decode_flops, encode_flops, vae_parameters
from video4spatial.sample.devices import Device, this_device
from video4spatial.sample.request import Models, Request

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
TF32_SHARE = 0.5  # of the bfloat16 rate, for float32 convolutions on a GPU (cuDNN's default, TF32)


@dataclass(frozen=True)
class Phase:
    """A part of the work: what is on the device at its worst moment (``parts``, bytes), operations, seconds."""

    name: str
    parts: dict[str, int]
    flops: float
    seconds: float | None = None

    @property
    def peak(self) -> int:
        """Bytes of its tensors together."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Estimate:
    """The phases of a request, in order."""

    request: Request
    phases: tuple[Phase, ...]

    @property
    def worst(self) -> Phase:
        """The phase that needs most memory."""
        return max(self.phases, key=lambda phase: phase.peak)

    @property
    def peak(self) -> int:
        """Bytes of tensors at the worst moment."""
        return self.worst.peak

    @property
    def dominant(self) -> str:
        """What takes most of it, in words."""
        name, size = max(self.worst.parts.items(), key=lambda part: part[1])
        return f"{name} ({size / self.peak:.0%}, while {self.worst.name})"

    @property
    def flops(self) -> float:
        """Operations of all phases."""
        return sum(phase.flops for phase in self.phases)

    @property
    def seconds(self) -> float | None:
        """All phases together; None where no device is known."""
        parts = [phase.seconds for phase in self.phases]
        return None if any(s is None for s in parts) else sum(s for s in parts if s is not None)

    def fits(self, device: Device) -> bool:
        """Whether the worst moment fits what the device leaves free."""
        return self.peak <= device.usable


def denoise_flops(request: Request, models: Models) -> dict[str, float]:
    """Operations of all steps by kind: "linear" (which fp8 quickens) and "attention"."""
    m, text = models.transformer, models.text_tokens
    full = request.sequence(request.context_latents, text)
    target = request.sequence(0, text)
    cached = request.context_latents * full.tokens_a_frame
    own = forward_flops(m, target, cached) if request.causal else forward_flops(m, full)
    null = forward_flops(m, target) if request.shortened else own
    totals = {"linear": 0.0, "attention": 0.0}

    def add(flops: dict[str, float], times: float) -> None:
        for name, value in flops.items():
            totals["attention" if "attention" in name else "linear"] += times * value

    add(own, request.steps)
    add(null, request.guided_steps())
    if request.causal:
        context = SequenceShape(request.context_latents, 0, request.width, request.height, text)
        add(forward_flops(m, context), 2 if request.guides and not request.shortened else 1)
    return totals


def request_bytes(request: Request, models: Models) -> dict[str, int]:
    """What one request keeps on the device while its steps run, beside the model's own activations.

    * conditions: context latents and their noise, the target's camera maps, its noise and first frame;
    * inputs: each branch's sequence of latents and camera maps, and the sequence that goes in at a step;
    * sampler: in float32 the clip, its velocities of two steps, and what a step makes of them.
    """
    e = BYTES[models.dtype]
    area = (request.width // 16) * (request.height // 16)
    latent, camera = models.transformer.in_channels * area, models.transformer.camera_channels * area
    context, target = request.context_latents, request.target_latents
    frames = context + target
    sequences = frames + ((target if request.shortened else frames) if request.guides else 0)
    return {
        "conditions": e * (2 * context * latent + target * (latent + camera)),
        "inputs": e * (sequences * (latent + camera) + request.batch * frames * latent),
        "sampler": 4 * 6 * target * latent,
    }


def estimate(
    request: Request, models: Models | None = None, device: Device | None = None, fused_norm: bool = False
) -> Estimate:
    """Peak memory and seconds by phase.

    Args:
        models: whose sizes; default the 5B model's.
        device: for seconds, and whether its kernels fuse RMS norms (CUDA does).
        fused_norm: the same, without a device.
    """
    models = models or Models()
    fused_norm = fused_norm or (device is not None and device.is_gpu)
    m, e = models.transformer, BYTES[models.dtype]
    quantised = request.weights != "as-is"
    vae_e = BYTES[models.vae_dtype]
    whole = {
        "text encoder weights": text_weight_bytes(models.text, e, quantised),
        "VAE weights": sum(vae_parameters(models.vae)) * vae_e,
        "transformer weights": weight_bytes(m, e, quantised),
    }
    weights = {phase: _on_device(phase, whole, request, models) for phase in ("text", "encode", "denoise", "decode")}

    steps = denoise_flops(request, models)
    forward = request.sequence(0 if request.causal else request.context_latents, models.text_tokens)
    tokens = request.context_latents * forward.tokens_a_frame if request.causal else 0
    denoising = {
        "activations": forward_bytes(m, forward, request.batch, e, tokens, quantised, fused_norm),
    } | request_bytes(request, models)
    if request.causal:
        caches = 2 if request.guides and not request.shortened else 1
        denoising["cached context"] = caches * cache_bytes(m, tokens, e)
        context = SequenceShape(request.context_latents, 0, request.width, request.height, models.text_tokens)
        first = forward_bytes(m, context, request.batch, e, 0, quantised, fused_norm)
        denoising["activations"] = max(denoising["activations"], first)
    w, h, vae = request.width, request.height, models.vae
    context_latents = (request.context_frames - 1) // FRAMES_A_LATENT + 1
    kept = 4 * request.target_latents * m.in_channels * (w // 16) * (h // 16)
    phases = (
        Phase(
            "reading text",
            weights["text"] | {"activations": text_bytes(models.text, models.text_tokens, 1, e)},
            text_flops(models.text, models.text_tokens, 2),
        ),
        Phase(
            "encoding context",
            weights["encode"] | {"activations": chunk_bytes(vae, "encode", w, h, vae_e)},
            encode_flops(vae, w, h, context_latents),
        ),
        Phase("sampling", weights["denoise"] | denoising, sum(steps.values())),
        Phase(
            "decoding",
            weights["decode"] | {"activations": chunk_bytes(vae, "decode", w, h, vae_e), "latents": kept},
            decode_flops(vae, w, h, request.target_latents),
        ),
    )
    if device is not None:
        phases = tuple(
            replace(phase, seconds=_seconds(phase, steps, whole, request, models, device)) for phase in phases
        )
    return Estimate(request, phases)


NEEDED = {
    "text": "text encoder weights",
    "encode": "VAE weights",
    "denoise": "transformer weights",
    "decode": "VAE weights",
}


def _on_device(phase: str, whole: dict[str, int], request: Request, models: Models) -> dict[str, int]:
    """Which weights are on the device in a phase (``sample/placement.py`` puts them there)."""
    own = NEEDED[phase]
    e, quantised = BYTES[models.dtype], request.weights != "as-is"
    if request.offload == "none":
        if not request.release_text_encoder:
            return dict(whole)
        away = "transformer weights" if phase in ("text", "encode") else "text encoder weights"
        return {name: size for name, size in whole.items() if name != away}
    if request.offload == "group" and phase == "denoise":
        blocks = block_bytes(models.transformer, e, quantised)
        rest = whole[own] - models.transformer.layers * blocks
        return {own: rest + min(2, models.transformer.layers) * blocks}
    if request.offload == "group" and phase == "text":
        table = e * models.text.vocabulary * models.text.dim
        return {own: max(table, text_layer_bytes(models.text, e, quantised)) + _largest_leaf(models.text, e, quantised)}
    return {own: whole[own]}


def _largest_leaf(text: TextShape, element: int, quantised: bool) -> int:
    """The linear layer that is fetched while the text encoder's embedding table is at work."""
    return text.dim * text.ffn * (1 if quantised else element)


def _seconds(
    phase: Phase, steps: dict[str, float], whole: dict[str, int], request: Request, models: Models, device: Device
) -> float | None:
    """Time of a phase: arithmetic, and the bus where weights have to come over it."""
    rate = device.rate
    if rate is None:
        return None
    if phase.name != "sampling":
        slower = TF32_SHARE if device.is_gpu and models.vae_dtype == "float32" and "coding" in phase.name else 1.0
        arithmetic = phase.flops / (rate * slower)
    else:
        linear = rate if request.weights != "fp8-matmul" else (device.fp8_rate or rate)
        arithmetic = steps["linear"] / linear + steps["attention"] / rate
    if request.offload == "none" or device.pcie is None:
        return arithmetic
    part = {"reading text": "text", "encoding context": "encode", "sampling": "denoise"}.get(phase.name, "decode")
    fetch = whole[NEEDED[part]] / device.pcie
    if request.offload == "model" or part != "denoise":
        return arithmetic + fetch
    passes = request.steps + (0 if request.batch == 2 else request.guided_steps())
    return max(arithmetic, fetch * passes)  # the next block is fetched while one is at work


@dataclass(frozen=True)
class Proposal:
    """Settings that fit, with what each change does."""

    estimate: Estimate
    changes: tuple[str, ...]

    @property
    def request(self) -> Request:
        """What is proposed."""
        return self.estimate.request

    @property
    def options(self) -> str:
        """What to put on the command line besides what was asked."""
        return " ".join(option for option in (change.partition(":")[0] for change in self.changes) if option[0] == "-")


CHANGES = {  # the option, and what it changes
    "release": "text encoder released: it and the transformer never on the device together; exact, a fetch a new text",
    "sequential": "--sequential: guidance branches one after the other; exact, half the activations, a little slower",
    "int8": "--weights int8: rounding only, half the weights (fp8 takes the same); needs video4spatial[scale]",
    "model": "--offload model: models take turns on the device; exact, seconds a clip for fetching them",
    "group": "--offload group: blocks take turns on the device; exact, at worst as slow as the bus",
}
WORTHWHILE = 0.95  # a proposal is listed if it needs at most this share of the one before


def _ladder(request: Request) -> Iterator[tuple[Request, tuple[str, ...]]]:
    """Settings from what was asked to what needs least, the exact and resident ones first."""
    yield request, ()
    now, changes = request, ()
    if request.offload == "none" and not request.release_text_encoder:
        now, changes = replace(now, release_text_encoder=True), ("release",)
        yield now, changes
    if now.batch == 2:
        now, changes = replace(now, branches="sequential"), (*changes, "sequential")
        yield now, changes
    turns = tuple(name for name in changes if name != "release")
    int8 = ("int8",) if request.weights == "as-is" else ()
    if int8:
        yield replace(now, weights="int8"), (*changes, *int8)
    for offload in ("model", "group"):
        if request.offload == "group" or request.offload == offload:
            continue
        away = replace(now, offload=offload)
        yield away, (*turns, offload)
        if int8:
            yield replace(away, weights="int8"), (*turns, *int8, offload)
    least = replace(now, offload="group", weights="int8" if int8 else request.weights)
    names = (*turns, *int8, *(("group",) if request.offload != "group" else ()))
    latents = request.context_latents // 2
    while latents >= 1:
        yield replace(least, context_latents=latents), (*names, f"context:{latents}")
        latents //= 2


def propose(request: Request, device: Device, models: Models | None = None, limit: int = 4) -> list[Proposal]:
    """Up to ``limit`` settings that fit ``device``, the least change first; empty if none does.

    The order: as asked; text encoder released; branches one after the other; int8 weights; models, then blocks, taking
    turns on the device; last, and only if nothing else fits, fewer context latents.
    """
    found: list[Proposal] = []
    for candidate, names in _ladder(request):
        fewer = candidate.context_latents < request.context_latents
        if len(found) == limit or (fewer and found):
            break
        made = estimate(candidate, models, device)
        if made.fits(device) and (not found or made.peak <= WORTHWHILE * found[-1].estimate.peak):
            words = f"--context-latents {candidate.context_latents}: the model sees less of the place"
            found.append(Proposal(made, tuple(CHANGES.get(name, words) for name in names)))
    return found


def least_memory(request: Request, models: Models | None = None) -> int:
    """Bytes that the most frugal settings need, the context halved as often as it can be."""
    return min(estimate(candidate, models).peak for candidate, _ in _ladder(request))


def warn_if_too_large(pipeline: Any, request: Request) -> str | None:
    """What to say before a request that will not fit into the device's free memory; None if it will.

    Weights that are on the device already count as there.
    """
    models, at_hand = Models.of(pipeline), this_device(pipeline._execution_device)
    parts = (pipeline.transformer, pipeline.vae, pipeline.text_encoder)
    kind = pipeline._execution_device.type
    there = [tensor_bytes(p) for part in parts for p in part.parameters() if p.device.type == kind]
    device = replace(at_hand, memory=at_hand.memory + sum(there))
    made = estimate(request, models, device)
    if made.fits(device):
        return None
    proposals = propose(request, device, models)
    remedy = (
        (proposals[0].options or proposals[0].changes[0])
        if proposals
        else "nothing smaller fits either: use a larger device"
    )
    return (
        f"this will need about {made.peak / 1e9:.1f} GB, and {device.usable / 1e9:.1f} GB can be had on {device.name} "
        f"(most of it {made.dominant}). What would fit: {remedy}"
    )


def tensor_bytes(tensor: Any) -> int:
    """Bytes that a tensor takes; a quantised one says what it stands for, so its parts are counted."""
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(tensor_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return tensor.nbytes


def longest_context(request: Request, device: Device, models: Models | None = None) -> int:
    """The most context latents that fit with the other settings as they are; 0 if not even one does."""

    def fits(count: int) -> bool:
        return estimate(replace(request, context_latents=count), models, device).fits(device)

    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
