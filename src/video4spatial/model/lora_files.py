"""LoRA files in each naming, to tensors by our modules' names, checked against the model.

Names taken: diffusers' ("transformer."), those of Wan's own code ("diffusion_model.") and of kohya's ("lora_unet_"), by
diffusers' converters. Every name and shape is checked here: these and peft drop what they do not know.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from video4spatial.model.diffusers_internals import LORA_CONVERTERS, LORA_METADATA_KEY
from video4spatial.model.transformer import CAMERA_KEY
from video4spatial.model.weights import Weights, require_match, some
from video4spatial.schema import InputError

LORA_FILE = "pytorch_lora_weights.safetensors"
PREFIX = "transformer."
HEADER = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "lora_bias", "use_rslora")  # peft's, kept in the file


def lora_file(path: str | Path) -> Path:
    """The safetensors file that ``path`` is, or the only one in it."""
    path = Path(path)
    if path.is_file():
        return path
    if (path / LORA_FILE).is_file():
        return path / LORA_FILE
    found = sorted(path.glob("*.safetensors")) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    what = "has several .safetensors files: name one" if found else "is no file, nor a folder with a .safetensors file"
    raise InputError(f"LoRA {path} {what}")


def in_our_names(weights: Weights) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors by our transformer's module names, and peft's configuration if the file has one.

    Raises:
        InputError: the names are of no known kind, the file is in pieces, or holds what a converter would drop.
    """
    tensors = {key: weights.read(key) for key in weights.shapes}
    for prefix, convert in LORA_CONVERTERS.items():
        if any(key.startswith(prefix) for key in tensors):
            require_convertible(tensors, weights.source)
            try:
                tensors = convert(tensors)
            except (KeyError, ValueError, IndexError, AttributeError, UnboundLocalError) as error:
                raise InputError(f"{weights.source}: not a LoRA of Wan's transformer, or not whole ({error})") from None
    foreign = sorted(key for key in tensors if not key.startswith(PREFIX))
    if foreign or not tensors:
        raise InputError(
            f"{weights.source} is not a LoRA that is known here: {len(foreign)} of {len(tensors)} names start with "
            f"none of {PREFIX}, {', '.join(LORA_CONVERTERS)}: {some(foreign)}"
        )
    tensors = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}
    header = weights.metadata.get(LORA_METADATA_KEY)
    if header is None:
        return tensors, None
    try:
        found = {key.removeprefix(PREFIX): value for key, value in json.loads(header).items()}
    except (ValueError, AttributeError):
        raise InputError(f"{weights.source}: {LORA_METADATA_KEY} in its header is not JSON; save it again") from None
    modules = {key.rpartition(".lora_")[0] for key in tensors if key != CAMERA_KEY}
    return tensors, {key: found[key] for key in HEADER if key in found} | {"target_modules": sorted(modules)}


def require_convertible(tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise ``InputError`` for whole-weight differences that are not zero: diffusers' converter drops them."""
    lost = [key for key in tensors if key.endswith(".diff") or (key.endswith(".diff_b") and "norm" in key)]
    lost += (
        [key for key in tensors if "time_projection" in key]
        if not any("time_projection" in key and key.endswith(".weight") for key in tensors)
        else []
    )
    lost = sorted(key for key in lost if "head.head" not in key and tensors[key].any())
    if lost:
        raise InputError(f"{source} changes weights beside its LoRA, which is not supported: {len(lost)}: {some(lost)}")


def require_fitting(model: Any, tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise ``InputError`` unless every tensor is half of a pair that fits a linear layer of ``model``."""
    layers = {name: getattr(module, "base_layer", module) for name, module in model.named_modules()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    expected: dict[str, tuple[int, ...]] = {}
    for key in found:
        name = re.sub(r"\.lora_([AB]\.weight|B\.bias)$", "", key)
        layer = layers.get(name)
        if name == key or not isinstance(layer, torch.nn.Linear):
            continue  # unexpected
        down, up = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        rank = found[down][0] if down in found else found.get(up, (0,))[-1]
        expected |= {down: (rank, layer.in_features), up: (layer.out_features, rank)}
        if key.endswith(".bias"):
            expected[key] = (layer.out_features,)
    require_match(expected, found, source)
    if not expected:
        raise InputError(f"{source} holds no LoRA: it is empty")
