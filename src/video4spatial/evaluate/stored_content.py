"""The content of a store's benchmark, read from the source that the store was made of."""

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from video4spatial.data.origin import read_origin
from video4spatial.data.sampled import Sampled
from video4spatial.data.scannetpp.scene import ScanNetPPScene
from video4spatial.data.source import Source
from video4spatial.evaluate.cases import Case, CaseContent
from video4spatial.evaluate.manifest import Benchmark, Contents
from video4spatial.evaluate.stored_cases import context_index
from video4spatial.geometry.boxes import box_tail
from video4spatial.geometry.cameras import unproject_depth
from video4spatial.schema import Box, CameraPath, Clip, InputError, Intrinsics
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.ply import read_vertices

_CLOUD_FRAMES = 60  # a walk, that depth is taken from where there is no scan


class StoredPlace:
    """An environment's walks as they are stored, opened when they are first looked at."""

    def __init__(self, source: Source, store: LatentStore, videos: list[str], points: int) -> None:
        self.source, self.store, self.videos, self.points = source, store, videos, points
        self._open: dict[str, Sampled] = {}

    def walk(self, video_id: str) -> Sampled:
        if video_id not in self._open:
            row = self.store[video_id]
            self._open[video_id] = Sampled.of_stored(self.source.open(row.meta["source"]), row)
        return self._open[video_id]

    @cached_property
    def cloud(self) -> Float[np.ndarray, "N 3"]:
        """The scan's vertices (ScanNet++), else the depth of all walks, at most ``points`` of them."""
        found = [self._scan(video_id) for video_id in self.videos[:1]]
        points = found[0] if found[0] is not None else np.concatenate([self._depth_points(v) for v in self.videos])
        if len(points) <= self.points:
            return points
        return points[np.random.default_rng(0).choice(len(points), self.points, replace=False)]

    def _scan(self, video_id: str) -> Float[np.ndarray, "N 3"] | None:
        scene = self.source.open(self.store[video_id].meta["source"])
        return read_vertices(scene.files.mesh) if isinstance(scene, ScanNetPPScene) else None

    def _depth_points(self, video_id: str) -> Float[np.ndarray, "N 3"]:
        walk = self.walk(video_id)
        index = np.unique(np.linspace(0, len(walk) - 1, _CLOUD_FRAMES).astype(int)).tolist()
        depth = walk.depth(index)
        if depth is None or walk.c2w is None or walk.intrinsics is None:
            raise InputError(f"{video_id} has no depth and its place no scan: there are no ground-truth points")
        lens = walk.intrinsics.resized(depth.shape[2], depth.shape[1])
        points = [unproject_depth(frame, walk.c2w[k], lens)[frame > 0] for k, frame in zip(index, depth, strict=True)]
        return np.concatenate(points)


class StoredContent(CaseContent):
    """A case of a walk: its clip is cut out of it, the rest is its context."""

    def __init__(self, case: Case, fps: float, place: StoredPlace) -> None:
        super().__init__(case, fps)
        self.place = place
        self.start, self.stop = (int(frame) for frame in case.facts["frames"])

    @property
    def context_id(self) -> str:
        return self.case.case_id

    @property
    def walk(self) -> Sampled:
        return self.place.walk(self.case.facts["video"])

    @cached_property
    def _context_index(self) -> list[int]:
        if self.case.task == "absent":
            return list(range(len(self.walk)))
        return context_index(len(self.walk), self.start, self.stop).tolist()

    @cached_property
    def context(self) -> Clip:
        return Clip(self.walk.frames(self._context_index), self.fps)

    @property
    def context_c2w(self) -> Float[np.ndarray, "T 4 4"]:
        return self._poses[self._context_index]

    @property
    def _poses(self) -> Float[np.ndarray, "T 4 4"]:
        if self.walk.c2w is None:
            raise InputError(f"{self.walk.video_id} has no poses: its case {self.case.case_id} cannot be measured")
        return self.walk.c2w

    @property
    def intrinsics(self) -> Intrinsics:
        if self.walk.intrinsics is None:
            raise InputError(f"{self.walk.video_id} has no lens: its case {self.case.case_id} cannot be measured")
        return self.walk.intrinsics

    @property
    def cloud(self) -> Float[np.ndarray, "N 3"]:
        return self.place.cloud

    @property
    def box(self) -> Box | None:
        box = self.case.facts.get("box")
        return Box(*box) if box else None

    @cached_property
    def first_frame(self) -> UInt8[np.ndarray, "H W 3"]:
        return self.walk.frames([self.start])[0]

    @cached_property
    def truth(self) -> Clip | None:
        if self.case.task == "absent":
            return None
        frames = self.walk.frames(range(self.start, self.stop))
        if self.box is not None:
            frames = np.concatenate([frames, box_tail(frames[-1], self.box, self.case.tail_frames)])
        return Clip(frames, self.fps)

    @cached_property
    def truth_path(self) -> CameraPath | None:
        if self.case.task == "absent":
            return None
        c2w = self._poses[self.start : self.stop]
        held = np.repeat(c2w[-1:], self.case.frames - len(c2w), axis=0)
        return CameraPath(np.concatenate([c2w, held]), self.intrinsics)


class StoredContents(Contents):
    """Reads the benchmark of a store. Raises ``InputError`` where the store or its source is gone."""

    def __init__(self, benchmark: Benchmark) -> None:
        super().__init__(benchmark)
        root = Path(benchmark.settings["store"])
        self.store, self.source = LatentStore(root), read_origin(root).source()

    def open_scene(self, scene_id: str) -> StoredPlace:
        videos = {case.facts["video"]: None for case in self.benchmark.cases if case.scene_id == scene_id}
        return StoredPlace(self.source, self.store, list(videos), int(self.benchmark.settings["cloud_points"]))

    def content(self, case: Case, scene: StoredPlace) -> StoredContent:
        return StoredContent(case, self.benchmark.fps, scene)
