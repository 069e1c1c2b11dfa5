"""A scene encoded once, to be asked many times; and what an ask gives back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from video4spatial.data.windows import Mode as ContextChoice
from video4spatial.data.windows import choose_context
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import TIME_STRIDE, Box, Clip, Found, InputError
from video4spatial.storage.artifacts import write_json
from video4spatial.storage.video import count_frames, iter_frames, probe, resize_clip, write_video

LEAST_CONTEXT_FRAMES = 5

Progress = Callable[[int, int], None]


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

    def context(
        self, count: int, choice: ContextChoice = "uniform", seed: int = 0
    ) -> tuple[Float[Tensor, "C k h w"], Int[Tensor, " k"]]:
        """``count`` latents of the video, with their indices in it; all if there are fewer.

        ``uniform`` spreads them evenly over it; ``contiguous`` (the paper's ablation) takes one run, and ``scattered``
        latents at random, as in training; ``seed`` says which.
        """
        if count < 0:
            raise InputError(f"context-latents is {count}: give 0 (first frame only) or more")
        chosen = choose_context(np.arange(len(self)), count, choice, np.random.default_rng(seed))
        index = torch.as_tensor(chosen, dtype=torch.long)
        return self.latents[:, index], index


class ContextStream:
    """The context's frames at the model's size and about its rate, one at a time: 4k + 1 of them, the video's end kept.

    A faster video is thinned by a whole factor; a slower one is taken as it is. ``len()`` frames come out of iterating;
    each iteration reads the video anew, and no more than a frame is held. Where to start follows from how many frames
    there are, for which a file's own word is taken first: if decoding shows another count, iterating raises
    ``CountError`` at its end, and ``recounted`` gives the stream with the true one.

    Args:
        frames: how many frames the file really has, where its own word proved wrong.

    Raises:
        InputError: the video is unreadable or shorter than 5 frames at the model's rate.
    """

    def __init__(
        self,
        video: str | Path | Clip | np.ndarray,
        width: int,
        height: int,
        fps: float,
        frames: int | None = None,
    ) -> None:
        self.video = video if isinstance(video, str | Path | Clip) else Clip(np.asarray(video), fps)
        self.size, self.model_fps = (width, height), fps
        if isinstance(self.video, Clip):
            name, found, source_fps = "the context video", len(self.video), self.video.fps
        else:
            name, info = str(self.video), probe(self.video)
            found, source_fps = info.frames, info.fps
        self.counted = frames is not None
        self.source_frames = found if frames is None else frames
        self.stride = max(1, round(source_fps / fps))
        self.fps = source_fps / self.stride
        if self._thinned < LEAST_CONTEXT_FRAMES and not self.counted and not isinstance(self.video, Clip):
            self.source_frames = count_frames(self.video)  # before it is refused
        if self._thinned < LEAST_CONTEXT_FRAMES:
            raise InputError(
                f"{name} has {self.source_frames} frames at {source_fps:g} fps, "
                f"{self._thinned} at the model's {fps:g}: "
                f"give a video of at least {LEAST_CONTEXT_FRAMES * self.stride} frames"
            )

    @property
    def _thinned(self) -> int:
        return -(-self.source_frames // self.stride)

    def __len__(self) -> int:
        return (self._thinned - 1) // TIME_STRIDE * TIME_STRIDE + 1

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        start = self.source_frames - 1 - self.stride * (len(self) - 1)
        passed = 0

        def count(frames: int) -> None:
            nonlocal passed
            passed = frames

        if isinstance(self.video, Clip):
            frames, passed = iter(self.video.frames[start :: self.stride]), self.source_frames
        else:
            frames = iter_frames(self.video, start, self.stride, count)
        for given, frame in enumerate(frames):
            if given < len(self):  # a file with more than it says: read on to know how many
                yield resize_clip(Clip(frame[None], self.fps), *self.size).frames[0]
        if passed != self.source_frames:
            if self.counted:
                raise InputError(
                    f"{self.video} had {self.source_frames} frames and now {passed}: is it still being written?"
                )
            raise CountError(passed)

    def recounted(self, frames: int) -> "ContextStream":
        """The stream of a video that has ``frames`` frames, whatever it says itself."""
        return ContextStream(self.video, *self.size, self.model_fps, frames)


class CountError(Exception):
    """A video has another number of frames than it says: ``frames``."""

    def __init__(self, frames: int) -> None:
        super().__init__(f"the video has {frames} frames, not as many as it says")
        self.frames = frames


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


def encode_scene(
    frames: ContextStream, codec: LatentCodec, first_frame: np.ndarray | None, on_progress: Progress | None = None
) -> EncodedScene:
    """Encode a context video as it is read, and the first frame by itself.

    ``on_progress`` is called with the frames encoded so far and their number; it starts again in the rare case of a
    file that is wrong about its number of frames, which is only known at its end.
    """
    last: list[np.ndarray] = []

    def remembered() -> Iterator[np.ndarray]:
        for frame in frames:
            last[:] = [frame]
            yield frame

    def report(done: int) -> None:
        if on_progress is not None:
            on_progress(done, len(frames))

    try:
        latents = codec.encode_stream(remembered(), report)
    except CountError as error:
        return encode_scene(frames.recounted(error.frames), codec, first_frame, on_progress)
    start = last[0].copy() if first_frame is None else first_frame
    return EncodedScene(latents, codec.encode_images(start[None]), start, frames.fps)


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
