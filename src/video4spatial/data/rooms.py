"""rooms as a Scene, and as annotated videos that end at a named object."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from video4spatial.data.scene import AnnotatedVideo, SceneObject
from video4spatial.geometry.boxes import box_tail
from video4spatial.rooms import NoViewpoint, Room, Target, make_room, object_box, tour
from video4spatial.schema import Clip, Intrinsics, grounding_sentence

HELD_OUT_SEED = 1_000_000  # room seeds from here on are never trained on


@dataclass(frozen=True)
class RoomsConfig:
    """How rooms are made and walked through. ``frames`` is 4k + 1 and includes the box tail of ``tail_frames``."""

    width: int = 96
    height: int = 64
    frames: int = 161
    tail_frames: int = 8
    fps: float = 16.0
    speed: float = 0.8
    fov: float = 72.0
    difficulty: float = 0.3
    quality: float = 0.6
    rays: int = 12
    videos: int = 2

    @property
    def intrinsics(self) -> Intrinsics:
        """The lens that rooms are seen through."""
        return Intrinsics.from_horizontal_fov(self.fov, self.width, self.height)

    def room(self, seed: int) -> Room:
        """The room of a seed."""
        return make_room(seed, difficulty=self.difficulty, quality=self.quality, rays=self.rays)


class RoomScene:
    """A tour through a room, rendered when asked for."""

    def __init__(self, room: Room, c2w: Float[np.ndarray, "T 4 4"], config: RoomsConfig, name: str = "0") -> None:
        self.room = room
        self.c2w = c2w
        self.fps = config.fps
        self.timestamps = np.arange(len(c2w)) / config.fps
        self.intrinsics = config.intrinsics
        self.environment_id = f"room{room.seed}"
        self.video_id = f"{self.environment_id}-{name}"
        self.objects = [SceneObject(o.id, o.category, o.colour, np.asarray(o.corners)) for o in room.objects]

    def __len__(self) -> int:
        return len(self.c2w)

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        """RGB frames of these indices, rendered when asked for."""
        return self.room.render(self.c2w[list(indices)], self.intrinsics).rgb

    def depth(self, indices: Sequence[int]) -> Float[np.ndarray, "T H W"]:
        """Depth of these frames, in metres along z."""
        return self.room.render(self.c2w[list(indices)], self.intrinsics).depth

    def instances(self, indices: Sequence[int]) -> np.ndarray:
        """Object ids uint16 ``[T, H, W]`` (0: none)."""
        return self.room.render(self.c2w[list(indices)], self.intrinsics).instance


def article(phrase: str) -> str:
    """The phrase with its definite article: "the red armchair"."""
    return f"the {phrase}"


def sentences(phrase: str, description: str) -> tuple[str, ...]:
    """The instruction with the room's own description, and with none (what a user who names only the object gives)."""
    return grounding_sentence(article(phrase), description), grounding_sentence(article(phrase))


def grounding_video(
    room: Room,
    target: Target,
    config: RoomsConfig,
    seed: int = 0,
    start: np.ndarray | None = None,
    frames: int | None = None,
) -> AnnotatedVideo:
    """A tour that ends with ``target`` centred, and its box tail (SPEC: the last frame held, the red box drawn).

    Raises:
        NoViewpoint: the target cannot be seen well from anywhere one can walk.
    """
    moving = (frames or config.frames) - config.tail_frames
    c2w = tour(room, moving, seed=seed, fps=config.fps, speed=config.speed, target=target.object_id, start=start)
    rendered = room.render(c2w, config.intrinsics)
    box = object_box(rendered.instance[-1], target.object_id)
    if box is None:
        raise NoViewpoint(f"object {target.object_id} of room {room.seed} is hidden at the tour's end")
    pixels = np.concatenate([rendered.rgb, box_tail(rendered.rgb[-1], box, config.tail_frames)])
    held = np.concatenate([c2w, np.repeat(c2w[-1:], config.tail_frames, axis=0)])
    return AnnotatedVideo(
        video_id=f"room{room.seed}-{seed}",
        environment_id=f"room{room.seed}",
        clip=Clip(pixels, config.fps),
        c2w=held,
        intrinsics=config.intrinsics,
        sentences=sentences(target.phrase, room.describe()),
        tail_frames=config.tail_frames,
        meta={
            "phrase": target.phrase,
            "object_id": int(target.object_id),
            "box": [float(v) for v in (box.x0, box.y0, box.x1, box.y1)],
        },
    )


def plain_video(room: Room, config: RoomsConfig, seed: int = 0) -> AnnotatedVideo:
    """A covering tour with no target and no tail."""
    scene = RoomScene(room, tour(room, config.frames, seed=seed, fps=config.fps, speed=config.speed), config, str(seed))
    pixels = scene.frames(range(len(scene)))
    return AnnotatedVideo(scene.video_id, scene.environment_id, Clip(pixels, config.fps), scene.c2w, scene.intrinsics)


def training_videos(seed: int, config: RoomsConfig) -> list[AnnotatedVideo]:
    """``config.videos`` videos of room ``seed``, each ending at another target where it can; deterministic."""
    if seed >= HELD_OUT_SEED:
        raise ValueError(f"room seed {seed} is held out for evaluation (from {HELD_OUT_SEED} on)")
    room = config.room(seed)
    rng = np.random.default_rng([seed, 17])
    targets = room.targets()
    order = list(rng.permutation(len(targets)))
    videos = []
    for number in range(config.videos):
        video = None
        while order and video is None:
            try:
                video = grounding_video(room, targets[order.pop()], config, seed=number)
            except NoViewpoint:
                continue
        videos.append(video or plain_video(room, config, seed=number))
    return videos
