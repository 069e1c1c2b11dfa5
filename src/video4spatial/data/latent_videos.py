"""Encoded videos that latents are picked from: held in memory, or read lazily from stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore, StoredVideo


@dataclass(frozen=True)
class ClipOf:
    """What a grounding clip was cut from: frames ``[start, stop)`` of the stored video ``video_id``."""

    video_id: str
    start: int
    stop: int


@runtime_checkable
class LatentVideo(Protocol):
    """An encoded video: its latents can be picked by index.

    Attributes:
        tail_latents: latents at its end that show the red box.
        sentences: what may be said to be grounded at its end; empty for a video that ends at nothing.
        clip_of: for a grounding clip, whose first latent is that of a single frame, what it was cut from; None for a
            video of its own.
        grid: channels, rows and columns of a latent.
    """

    video_id: str
    environment_id: str
    latents: int
    tail_latents: int
    sentences: tuple[str, ...]
    clip_of: ClipOf | None
    intrinsics: Intrinsics | None
    size: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int, int]: ...

    @property
    def posed(self) -> bool:
        """Whether there are poses and a lens."""
        ...

    def poses(self, start: int, stop: int) -> Float[np.ndarray, "T 4 4"]:
        """The poses of frames ``[start, stop)``, of a video that is posed."""
        ...

    def dtype(self) -> torch.dtype:
        """The precision of the latents; a method, since a store's video must look into its shard."""
        ...

    def read_into(self, name: str, indices: Sequence[int] | np.ndarray, out: Float[Tensor, "F C h w"]) -> None:
        """Latents of "video" (causal) or "image" (each frame 4i by itself), into contiguous memory of any precision."""
        ...


class MemoryVideo:
    """A latent video held in memory."""

    def __init__(
        self,
        video_id: str,
        environment_id: str,
        video: Float[Tensor, "C F h w"],
        image: Float[Tensor, "C F h w"] | None,
        c2w: np.ndarray | None,
        intrinsics: Intrinsics | None,
        size: tuple[int, int],
        sentences: tuple[str, ...] = (),
        tail_latents: int = 0,
        clip_of: ClipOf | None = None,
    ) -> None:
        self.video_id, self.environment_id = video_id, environment_id
        self.tensors = {"video": video} | ({} if image is None else {"image": image})
        self.latents = video.shape[1]
        self.c2w, self.intrinsics, self.size = c2w, intrinsics, size
        self.sentences, self.tail_latents, self.clip_of = sentences, tail_latents, clip_of

    @property
    def grid(self) -> tuple[int, int, int]:
        channels, _, rows, columns = self.tensors["video"].shape
        return channels, rows, columns

    @property
    def posed(self) -> bool:
        return self.c2w is not None and self.intrinsics is not None

    def poses(self, start: int, stop: int) -> Float[np.ndarray, "T 4 4"]:
        assert self.c2w is not None
        return self.c2w[start:stop]

    def dtype(self) -> torch.dtype:
        return self.tensors["video"].dtype

    def read(self, name: str, indices: Sequence[int] | np.ndarray) -> Float[Tensor, "C F h w"]:
        """Latents of "video" or "image"."""
        return self.tensors[name][:, torch.as_tensor(np.asarray(indices, dtype=np.int64))]

    def read_into(self, name: str, indices: Sequence[int] | np.ndarray, out: Float[Tensor, "F C h w"]) -> None:
        out.copy_(self.read(name, indices).transpose(0, 1))


class StoreVideo:
    """A latent video read lazily from a store, poses as well: opening a large store reads nothing but its index."""

    def __init__(self, store: LatentStore, row: StoredVideo) -> None:
        self.store = store
        self.video_id, self.environment_id = row.video_id, row.environment_id
        self.latents = row.latents
        self.intrinsics, self.size = row.intrinsics, (row.width, row.height)
        self.sentences = tuple(row.meta.get("sentences", ()))
        self.tail_latents = row.meta.get("tail_latents", 0)
        self.clip_of = ClipOf(row.meta["of"], *row.meta["frames"]) if "of" in row.meta else None
        self.posed = "c2w" in row.tensors and row.intrinsics is not None
        channels, _, rows, columns = row.tensors["video"]
        self.grid = (channels, rows, columns)
        self._has = frozenset(row.tensors)
        self._dtype: torch.dtype | None = None

    def dtype(self) -> torch.dtype:
        if self._dtype is None:
            self._dtype = self.store.dtype(self.video_id, "video")
        return self._dtype

    def poses(self, start: int, stop: int) -> Float[np.ndarray, "T 4 4"]:
        return self.store.read(self.video_id, "c2w", range(start, stop)).double().numpy()

    def read_into(self, name: str, indices: Sequence[int] | np.ndarray, out: Float[Tensor, "F C h w"]) -> None:
        self.store.read_into(self.video_id, name, indices, out)

    def in_memory(self) -> MemoryVideo:
        """The same video, read whole."""
        return MemoryVideo(
            self.video_id,
            self.environment_id,
            self.store.read(self.video_id, "video"),
            self.store.read(self.video_id, "image") if "image" in self._has else None,
            self.store.read(self.video_id, "c2w").double().numpy() if "c2w" in self._has else None,
            self.intrinsics,
            self.size,
            self.sentences,
            self.tail_latents,
            self.clip_of,
        )


def index_rows(root: str | Path) -> list[StoredVideo]:
    """The index's rows of the store at ``root``: its videos, then the clips cut from them (if it has been curated)."""
    clips = StoreLayout(Path(root)).clips
    stores = [root, clips] if StoreLayout(clips).index.is_file() else [root]
    return [row for store in stores for row in LatentStore(store)]


def open_store(root: str, preload: bool = True) -> list[LatentVideo]:
    """Every video of the store at ``root``, then every clip cut from them, each in its index's order; read into memory
    if ``preload``.

    Raises:
        InputError: it is no store, or a clip's source video is not in it, or not of the clip's environment.
    """
    store = LatentStore(root)
    videos = [StoreVideo(store, row) for row in store]
    clips = StoreLayout(Path(root)).clips
    if StoreLayout(clips).index.is_file():
        cut = LatentStore(clips)
        videos += [_clip(store, StoreVideo(cut, row), clips) for row in cut]
    return [video.in_memory() if preload else video for video in videos]


def _clip(store: LatentStore, clip: StoreVideo, where: Path) -> StoreVideo:
    """The clip, if its source is there to give it context."""
    remedy = f"curate {store.layout.root} again, or remove {where}"
    if clip.clip_of is None:
        raise InputError(f'{where}: clip {clip.video_id!r} does not say which video it is of ("of"): {remedy}')
    source = clip.clip_of.video_id
    if not clip.sentences:
        raise InputError(f"{where}: clip {clip.video_id!r} has no sentences: {remedy}")
    if source not in store:
        raise InputError(f"{where}: clip {clip.video_id!r} is of video {source!r}, which is not in the store: {remedy}")
    if store[source].environment_id != clip.environment_id:
        raise InputError(
            f"{where}: clip {clip.video_id!r} is of environment {clip.environment_id!r}, its video {source!r} of "
            f"{store[source].environment_id!r}: {remedy}"
        )
    return clip


def open_stores(roots: Sequence[str], preload: bool = False) -> list[LatentVideo]:
    """Every video and clip of several stores; an environment may be spread over them.

    Raises:
        InputError: they hold a video of the same name, or videos of different sizes; a clip's source is missing.
    """
    videos: list[LatentVideo] = []
    sources: dict[str, str] = {}
    for root in roots:
        for video in open_store(root, preload):
            if video.video_id in sources:
                raise InputError(f"video {video.video_id!r} is in {sources[video.video_id]} and in {root}: give one")
            sources[video.video_id] = root
            if videos and video.size != videos[0].size:
                first, here = ("{}x{}".format(*v.size) for v in (videos[0], video))
                raise InputError(f"{root} holds {here} videos, {roots[0]} {first} ones: a run has one size")
            videos.append(video)
    if not videos:
        raise InputError(f"{', '.join(roots)} holds no videos: encode some first")
    return videos
