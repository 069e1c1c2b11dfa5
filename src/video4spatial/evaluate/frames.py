"""Reading the videos to be measured: an array or any iterator of frames, a few frames in memory at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch import Tensor

from video4spatial.schema import InputError

Frames = Iterable[UInt8[np.ndarray, "H W 3"]]  # an array [T, H, W, 3] is one
_BATCH = 32  # pairs of frames at once: bounds the memory


def each_frame(frames: Frames) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The frames of one video, one by one. Raises ``InputError`` for one that is no RGB image or of another size."""
    first = None
    for index, frame in enumerate(frames):
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise InputError(f"frame {index} is not uint8 [H, W, 3]: decode the video to RGB frames")
        first = frame.shape if first is None else first
        if frame.shape != first:
            raise InputError(f"frame {index} is {_size(frame.shape)} in a video of {_size(first)}: give one size")
        yield frame


def pairs_without_first(
    a: Frames, b: Frames, batch: int = _BATCH
) -> Iterator[tuple[Float32[Tensor, "n 3 H W"], Float32[Tensor, "n 3 H W"]]]:
    """Frames 1, 2, ... of two videos side by side, in 0 to 1, a batch at a time; the first frame is given to a model.

    Raises ``InputError`` if lengths or sizes differ (at once for arrays, else where it shows), or there are fewer than
    two frames.
    """
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.shape != b.shape:
        raise InputError(f"videos of {a.shape} and {b.shape} cannot be compared: frames and sizes must be equal")
    together = _together(a, b)
    next(together, None)
    empty = True
    while some := list(islice(together, batch)):
        empty = False
        yield _tensor([x for x, _ in some]), _tensor([y for _, y in some])
    if empty:
        raise InputError("a video of less than 2 frames leaves nothing to compare: its first frame is given")


def _together(a: Frames, b: Frames) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for index, (x, y) in enumerate(zip_longest(each_frame(a), each_frame(b))):
        if x is None or y is None:
            raise InputError(
                f"videos cannot be compared: one ends after {index} frames, the other goes on; frames must be equal"
            )
        if x.shape != y.shape:
            raise InputError(f"videos of {_size(x.shape)} and {_size(y.shape)} cannot be compared: sizes must be equal")
        yield x, y


def _tensor(frames: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(rearrange(np.stack(frames), "n H W c -> n c H W").astype(np.float32) / 255)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
