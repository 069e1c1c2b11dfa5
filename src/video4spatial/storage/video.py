"""Videos and folders of images, in and out of ``Clip``."""

import errno
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer, OutputContainer
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from video4spatial.schema import Clip, InputError
from video4spatial.storage.artifacts import atomic_path, require_writable
from video4spatial.storage.resize import fit_intrinsics, resize_clip

__all__ = [
    "VideoInfo",
    "count_frames",
    "fit_intrinsics",
    "images_of",
    "iter_frames",
    "naming_file",
    "probe",
    "read_image",
    "read_video",
    "require_video_name",
    "resize_clip",
    "upright",
    "video_bytes",
    "video_stream",
    "write_video",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FOLDER_FPS = 16.0  # a folder of images has no clock; Clip's default
_CONTAINERS = (".mp4", ".mov", ".mkv")
_MOST_PIXELS = 8192 * 4608  # of a frame: a few megabytes can hold one that takes gigabytes; FFmpeg refuses larger ones
_REPEATABLE = "no-mbtree=1:rc-lookahead=0"  # x264's lookahead reads memory it never wrote: its choices then vary


@dataclass(frozen=True)
class VideoInfo:
    """What a video is, as it is shown (rotation applied)."""

    frames: int
    width: int
    height: int
    fps: float


def probe(path: str | Path) -> VideoInfo:
    """Frame count, size and rate. Counts by the container's word, or by reading the packets where it gives none.

    A container may be wrong about its frames; ``count_frames`` decodes to know.
    """
    path = Path(path)
    if path.is_dir():
        images = images_of(path)
        height, width = read_image(images[0]).shape[:2]
        return VideoInfo(len(images), width, height, FOLDER_FPS)
    height, width = next(iter_frames(path)).shape[:2]
    with _opened(path) as (container, stream):
        frames = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
        return VideoInfo(frames, width, height, _fps(path, stream))


def count_frames(path: str | Path) -> int:
    """How many frames ``iter_frames`` gives, found by decoding them all (none is kept or converted)."""
    path = Path(path)
    if path.is_dir():
        return len(images_of(path))
    with _opened(path) as (container, stream):
        return sum(1 for _ in container.decode(stream))


def iter_frames(
    path: str | Path, start: int = 0, stride: int = 1, on_decoded: Callable[[int], None] | None = None
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """RGB frames ``start``, ``start + stride``, ... one at a time, turned upright as the file's rotation says.

    ``path`` is a video file, or a folder of images in the order of their names (numbers by value). ``on_decoded`` is
    called with the number of the source's frames passed so far, those left out included. Raises ``InputError`` naming
    the file if it is missing, unreadable, broken, or has no frames.
    """
    path = Path(path)
    if start < 0 or stride < 1:
        raise InputError(f"start is {start} and stride is {stride}: give a start of at least 0, a stride of at least 1")
    passed = on_decoded or (lambda count: None)
    read = _folder_frames if path.is_dir() else _video_frames
    frames = read(path, start, stride, passed)
    return _none_is_an_error(frames, path, start)


def read_video(path: str | Path, max_frames: int | None = None, start: int = 0, stride: int = 1) -> Clip:
    """Frames ``start``, ``start + stride``, ..., at most ``max_frames``, as a clip; its fps is the source's / stride.

    Nothing after the last frame wanted is decoded. See ``iter_frames`` for what is accepted and raised.
    """
    path = Path(path)
    if max_frames is not None and max_frames < 1:
        raise InputError(f"max_frames is {max_frames}: give at least 1")
    frames = np.stack(list(islice(iter_frames(path, start, stride), max_frames)))
    if path.is_dir():
        return Clip(frames, FOLDER_FPS / stride)
    with _opened(path) as (_, stream):
        return Clip(frames, _fps(path, stream) / stride)


def require_video_name(path: str | Path) -> None:
    """Raise ``InputError`` now if ``write_video`` could not write ``path`` later; nothing is made."""
    if Path(path).suffix.lower() not in _CONTAINERS:
        raise InputError(f"{path}: videos are written to {', '.join(_CONTAINERS)}: choose such a name")
    require_writable(path)


def write_video(path: str | Path, clip: Clip, crf: int = 18, lossless: bool = False) -> None:
    """Write H.264 (yuv420p, index at the front) to .mp4, .mov or .mkv; the whole file or none.

    ``crf`` is x264's quality, 0 (best) to 51. ``lossless`` keeps every pixel as it is (RGB, High 4:4:4 Predictive,
    which FFmpeg reads and few browsers play), and any size.

    Raises ``InputError`` for odd sizes (4:2:0 colour needs even ones), an empty clip, another suffix, or a place that
    cannot be written.
    """
    path = Path(path)
    width, height = clip.size
    if path.suffix.lower() not in _CONTAINERS:
        raise InputError(f"{path}: videos are written to {', '.join(_CONTAINERS)}: choose such a name")
    if not len(clip):
        raise InputError(f"{path}: the clip has no frames to write")
    if (width % 2 or height % 2) and not lossless:
        even = f"{width - width % 2}x{height - height % 2}"
        raise InputError(f"{path}: {width}x{height} has an odd side, which H.264 cannot hold: resize or crop to {even}")
    if not 0 <= crf <= 51:
        raise InputError(f"crf is {crf}: give 0 (best) to 51")
    if not (np.isfinite(clip.fps) and clip.fps > 0):
        raise InputError(f"{path}: the frame rate is {clip.fps}: give one above 0")
    with atomic_path(path) as temporary:
        options = {"movflags": "+faststart"} if path.suffix.lower() != ".mkv" else {}
        with av.open(temporary, "w", options=options) as container:
            _encode(container, clip, {"crf": "0" if lossless else str(crf)}, lossless)


def video_bytes(clip: Clip, crf: int = 26) -> bytes:
    """An H.264 .mp4 (yuv420p) in memory; the same frames give the same bytes, however many cores there are.

    Raises ``InputError`` for odd sizes and an empty clip.
    """
    width, height = clip.size
    if not len(clip) or width % 2 or height % 2:
        raise InputError(f"a clip of {len(clip)} frames of {width}x{height}: give at least one, with even sides")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        _encode(container, clip, {"crf": str(crf), "preset": "slow", "threads": "1", "x264-params": _REPEATABLE})
    return file.getvalue()


def _encode(container: OutputContainer, clip: Clip, options: dict[str, str], lossless: bool = False) -> None:
    codec, pixels = ("libx264rgb", "rgb24") if lossless else ("libx264", "yuv420p")
    stream = container.add_stream(codec, rate=Fraction(clip.fps).limit_denominator(65535))
    stream.width, stream.height = clip.size
    stream.pix_fmt, stream.options = pixels, {**options}
    for frame in clip.frames:
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
    container.mux(stream.encode())


@contextmanager
def _opened(path: Path) -> Iterator[tuple]:
    """The container and its video stream; every failure of FFmpeg inside becomes an ``InputError`` naming the file."""
    most = {"max_pixels": str(_MOST_PIXELS)}
    with naming_file(path), av.open(path, options=most) as container:
        stream = video_stream(path, container)
        stream.codec_context.options = most
        yield container, stream


def video_stream(path: Path, container: InputContainer) -> av.VideoStream:
    """The container's first video stream, or ``InputError`` naming the file."""
    if not container.streams.video:
        raise InputError(f"{path} has no video stream: give a video file or a folder of images")
    stream = container.streams.video[0]
    if stream.codec_context is None:  # the header ends before it says how frames are coded
        raise InputError(f"{path} cannot be read as a video (its header is cut off): is it complete, and a video?")
    stream.thread_type = "AUTO"
    return stream


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Every failure of FFmpeg inside becomes an ``InputError`` naming the file."""
    try:
        yield
    except av.error.FFmpegError as error:
        if error.errno == errno.ENOENT:
            raise InputError(f"{path} does not exist: check the path") from None
        reason = error.strerror or error
        raise InputError(f"{path} cannot be read as a video ({reason}): is it complete, and a video?") from None


def _video_frames(
    path: Path, start: int, stride: int, passed: Callable[[int], None]
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    with _opened(path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            passed(number + 1)
            if number < start or (number - start) % stride:
                continue
            yield upright(frame)


def upright(frame: av.VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
    """A decoded frame as RGB, turned as the file's rotation says."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))


def _folder_frames(
    folder: Path, start: int, stride: int, passed: Callable[[int], None]
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    images = images_of(folder)
    shape = None
    for number, image in enumerate(images):
        passed(number + 1)
        if number < start or (number - start) % stride:
            continue
        frame = read_image(image)
        shape = shape or frame.shape
        if frame.shape != shape:
            sizes = f"{frame.shape[1]}x{frame.shape[0]}, but the first image is {shape[1]}x{shape[0]}"
            raise InputError(f"{image} is {sizes}: a folder is read as one video, so all must agree")
        yield frame


def _none_is_an_error(
    frames: Iterator[UInt8[np.ndarray, "H W 3"]], path: Path, start: int
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    empty = True
    for frame in frames:
        empty = False
        yield frame
    if empty:
        raise InputError(f"{path} has no frame {start}: it is empty, cut off, or shorter than that")


def _fps(path: Path, stream: av.VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise InputError(f"{path} does not tell its frame rate: write it again with one")
    return float(rate)


def images_of(folder: Path) -> list[Path]:
    """The folder's images in the order of their names (numbers by value), or ``InputError`` if it holds none."""
    images = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != "."]
    if not images:
        raise InputError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}): give a video file or such a folder")
    return sorted(images, key=_natural)


def _natural(file: Path) -> list[tuple[int, int, str]]:
    """Sorts frame_2 before frame_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", file.name) if part]


def read_image(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """An image as RGB, upright, or ``InputError`` naming it."""
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image ({error}): mend or remove it") from None
