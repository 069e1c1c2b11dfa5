"""What a training example is made of: chosen by (seed, step, number) alone, before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from video4spatial.data.latent_videos import LatentVideo
from video4spatial.data.windows import Mode, available_context, choose_context, draw_target, longest_choice, shown_by
from video4spatial.schema import TIME_STRIDE, InputError


@dataclass(frozen=True)
class WindowConfig:
    """What an example is made of. Counts are latents.

    Attributes:
        target: target latents, first frame included (box tail included for grounding, unless ``tail`` is off).
        context: context lengths to draw from, one a batch; 0 teaches the model to do without.
        mode: "scattered" (the paper's default) or "contiguous" (its ablation).
        other_video: chance that context comes from another video of the same environment.
        navigation: share of navigation among the examples.
        random_zero_pose: the reference frame is drawn among the target's frames (paper, Section 3.3).
        tail: grounding targets end with the box tail; without, they end at the object (the paper's ablation).
        skip_short: leave out videos and clips that have too little context beside the target, instead of refusing them.
    """

    target: int = 9
    context: tuple[int, ...] = (12,)
    mode: Mode = "scattered"
    other_video: float = 0.3
    navigation: float = 0.5
    random_zero_pose: bool = True
    tail: bool = True
    skip_short: bool = False


@dataclass(frozen=True)
class Choice:
    """One example: target latents ``[start, stop)`` of ``video``, and context latents of ``source`` by index.

    ``origin``: for navigation, the frame of the target whose pose is the origin; None for grounding, which has a
    ``sentence`` instead.
    """

    video: LatentVideo
    start: int
    stop: int
    source: LatentVideo
    context: Int[np.ndarray, " Fc"]
    sentence: str = ""
    origin: int | None = None

    @property
    def id(self) -> str:
        """What it was made of, for people: "room12-0[40:49]<room12-1"."""
        return f"{self.video.video_id}[{self.start}:{self.stop}]<{self.source.video_id}"


class ExampleChooser:
    """Chooses examples out of ``videos``: whole videos, and grounding clips cut from them.

    Grounding targets are clips, and the ends of videos that end at an object; navigation targets are windows of posed
    videos. Context never comes from a clip: it is of the target's own video, off the target's frames, or of another one
    of the environment.

    Attributes:
        left_out: how many videos and clips have too little context (``skip_short``).

    Raises:
        InputError: nothing fits the window; a clip is not as long as the target; a video has too little context.
    """

    def __init__(self, videos: Sequence[LatentVideo], config: WindowConfig) -> None:
        self.config, self.left_out = config, 0
        whole = [video for video in videos if video.clip_of is None]
        self._whole = {video.video_id: video for video in whole}
        self._of_environment: dict[str, list[LatentVideo]] = {}
        for video in whole:
            self._of_environment.setdefault(video.environment_id, []).append(video)
        self.grounded, self.posed = [], []
        if config.navigation < 1:
            clips = [video for video in videos if video.clip_of is not None]
            self._require_length(clips)
            ended = [video for video in whole if video.sentences and self._end(video) >= config.target]
            if not clips and not ended:
                raise InputError(
                    "no video in the store ends at a described object, and there are no clips: grounding needs some "
                    "(`video4spatial curate STORE` makes clips), or navigation=1"
                )
            self.grounded = self._with_context([*ended, *clips], "grounding")
        if config.navigation > 0:
            posed = [v for v in whole if v.posed and v.latents - v.tail_latents >= config.target]
            if not posed:
                raise InputError("no video in the store has poses: navigation needs some, or set navigation=0")
            self.posed = self._with_context(posed, "navigation")

    def choose(self, rng: np.random.Generator, count: int) -> Choice:
        """An example with ``count`` context latents."""
        length = self.config.target
        navigates = rng.random() < self.config.navigation
        pool = self.posed if navigates else self.grounded
        video = pool[rng.integers(len(pool))]
        if navigates:
            start, stop = draw_target(video.latents - video.tail_latents, length, rng)
        else:
            start, stop = self._end(video) - length, self._end(video)
        source, context = self._context(video, (start, stop), count, rng)
        if not navigates:
            return Choice(video, start, stop, source, context, video.sentences[rng.integers(len(video.sentences))])
        frames = TIME_STRIDE * (length - 1) + 1
        origin = int(rng.integers(frames)) if self.config.random_zero_pose else 0
        return Choice(video, start, stop, source, context, origin=origin)

    def _end(self, video: LatentVideo) -> int:
        """Where a grounding target in ``video`` stops."""
        return video.latents - (0 if self.config.tail else video.tail_latents)

    def _context(
        self, video: LatentVideo, target: tuple[int, int], count: int, rng: np.random.Generator
    ) -> tuple[LatentVideo, Int[np.ndarray, " Fc"]]:
        others = self._others(video, count)
        if others and rng.random() < self.config.other_video:
            source = others[rng.integers(len(others))]
            available = available_context(source.latents - source.tail_latents, None)
        else:
            source, available = self._own_context(video, target)
        return source, choose_context(available, count, self.config.mode, rng)

    def _own_context(self, video: LatentVideo, target: tuple[int, int]) -> tuple[LatentVideo, Int[np.ndarray, " n"]]:
        """The video that a target was taken from, and its latents that show none of the target's frames."""
        source = self._source(video)
        if video.clip_of is not None:
            target = shown_by(video.clip_of.start, video.clip_of.stop)
        return source, available_context(source.latents - source.tail_latents, target)

    def _source(self, video: LatentVideo) -> LatentVideo:
        if video.clip_of is None:
            return video
        if video.clip_of.video_id not in self._whole:
            raise InputError(
                f"clip {video.video_id!r} is of video {video.clip_of.video_id!r}, which is not there: give its store"
            )
        return self._whole[video.clip_of.video_id]

    def _others(self, video: LatentVideo, count: int) -> list[LatentVideo]:
        """The other videos of the same environment that can give ``count`` context latents."""
        own = self._source(video)
        others = self._of_environment[own.environment_id]
        return [v for v in others if v is not own and v.latents - v.tail_latents >= count]

    def _require_length(self, clips: list[LatentVideo]) -> None:
        """A clip is a target as a whole: its length is the window's."""
        target, tail = self.config.target, self.config.tail
        for clip in clips:
            if self._end(clip) != target:
                what = f"{clip.latents} latents, the last {clip.tail_latents} of them box tail"
                without = "" if tail else ", which window.tail=false leaves out"
                raise InputError(
                    f"clip {clip.video_id!r} has {what}{without}: set window.target={self._end(clip)} (it is "
                    f"{target}), or curate clips of that length"
                )

    def _with_context(self, pool: list[LatentVideo], task: str) -> list[LatentVideo]:
        """Those that have context enough for a target wherever it is drawn. Known now, and not at the step that draws
        such a video."""
        count = max(self.config.context)
        short, fits = [], []
        for video in pool:
            left = self._context_left(video, task == "navigation")
            borrows = self.config.other_video == 1 and self._others(video, count)
            (fits if left >= count or borrows else short).append((video, left))
        if short and (not self.config.skip_short or not fits):
            name, left = short[0][0].video_id, short[0][1]
            remedy = "" if self.config.skip_short else "leave them out (window.skip_short=true), or "
            raise InputError(
                f"{len(short)} of {len(pool)} videos are too short: {name!r} has {left} latents left for context, "
                f"{count} are asked for: {remedy}use longer videos or a shorter context"
            )
        self.left_out += len(short)
        return [video for video, _ in fits]

    def _context_left(self, video: LatentVideo, anywhere: bool) -> int:
        """How many context latents the target's own video has: beside a target ``anywhere`` before the tail (at the
        worst place), else beside the one that grounding takes."""
        mode, length = self.config.mode, self.config.target
        if not anywhere:
            _, available = self._own_context(video, (self._end(video) - length, self._end(video)))
            return longest_choice(available, mode)
        left = video.latents - video.tail_latents - length
        return -(-left // 2) if mode == "contiguous" else left  # a target in the middle leaves two halves
