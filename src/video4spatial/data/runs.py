"""Stretches of a scene without a hole: each frame posed, no frame lost in between. Clips are cut from these."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float64, UInt8

from video4spatial.data.scene import BadScene, Scene, SceneObject
from video4spatial.geometry.timed import is_posed
from video4spatial.schema import Intrinsics

_HOLE = 1.9  # usual steps of time between neighbours from which on frames were lost


class Run:
    """Frames ``start`` to ``stop`` of a scene, itself a scene; it is named after them unless it is the whole."""

    def __init__(self, scene: Scene, start: int, stop: int) -> None:
        self.scene, self.start, self.stop = scene, start, stop
        whole = (start, stop) == (0, len(scene))
        self.environment_id = scene.environment_id
        self.video_id = scene.video_id if whole else f"{scene.video_id}-{start:06d}"
        self.fps = scene.fps
        self.intrinsics: Intrinsics | None = scene.intrinsics
        self.c2w: Float[np.ndarray, "T 4 4"] | None = None if scene.c2w is None else scene.c2w[start:stop]
        self.timestamps: Float64[np.ndarray, " T"] = scene.timestamps[start:stop]

    @property
    def objects(self) -> list[SceneObject]:
        """The scene's objects."""
        return self.scene.objects

    def __len__(self) -> int:
        return self.stop - self.start

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        """RGB frames; the first of the run is frame 0."""
        return self.scene.frames(self._shifted(indices))

    def depth(self, indices: Sequence[int]) -> Float[np.ndarray, "T H W"] | None:
        """Depth of these frames, as the scene has it."""
        return self.scene.depth(self._shifted(indices))

    def _shifted(self, indices: Sequence[int]) -> list[int]:
        shifted = [self.start + int(index) for index in indices]
        if any(not self.start <= index < self.stop for index in shifted):
            raise IndexError(f"{self.video_id} has {len(self)} frames, numbered from 0: {list(indices)} reach beyond")
        return shifted


def unbroken_runs(scene: Scene, at_least: int = 1) -> list[Run]:
    """The runs of ``scene`` that have ``at_least`` frames, in order; a scene without poses is only cut at lost frames.

    A run ends before a frame without a pose (NaN in ``c2w``), and where the time to the next frame is twice the usual.

    Raises:
        BadScene: no run is so long; names the scene and its longest run.
    """
    count = len(scene)
    good = np.ones(count, dtype=bool) if scene.c2w is None else is_posed(scene.c2w)
    steps = np.diff(scene.timestamps)
    broken = ~(good[1:] & good[:-1])
    if len(steps):
        broken |= steps > _HOLE * np.median(steps)
    edges = [0, *(np.nonzero(broken)[0] + 1).tolist(), count]
    runs = [(a, b) for a, b in pairwise(edges) if b > a and good[a]]
    long_enough = [Run(scene, a, b) for a, b in runs if b - a >= at_least]
    if not long_enough:
        longest = max((b - a for a, b in runs), default=0)
        posed = "" if scene.c2w is None else " with poses"
        raise BadScene(
            f"{scene.video_id}: its longest run{posed} has {longest} frames of {count}, a clip needs {at_least}: "
            "leave the scene out or ask for shorter clips"
        )
    return long_enough
