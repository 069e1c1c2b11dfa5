"""Where and how the weights live: on the device, beside it, or in fewer bits; and what they are computed with.

Applied once, after loading. The models of a pipeline are needed one after another (VAE, text encoder, transformer,
VAE), so that whatever is not at work can be off the device. docs/full-size.md says what each choice costs.
"""

import importlib.util
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import cpu_offload_with_hook
from diffusers.hooks import apply_group_offloading
from torch import nn

from video4spatial.model.diffusers_internals import dispatch_attention_fn
from video4spatial.model.load import resolve_model
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError

OFFLOAD = ("none", "model", "group")
WEIGHTS = ("as-is", "int8", "fp8", "fp8-matmul")
DTYPES = ("auto", "float32", "bfloat16", "float16")

BIG = 2e9  # bytes of transformer weights from which half precision matters
QUANTISED = {"transformer": "blocks.", "text_encoder": "encoder.block."}  # linear layers under these names, no others
INSTALLED = {"flash": "flash_attn", "_flash_3": "flash_attn_interface", "sage": "sageattention", "xformers": "xformers"}
NATIVE = ("native", "_native_cudnn", "_native_flash", "_native_efficient", "_native_math")


@dataclass(frozen=True)
class Placement:
    """Everything about where and how weights live.

    Attributes:
        offload: "none": on the device as long as the pipeline lives. "model": each model comes when it is needed and
            makes room for the next. "group": of transformer and text encoder only the layer at work and the next.
        weights: "as-is"; "int8", "fp8": linear weights of blocks in 8 bits, computed as before; "fp8-matmul": the
            transformer's products in fp8 as well (CUDA, compute capability 8.9 or later).
        release_text_encoder: with ``offload="none"``, text encoder and transformer are never on the device together.
        compile: compile the transformer's repeated block (the first steps then take longer).
        attention: a backend of diffusers, or "auto": the fastest exact one that needs no installation.
    """

    offload: str = "none"
    weights: str = "as-is"
    release_text_encoder: bool = True
    compile: bool = False
    attention: str = "auto"

    def __post_init__(self) -> None:
        for option, known in (("offload", OFFLOAD), ("weights", WEIGHTS)):
            if getattr(self, option) not in known:
                raise InputError(f"{option} is {getattr(self, option)!r}: use one of {', '.join(known)}")


def load_placed(
    model: str | Path,
    placement: Placement,
    device: str | torch.device,
    dtype: str = "auto",
    loras: Sequence[tuple[str, float]] = (),
) -> Video4SpatialPipeline:
    """The pipeline ``model`` (a shipped name or a folder), loaded in ``dtype``, with ``loras`` fused in, and placed.

    Each LoRA is a file or folder and its scale. They become part of the weights before these are moved or quantised.
    """
    dtypes = load_dtypes(model, device, dtype)
    require_usable(placement, torch.device(device), dtypes["transformer"])
    pipeline = Video4SpatialPipeline.from_pretrained(model, torch_dtype=dtypes)
    for path, scale in loras:
        pipeline.load_lora(path, scale)
    if loras:
        pipeline.fuse_lora()
        pipeline.unload_lora()
    return place(pipeline, placement, device)


def load_dtypes(model: str | Path, device: str | torch.device, dtype: str = "auto") -> dict[str, torch.dtype]:
    """What to load a pipeline's parts in; the VAE is always float32, as Wan runs it.

    "auto" is float32 on the CPU and for small models, bfloat16 for a big transformer and its text encoder on CUDA.
    (Modulation, norms and the time embedding of the transformer stay float32 in any case: diffusers keeps them.)
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}: use one of {', '.join(DTYPES)}")
    if dtype == "auto":
        weights = (resolve_model(model) / "transformer").glob("*.safetensors")
        big = sum(file.stat().st_size for file in weights) > BIG
        dtype = "bfloat16" if big and torch.device(device).type == "cuda" else "float32"
    chosen = getattr(torch, dtype)
    return {"default": torch.float32, "transformer": chosen, "text_encoder": chosen}


def place(pipeline: Video4SpatialPipeline, placement: Placement, device: str | torch.device) -> Video4SpatialPipeline:
    """Apply ``placement`` once to a freshly loaded pipeline; gives the same pipeline back.

    Raises:
        InputError: the device cannot do it, a package is missing (both before anything is changed), or the pipeline
            was placed before.
    """
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())  # accelerate compares devices with their index
    if pipeline.placement is not None:
        raise InputError("this pipeline was placed before: load it again to place it otherwise")
    require_usable(placement, device, pipeline.transformer.dtype)
    if placement.weights != "as-is":
        quantise(pipeline, placement.weights)
    set_attention(pipeline.transformer, placement.attention, device)
    if placement.compile:
        # group offloading moves weights between a block's calls, at which a graph must break
        pipeline.transformer.compile_repeated_blocks(fullgraph=placement.offload != "group")
    if placement.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif placement.offload == "group":
        _offload_groups(pipeline, device)
    elif placement.release_text_encoder:
        pipeline.vae.to(device)
        cpu_offload_with_hook(pipeline.text_encoder, device)
        cpu_offload_with_hook(pipeline.transformer, device)
    else:
        pipeline.to(device)
    pipeline.placement = placement
    return pipeline


def require_usable(placement: Placement, device: torch.device, dtype: torch.dtype) -> None:
    """Raise ``InputError`` if the device, what is installed, or the transformer's ``dtype`` does not allow it."""
    if placement.weights != "as-is" and importlib.util.find_spec("torchao") is None:
        raise InputError(f"weights {placement.weights!r} need torchao: pip install 'video4spatial[scale]'")
    if placement.weights == "fp8-matmul":
        capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
        if capability is None or capability < (8, 9):
            found = "no CUDA device" if capability is None else f"compute capability {capability[0]}.{capability[1]}"
            raise InputError(
                f"weights 'fp8-matmul' need a CUDA device of compute capability 8.9 or later (Ada, Hopper), but this "
                f"is {found}: use 'fp8', which stores in fp8 and multiplies as before"
            )
        if dtype != torch.bfloat16:
            name = str(dtype).removeprefix("torch.")
            raise InputError(f"weights 'fp8-matmul' need a transformer in bfloat16, not {name}: give --dtype bfloat16")
    known = available_attention(device)
    if placement.attention != "auto" and placement.attention not in known:
        missing = INSTALLED.get(placement.attention)
        reason = f"needs the package {missing}" if missing and device.type == "cuda" else f"is not usable on {device}"
        raise InputError(f"attention {placement.attention!r} {reason}: use auto, {', '.join(known)}")


def quantise(pipeline: Video4SpatialPipeline, weights: str) -> None:
    """Bring the linear weights of the transformer's and the text encoder's blocks to 8 bits, with torchao.

    Embeddings, norms, the time and camera embeddings and the output projection stay as they are. Of "fp8-matmul" the
    text encoder gets the weights only. Merge LoRA weights before.
    """
    from torchao.quantization import (
        Float8DynamicActivationFloat8WeightConfig,
        Float8WeightOnlyConfig,
        Int8WeightOnlyConfig,
        PerRow,
        quantize_,
    )

    for part, prefix in QUANTISED.items():
        if weights == "fp8-matmul" and part == "transformer":
            chosen: Any = Float8DynamicActivationFloat8WeightConfig(granularity=PerRow())
        else:
            chosen = Int8WeightOnlyConfig() if weights == "int8" else Float8WeightOnlyConfig()

        def within(module: nn.Module, name: str, prefix: str = prefix) -> bool:
            return isinstance(module, nn.Linear) and name.startswith(prefix)

        quantize_(getattr(pipeline, part), chosen, filter_fn=within)


def available_attention(device: torch.device) -> list[str]:
    """Names of diffusers' attention backends that ``device`` and the installed packages allow."""
    if device.type != "cuda":
        return ["native", "_native_math"]
    return [*NATIVE, *(name for name, package in INSTALLED.items() if importlib.util.find_spec(package))]


def set_attention(transformer: Any, backend: str, device: torch.device) -> str:
    """Use ``backend``, or for "auto" the faster of those that are exact and take masks; the name of the one used."""
    if backend == "auto":
        candidates = ["native", "_native_cudnn"] if device.type == "cuda" else ["native"]
        backend = fastest_attention(transformer, candidates, device)
    transformer.set_attention_backend(backend)
    return backend


@torch.no_grad()
def fastest_attention(transformer: Any, candidates: list[str], device: torch.device, tokens: int = 4096) -> str:
    """Time each candidate on one attention of the transformer's heads; one that fails here is left out."""
    if len(candidates) == 1:
        return candidates[0]
    heads, width = transformer.config.num_attention_heads, transformer.config.attention_head_dim
    x = torch.randn(1, tokens, heads, width, device=device, dtype=transformer.dtype)
    seconds: dict[str, float] = {}
    for name in candidates:
        try:
            for run in range(4):  # the first one warms up
                began = time.perf_counter()
                dispatch_attention_fn(x, x, x, backend=name)  # pyright: ignore[reportArgumentType]
                if device.type != "cpu":
                    torch.accelerator.synchronize()
                if run:
                    seconds[name] = min(seconds.get(name, float("inf")), time.perf_counter() - began)
        except (RuntimeError, ValueError):
            seconds.pop(name, None)
    if not seconds:
        raise InputError(f"none of the attention backends {', '.join(candidates)} runs on {device}: give --attention")
    return min(seconds, key=seconds.__getitem__)


def _offload_groups(pipeline: Video4SpatialPipeline, device: torch.device) -> None:
    """A block of the transformer and a layer of the text encoder at a time; on CUDA the next is fetched meanwhile."""
    fetch = device.type == "cuda"
    away = torch.device("cpu")
    pipeline.transformer.enable_group_offload(
        device, away, offload_type="block_level", num_blocks_per_group=1, use_stream=fetch
    )
    apply_group_offloading(pipeline.text_encoder, device, away, offload_type="leaf_level", use_stream=fetch)
    cpu_offload_with_hook(pipeline.vae, device)
