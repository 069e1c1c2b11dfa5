"""What crosses the boundaries between packages, and the axis legend every shape annotation uses.

Axis legend
-----------
========  =====================================================================
``B``     batch
``T``     video frames (4k + 1 of them wherever a clip meets the VAE)
``F``     latent frames: ``F = 1 + (T - 1) / 4``
``C``     channels (48 for latents, 3 for colour, 24 for packed Pluecker maps)
``H W``   height and width in pixels;  ``h w`` in latent cells (16 pixels)
``N``     tokens of the transformer's sequence
``L``     text tokens
``D``     model width
========  =====================================================================

Conventions: poses are camera-to-world, OpenCV axes (x right, y down, z forward), metres. Pixel ``(i, j)`` covers
``[i, i+1) x [j, j+1)``; its centre is at ``+0.5``.
"""

from dataclasses import dataclass, field, replace

import numpy as np


class InputError(ValueError):
    """Something the user gave cannot be used; the message names the file or option and the remedy (exit code 2)."""

    told_elsewhere = False  # another process of the same run prints it


TIME_STRIDE = 4  # source frames a latent frame (after the first)
SPACE_STRIDE = 16  # pixels a latent cell
SIZE_MULTIPLE = 32  # the VAE's stride of 16 times the transformer's patch of 2
DEFAULT_SCENE = "a room"


def grounding_sentence(target: str, scene: str = DEFAULT_SCENE) -> str:
    """The paper's instruction sentence (Section 4.1) about ``target``, e.g. "the red armchair"."""
    return f"The camera moves across {scene}. Finally, it focuses on {target} in the center of the frame."


def require_size(width: int, height: int, name: str = "size") -> None:
    """Raise unless both sides divide by 32."""
    if width < SIZE_MULTIPLE or height < SIZE_MULTIPLE or width % SIZE_MULTIPLE or height % SIZE_MULTIPLE:
        near = [max(SIZE_MULTIPLE, round(side / SIZE_MULTIPLE) * SIZE_MULTIPLE) for side in (width, height)]
        raise InputError(f"{name} is {width}x{height}, but both sides must divide by 32: use {near[0]}x{near[1]}")


def require_4k_plus_1(frames: int, name: str = "frames") -> int:
    """Return ``frames`` if it is 4k + 1 (the VAE's causal stride), else raise naming the nearest usable counts."""
    if frames < 1 or frames % 4 != 1:
        low = max(1, (frames - 1) // 4 * 4 + 1)
        raise InputError(f"{name} is {frames}, but the video VAE needs 4k+1 frames: use {low} or {low + 4}")
    return frames


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole intrinsics in pixels of a ``width`` x ``height`` image; pixel centres at +0.5."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @classmethod
    def from_horizontal_fov(cls, degrees: float, width: int, height: int) -> "Intrinsics":
        """Square pixels, principal point in the middle; ``degrees`` is the full horizontal field of view."""
        if not 0 < degrees < 180:
            raise InputError(f"horizontal field of view is {degrees} degrees: give one between 0 and 180")
        f = width / 2 / np.tan(np.radians(degrees) / 2)
        return cls(float(f), float(f), width / 2, height / 2, width, height)

    @property
    def matrix(self) -> np.ndarray:
        """The 3x3 camera matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    @property
    def vector(self) -> np.ndarray:
        """``(fx, fy, cx, cy)``."""
        return np.array([self.fx, self.fy, self.cx, self.cy])

    def resized(self, width: int, height: int) -> "Intrinsics":
        """Intrinsics of the same image resized to ``width`` x ``height``."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy, width, height)

    def cropped(self, left: float, top: float, width: int, height: int) -> "Intrinsics":
        """Intrinsics of the window ``width`` x ``height`` whose top left corner is at ``(left, top)``."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)


@dataclass(frozen=True)
class Clip:
    """A video in memory: ``frames`` uint8 ``[T, H, W, 3]`` RGB and its frame rate."""

    frames: np.ndarray
    fps: float = 16.0

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise InputError(f"a clip is uint8 [T, H, W, 3], not {self.frames.dtype} {self.frames.shape}")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` in pixels."""
        return self.frames.shape[2], self.frames.shape[1]


@dataclass(frozen=True)
class CameraPath:
    """One camera-to-world pose a frame: ``c2w`` float64 ``[T, 4, 4]``, OpenCV axes, metres."""

    c2w: np.ndarray
    intrinsics: Intrinsics

    def __len__(self) -> int:
        return len(self.c2w)


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in pixels, ``x0 <= x1``, ``y0 <= y1`` (continuous coordinates, edges not centres)."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle, (x, y) in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """In square pixels; 0 for an empty box."""
        return max(self.x1 - self.x0, 0.0) * max(self.y1 - self.y0, 0.0)


@dataclass(frozen=True)
class Found:
    """The structured answer of grounding: where the box is, in which frame, what it marks, how sure (0 to 1)."""

    box: Box
    frame: int
    label: str
    confidence: float


@dataclass(frozen=True)
class Instruction:
    """What the target is asked to be: a sentence (grounding), a camera path (navigation), or neither (null)."""

    text: str = ""
    path: CameraPath | None = None


@dataclass(frozen=True)
class Example:
    """One training or evaluation example: clean context, an instruction, and the video that fulfils it.

    ``context_index`` holds the temporal RoPE index of each context latent: its place in its own source video.
    """

    context: np.ndarray
    context_index: np.ndarray
    instruction: Instruction
    target: np.ndarray
    meta: dict = field(default_factory=dict)
