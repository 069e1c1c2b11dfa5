"""A tiny Wan2.2-TI2V in each layout that its publisher and diffusers use; not a test itself.

The transformer is the official code's random one (parity/wan_official_tiny.safetensors); the VAE and the text encoder
have weights by formula, in the official names and shapes of parity/wan22_ti2v_5b.json, narrowed.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

PARITY = Path(__file__).parent / "parity"
LISTING = json.loads((PARITY / "wan22_ti2v_5b.json").read_text(encoding="utf-8"))
VAE_FILE, TEXT_FILE = "Wan2.2_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth"
STEM = "diffusion_pytorch_model"
WORDS = ["the", "red", "chair", "camera", "moves", "across", "room", "finally", "it", "focuses", "on", "in", "center"]


def expanded(part: dict[str, Any]) -> dict[str, Any]:
    """A listing with its repeated block written out."""
    return part["top"] | {f"blocks.{i}.{k}": v for i in range(part["blocks"]) for k, v in part["block"].items()}


def scrambled(number: int, shape: tuple[int, ...]) -> Tensor:
    """Numbers in [-0.5, 0.5) that any machine makes alike."""
    x = torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 12.9898 + number * 78.233) * 43758.5453
    return (x - x.floor() - 0.5).reshape(shape)


def made_weights(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """The weights that the official reference outputs were computed with."""
    weights = {}
    for number, (key, shape) in enumerate(sorted(shapes.items())):
        w = scrambled(number, tuple(shape))
        if key.endswith("gamma") or "norm" in key:
            w = 1 + 0.2 * w
        elif len(shape) > 1:
            w = w * (4 / math.sqrt(math.prod(shape[1:])))
        else:
            w = 0.1 * w
        weights[key] = w.float()
    return weights


def vae_state() -> dict[str, Tensor]:
    """The official VAE at widths 8 and 8 instead of 160 and 256; latent and colour channels stay."""

    def narrow(key: str, shape: list[int]) -> list[int]:
        by = 20 if key.startswith("encoder") else 32
        return [size // by if size % by == 0 and size >= by * 8 else size for size in shape]

    return made_weights({key: narrow(key, shape) for key, shape in LISTING["vae"].items()})


def text_state() -> dict[str, Tensor]:
    """The official text encoder: 64 words, width 32, 4 heads, 2 layers."""
    sizes = {256384: 64, 4096: 32, 10240: 48, 64: 4, 32: 32}
    shapes = expanded(LISTING["text_encoder"] | {"blocks": 2})
    return made_weights({key: [sizes[size] for size in shape] for key, shape in shapes.items()})


def transformer_state() -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Weights by official names, the official config.json, and diffusers' arguments."""
    with safe_open(PARITY / "wan_official_tiny.safetensors", "pt") as file:
        arguments = json.loads(file.metadata()["config"])
        keys = [key for key in file.keys() if key.startswith("official.")]  # noqa: SIM118
        state = {key.removeprefix("official."): file.get_tensor(key) for key in keys}
    config = {"_class_name": "WanModel", "model_type": "ti2v", "dim": 64, "num_heads": 2, "in_dim": 48, "out_dim": 48}
    config |= {"ffn_dim": 128, "freq_dim": 256, "num_layers": 2, "eps": 1e-6, "text_dim": 32, "text_len": 512}
    return state, config, arguments


def tokenizer() -> Any:
    from video4spatial.model.load import word_tokenizer

    return word_tokenizer(WORDS)


def write_shards(folder: Path, state: dict[str, Tensor], shards: int = 3) -> None:
    """As the publisher splits its transformer."""
    folder.mkdir(parents=True, exist_ok=True)
    weight_map = {}
    for number in range(shards):
        name = f"{STEM}-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = {key: state[key].contiguous() for key in sorted(state)[number::shards]}
        save_file(part, folder / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / f"{STEM}.safetensors.index.json").write_text(json.dumps(index))


def write_official(folder: Path, shards: int = 3) -> Path:
    """config.json, the transformer (in one file if ``shards`` is 0), the two .pth files, google/umt5-xxl."""
    folder.mkdir(parents=True, exist_ok=True)
    state, config, _ = transformer_state()
    (folder / "config.json").write_text(json.dumps(config))
    if shards:
        write_shards(folder, state, shards)
    else:
        save_file(state, folder / f"{STEM}.safetensors", metadata={"format": "pt"})
    torch.save(vae_state(), folder / VAE_FILE)
    torch.save(text_state(), folder / TEXT_FILE)
    tokenizer().save_pretrained(str(folder / "google" / "umt5-xxl"))
    return folder


def write_diffusers(folder: Path) -> Path:
    """What ``WanPipeline.save_pretrained`` writes, the stock classes holding the same weights."""
    from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    from video4spatial.model.official import text_encoder_from_official, vae_from_official

    folder.mkdir(parents=True, exist_ok=True)
    state, _, arguments = transformer_state()
    transformer = WanTransformer3DModel(**arguments)
    transformer.load_state_dict(convert_wan_transformer_to_diffusers(dict(state)), strict=True)
    torch.save(vae_state(), folder / VAE_FILE)
    torch.save(text_state(), folder / TEXT_FILE)
    pipeline = WanPipeline(
        tokenizer=tokenizer(),
        text_encoder=text_encoder_from_official(folder / TEXT_FILE),
        vae=vae_from_official(folder / VAE_FILE),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        transformer=transformer,
    )
    pipeline.save_pretrained(str(folder))
    (folder / VAE_FILE).unlink()
    (folder / TEXT_FILE).unlink()
    return folder
