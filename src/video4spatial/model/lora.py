"""LoRA: low-rank additions to the transformer's layers, ours (with the camera embedding) and stock Wan ones.

Our file is ``pytorch_lora_weights.safetensors`` in a folder: peft's tensors under ``transformer.``, rank and alpha in
the header as diffusers writes them, and ``transformer.camera_embedding.weight``, which trains beside a LoRA and is
stored whole. Other files and names that are read: ``lora_files.py``. peft does the arithmetic.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import is_peft_available
from safetensors.torch import save_file
from torch import Tensor

from video4spatial.model.diffusers_internals import LORA_METADATA_KEY
from video4spatial.model.lora_files import HEADER, LORA_FILE, PREFIX, in_our_names, lora_file, require_fitting
from video4spatial.model.transformer import CAMERA_KEY
from video4spatial.model.weights import open_weights, require_match
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path

TARGETS = {
    "attention": r"blocks\.\d+\.attn[12]\.to_(q|k|v|out\.0)",
    "attention+ffn": r"blocks\.\d+\.(attn[12]\.to_(q|k|v|out\.0)|ffn\.net\.(0\.proj|2))",
}


def require_peft() -> None:
    """Raise ``InputError`` with the remedy where peft is not installed."""
    if not is_peft_available():
        raise InputError("LoRA needs peft: pip install 'video4spatial[scale]'")


def add_lora(model: Any, rank: int, alpha: float, targets: str = "attention", adapter: str = "default") -> list[str]:
    """Give ``model`` a fresh LoRA to train, silent at first; everything but it and the camera embedding is frozen.

    Args:
        rank, alpha: the addition to a weight is ``alpha / rank * B @ A``, with ``A`` of ``rank`` rows.
        targets: a key of ``TARGETS``.

    Returns:
        the names of the parameters that train.
    """
    require_peft()
    if targets not in TARGETS:
        raise InputError(f"LoRA targets are {targets!r}: give one of {', '.join(TARGETS)}")
    if rank < 1 or alpha <= 0:
        raise InputError(f"LoRA rank is {rank}, alpha {alpha}: both must be above 0")
    from peft import LoraConfig

    model.requires_grad_(False)
    model.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=TARGETS[targets]), adapter)  # pyright: ignore
    model.camera_embedding.weight.requires_grad_(True)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def adapters(model: Any) -> list[str]:
    """The names of the LoRAs that ``model`` carries."""
    return list(getattr(model, "peft_config", None) or {})


def save_lora(model: Any, folder: str | Path, adapter: str = "default") -> Path:
    """Write one LoRA and the camera embedding into ``folder``; the file's path."""
    require_peft()
    if adapter not in adapters(model):
        raise InputError(f"there is no LoRA {adapter!r} to save; the model has {', '.join(adapters(model)) or 'none'}")
    from peft.utils import get_peft_model_state_dict

    tensors: dict[str, Tensor] = get_peft_model_state_dict(model, adapter_name=adapter)
    tensors = {key: tensor for key, tensor in tensors.items() if ".lora_" in key}
    tensors[CAMERA_KEY] = model.camera_embedding.weight
    stored = {PREFIX + key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    config = model.peft_config[adapter].to_dict()
    header = {PREFIX + key: config[key] for key in HEADER}
    path = Path(folder) / LORA_FILE
    with atomic_path(path) as temporary:
        save_file(stored, temporary, metadata={"format": "pt", LORA_METADATA_KEY: json.dumps(header, sort_keys=True)})
    return path


def load_lora(model: Any, path: str | Path, scale: float = 1.0, adapter: str | None = None) -> str:
    """Attach the LoRA of a file, or of a folder with one, beside those there are; its name.

    Args:
        scale: how much of it, the camera embedding included: 1 is what was trained, 0 nothing.

    Raises:
        InputError: unreadable, not a LoRA, or not one of this model's: the keys at fault are listed.
    """
    require_peft()
    weights = open_weights(lora_file(path))
    tensors, header = in_our_names(weights)
    camera = tensors.pop(CAMERA_KEY, None)
    require_fitting(model, tensors, weights.source)
    if camera is not None and tuple(camera.shape) != tuple(model.camera_embedding.weight.shape):
        expected = {CAMERA_KEY: tuple(model.camera_embedding.weight.shape)}
        require_match(expected, {CAMERA_KEY: tuple(camera.shape)}, weights.source)
    before = adapters(model)
    name = adapter or f"lora_{len(before)}"
    if name in before:
        raise InputError(f"there is a LoRA {name!r} already: give this one another name, or unload that first")
    if camera is not None and camera_before(model) is not None:
        raise InputError(f"{weights.source}: a LoRA with a camera embedding is loaded already; unload it first")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several LoRAs are meant
        try:
            model.load_lora_adapter(tensors, prefix=None, adapter_name=name, metadata=header)
        except (TypeError, ValueError) as error:
            raise InputError(f"{weights.source}: peft does not take it ({error})") from None
    model.set_adapter([*before, name])
    for layer in lora_layers(model):
        if name in layer.scaling:
            layer.set_scale(name, scale)
    if camera is not None:
        weight = model.camera_embedding.weight
        model.camera_before_lora = weight.detach().clone()
        camera = camera.to(weight)
        with torch.no_grad():
            weight.copy_(camera if scale == 1 else torch.lerp(weight, camera, scale))
    return name


def fuse_lora(model: Any) -> None:
    """Add every LoRA, at its scale, into the weights themselves: sampling then costs nothing more."""
    require_loaded(model)
    model.fuse_lora(safe_fusing=True)


def unfuse_lora(model: Any) -> None:
    """Take the fused LoRAs out of the weights again, to rounding; they stay attached."""
    require_loaded(model)
    model.unfuse_lora()


def unload_lora(model: Any) -> None:
    """Detach every LoRA. Fused weights stay fused; else the weights and the camera embedding are as before."""
    require_loaded(model)
    fused = any(layer.merged for layer in lora_layers(model))
    model.unload_lora()
    if (before := camera_before(model)) is not None and not fused:
        with torch.no_grad():
            model.camera_embedding.weight.copy_(before)
    model.camera_before_lora = None


def camera_before(model: Any) -> Tensor | None:
    """The camera embedding as it was before a LoRA brought another."""
    return getattr(model, "camera_before_lora", None)


def lora_layers(model: Any) -> list[Any]:
    """peft's layers in ``model``."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


def require_loaded(model: Any) -> None:
    """Raise ``InputError`` unless the model carries a LoRA."""
    require_peft()
    if not adapters(model):
        raise InputError("no LoRA is loaded: load one first")


class LoraMethods:
    """What a pipeline can do with LoRAs of its transformer."""

    transformer: Any

    def load_lora(self, path: str | Path, scale: float = 1.0, adapter: str | None = None) -> str:
        """Attach a LoRA (see ``load_lora``); several may be attached."""
        return load_lora(self.transformer, path, scale, adapter)

    def save_lora(self, folder: str | Path, adapter: str = "default") -> Path:
        """Write a LoRA and the camera embedding (see ``save_lora``)."""
        return save_lora(self.transformer, folder, adapter)

    def fuse_lora(self) -> None:
        """Add the attached LoRAs into the weights."""
        fuse_lora(self.transformer)

    def unfuse_lora(self) -> None:
        """Take them out again."""
        unfuse_lora(self.transformer)

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write the pipeline's folder. A LoRA must be fused and unloaded, or just unloaded, before."""
        if adapters(self.transformer):
            raise InputError("a LoRA is attached: save it with save_lora, or fuse_lora and unload_lora, then save")
        super().save_pretrained(save_directory, *args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]

    def unload_lora(self) -> None:
        """Detach them; what was fused stays in the weights."""
        unload_lora(self.transformer)
