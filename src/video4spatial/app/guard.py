"""What may be uploaded: every context video is judged by its content before anything else reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import av.error

from video4spatial.schema import InputError

Reason = Literal["too large", "not a video", "too short", "too long", "too many pixels"]

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg"
"""FFmpeg's names of what is opened. Playlists and image lists are not among them: they name other files to read."""
_KINDS = "MP4, MOV, WebM, MKV, AVI, MPEG or Ogg"


class UploadError(InputError):
    """An upload that is refused, and why in a word (``reason``)."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Limits:
    """What one upload may be."""

    megabytes: float = 200.0
    seconds: float = 120.0
    frames: int = 7200
    pixels: int = 4096 * 2304

    def __post_init__(self) -> None:
        for name in ("megabytes", "seconds", "frames", "pixels"):
            if not 0 < getattr(self, name) < float("inf"):
                option = {"megabytes": "--max-upload", "seconds": "--max-seconds"}.get(name, name)
                raise InputError(f"{option} is {getattr(self, name)}: give a number above 0")


@dataclass(frozen=True)
class CheckedVideo:
    """A context video that passed; ``frames`` are its packets, of which a damaged file may decode fewer."""

    path: Path
    frames: int
    width: int
    height: int
    fps: float

    @property
    def seconds(self) -> float:
        return self.frames / self.fps

    @property
    def words(self) -> str:
        """What it is, in a line."""
        return f"{self.frames} frames, {self.width}x{self.height}, {self.fps:.4g} a second, {self.seconds:.1f} s"


def check_video(path: str | Path, limits: Limits, least_frames: int = 5, name: str | None = None) -> CheckedVideo:
    """The video's facts, or why it is refused. One frame is decoded; packets are counted up to the limit and no more.

    Args:
        name: how messages call the file; its own name unless given.

    Raises:
        UploadError: with the ``reason``.
    """
    path = Path(path)
    name = name or path.name
    if not path.is_file():
        raise UploadError("not a video", f"{name} did not arrive whole: upload it again")
    size = path.stat().st_size / 1e6
    if size > limits.megabytes:
        raise UploadError("too large", f"{name} has {size:.0f} MB, and {limits.megabytes:g} MB may be uploaded")
    not_video = UploadError("not a video", f"{name} cannot be read as a video: give {_KINDS}")
    most = {"max_pixels": str(limits.pixels)}  # FFmpeg's own: opening a file may decode a frame to know its size
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", **most}
    try:
        with av.open(str(path), options=options) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise UploadError("not a video", f"{name} has no pictures in it: give a video")
            width, height = stream.codec_context.width, stream.codec_context.height
            if not width * height:
                raise UploadError("not a video", f"{name} has no frame that can be opened: record it in 4K or less")
            if width * height > limits.pixels:
                raise UploadError("too many pixels", f"{name} is {width}x{height}: record in 4K or less")
            rate = stream.average_rate or stream.guessed_rate
            if not rate:
                raise UploadError("not a video", f"{name} does not tell its frame rate: write it again with one")
            fps, frames = float(rate), 0
            for packet in container.demux(stream):
                frames += packet.size > 0
                if frames / fps > limits.seconds or frames > limits.frames:
                    most = f"{limits.seconds:g} s and {limits.frames} frames"
                    raise UploadError("too long", f"{name} is too long: cut it to {most} at most")
        with av.open(str(path), options=options) as container:
            container.streams.video[0].codec_context.options = most
            shown = next(container.decode(video=0), None)
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        if isinstance(error, UploadError):
            raise
        raise not_video from None
    if shown is None:
        raise not_video
    if frames < least_frames:
        raise UploadError("too short", f"{name} has {_count(frames)}: give a video of at least {least_frames} frames")
    turned = shown.rotation % 180 != 0
    width, height = (shown.height, shown.width) if turned else (shown.width, shown.height)
    return CheckedVideo(path, frames, width, height, fps)


def _count(frames: int) -> str:
    return "1 frame" if frames == 1 else f"{frames} frames"
