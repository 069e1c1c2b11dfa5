"""A stock Wan2.2-TI2V-5B, part by part, in whichever layout it lies; ``Video4SpatialPipeline.from_wan`` joins them.

Two layouts of a folder are known. *diffusers*: model_index.json, transformer/, vae/, text_encoder/, tokenizer/.
*official*, as the authors publish it: config.json, diffusion_pytorch_model*.safetensors, Wan2.2_VAE.pth,
models_t5_umt5-xxl-enc-bf16.pth, google/umt5-xxl/. Each part may also come from elsewhere.
"""

import math
import re
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from transformers import AutoTokenizer, UMT5EncoderModel

from video4spatial.model.hub import fetched
from video4spatial.model.load import sampler
from video4spatial.model.official import (
    text_encoder_from_official,
    transformer_config,
    transformer_from_weights,
    vae_from_official,
)
from video4spatial.model.stored import empty_part, require_part, stored_precision
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.model.weights import fill, open_weights
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json

PARTS = ("transformer", "vae", "text_encoder", "tokenizer")
OFFICIAL_FILES = {
    "transformer": ".",
    "vae": "Wan2.2_VAE.pth",
    "text_encoder": "models_t5_umt5-xxl-enc-bf16.pth",
    "tokenizer": "google/umt5-xxl",
}
DOWNLOADED = {
    "transformer": ["transformer/*", "diffusion_pytorch_model*"],
    "vae": ["vae/*", "Wan2.2_VAE.pth"],
    "text_encoder": ["text_encoder/*", "models_t5_umt5-xxl-enc-bf16.pth"],
    "tokenizer": ["tokenizer/*", "google/*"],
}
GET_IT = "see docs/loading.md for how to get Wan2.2-TI2V-5B"


class WanParts:
    """The parts of a stock model. Nothing is read until asked for, and nothing that was read is kept here.

    Args:
        source: a folder in either layout, or a hub id ("Wan-AI/Wan2.2-TI2V-5B-Diffusers", "Wan-AI/Wan2.2-TI2V-5B").
        dtype: the precision of transformer and text encoder. The VAE is always float32, as Wan runs it.
        replaced: parts from elsewhere, by name ("vae", ...): a folder, a file, or a loaded module.

    Raises:
        InputError: the folder is neither layout, or another model's; the hub cannot give it; a part is not there.
    """

    def __init__(self, source: str | Path, dtype: torch.dtype = torch.bfloat16, **replaced: Any) -> None:
        if unknown := sorted(set(replaced) - set(PARTS)):
            raise InputError(f"{', '.join(unknown)}: not a part of a Wan model; it has {', '.join(PARTS)}")
        self.dtype = dtype
        self.given = {part: value for part, value in replaced.items() if value is not None}
        self.folder = local_folder(source, [part for part in PARTS if part not in self.given])
        self.places = {part: Path(v) for part, v in self.given.items() if isinstance(v, str | Path)}
        self.places |= {part: self._place(part) for part in PARTS if part not in self.given}
        for part, place in self.places.items():
            if not place.exists():
                raise InputError(f"{place} is not there: put the {part} there, or give another {part}; {GET_IT}")

    def _place(self, part: str) -> Path:
        if (self.folder / "model_index.json").is_file():
            require_wan_index(self.folder / "model_index.json")
            return self.folder / part
        return self.folder / OFFICIAL_FILES[part]

    def load(self, part: str) -> Any:
        """One part, its weights checked name by name and shape by shape."""
        if part not in self.places:
            return require_ours(part, self.given[part])
        loaders: dict[str, Callable[..., Any]] = {
            "transformer": load_transformer,
            "vae": load_vae,
            "text_encoder": load_text_encoder,
            "tokenizer": load_tokenizer,
        }
        return loaders[part](self.places[part], *([] if part == "tokenizer" else [self.precision(part)]))

    def precision(self, part: str) -> torch.dtype:
        """What a part's weights are held in."""
        return torch.float32 if part == "vae" else self.dtype

    def bytes_needed(self) -> dict[str, int]:
        """What each part's weights take, by the shapes in the files' headers."""
        places = {part: place for part, place in self.places.items() if part != "tokenizer"}
        numbers = {p: sum(map(math.prod, open_weights(place).shapes.values())) for p, place in places.items()}
        return {part: number * self.precision(part).itemsize for part, number in numbers.items()}

    def load_all(self) -> dict[str, Any]:
        """All parts and the sampler, as the pipeline takes them."""
        parts = {part: self.load(part) for part in PARTS} | {"scheduler": sampler()}
        require_fitting(parts["transformer"].config, parts["vae"].config, parts["text_encoder"].config)
        return parts


def require_ours(part: str, module: Any) -> Any:
    """A part that was given loaded; ``InputError`` for a stock transformer, which knows no context."""
    if part == "transformer" and not isinstance(module, Video4SpatialTransformer3DModel):
        raise InputError(
            f"transformer= is a {type(module).__name__}: give a Video4SpatialTransformer3DModel or a folder"
        )
    return module


def local_folder(source: str | Path, wanted: list[str]) -> Path:
    """``source`` if it is a folder, else the hub's, of which only the ``wanted`` parts are downloaded."""
    folder = Path(source)
    if folder.is_dir():
        official = any((folder / f"diffusion_pytorch_model.safetensors{end}").is_file() for end in ("", ".index.json"))
        if not official and not (folder / "model_index.json").is_file():
            raise InputError(
                f"{folder} is not a Wan2.2-TI2V-5B: neither model_index.json (diffusers layout) nor "
                f"diffusion_pytorch_model*.safetensors (official layout) is in it; {GET_IT}"
            )
        return folder
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise InputError(f"{str(source)!r} is neither a folder nor a hub id (owner/name); {GET_IT}")
    patterns = ["model_index.json", "config.json"] + [p for part in wanted for p in DOWNLOADED[part]]
    try:
        return fetched(str(source), patterns)
    except InputError as error:
        raise InputError(f"{error}; {GET_IT}") from None


def first_line(error: Exception) -> str:
    """What an error says, briefly."""
    return (str(error) or type(error).__name__).splitlines()[0]


def require_wan_index(file: Path) -> None:
    """Raise ``InputError`` unless a model_index.json is that of a single Wan transformer with its parts."""
    index = read_json(file)
    name = index.get("_class_name") if isinstance(index, dict) else None
    if name == "Video4SpatialPipeline":
        raise InputError(f"{file.parent} is a Video4Spatial pipeline already: load it with from_pretrained or --model")
    if not isinstance(index, dict) or not str(name).startswith("Wan"):
        raise InputError(f"{file}: a {name}, not a Wan pipeline; {GET_IT}")
    if (index.get("transformer_2") or [None])[0] is not None:
        raise InputError(f"{file.parent} has two transformers (A14B): not supported; use Wan2.2-TI2V-5B")


def require_fitting(transformer: Any, vae: Any, text_encoder: Any) -> None:
    """Raise ``InputError`` unless the three parts' configs speak of the same latents and text."""
    if not transformer.in_channels == transformer.out_channels == vae.z_dim:
        raise InputError(
            f"the transformer takes {transformer.in_channels} channels and gives {transformer.out_channels}, the VAE "
            f"has {vae.z_dim}: both must be Wan2.2-TI2V's (48); other Wan models are not supported"
        )
    if transformer.text_dim != text_encoder.d_model:
        raise InputError(
            f"the transformer takes text of width {transformer.text_dim}, the text encoder gives "
            f"{text_encoder.d_model}: use the UMT5-XXL encoder that comes with Wan"
        )


def require_pipeline(folder: Path, given: Container[str] = ()) -> dict[str, torch.dtype]:
    """Check every part of our own saved pipeline, those aside that are ``given``; the precisions to hold it in.

    Raises:
        InputError: a part's tensors are not exactly those of its class and config (the transformer checks itself).
    """
    precisions = {"default": torch.float32}
    for part, kind in (("vae", AutoencoderKLWan), ("text_encoder", UMT5EncoderModel)):
        if part not in given:
            weights = require_part(kind, folder / part)
            precisions[part] = torch.float32 if part == "vae" else stored_precision(weights)
    if "transformer" not in given:
        precisions["transformer"] = stored_precision(open_weights(folder / "transformer"))
    return precisions


def config_beside(place: Path) -> Path:
    """The config.json of a folder of weights, or of a file of weights."""
    file = (place if place.is_dir() else place.parent) / "config.json"
    if not file.is_file():
        raise InputError(f"{file} is not there: copy the model's config.json beside its weights")
    return file


def load_transformer(place: Path, dtype: torch.dtype) -> Video4SpatialTransformer3DModel:
    """Ours from a folder or file of weights, in official or diffusers names, with its config.json beside."""
    file = config_beside(place)
    config = transformer_config(read_json(file), file)
    return transformer_from_weights(open_weights(place), config, dtype).eval()


def load_vae(place: Path, dtype: torch.dtype) -> AutoencoderKLWan:
    """A diffusers folder, or the official file."""
    if place.is_file():
        return vae_from_official(place, dtype).eval()
    file = config_beside(place)
    vae = empty_part(AutoencoderKLWan, file.parent)
    fill(vae, open_weights(place), dtype=dtype)
    return vae.eval()


def load_text_encoder(place: Path, dtype: torch.dtype) -> UMT5EncoderModel:
    """A transformers folder, or the official file."""
    if place.is_file():
        return text_encoder_from_official(place, dtype)
    require_part(UMT5EncoderModel, place)
    return UMT5EncoderModel.from_pretrained(place, torch_dtype=dtype, local_files_only=True).eval()


def load_tokenizer(place: Path) -> Any:
    """A folder of tokenizer files."""
    try:
        return AutoTokenizer.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{place} holds no tokenizer ({first_line(error)}): copy tokenizer.json and its kin") from None
