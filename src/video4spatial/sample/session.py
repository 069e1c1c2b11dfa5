"""A scene encoded once, to be asked many times; and what an ask gives back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from video4spatial.data.windows import choose_context
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import Box, Clip, Found, InputError
from video4spatial.storage.artifacts import write_json
from video4spatial.storage.video import read_video, resize_clip, write_video

LEAST_CONTEXT_FRAMES = 5


@dataclass(frozen=True)
class EncodedScene:
    """The context video as the model keeps it.

    Attributes:
        latents: normalised causal latents of the whole video (cut at its start to 4k + 1 frames).
        first: the single-frame latent that the target starts with: the video's last frame unless another was given.
        first_frame: that frame's pixels.
        fps: frame rate of the encoded video.
    """

    latents: Float[Tensor, "C F h w"]
    first: Float[Tensor, "C 1 h w"]
    first_frame: UInt8[np.ndarray, "H W 3"]
    fps: float

    def __len__(self) -> int:
        return self.latents.shape[1]

    def context(self, count: int) -> tuple[Float[Tensor, "C k h w"], Int[Tensor, " k"]]:
        """``count`` latents spread evenly over the video, with their indices in it; all if there are fewer."""
        if count < 0:
            raise InputError(f"context-latents is {count}: give 0 (first frame only) or more")
        index = torch.as_tensor(choose_context(np.arange(len(self)), count, "uniform"), dtype=torch.long)
        return self.latents[:, index], index


def load_context(
    video: str | Path | Clip | np.ndarray, width: int, height: int, fps: float
) -> tuple[UInt8[np.ndarray, "T H W 3"], float]:
    """Frames of the context at the model's size and about its rate, 4k + 1 of them, the video's end kept.

    A faster video is thinned by a whole factor; a slower one is taken as it is.

    Raises:
        InputError: the video is unreadable or shorter than 5 frames at the model's rate.
    """
    name = str(video) if isinstance(video, str | Path) else "the context video"
    if isinstance(video, str | Path):
        clip = read_video(video)
    else:
        clip = video if isinstance(video, Clip) else Clip(np.asarray(video), fps)
    stride = max(1, round(clip.fps / fps))
    frames = clip.frames[::-1][::stride][::-1]  # from the end, so that the last frame is kept
    if len(frames) < LEAST_CONTEXT_FRAMES:
        raise InputError(
            f"{name} has {len(clip)} frames at {clip.fps:g} fps, {len(frames)} at the model's {fps:g}: "
            f"give a video of at least {LEAST_CONTEXT_FRAMES * stride} frames"
        )
    frames = frames[(len(frames) - 1) % 4 :]
    if (width, height) != clip.size:
        frames = resize_clip(Clip(np.ascontiguousarray(frames), clip.fps), width, height).frames
    return np.ascontiguousarray(frames), clip.fps / stride


def load_first_frame(image: str | Path | np.ndarray, width: int, height: int) -> UInt8[np.ndarray, "H W 3"]:
    """An image (file or uint8 array) at the model's size."""
    if isinstance(image, str | Path):
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(image) as opened:
                image = np.array(opened.convert("RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise InputError(f"{image} cannot be read as an image ({error}): give a PNG or JPEG") from None
    return resize_clip(Clip(np.asarray(image)[None], 1.0), width, height).frames[0]


def encode_scene(frames: np.ndarray, fps: float, codec: LatentCodec, first_frame: np.ndarray | None) -> EncodedScene:
    """Encode a context video, and the first frame by itself."""
    start = frames[-1] if first_frame is None else first_frame
    return EncodedScene(codec.encode(frames), codec.encode_images(start[None]), start, fps)


@dataclass(frozen=True)
class Result:
    """A generated clip, and what it says: ``found`` is None for navigation, and for grounding that drew no box."""

    frames: UInt8[np.ndarray, "T H W 3"]
    fps: float
    task: str
    settings: dict[str, Any]
    found: Found | None = None

    @property
    def box(self) -> Box | None:
        """The red box read back from the clip's tail, in pixels of the clip; None when not found."""
        return self.found.box if self.found else None

    def save(self, path: str | Path) -> None:
        """Write the clip as a video."""
        write_video(path, Clip(self.frames, self.fps))

    def to_dict(self) -> dict[str, Any]:
        """The structured answer, ready for JSON."""
        answer: dict[str, Any] = {"task": self.task, "frames": len(self.frames), "fps": self.fps}
        answer |= {"width": self.frames.shape[2], "height": self.frames.shape[1]}
        if self.task == "ground":
            answer["found"] = self.found is not None
            answer["box"] = None
            if self.found:
                box = self.found.box
                answer["box"] = [round(v, 2) for v in (box.x0, box.y0, box.x1, box.y1)]
                answer |= {"frame": self.found.frame, "confidence": round(self.found.confidence, 4)}
                answer["label"] = self.found.label
        return answer | {"settings": self.settings}

    def save_json(self, path: str | Path) -> None:
        """Write the structured answer."""
        write_json(path, self.to_dict())


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU, so that one seed gives one clip on any device."""
    if not 0 <= seed < 2**63:
        raise InputError(f"seed is {seed}: give a whole number from 0 up")
    return torch.Generator().manual_seed(seed)
