"""What a run starts from: a fresh small transformer, one trained before, or stock Wan; and how weights are held."""

from pathlib import Path
from typing import Any

import torch

from video4spatial.model.frozen import DTYPES
from video4spatial.model.hub import fetched, is_on_hub
from video4spatial.model.load import initialise, resolve_part, small_transformer
from video4spatial.model.official import transformer_config, transformer_from_weights
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.model.weights import open_weights
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json
from video4spatial.train.config import TransformerRun


def starting_transformer(config: TransformerRun, text_dim: int) -> Any:
    """The transformer before the first step, in float32 on the CPU.

    Raises:
        InputError: what ``start`` or ``base`` names is not there, or takes text of another width than ``text_dim``.
    """
    torch.manual_seed(config.seed)
    if config.start is not None:
        folder = resolve_part(config.start, "transformer")
    elif config.base is not None:
        folder = base_transformer(config.base)
    else:
        return small_transformer(config.width, config.layers, config.head_dim, text_dim)
    sizes = transformer_config(read_json(folder / "config.json"), folder / "config.json")
    if not config.pretrained:
        model: Any = initialise(Video4SpatialTransformer3DModel(**sizes))
    elif config.start is not None:
        model = Video4SpatialTransformer3DModel.from_pretrained(folder, torch_dtype=torch.float32)
    else:
        model = transformer_from_weights(open_weights(folder), sizes, torch.float32)
    if model.config.text_dim != text_dim:
        raise InputError(
            f"the text embeddings are {text_dim} wide, but {folder} takes {model.config.text_dim}: precompute the "
            "store's text with the text encoder that belongs to it"
        )
    return model


def base_transformer(name: str) -> Path:
    """The folder of a stock Wan's transformer: in diffusers' layout, the official one, or fetched from the hub.

    Raises:
        InputError: it is not there.
    """
    root = fetched(name, ["transformer/*"]) if is_on_hub(name) else Path(name)
    for folder in (root / "transformer", root):
        if (folder / "config.json").is_file():
            return folder
    raise InputError(f"base={name}: no transformer is there; see docs/loading.md for how to get Wan2.2-TI2V-5B")


def hold_frozen(model: Any, precision: str) -> None:
    """Hold what does not train in ``precision``; what trains stays in float32, and so do the modules whose precision
    decides (``_keep_in_fp32_modules``)."""
    for name, parameter in model.named_parameters():
        kept = any(part in name.split(".") for part in model._keep_in_fp32_modules)
        if not parameter.requires_grad and not kept:
            parameter.data = parameter.data.to(DTYPES[precision])
