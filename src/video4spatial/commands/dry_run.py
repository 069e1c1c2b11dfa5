"""``video4spatial train RECIPE --dry-run``: what the run would take, before any GPU is asked for."""

from pathlib import Path
from typing import Any

import torch

from video4spatial.data.dataset import ExampleSampler, WindowConfig
from video4spatial.data.latent_videos import index_rows, open_store
from video4spatial.model.cost import SequenceShape, TransformerShape, training_estimate
from video4spatial.model.hub import is_on_hub
from video4spatial.model.load import resolve_part, small_transformer
from video4spatial.model.official import transformer_config
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.sample.devices import find_device
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, read_json
from video4spatial.storage.texts import TextStore
from video4spatial.train.config import TransformerRun, override
from video4spatial.train.leaks import require_no_leak
from video4spatial.train.recipes import load_recipe
from video4spatial.train.start import base_transformer

WAN_5B = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"  # the transformer's default sizes are its


def print_dry_run(recipe: str, settings: list[str], gpus: int, gpu: str) -> None:
    """Print the dry run of ``recipe``."""
    config = override(load_recipe(recipe), settings)
    if not isinstance(config, TransformerRun):
        raise InputError(f"recipe {recipe} does not train a transformer: a dry run is of one that does")
    print("\n".join(dry_run(config, gpus, gpu)))


def dry_run(config: TransformerRun, gpus: int = 8, gpu: str = "H100") -> list[str]:
    """The lines to print: the model, memory a GPU, operations, predicted days, and the facts of the stores.

    The model is the run's own, on the meta device: nothing is loaded and no memory taken.
    """
    card = find_device(gpu)
    if gpus < 1 or gpus % config.context_parallel:
        raise InputError(f"--gpus is {gpus}: give a multiple of context_parallel, which is {config.context_parallel}")
    replicas = gpus // config.context_parallel
    micro = config.micro_batches(replicas)
    facts, (width, height) = store_facts(config)
    model = meta_transformer(config)
    window = config.window
    sequence = SequenceShape(max(window.context), window.target, width, height)
    estimate = training_estimate(
        TransformerShape.from_config(model.config),
        sequence,
        steps=config.steps,
        global_batch=config.batch * micro * replicas,
        batch=config.batch,
        gpus=gpus,
        trains=config.train if config.lora is None else "lora",
        rank=config.lora.rank if config.lora else 0,
        checkpointing=config.checkpointing,
        shard=True,
        context_parallel=config.context_parallel,
        optimiser="adamw8bit" if config.optim.name == "adamw8bit" else "adamw",
        frozen_bytes=2 if config.weights_dtype == "bf16" else 4,
        compute_bytes=2 if config.precision == "bf16" else 4,
        average=config.optim.ema > 0,
        tflops=card.tflops,
    )
    verdict = "fits" if estimate.memory_per_gpu < card.usable else "DOES NOT FIT"
    return [
        *estimate.lines(),
        f"{verdict}: {estimate.memory_per_gpu / 1e9:.1f} of {card.memory / 1e9:.0f} GB on each {card.name}",
        f"sequence: {sequence.context} context + {sequence.target} target latents at {width}x{height}, "
        f"{sequence.tokens:,} tokens a sample" + _split(sequence, config),
        f"a step: {config.batch * micro * replicas} samples = {config.batch} a micro-batch x {micro} micro-batches x "
        f"{replicas} data-parallel groups; {config.steps:,} steps",
        *facts,
    ]


def _split(sequence: SequenceShape, config: TransformerRun) -> str:
    shared = config.context_parallel
    return f", {-(-sequence.tokens // shared):,} on each of {shared} GPUs" if shared > 1 else ""


def meta_transformer(config: TransformerRun) -> Any:
    """The run's transformer on the meta device.

    Raises:
        InputError: its sizes cannot be known here.
    """
    source = config.start or config.base
    with torch.device("meta"):
        if source is None:
            return small_transformer(config.width, config.layers, config.head_dim)
        if source == WAN_5B:
            return Video4SpatialTransformer3DModel()
        if config.start is None and is_on_hub(source):
            raise InputError(f"base={source}: a dry run reads sizes from a folder; fetch it and give --set base=FOLDER")
        folder = resolve_part(source, "transformer") if config.start else base_transformer(source)
        sizes = transformer_config(read_json(folder / "config.json"), folder / "config.json")
        return Video4SpatialTransformer3DModel(**sizes)


def store_facts(config: TransformerRun) -> tuple[list[str], tuple[int, int]]:
    """What is known of the data, and its size in pixels (the paper's where there is no store yet)."""
    if config.data is None:
        rooms = config.stream.rooms
        return [f"data: {config.stream.pool} rooms, rendered while training"], (rooms.width, rooms.height)
    require_no_leak(config.data)
    lines, size = [], (416, 256)
    for root in config.data.roots:
        if not StoreLayout(Path(root)).index.is_file():
            lines.append(f"data: {root} is not there yet: `video4spatial precompute`, or your own encoding, makes it")
            continue
        rows = index_rows(root)
        size = (rows[0].width, rows[0].height)
        lines += _facts(root, rows, config.window)
    return lines, size


def _facts(root: str, rows: list[Any], window: WindowConfig) -> list[str]:
    clips = [row for row in rows if "of" in row.meta]
    whole = [row for row in rows if "of" not in row.meta]
    environments = {row.environment_id for row in whole}
    hours = sum(row.frames / row.fps for row in whole) / 3600
    layouts = [StoreLayout(Path(root)), StoreLayout(StoreLayout(Path(root)).clips)]
    shards = [file for layout in layouts if layout.shards.is_dir() for file in layout.shards.iterdir()]
    stored = sum(file.stat().st_size for file in shards) / 1e9
    posed = sum("c2w" in row.tensors for row in whole)
    told = {sentence for row in rows for sentence in row.meta.get("sentences", ())}
    lines = [
        f"data: {root}: {len(whole):,} videos ({hours:.2f} hours) of {len(environments):,} environments, "
        f"{stored:.2f} GB; {posed:,} with poses, {len(clips):,} clips, {len(told):,} sentences",
    ]
    try:
        left_out = ExampleSampler(open_store(root, preload=False), window).chooser.left_out
        if left_out:
            lines.append(f"data: {root}: {left_out:,} videos and clips are left out, for lack of context latents")
    except InputError as error:
        lines.append(f"data: {root} by itself: {error}")
    if not StoreLayout(StoreLayout(Path(root)).texts).index.is_file():
        lines.append(f"data: {root} has no text embeddings: `video4spatial precompute RECIPE --out {root}` adds them")
    else:
        missing = TextStore([root]).missing(told)
        if missing:
            lines.append(f"data: {root}: {len(missing):,} sentences have no embedding, for example {missing[0]!r}")
    return lines
