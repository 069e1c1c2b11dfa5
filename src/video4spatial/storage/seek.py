"""Any frame of a video by its number, without decoding from the start each time.

The index comes from the packets (nothing is decoded): presentation times, and which are keyframes. A frame is reached
by seeking to the keyframe before it, or by decoding on from where the last call stopped, whichever is nearer.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float64, Int, UInt8

from video4spatial.schema import InputError
from video4spatial.storage.video import FOLDER_FPS, images_of, naming_file, read_image, upright, video_stream


class SeekableVideo:
    """A video file whose frames, in the order they are shown, are read by number.

    ``timestamps`` float64 ``[T]`` are seconds since the first frame, as the file says: their steps need not be even.
    Frames come upright (the file's rotation is applied); ``size`` is ``(width, height)`` of the frames so turned.
    Frames that the container marks as not to be shown are left out. One decoder is kept open between calls; a copy sent
    to another process opens its own.

    Raises:
        InputError: the file is missing, unreadable, cut off, carries no timestamps, or has no frames.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._pts, self._keys, time_base = _index(self.path)
        self.timestamps: Float64[np.ndarray, " T"] = (self._pts - self._pts[0]) * time_base
        self._rest()
        height, width = self._frame(0).shape[:2]
        self.size = (width, height)

    def __len__(self) -> int:
        return len(self._pts)

    def read(self, indices: Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "T H W 3"]:
        """The frames of these numbers, in this order; each is decoded once. Negative numbers are refused."""
        wanted = _checked(indices, len(self), self.path)
        frames = np.empty((len(wanted), self.size[1], self.size[0], 3), np.uint8)
        with self._lock:
            for number in np.unique(wanted):
                frames[wanted == number] = self._frame(int(number))
        return frames

    def close(self) -> None:
        """Close the file; the next ``read`` opens it again."""
        if self._container is not None:
            self._container.close()
        self._container = self._stream = self._decoded = self._last = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _OPEN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._rest()

    def _rest(self) -> None:
        self._container: Any = None
        self._stream: Any = None
        self._decoded: Iterator[av.VideoFrame] | None = None
        self._last: av.VideoFrame | None = None
        self._lock = threading.Lock()

    def _frame(self, number: int) -> UInt8[np.ndarray, "H W 3"]:
        pts = self._pts[number]
        key = self._keys[np.searchsorted(self._keys, pts, side="right") - 1]
        with naming_file(self.path), self._closed_on_error():
            for start in (int(key), int(self._pts[0])):  # a container whose seek overshoots is decoded from its start
                frame = self._decode_to(int(pts), start)
                if frame is not None:
                    return upright(frame)
        raise InputError(f"{self.path}: frame {number} cannot be decoded: the file is damaged, write or fetch it again")

    def _frames_from_here(self) -> Iterator[av.VideoFrame]:
        return self._container.decode(self._stream)

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.close()  # a decoder that failed goes on from nowhere good
            raise

    def _decode_to(self, pts: int, key: int) -> av.VideoFrame | None:
        """The frame shown at ``pts``, decoding on if no keyframe lies between, else from the keyframe at ``key``."""
        if self._last is not None and self._last.pts == pts:
            return self._last
        position = None if self._last is None else self._last.pts
        decoded = self._decoded
        if decoded is None or position is None or not key <= position < pts:
            if self._container is None:
                self._container = av.open(self.path)
                self._stream = video_stream(self.path, self._container)
            self._container.seek(key, stream=self._stream, backward=True)
            decoded = self._decoded = self._frames_from_here()
        for frame in decoded:
            if frame.pts is None:
                continue
            self._last = frame
            if frame.pts >= pts:
                return frame if frame.pts == pts else None
        self._decoded = self._last = None
        return None


_OPEN = ("_container", "_stream", "_decoded", "_last", "_lock")


class ImageFolder:
    """A folder of images, in the order of their names, as a ``SeekableVideo`` is: a folder has no clock, so the frames
    are taken to be ``1 / fps`` seconds apart.

    Raises:
        InputError: there are no images, one cannot be read, or it is of another size than the first.
    """

    def __init__(self, path: str | Path, fps: float = FOLDER_FPS) -> None:
        self.path = Path(path)
        self.files = images_of(self.path)
        self.timestamps: Float64[np.ndarray, " T"] = np.arange(len(self.files)) / fps
        height, width = read_image(self.files[0]).shape[:2]
        self.size = (width, height)

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "T H W 3"]:
        """The images of these numbers, in this order."""
        wanted = _checked(indices, len(self), self.path)
        frames = np.empty((len(wanted), self.size[1], self.size[0], 3), np.uint8)
        for row, number in enumerate(wanted):
            image = read_image(self.files[number])
            if image.shape != frames.shape[1:]:
                found = f"{image.shape[1]}x{image.shape[0]}, but the first image is {self.size[0]}x{self.size[1]}"
                raise InputError(f"{self.files[number]} is {found}: a folder is read as one video, so all must agree")
            frames[row] = image
        return frames

    def close(self) -> None:
        """Nothing is kept open."""


def open_seekable(path: str | Path, fps: float | None = None) -> SeekableVideo | ImageFolder:
    """A video file or a folder of images; ``fps`` is the rate of a folder (16 by default), a file has its own clock."""
    if Path(path).is_dir():
        return ImageFolder(path, fps or FOLDER_FPS)
    return SeekableVideo(path)


def _index(path: Path) -> tuple[Int[np.ndarray, " T"], Int[np.ndarray, " K"], float]:
    """Presentation times of all frames and of the keyframes, in the stream's units, and that unit in seconds."""
    times, keys = [], []
    with naming_file(path), av.open(path) as container:
        stream = video_stream(path, container)
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None:
                raise InputError(f"{path} carries no timestamps: write it again as .mp4 or .mkv, for example by ffmpeg")
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        unit = float(stream.time_base or 0)
    if not times or not keys:
        raise InputError(f"{path} has no frames: it is empty or cut off, fetch it again")
    return np.unique(np.array(times)), np.unique(np.array(keys)), unit


def _checked(indices: Sequence[int] | np.ndarray, count: int, path: Path) -> Int[np.ndarray, " N"]:
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    outside = wanted[(wanted < 0) | (wanted >= count)]
    if len(outside):
        raise InputError(f"{path} has no frame {outside[0]}: its {count} frames are numbered from 0")
    return wanted
