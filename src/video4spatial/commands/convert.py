"""``video4spatial convert``: a stock Wan2.2-TI2V-5B, in either layout, into a Video4Spatial pipeline folder.

One part is in memory at a time (the largest, UMT5-XXL, takes 11.4 GB in bfloat16), and the folder appears whole or not
at all.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from video4spatial.model.load import sampler
from video4spatial.model.stored import empty_part
from video4spatial.sample.from_wan import WanParts, require_fitting
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path

PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
SHARD = "5GB"  # the largest file; whole models in one file are awkward to copy and resume


def convert(source: str, target: str | Path, dtype: str = "bfloat16", force: bool = False, **replaced: Any) -> Path:
    """Write ``target``, a folder that ``Video4SpatialPipeline.from_pretrained`` and ``--model`` take.

    Args:
        source: a folder in diffusers or official layout, or a hub id.
        dtype: a key of ``PRECISIONS``. Modules that must be float32 stay so.
        force: replace a pipeline folder that is there.
        replaced: parts from elsewhere ("vae", ...): a folder or a file.

    Raises:
        InputError: the source is not usable, ``target`` is in the way, or the disk is too small.
    """
    console, target = Console(stderr=True), Path(target)
    if dtype not in PRECISIONS:
        raise InputError(f"--dtype is {dtype!r}: give one of {', '.join(PRECISIONS)}")
    require_free(target, force)
    parts = WanParts(source, PRECISIONS[dtype], **replaced)
    need = sum(parts.bytes_needed().values())
    require_space(target, need)
    console.print(f"{source} -> {target}: {need / 1e9:.1f} GB in {dtype}")
    with atomic_path(target) as folder:
        folder.mkdir()
        kinds: dict[str, Any] = {}
        for part in ("transformer", "vae", "text_encoder"):
            console.print(f"  {part} ...")
            model = parts.load(part)
            model.save_pretrained(str(folder / part), max_shard_size=SHARD)
            kinds[part] = type(model)
            del model  # before the next is read
        hollow = {part: empty_part(kind, folder / part) for part, kind in kinds.items()}
        require_fitting(hollow["transformer"].config, hollow["vae"].config, hollow["text_encoder"].config)
        tokenizer, scheduler = parts.load("tokenizer"), sampler()
        tokenizer.save_pretrained(str(folder / "tokenizer"))
        scheduler.save_pretrained(str(folder / "scheduler"))
        pipeline = Video4SpatialPipeline(tokenizer=tokenizer, scheduler=scheduler, **hollow)
        pipeline.save_config(str(folder))
    console.print(f"done: --model {target}")
    return target


def require_free(target: Path, force: bool) -> None:
    """Raise ``InputError`` if something is at ``target`` that may not be replaced."""
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    if not (target / "model_index.json").is_file():
        raise InputError(f"{target} is there and is no pipeline folder: choose another place")
    if not force:
        raise InputError(f"{target} is a pipeline folder already: choose another place, or replace it with --force")


def require_space(target: Path, need: int) -> None:
    """Raise ``InputError`` unless the disk that ``target`` will be on has ``need`` bytes."""
    folder = next(parent for parent in target.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if need > free:
        raise InputError(
            f"{target} needs {need / 1e9:.1f} GB, {folder} has {free / 1e9:.1f} GB free: free space, or choose another "
            "place or --dtype"
        )
