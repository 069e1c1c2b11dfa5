"""``video4spatial train``: a recipe's run, with previews sampled on the way, saved as a pipeline at the end."""

import contextlib
import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import torch

from video4spatial.commands.export import export_pipeline, pipeline_of
from video4spatial.data.rooms import plain_video
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout
from video4spatial.storage.sheet import contact_sheet, write_image
from video4spatial.train.config import RunConfig, TransformerRun, VaeRun, override
from video4spatial.train.loop import Trainer, choose_device, read_config
from video4spatial.train.parallel import Ranks, join, leave
from video4spatial.train.recipes import load_recipe
from video4spatial.train.stream import validation_seeds
from video4spatial.train.transformer import TransformerTask
from video4spatial.train.vae import VaeTask

KINDS: dict[str, type[RunConfig]] = {"vae": VaeRun, "transformer": TransformerRun}
PREVIEW_STEPS = 12


def train_run(
    recipe: str | None,
    resume: str | None,
    out: str | None,
    minutes: float | None,
    settings: list[str],
    at: int | None = None,
) -> Path:
    """Run ``recipe`` in ``out``, or go on with the run in ``resume`` (from step ``at``); the folder of the run.

    Under ``torchrun`` every process calls this, and all of them train one model.

    Raises:
        InputError: an unknown recipe or key; ``out`` holds a run already; nothing to resume.
    """
    if resume is not None:
        root, config = Path(resume), read_config(Path(resume), KINDS)
    else:
        config = load_recipe(recipe or "")
        root = Path(out or f"runs/{(recipe or '').replace(':', '-').replace('/', '-')}")
        if RunLayout(root).latest_checkpoint() is not None:
            raise InputError(f"--out {root} holds a run already: go on with it by --resume {root}, or choose another")
    config = override(config, settings)
    if minutes is not None:
        config = dataclasses.replace(config, minutes=minutes)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    root.mkdir(parents=True, exist_ok=True)

    ranks = join(choose_device(config.device), getattr(config, "context_parallel", 1))
    try:
        _run(config, root, ranks, resume is not None, at)
    finally:
        leave(ranks)
    return root


def _run(config: RunConfig, root: Path, ranks: Ranks, resumes: bool, at: int | None) -> None:
    with contextlib.closing(ranks.together(lambda: make_task(config, ranks))) as task:
        trainer = Trainer(task, config, root, ranks=ranks)
        if resumes:
            trainer.resume(at)
        preview = None
        if isinstance(task, TransformerTask) and task.config.previews and ranks.size == 1:
            preview = partial(save_preview, task, root)
        trainer.run(preview)
        if isinstance(task, TransformerTask):
            ranks.on_main(partial(export_pipeline, task, root))


def make_task(config: RunConfig, ranks: Ranks) -> TransformerTask | VaeTask:
    """What ``config`` trains, as this process's part of it.

    Raises:
        InputError: a run that many processes cannot share.
    """
    if isinstance(config, TransformerRun):
        if ranks.size > 1 and config.data is None and config.stream.store is not None:
            raise InputError(
                "stream.store has one writer, but there are many processes: fill a store with video4spatial precompute "
                "and train from it (data.roots)"
            )
        own = dataclasses.replace(config, device=str(ranks.device))
        return TransformerTask(own, ranks.is_main, ranks.data_rank, ranks.data_size, ranks.together)
    if ranks.size > 1:
        raise InputError("a VAE trains in one process: start it without torchrun")
    assert isinstance(config, VaeRun)
    return VaeTask(config)


def save_preview(task: TransformerTask, root: Path, step: int) -> None:
    """A contact sheet of both tasks in a validation room, by the averaged weights."""
    room = task.config.stream.rooms.room(validation_seeds(1)[0])
    pipeline = pipeline_of(task)
    video = plain_video(room, task.config.stream.rooms, seed=5)
    scene = pipeline.encode_context(video.clip)
    rows: dict[str, np.ndarray] = {"context": video.clip.frames}
    for target in room.targets()[:1]:  # a bare room has none
        rows[f"ground: {target.phrase}"] = pipeline(scene, f"the {target.phrase}", steps=PREVIEW_STEPS).frames
    rows["navigate: turn-right"] = pipeline(scene, path="turn-right", steps=PREVIEW_STEPS).frames
    layout = RunLayout(root)
    write_image(layout.preview(step).with_suffix(".png"), contact_sheet(rows))
