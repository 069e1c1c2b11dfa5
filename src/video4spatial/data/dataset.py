"""Training batches out of latent videos: deterministic given (seed, step, number), whatever reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from video4spatial.data.windows import Mode, available_context, choose_context, draw_target
from video4spatial.geometry.camera_maps import camera_maps
from video4spatial.geometry.poses import relative_to
from video4spatial.schema import CameraPath, InputError, Intrinsics
from video4spatial.storage.latents import LatentStore, StoredVideo


@runtime_checkable
class LatentVideo(Protocol):
    """An encoded video: its latents can be picked by index."""

    video_id: str
    environment_id: str
    latents: int
    tail_latents: int
    sentences: tuple[str, ...]
    intrinsics: Intrinsics | None
    size: tuple[int, int]

    @property
    def posed(self) -> bool:
        """Whether there are poses and a lens."""
        ...

    @property
    def c2w(self) -> np.ndarray | None:
        """Poses ``[T, 4, 4]``, one a frame."""
        ...

    def read(self, name: str, indices: Sequence[int] | np.ndarray) -> Float[Tensor, "C F h w"]:
        """Latents of "video" (causal) or "image" (each frame 4i by itself)."""
        ...


class MemoryVideo:
    """A latent video held in memory."""

    def __init__(
        self,
        video_id: str,
        environment_id: str,
        video: Float[Tensor, "C F h w"],
        image: Float[Tensor, "C F h w"],
        c2w: np.ndarray | None,
        intrinsics: Intrinsics | None,
        size: tuple[int, int],
        sentences: tuple[str, ...] = (),
        tail_latents: int = 0,
    ) -> None:
        self.video_id, self.environment_id = video_id, environment_id
        self.tensors = {"video": video, "image": image}
        self.latents = video.shape[1]
        self._c2w, self.intrinsics, self.size = c2w, intrinsics, size
        self.sentences, self.tail_latents = sentences, tail_latents

    @property
    def posed(self) -> bool:
        return self._c2w is not None and self.intrinsics is not None

    @property
    def c2w(self) -> np.ndarray | None:
        return self._c2w

    def read(self, name: str, indices: Sequence[int] | np.ndarray) -> Float[Tensor, "C F h w"]:
        return self.tensors[name][:, torch.as_tensor(np.asarray(indices, dtype=np.int64))]


class StoreVideo:
    """A latent video read lazily from a store, poses as well: opening a large store reads nothing but its index."""

    def __init__(self, store: LatentStore, row: StoredVideo) -> None:
        self.store = store
        self.video_id, self.environment_id = row.video_id, row.environment_id
        self.latents = row.latents
        self.intrinsics, self.size = row.intrinsics, (row.width, row.height)
        self.sentences = tuple(row.meta.get("sentences", ()))
        self.tail_latents = row.meta.get("tail_latents", 0)
        self.posed = "c2w" in row.tensors and row.intrinsics is not None
        self._has_poses = "c2w" in row.tensors

    @property
    def c2w(self) -> np.ndarray | None:
        return self.store.read(self.video_id, "c2w").double().numpy() if self._has_poses else None

    def read(self, name: str, indices: Sequence[int] | np.ndarray) -> Float[Tensor, "C F h w"]:
        return self.store.read(self.video_id, name, indices)

    def in_memory(self) -> MemoryVideo:
        """The same video, read whole."""
        index = range(self.latents)
        return MemoryVideo(
            self.video_id,
            self.environment_id,
            self.read("video", index),
            self.read("image", index),
            self.c2w,
            self.intrinsics,
            self.size,
            self.sentences,
            self.tail_latents,
        )


def open_store(root: str, preload: bool = True) -> list[LatentVideo]:
    """Every video of the store at ``root``, in the index's order; read into memory if ``preload``."""
    store = LatentStore(root)
    videos = [StoreVideo(store, row) for row in store]
    return [video.in_memory() for video in videos] if preload else list(videos)


def open_stores(roots: Sequence[str], preload: bool = False) -> list[LatentVideo]:
    """Every video of several stores; an environment may be spread over them.

    Raises:
        InputError: they hold a video of the same name, or videos of different sizes.
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


@dataclass(frozen=True)
class WindowConfig:
    """What an example is made of. Counts are latents.

    Attributes:
        target: target latents, first frame included (box tail included for grounding, unless ``tail`` is off).
        context: context lengths to draw from, one a batch; 0 teaches the model to do without.
        mode: "scattered" (the paper's default) or "contiguous" (its ablation).
        other_video: chance that context comes from another video of the same environment.
        navigation: share of navigation among the examples.
        random_zero_pose: the reference frame is drawn among the target's frames (paper, Section 3.3).
        tail: grounding targets end with the box tail; without, they end at the object (the paper's ablation).
    """

    target: int = 9
    context: tuple[int, ...] = (12,)
    mode: Mode = "scattered"
    other_video: float = 0.3
    navigation: float = 0.5
    random_zero_pose: bool = True
    tail: bool = True


@dataclass
class Batch:
    """Clean latents and instructions of ``B`` examples, context of one length.

    ``ids`` say what each was made of: "room12-0[40:49]<room12-1" is a target of latents 40 to 48 of room12-0 (first one
    a single-frame latent), with context from room12-1.
    """

    context: Float[Tensor, "B C Fc h w"]
    context_index: Int[Tensor, "B Fc"]
    target: Float[Tensor, "B C F h w"]
    camera: Float[Tensor, "B K F h w"]
    sentences: list[str]
    ids: list[str] = field(default_factory=list)

    def to(self, device: torch.device | str) -> "Batch":
        context, index, target, camera = (
            tensor.to(device, non_blocking=True)
            for tensor in (self.context, self.context_index, self.target, self.camera)
        )
        return Batch(context, index, target, camera, self.sentences, self.ids)

    def __len__(self) -> int:
        return len(self.target)


@dataclass
class Example:
    """One row of a ``Batch``."""

    context: Float[Tensor, "C Fc h w"]
    context_index: Int[Tensor, " Fc"]
    target: Float[Tensor, "C F h w"]
    camera: Float[Tensor, "K F h w"]
    sentence: str
    id: str


class ExampleSampler:
    """Draws examples from ``videos``: number ``n`` of step ``s`` is the same in any process, of any number of them."""

    def __init__(self, videos: Sequence[LatentVideo], config: WindowConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        self.videos = [v for v in videos if v.latents - v.tail_latents >= config.target]
        self.grounded = [v for v in self.videos if v.sentences and self._end(v) >= config.target]
        self.posed = [v for v in self.videos if v.posed]
        if config.navigation < 1 and not self.grounded:
            raise InputError("no video in the store ends at a described object: grounding needs some, or navigation=1")
        if config.navigation > 0 and not self.posed:
            raise InputError("no video in the store has poses: navigation needs some, or set navigation=0")
        self.siblings: dict[str, list[LatentVideo]] = {}
        for video in videos:
            self.siblings.setdefault(video.environment_id, []).append(video)
        if config.navigation < 1:
            self._require_context(self.grounded, tail=not config.tail)
        if config.navigation > 0:
            self._require_context(self.posed, tail=True)

    def _require_context(self, pool: list[LatentVideo], tail: bool) -> None:
        """Known now, and not at the step that draws such a video: what context there is for a target in it; with
        ``tail`` the target lies before the box tail, else it may hold it."""
        count = max(self.config.context)
        short = []
        for video in pool:
            left = video.latents - self.config.target - (video.tail_latents if tail else 0)
            if left < count and not (self.config.other_video == 1 and self._others(video, count)):
                short.append((video.video_id, left))
        if short:
            name, left = short[0]
            raise InputError(
                f"{len(short)} of {len(pool)} videos are too short: {name!r} has {left} latents left for context, "
                f"{count} are asked for: leave them out, or use longer videos or a shorter context"
            )

    def _others(self, video: LatentVideo, count: int) -> list[LatentVideo]:
        """The other videos of the same environment that can give ``count`` context latents."""
        others = [v for v in self.siblings[video.environment_id] if v.video_id != video.video_id]
        return [v for v in others if v.latents - v.tail_latents >= count]

    def batch(self, step: int, size: int, part: int = 0) -> Batch:
        """Part ``part`` of the batch of training step ``step``: its examples ``part * size`` to ``(part + 1) * size``.

        All parts have one context length.
        """
        count = int(np.random.default_rng([self.seed, step]).choice(self.config.context))
        numbers = range(part * size, (part + 1) * size)
        return collate([self._example(np.random.default_rng([self.seed, step, n]), count) for n in numbers])

    def _example(self, rng: np.random.Generator, count: int) -> Example:
        navigates = rng.random() < self.config.navigation
        pool = self.posed if navigates else self.grounded
        video = pool[rng.integers(len(pool))]
        length = self.config.target
        if navigates:
            start, stop = draw_target(video.latents - video.tail_latents, length, rng)
        else:
            start, stop = self._end(video) - length, self._end(video)
        target = torch.cat([video.read("image", [start]), video.read("video", range(start + 1, stop))], dim=1)
        source, index = self._context(video, (start, stop), count, rng)
        context = source.read("video", index)
        camera = torch.zeros(24, length, *target.shape[2:])
        if navigates:
            camera = self._camera(video, start, rng)
        sentence = "" if navigates else video.sentences[rng.integers(len(video.sentences))]
        name = f"{video.video_id}[{start}:{stop}]<{source.video_id}"
        return Example(context.float(), torch.as_tensor(index).long(), target.float(), camera, sentence, name)

    def _end(self, video: LatentVideo) -> int:
        """Where a grounding target in ``video`` stops."""
        return video.latents - (0 if self.config.tail else video.tail_latents)

    def _context(
        self, video: LatentVideo, target: tuple[int, int], count: int, rng: np.random.Generator
    ) -> tuple[LatentVideo, np.ndarray]:
        others = self._others(video, count)
        source, forbidden = video, target
        if others and rng.random() < self.config.other_video:
            source, forbidden = others[rng.integers(len(others))], None
        available = available_context(source.latents - source.tail_latents, forbidden)
        return source, choose_context(available, count, self.config.mode, rng)

    def _camera(self, video: LatentVideo, start: int, rng: np.random.Generator) -> Tensor:
        first = 4 * start
        frames = 4 * (self.config.target - 1) + 1
        c2w = video.c2w
        assert c2w is not None
        assert video.intrinsics is not None
        origin = int(rng.integers(frames)) if self.config.random_zero_pose else 0
        poses = relative_to(c2w[first : first + frames], origin)
        return torch.as_tensor(camera_maps(CameraPath(poses, video.intrinsics), *video.size))


def collate(examples: list[Example]) -> Batch:
    """Stack examples of equal shape."""
    return Batch(
        torch.stack([example.context for example in examples]),
        torch.stack([example.context_index for example in examples]),
        torch.stack([example.target for example in examples]),
        torch.stack([example.camera for example in examples]),
        [example.sentence for example in examples],
        [example.id for example in examples],
    )
