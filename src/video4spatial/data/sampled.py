"""A scene as it is encoded: every few frames, cropped and resized. Whoever looks at stored frames sees it like this."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, UInt8

from video4spatial.data.runs import Run
from video4spatial.data.scene import Scene, SceneObject
from video4spatial.schema import TIME_STRIDE, Clip, InputError, Intrinsics
from video4spatial.storage.latent_index import StoredVideo
from video4spatial.storage.resize import centre_crop, fit_intrinsics, resize_clip


class Sampled:
    """Frames 0, ``every``, 2 ``every``, ... of a scene (or ``Run``), the middle cropped to the aspect of ``width`` x
    ``height`` and resized, intrinsics fitted, trimmed to 4k + 1 frames; itself a scene, of the same name."""

    def __init__(self, scene: Scene, every: int, width: int, height: int) -> None:
        if every < 1:
            raise InputError(f"every is {every}: give at least 1, 3 for every third frame")
        self.scene, self.every, self.size = scene, every, (width, height)
        self._count = sampled_length(len(scene), every)
        taken = slice(0, max(0, self._count - 1) * every + 1, every) if self._count else slice(0, 0)
        self.environment_id, self.video_id = scene.environment_id, scene.video_id
        self.fps = scene.fps / every
        self.timestamps: Float64[np.ndarray, " T"] = scene.timestamps[taken]
        lens = scene.intrinsics
        self.intrinsics: Intrinsics | None = None if lens is None else fit_intrinsics(lens, width, height)
        self.c2w: Float[np.ndarray, "T 4 4"] | None = None if scene.c2w is None else scene.c2w[taken]

    @classmethod
    def of_stored(cls, scene: Scene, row: StoredVideo) -> "Sampled":
        """What a stored video was encoded from: ``scene`` is its unit of the source, opened."""
        return cls(Run(scene, *row.meta["frames"]), row.meta["every"], row.width, row.height)

    @property
    def objects(self) -> list[SceneObject]:
        return self.scene.objects

    def __len__(self) -> int:
        return self._count

    def source_indices(self, indices: Sequence[int]) -> list[int]:
        """Which frames of ``scene`` these are."""
        if any(not 0 <= index < len(self) for index in indices):
            raise IndexError(f"{self.video_id} has {len(self)} frames, numbered from 0: {list(indices)} reach beyond")
        return [int(index) * self.every for index in indices]

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        clip = Clip(self.scene.frames(self.source_indices(indices)), self.fps)
        return resize_clip(clip, *self.size).frames

    def depth(self, indices: Sequence[int]) -> Float[np.ndarray, "T H W"] | None:
        """Depth of the same view, at the sensor's resolution (the crop is to whole pixels of that)."""
        metres = self.scene.depth(self.source_indices(indices))
        if metres is None:
            return None
        left, top, width, height = centre_crop(metres.shape[2], metres.shape[1], *self.size)
        return metres[:, top : top + height, left : left + width]


def sampled_length(frames: int, every: int) -> int:
    """How many of ``frames`` are taken: every ``every``-th, and of those 4k + 1."""
    taken = -(-frames // every)
    return 0 if taken < 1 else (taken - 1) // TIME_STRIDE * TIME_STRIDE + 1
