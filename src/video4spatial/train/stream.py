"""Rooms for training, rendered by worker processes while training goes on, and the latents made of them."""

import multiprocessing
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

import torch
from rich.progress import Progress

from video4spatial.data.latent_videos import LatentVideo, MemoryVideo, StoreVideo
from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig, training_videos
from video4spatial.data.scene import AnnotatedVideo
from video4spatial.model.frozen import vae_fingerprint
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import TIME_STRIDE, InputError
from video4spatial.storage.latents import LatentStore, LatentWriter
from video4spatial.train.config import StreamConfig
from video4spatial.train.workers import one_thread

VALIDATION_SEED = 900_000  # rooms from here to HELD_OUT_SEED judge a run while it trains; never trained on either

Rendered = TypeVar("Rendered")
Finished = TypeVar("Finished")


class RoomPool(Generic[Rendered, Finished]):
    """A window of rooms that moves with the step: what a step sees depends on nothing but the step.

    ``render(seed, config)`` runs in worker processes and must be picklable; ``finish`` runs here (on the GPU, say).
    Workers render ahead of the window while training goes on.
    """

    def __init__(
        self,
        stream: StreamConfig,
        render: Callable[[int, RoomsConfig], Rendered],
        finish: Callable[[int, Rendered], Finished],
        recall: Callable[[int], Finished | None] = lambda seed: None,
        show_progress: bool = True,
    ) -> None:
        last = stream.first_seed + stream.pool
        if last > VALIDATION_SEED:
            raise InputError(f"stream.first_seed + stream.pool reaches {last}: training seeds end at {VALIDATION_SEED}")
        self.stream, self._render, self._finish, self._recall = stream, render, finish, recall
        self._show = show_progress
        self._ready: OrderedDict[int, Finished] = OrderedDict()
        self._coming: dict[int, Future[Rendered]] = {}
        self._workers: ProcessPoolExecutor | None = None

    def seeds(self, step: int) -> range:
        """The room seeds of step ``step``."""
        first = self.stream.first_seed + int(step * self.stream.rooms_per_step)
        wrapped = first % (VALIDATION_SEED - self.stream.pool + 1)
        return range(wrapped, wrapped + self.stream.pool)

    def at(self, step: int) -> list[Finished]:
        """The rooms of step ``step``, rendered if need be (this waits for those that are missing)."""
        wanted = self.seeds(step)
        for seed in [seed for seed in self._ready if seed not in wanted]:
            del self._ready[seed]
        missing = [seed for seed in wanted if seed not in self._ready]
        for seed in missing:
            found = self._recall(seed)
            if found is not None:
                self._ready[seed] = found
                self._coming.pop(seed, None)
        missing = [seed for seed in missing if seed not in self._ready]
        if missing:
            with Progress(disable=not self._show or len(missing) < 4) as progress:
                for seed in progress.track(missing, description="rendering rooms"):
                    self._look_ahead(seed, wanted.stop)
                    self._ready[seed] = self._finish(seed, self._coming.pop(seed).result())
        if self.stream.rooms_per_step:
            self._look_ahead(wanted.stop, VALIDATION_SEED)
        return [self._ready[seed] for seed in wanted]

    def _look_ahead(self, seed: int, stop: int) -> None:
        """Have ``seed`` and a few rooms after it rendered in the background."""
        if self._workers is None:
            self._workers = ProcessPoolExecutor(
                max(1, self.stream.workers), multiprocessing.get_context("spawn"), initializer=one_thread
            )
        ahead = min(seed + 2 * max(1, self.stream.workers), max(stop, seed + 1), VALIDATION_SEED)
        for number in range(seed, ahead):
            known = number in self._coming or number in self._ready or self._recall(number) is not None
            if not known:
                self._coming[number] = self._workers.submit(self._render, number, self.stream.rooms)

    def close(self) -> None:
        """End the worker processes."""
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)
            self._workers = None
            self._coming.clear()

    def __enter__(self) -> "RoomPool[Rendered, Finished]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode_video(video: AnnotatedVideo, codec: LatentCodec) -> MemoryVideo:
    """Causal latents of the whole video, and single-frame latents of every fourth frame, in half precision."""
    images = codec.encode_images(video.clip.frames[::TIME_STRIDE])
    return MemoryVideo(
        video.video_id,
        video.environment_id,
        codec.encode(video.clip.frames).half(),
        images.half(),
        video.c2w,
        video.intrinsics,
        video.clip.size,
        video.sentences,
        -(-video.tail_frames // TIME_STRIDE),  # a latent with one marked frame is marked
    )


def keep_video(writer: LatentWriter, video: MemoryVideo, fps: float) -> None:
    """Add an encoded video to a store."""
    tensors = dict(video.tensors)
    if video.c2w is not None:
        tensors["c2w"] = torch.as_tensor(video.c2w)
    writer.add(
        video.video_id,
        video.environment_id,
        tensors,
        fps=fps,
        size=video.size,
        intrinsics=video.intrinsics,
        meta={"sentences": list(video.sentences), "tail_latents": video.tail_latents},
    )


def fingerprint(codec: LatentCodec, rooms: RoomsConfig) -> str:
    """A short name for "these rooms through this VAE": latents under another name are other latents."""
    return vae_fingerprint(codec, rooms)


class LatentRooms:
    """Rooms as latent videos: rendered by workers, encoded here, and kept in a store if one is given."""

    def __init__(self, stream: StreamConfig, codec: LatentCodec, show_progress: bool = True) -> None:
        self.codec, self.stream = codec, stream
        self._writer: LatentWriter | None = None
        self._kept: dict[str, list[LatentVideo]] = {}
        if stream.store is not None:
            root = Path(stream.store) / fingerprint(codec, stream.rooms)
            self._writer = LatentWriter(root)
            if (root / "index.parquet").exists():
                store = LatentStore(root)
                for row in store:
                    self._kept.setdefault(row.environment_id, []).append(StoreVideo(store, row).in_memory())
        self.pool = RoomPool(stream, training_videos, self._encode, self._recall, show_progress)

    def at(self, step: int) -> list[LatentVideo]:
        """Every latent video of step ``step``'s rooms."""
        videos = [video for room in self.pool.at(step) for video in room]
        if self._writer is not None:
            self._writer.flush()
        return videos

    def _recall(self, seed: int) -> list[LatentVideo] | None:
        found = self._kept.get(f"room{seed}")
        return found if found and len(found) == self.stream.rooms.videos else None

    def _encode(self, seed: int, rendered: list[AnnotatedVideo]) -> list[LatentVideo]:
        videos: list[LatentVideo] = []
        for video in rendered:
            encoded = encode_video(video, self.codec)
            if self._writer is not None and encoded.video_id not in self._writer:
                keep_video(self._writer, encoded, video.clip.fps)
            videos.append(encoded)
        return videos

    def close(self) -> None:
        self.pool.close()
        if self._writer is not None:
            self._writer.close()


def validation_seeds(rooms: int) -> range:
    """Seeds of the rooms a run is judged by while it trains."""
    if VALIDATION_SEED + rooms > HELD_OUT_SEED:
        raise InputError(f"validation_rooms is {rooms}: use at most {HELD_OUT_SEED - VALIDATION_SEED}")
    return range(VALIDATION_SEED, VALIDATION_SEED + rooms)


def validation_videos(stream: StreamConfig, rooms: int, codec: LatentCodec) -> Sequence[LatentVideo]:
    """The validation rooms as latent videos; rendered here, a room at a time."""
    found: list[LatentVideo] = []
    for seed in validation_seeds(rooms):
        found.extend(encode_video(video, codec) for video in training_videos(seed, stream.rooms))
    return found
