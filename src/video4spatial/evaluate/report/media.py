"""Clips inside the page: small H.264 videos with a poster, as long as there is room."""

from hashlib import sha256

import numpy as np
from jaxtyping import UInt8

from video4spatial.evaluate.report.blocks import Clipped
from video4spatial.geometry.boxes import draw_box
from video4spatial.schema import Box, Clip
from video4spatial.storage.page import data_uri, picture_uri
from video4spatial.storage.resize import resize_clip
from video4spatial.storage.video import video_bytes

ROOM = 8_000_000  # characters of all videos in a page
_LONGER = 288  # pixels of the longer side: small frames are enlarged, so that lines drawn on them stay thin
_CRF = 28
_HELD = 8  # frames that show the box that was read back


class Media:
    """Makes clips and counts what they take. The same frames twice are one video and a pointer to it."""

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self.playable = self.left_out = self.repeated = 0
        self._placed: set[tuple[object, ...]] = set()

    def clip(
        self, frames: UInt8[np.ndarray, "T H W 3"], fps: float, caption: str, alt: str, box: Box | None = None
    ) -> Clipped:
        """A clip; with ``box`` (in pixels of ``frames``) its last frame is held, the box drawn sharply."""
        height, width = frames.shape[1:3]
        scale = _LONGER / max(width, height)
        wide, high = (2 * max(1, round(side * scale / 2)) for side in (width, height))
        shown = resize_clip(Clip(frames, fps), wide, high).frames
        if box is not None:
            across, down = wide / width, high / height
            scaled = Box(box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down)
            last = draw_box(shown[-1], scaled, thickness=3)
            shown = np.concatenate([shown, np.repeat(last[None], _HELD, axis=0)])
        key = (sha256(shown.tobytes()).hexdigest(), shown.shape, fps)
        poster = picture_uri(shown[-1])
        if key in self._placed:
            self.repeated += 1
            return Clipped(f"{caption} (plays further up)", alt, poster, "", wide, high)
        video = data_uri(video_bytes(Clip(shown, fps), _CRF), "video/mp4")
        if len(video) > self.room:
            self.left_out += 1
            return Clipped(f"{caption} (last frame only: no more room)", alt, poster, "", wide, high)
        self.room -= len(video)
        self.playable += 1
        self._placed.add(key)
        return Clipped(caption, alt, poster, video, wide, high)
