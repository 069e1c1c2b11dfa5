"""What a run starts from: a fresh small transformer, one trained before, or stock Wan; and how weights are held."""

from pathlib import Path
from typing import Any

import torch

from video4spatial.model.load import resolve_part, small_transformer
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.schema import InputError
from video4spatial.train.config import TransformerRun

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def starting_transformer(config: TransformerRun, text_dim: int) -> Any:
    """The transformer before the first step, in float32 on the CPU.

    Raises:
        InputError: what ``start`` or ``base`` names is not there, or takes text of another width than ``text_dim``.
    """
    torch.manual_seed(config.seed)
    if config.start is None and config.base is None:
        return small_transformer(config.width, config.layers, config.head_dim, text_dim)
    source = str(config.start or config.base)
    hub = config.start is None and is_on_hub(source)
    folder = source if hub else resolve_part(source, "transformer")
    options = {"subfolder": "transformer"} if hub else {}
    try:
        model: Any = Video4SpatialTransformer3DModel.from_pretrained(folder, torch_dtype=torch.float32, **options)
    except OSError as error:
        raise InputError(f"{source} has no transformer that can be loaded: {str(error)[:300]}") from None
    if model.config.text_dim != text_dim:
        raise InputError(
            f"the text embeddings are {text_dim} wide, but {source} takes {model.config.text_dim}: "
            "precompute the store's text with the text encoder that belongs to it"
        )
    return model


def is_on_hub(name: str) -> bool:
    """Whether ``name`` is meant as one of the hub's ("owner/model") and not as a folder."""
    return name.count("/") == 1 and name[0] not in "./" and not Path(name).parent.exists()


def frozen_folder(name: str) -> Path:
    """The folder that holds the VAE, the text encoder and the tokenizer of ``name``, fetched from the hub if it is a
    name there.

    Raises:
        InputError: one of them is not there.
    """
    if is_on_hub(name):
        from huggingface_hub import snapshot_download

        try:
            wanted = ["vae/*", "text_encoder/*", "tokenizer/*"]
            folder = Path(snapshot_download(name, allow_patterns=wanted))
        except Exception as error:  # the hub's client raises many kinds, requests' among them
            raise InputError(f"{name} is neither a folder nor on the hub ({str(error)[:200]})") from None
    else:
        folder = resolve_part(name, "vae").parent
    missing = [part for part in ("vae", "text_encoder", "tokenizer") if not (folder / part).is_dir()]
    if missing:
        raise InputError(f"{name} has no {', '.join(missing)}: give vae= a whole pipeline's folder")
    return folder


def hold_frozen(model: Any, precision: str) -> None:
    """Hold what does not train in ``precision``; what trains stays in float32, and so do the modules whose precision
    decides (``_keep_in_fp32_modules``)."""
    for name, parameter in model.named_parameters():
        kept = any(part in name.split(".") for part in model._keep_in_fp32_modules)
        if not parameter.requires_grad and not kept:
            parameter.data = parameter.data.to(DTYPES[precision])
