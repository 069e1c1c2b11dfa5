"""From a run to a pipeline folder that samples."""

import math
import shutil
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKLWan
from rich.console import Console
from transformers import AutoTokenizer, UMT5EncoderModel

from video4spatial.data.latent_videos import index_rows
from video4spatial.model.frozen import DTYPES, frozen_folder
from video4spatial.model.load import sampler
from video4spatial.model.stored import empty_part
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import TIME_STRIDE
from video4spatial.storage.artifacts import atomic_path
from video4spatial.train.config import StoreConfig, TransformerRun
from video4spatial.train.sources import RoomSource
from video4spatial.train.transformer import TransformerTask

COPIED = ("vae", "text_encoder", "tokenizer")
DEFAULT_FOV = 72.0


def settings_of(config: TransformerRun) -> dict[str, Any]:
    """The pipeline's defaults: the size, rate and lens of what the run was trained on, and what its recipe asks for."""
    window, defaults = config.window, config.defaults
    seen = _rooms_seen(config) if config.data is None else _store_seen(config, config.data)
    return seen | {
        "context_gap": config.gap,
        "context_attention": config.context_attention,
        "null_context": config.null_context,
        "frames": TIME_STRIDE * (window.target - 1) + 1,
        "context_latents": defaults.context_latents or max(window.context),
        "steps": defaults.steps,
        "guidance": defaults.guidance,
        "navigation_guidance": defaults.navigation_guidance,
    }


def _rooms_seen(config: TransformerRun) -> dict[str, Any]:
    rooms = config.stream.rooms
    sizes = {"width": rooms.width, "height": rooms.height, "fps": rooms.fps, "fov": rooms.fov}
    return sizes | {"tail_frames": rooms.tail_frames if config.window.tail else 0}


def _store_seen(config: TransformerRun, data: StoreConfig) -> dict[str, Any]:
    """As the store's first video says; the longest box tail, if the run learns to ground."""
    rows = index_rows(data.roots[0])
    first = rows[0]
    lens = first.intrinsics
    fov = DEFAULT_FOV if lens is None else round(math.degrees(2 * math.atan(lens.width / 2 / lens.fx)), 3)
    no_tail = config.window.navigation == 1 or not config.window.tail
    tail = 0 if no_tail else max(row.meta.get("tail_latents", 0) for row in rows)
    sizes = {"width": first.width, "height": first.height, "fps": first.fps, "fov": fov}
    return sizes | {"tail_frames": TIME_STRIDE * tail}


def pipeline_of(task: TransformerTask) -> Video4SpatialPipeline:
    """A pipeline around the modules of a run on rooms, with the defaults its training implies."""
    assert isinstance(task.source, RoomSource)
    pipeline = Video4SpatialPipeline(
        tokenizer=task.source.tokenizer,
        text_encoder=task.source.text_encoder,
        vae=task.source.codec.vae,
        scheduler=sampler(),
        transformer=task.model,
        **settings_of(task.config),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def forget_origins(pipeline: Video4SpatialPipeline) -> None:
    """Leave out of the saved configs the folders that the parts were loaded from on this machine."""
    for part in (pipeline, pipeline.vae, pipeline.transformer):
        part.register_to_config(_name_or_path="")
    pipeline.text_encoder.config._name_or_path = ""


def export_pipeline(task: TransformerTask, root: Path) -> None:
    """Save the whole pipeline in ``root``/pipeline, with the weights that the run exported."""
    dtype = DTYPES[task.config.export]
    trained: Any = Video4SpatialTransformer3DModel.from_pretrained(root / "transformer", torch_dtype=dtype)
    if isinstance(task.source, RoomSource):
        pipeline = pipeline_of(task)
        pipeline.register_modules(transformer=trained)
        forget_origins(pipeline)
        pipeline.to(dtype)
        pipeline.save_pretrained(str(root / "pipeline"))
    else:
        assemble(trained, task.config, root / "pipeline")
    Console(stderr=True).print(f"the pipeline is in {root / 'pipeline'}: use it with --model {root / 'pipeline'}")


def assemble(trained: Any, config: TransformerRun, out: Path) -> None:
    """A pipeline folder of the trained transformer and of copies of the base's VAE, text encoder and tokenizer: their
    files as they are, never loaded."""
    base = frozen_folder(config.frozen_parts)
    pipeline = Video4SpatialPipeline(
        tokenizer=AutoTokenizer.from_pretrained(base / "tokenizer"),
        text_encoder=empty_part(UMT5EncoderModel, base / "text_encoder"),
        vae=empty_part(AutoencoderKLWan, base / "vae"),
        scheduler=sampler(),
        transformer=trained,
        **settings_of(config),
    )
    forget_origins(pipeline)
    with atomic_path(out) as temporary:
        temporary.mkdir(parents=True)
        pipeline.save_config(str(temporary))
        pipeline.transformer.save_pretrained(str(temporary / "transformer"))
        pipeline.scheduler.save_pretrained(str(temporary / "scheduler"))
        for part in COPIED:
            shutil.copytree(base / part, temporary / part)
