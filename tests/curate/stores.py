"""Prepared stores to curate, made through the same parts as ``prepare`` makes them."""

import shutil
from pathlib import Path

import torch

from video4spatial.data.origin import Origin, keep_origin
from video4spatial.data.runs import unbroken_runs
from video4spatial.data.sampled import Sampled, sampled_length
from video4spatial.data.source import Source, open_source
from video4spatial.model.frozen import vae_fingerprint
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import TIME_STRIDE
from video4spatial.storage.scene_shards import SceneShards

ROOMS = {"tours": 1, "frames": 25, "width": 64, "height": 32, "difficulty": 0.1, "quality": 0.3, "rays": 2}


def prepared(
    root: Path,
    source: Source,
    codec: LatentCodec,
    model: Path | str,
    every: int = 1,
    size: tuple[int, int] = (64, 32),
    clip: int = 9,
) -> Path:
    """A store of the unbroken runs of every unit of ``source``."""
    where = source.root if source.kind == "rooms" else str(Path(source.root).resolve())
    origin = Origin(source.kind, where, dict(source.options), every, size, clip, str(model), vae_fingerprint(codec))
    keep_origin(root, origin)
    shards = SceneShards(root)
    for unit in source.units:
        scene = source.open(unit.unit_id)
        for run in unbroken_runs(scene, 1 + (clip - 1) * every):
            video = Sampled(run, every, *size)
            frames = video.frames(range(len(video)))
            stop = run.start + (sampled_length(len(run), every) - 1) * every + 1
            tensors = {"video": codec.encode(frames).half(), "image": codec.encode_images(frames[::TIME_STRIDE]).half()}
            if video.c2w is not None:
                tensors["c2w"] = torch.as_tensor(video.c2w)
            meta = {"source": unit.unit_id, "every": every, "frames": [run.start, stop]}
            lens = video.intrinsics
            shards.write(
                video.video_id, video.environment_id, tensors, fps=video.fps, size=size, intrinsics=lens, meta=meta
            )
    shards.reindex()
    return root


def rooms_source(seeds: str = "0:3", **options) -> Source:
    return open_source("rooms", seeds, ROOMS | options)


def copied(store: Path, to: Path) -> Path:
    shutil.copytree(store, to)
    return to


def contents(root: Path, leave_out: tuple[str, ...] = ("answers.jsonl",)) -> dict[str, bytes]:
    """Every file of a store, but for locks and what is named."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in (".lock", *leave_out)
    }
