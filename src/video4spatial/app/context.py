"""The context video of a session: read, pictured and encoded once; or a room rendered for somebody without one."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from video4spatial.app.asked import Seen
from video4spatial.app.running import Pace, Step
from video4spatial.commands.demo import rooms_of
from video4spatial.data.rooms import HELD_OUT_SEED, RoomScene, article
from video4spatial.model.diffusers_internals import borrowed
from video4spatial.rooms import tour
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import ContextStream, EncodedScene, encode_scene
from video4spatial.schema import TIME_STRIDE, Clip, InputError
from video4spatial.storage.page import picture_uri
from video4spatial.storage.video import write_video

Tell = Callable[[Step], None]
THUMBNAIL = 112  # pixels wide
ROOM_FRAMES = 81
MOST_ROOMS = 100_000
RENDERED_AT_ONCE = 9


@dataclass(frozen=True)
class Context:
    """What the model was given, encoded; ``pictures`` holds one thumbnail a latent, as data URIs.

    ``room`` and ``targets``: what is known of a room that was made here.
    """

    scene: EncodedScene
    pictures: tuple[str, ...]
    video: Path
    room: str | None = None
    targets: tuple[str, ...] = ()

    def chosen(self, count: int) -> tuple[int, ...]:
        """Which latents an ask with ``count`` of them looks at."""
        return tuple(self.scene.context(count)[1].tolist())

    def seen(self, latents: Sequence[int]) -> Seen:
        """The walk-through with the pictures of some latents, without what is encoded."""
        frames = [(TIME_STRIDE * i, self.pictures[i]) for i in latents if i < len(self.pictures)]
        return Seen(self.video, tuple(frames))


class PicturedStream(ContextStream):
    """A context stream that keeps a thumbnail of the last frame of every latent that passes."""

    pictures: list[str]

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        self.pictures.clear()
        for number, frame in enumerate(super().__iter__()):
            if number % TIME_STRIDE == 0:
                self.pictures.append(thumbnail(frame))
            yield frame

    def recounted(self, frames: int) -> "PicturedStream":
        stream = PicturedStream(self.video, *self.size, self.model_fps, frames)
        stream.pictures = self.pictures
        return stream


@dataclass(frozen=True)
class Room:
    """A room made here: where its walk was written, and what is in it."""

    video: Path
    way: str
    targets: tuple[str, ...] = field(default=())


def encode(pipeline: Video4SpatialPipeline, video: Path, tell: Tell, room: Room | None = None) -> Context:
    """Encode a checked video; ``tell`` hears of it and may raise to stop."""
    config, pace = pipeline.config, Pace()
    stream = PicturedStream(video, int(config.width), int(config.height), float(config.fps))
    stream.pictures = []

    def progress(done: int, total: int) -> None:
        if pace.lets(done, total):
            tell(Step("encoding the walk-through", done, total))

    with borrowed(pipeline.vae):
        scene = encode_scene(stream, pipeline.codec, None, progress)
    way, targets = (room.way, room.targets) if room else (None, ())
    return Context(scene, tuple(stream.pictures), video, way, targets)


def render_room(pipeline: Video4SpatialPipeline, number: int, folder: Path, tell: Tell) -> Room:
    """Walk through held-out room ``number``, which the model has never seen, and write the walk into ``folder``."""
    if not 0 <= number < MOST_ROOMS:
        raise InputError(f"the room's number is {number}: give from 0 to {MOST_ROOMS - 1}")
    config = rooms_of(pipeline, ROOM_FRAMES)
    tell(Step("building the room", 0, ROOM_FRAMES))
    room = config.room(HELD_OUT_SEED + number)
    walk = RoomScene(room, tour(room, config.frames, fps=config.fps, speed=config.speed), config)
    parts = []
    for start in range(0, len(walk), RENDERED_AT_ONCE):
        tell(Step("rendering the room", start, len(walk)))
        parts.append(walk.frames(range(start, min(start + RENDERED_AT_ONCE, len(walk)))))
    video = folder / f"room-{number}-{secrets.token_hex(6)}.mp4"  # unique, so that copies of it can be found
    write_video(video, Clip(np.concatenate(parts), config.fps))
    phrases = tuple(article(target.phrase) for target in room.targets())
    return Room(video, f"rooms={HELD_OUT_SEED + number}:{config.difficulty:g}", phrases)


def thumbnail(frame: UInt8[np.ndarray, "H W 3"]) -> str:
    """A small picture, as a data URI."""
    height, width = frame.shape[:2]
    small = Image.fromarray(frame).resize((THUMBNAIL, max(1, round(THUMBNAIL * height / width))))
    return picture_uri(np.asarray(small))
