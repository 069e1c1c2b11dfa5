"""A model's folder (config.json beside safetensors): checked against the class before a library loads it."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import ModelMixin

from video4spatial.model.weights import Weights, open_weights, require_match, shapes_of
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json


def empty_part(kind: Any, folder: Path) -> Any:
    """A model of class ``kind`` (diffusers' or transformers') on the meta device, as ``folder``'s config.json says.

    Raises:
        InputError: there is no config.json, or it is not this class's.
    """
    content = read_json(folder / "config.json")
    if not isinstance(content, dict):
        raise InputError(f"{folder / 'config.json'} is not a model's configuration: copy it again")
    try:
        with init_empty_weights():
            if issubclass(kind, ModelMixin):
                return kind.from_config({k: v for k, v in content.items() if not k.startswith("_")})  # pyright: ignore
            return kind(kind.config_class.from_dict(content))
    except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{folder / 'config.json'} does not describe a {kind.__name__} ({error})") from None


def require_part(kind: Any, folder: str | Path, optional: Collection[str] = ()) -> Weights:
    """The weights in ``folder``, which are exactly those of a ``kind`` with its config.json; none is read yet.

    Raises:
        InputError: names or shapes differ (all are listed), or a file is missing, truncated or corrupt.
    """
    folder = Path(folder)
    model, weights = empty_part(kind, folder), open_weights(folder)
    tied = getattr(model, "_tied_weights_keys", None) or {}
    aliases = {a for pair in dict(tied).items() for a, b in (pair, pair[::-1]) if b in weights.shapes}
    require_match(shapes_of(model), weights.shapes, weights.source, {*optional, *aliases})
    return weights


def stored_precision(weights: Weights) -> torch.dtype:
    """What to hold weights in that nobody named a precision for: bfloat16 if they are stored so, else float32."""
    return torch.bfloat16 if weights.main_dtype == torch.bfloat16 else torch.float32
