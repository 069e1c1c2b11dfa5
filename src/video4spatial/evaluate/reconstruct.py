"""What Spatial Distance asks of a reconstruction, whoever makes it.

A reconstructor takes the frames of a generated video together with anchors, true frames of the scene whose poses are
known (the paper appends 40 of them), and gives points and cameras of all of them in ONE frame of its own, of any scale
and attitude. It may fail, and then says why: a failed video is counted, never dropped.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from einops import einsum
from jaxtyping import Bool, Float, UInt8

from video4spatial.schema import InputError, Intrinsics

ANCHORS = 40
"""Anchor frames of a case (paper, supplementary: Spatial Distance)."""


@dataclass(frozen=True)
class Anchors:
    """True frames of the scene with their poses in the scene's frame, metres; ``intrinsics`` of these frames."""

    frames: UInt8[np.ndarray, "A H W 3"]
    c2w: Float[np.ndarray, "A2 4 4"]
    intrinsics: Intrinsics

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.c2w):
            raise InputError(f"{len(self.frames)} anchor frames have {len(self.c2w)} poses: give one a frame")
        if self.frames.shape[1:3] != (self.intrinsics.height, self.intrinsics.width):
            size = f"{self.frames.shape[2]}x{self.frames.shape[1]}"
            raise InputError(f"the anchors are {size}, their intrinsics of another size: use Intrinsics.resized")


@dataclass(frozen=True)
class Reconstruction:
    """Points and cameras of a video and its anchors, in one frame of the reconstruction's own (any scale).

    Attributes:
        points: of each frame ``[N, 3]``, as many as it has; a frame may have none.
        c2w: recovered poses; NaN where a frame has none. ``found`` says which were recovered from the frame itself
            (others may be interpolated).
        anchor_points, anchor_c2w: the same of the anchors; lists of none where the reconstructor has no points.
        intrinsics: recovered, of the frames' size.
    """

    points: list[np.ndarray]
    c2w: Float[np.ndarray, "T 4 4"]
    found: Bool[np.ndarray, " T"]
    anchor_points: list[np.ndarray]
    anchor_c2w: Float[np.ndarray, "A 4 4"]
    intrinsics: Intrinsics
    details: dict = field(default_factory=dict)

    def transformed(
        self, scale: float, rotation: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]
    ) -> "Reconstruction":
        """The same reconstruction in another frame: every place becomes ``scale * rotation @ place + t``."""
        return replace(
            self,
            points=[scale * part @ rotation.T + t for part in self.points],
            anchor_points=[scale * part @ rotation.T + t for part in self.anchor_points],
            c2w=transformed_poses(self.c2w, scale, rotation, t),
            anchor_c2w=transformed_poses(self.anchor_c2w, scale, rotation, t),
        )


@dataclass(frozen=True)
class NotReconstructed:
    """The reconstructor's typed failure."""

    reason: str


@runtime_checkable
class Reconstructor(Protocol):
    """Anything that reconstructs; ``name`` is printed beside every figure it gives rise to."""

    name: str

    def __call__(self, frames: UInt8[np.ndarray, "T H W 3"], anchors: Anchors) -> Reconstruction | NotReconstructed:
        """Reconstruct a video with its anchors. Raises ``InputError`` for frames it cannot take (size, count)."""
        ...


def transformed_poses(
    c2w: Float[np.ndarray, "T 4 4"], scale: float, rotation: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "T 4 4"]:
    """Camera poses after a similarity of the world: places scale, attitudes only turn."""
    out = c2w.astype(np.float64)
    out[:, :3, :3] = einsum(rotation, out[:, :3, :3].copy(), "i j, T j k -> T i k")
    out[:, :3, 3] = scale * out[:, :3, 3] @ rotation.T + t
    return out


def anchor_indices(count: int, wanted: int = ANCHORS) -> list[int]:
    """Which frames of a source video of ``count`` to take as anchors: ``wanted`` spread evenly, both ends included."""
    if count < 3:
        raise InputError(f"a source video of {count} frames gives no anchors: registration needs at least 3")
    return [int(k) for k in np.unique(np.linspace(0, count - 1, min(wanted, count)).round())]
