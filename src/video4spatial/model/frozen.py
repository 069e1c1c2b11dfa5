"""The parts that never train, to encode with: the VAE, the tokenizer and the text encoder."""

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from transformers import AutoTokenizer, PreTrainedTokenizerBase, UMT5EncoderModel

from video4spatial.model.hub import fetched, is_on_hub
from video4spatial.model.latents import LatentCodec
from video4spatial.model.load import resolve_part, small_text_encoder, word_tokenizer
from video4spatial.rooms import vocabulary
from video4spatial.schema import InputError, grounding_sentence
from video4spatial.storage.artifacts import read_json

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def frozen_folder(name: str) -> Path:
    """The folder that holds the VAE, the text encoder and the tokenizer of ``name``, fetched from the hub if it is a
    name there.

    Raises:
        InputError: one of them is not there.
    """
    parts = ("vae", "text_encoder", "tokenizer")
    root = fetched(name, [f"{part}/*" for part in parts]) if is_on_hub(name) else resolve_part(name, "vae").parent
    missing = [part for part in parts if not (root / part).is_dir()]
    if missing:
        raise InputError(
            f"{name} has no {', '.join(missing)} folder: give a whole pipeline in diffusers' layout "
            "(`video4spatial convert` makes one)"
        )
    return root


def frozen_vae(name: str) -> LatentCodec:
    """The VAE of ``name``, to encode with."""
    folder = frozen_folder(name) / "vae" if is_on_hub(name) else resolve_part(name, "vae")
    vae: Any = AutoencoderKLWan.from_pretrained(folder, torch_dtype=torch.float32)
    return LatentCodec(vae.eval().requires_grad_(False))


def vae_fingerprint(codec: LatentCodec, made_of: object = None) -> str:
    """A short name for "``made_of`` through this VAE": latents under another name are other latents."""
    statistics = (codec.vae.config.latents_mean, codec.vae.config.latents_std)
    digest = hashlib.sha256(repr((made_of, *map(list, statistics))).encode())
    for key, tensor in sorted(codec.vae.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def native_size(name: str) -> tuple[int, int] | None:
    """The (width, height) that the pipeline around the VAE works at; None for a bare VAE or a name on the hub."""
    if is_on_hub(name):
        return None
    index = resolve_part(name, "vae").parent / "model_index.json"
    described: Any = read_json(index) if index.is_file() else {}
    size = described.get("width"), described.get("height")
    return size if isinstance(size[0], int) and isinstance(size[1], int) else None


def text_parts(name: str, precision: str = "fp32") -> tuple[PreTrainedTokenizerBase, UMT5EncoderModel]:
    """The tokenizer and text encoder beside the VAE; a VAE that has none beside it gets those of rooms' words."""
    if is_on_hub(name) or (resolve_part(name, "vae").parent / "tokenizer").is_dir():
        folder = frozen_folder(name)
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        text_encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", torch_dtype=DTYPES[precision])
        return tokenizer, text_encoder.eval().requires_grad_(False)
    template = re.findall("[a-z]+", grounding_sentence("the").lower())
    tokenizer = word_tokenizer([*vocabulary(), *template])
    return tokenizer, small_text_encoder(len(tokenizer))
