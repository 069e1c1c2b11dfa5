"""What every source of indoor video offers, whatever dataset it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, UInt8

from video4spatial.schema import Clip, InputError, Intrinsics


class BadScene(InputError):
    """A scene whose files cannot be used; the message names the scene, the file and the remedy. Others may be fine."""


@dataclass(frozen=True)
class SceneObject:
    """An object of a scene: its id in instance masks, what it is, and its 3D box ``[8, 3]`` in metres.

    The corners come as ``boxes3d.oriented_corners`` gives them. ``colour`` is empty where none is known.
    """

    object_id: int
    category: str
    colour: str
    corners: np.ndarray


@runtime_checkable
class Scene(Protocol):
    """A posed walk through one environment, read lazily: frames are only made or decoded when asked for.

    ``c2w`` is float64 ``[T, 4, 4]`` (OpenCV axes, metres), all NaN for a frame that has no pose, or None for a video
    without poses; several scenes may share an ``environment_id``, and are then posed in one frame of reference.
    ``timestamps`` are seconds since the first frame and rise strictly, but their steps need not be even: ``fps`` is the
    usual rate, 1 over the median step.
    """

    environment_id: str
    video_id: str
    fps: float
    timestamps: Float64[np.ndarray, " T"]
    intrinsics: Intrinsics | None
    c2w: Float[np.ndarray, "T 4 4"] | None

    @property
    def objects(self) -> list[SceneObject]:
        """The objects of the environment (may be read from disk when first asked for); empty where none are known."""
        ...

    def __len__(self) -> int: ...

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        """RGB frames of these indices, in this order."""
        ...

    def depth(self, indices: Sequence[int]) -> Float[np.ndarray, "T H W"] | None:
        """Depth along z in metres (0: none) of these frames, or None where the source has none.

        It may be of another size than the frames: the same view, so ``intrinsics.resized`` to that size is its lens.
        """
        ...


@dataclass(frozen=True)
class AnnotatedVideo:
    """A whole video ready to be encoded: frames, poses, and the grounding clip it ends with, if any.

    Attributes:
        sentences: ways to say the grounding instruction that the video's end fulfils; empty if it fulfils none.
        tail_frames: how many of the last frames are the box tail (they hold the last frame with the red box drawn).
        meta: JSON-able facts kept in the store's index (target's object id, box, phrase, ...).
    """

    video_id: str
    environment_id: str
    clip: Clip
    c2w: Float[np.ndarray, "T 4 4"] | None
    intrinsics: Intrinsics | None
    sentences: tuple[str, ...] = ()
    tail_frames: int = 0
    meta: dict = field(default_factory=dict)
