"""The content of the rooms benchmark, rendered from seeds when it is asked for."""

from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from video4spatial.data.rooms import grounding_video
from video4spatial.data.scene import AnnotatedVideo
from video4spatial.evaluate.cases import Case, CaseContent
from video4spatial.evaluate.manifest import Benchmark, Contents
from video4spatial.evaluate.rooms_cases import RoomsSettings, context_path
from video4spatial.rooms import Room, Target, tour
from video4spatial.schema import Box, CameraPath, Clip, InputError, Intrinsics


class RoomWalk:
    """A room and the walk through it that its cases share."""

    def __init__(self, seed: int, settings: RoomsSettings) -> None:
        self.settings, self.config = settings, settings.config
        self.room = self.config.room(seed)
        self.c2w = context_path(self.room, self.config)

    @cached_property
    def clip(self) -> Clip:
        return Clip(self.room.render(self.c2w, self.config.intrinsics).rgb, self.config.fps)

    @cached_property
    def cloud(self) -> Float[np.ndarray, "N 3"]:
        return self.room.point_cloud(self.settings.cloud_points).points


class RoomContent(CaseContent):
    """A case rendered from its room's seed."""

    def __init__(self, case: Case, walk: RoomWalk) -> None:
        super().__init__(case, walk.config.fps)
        self.walk = walk

    @property
    def room(self) -> Room:
        return self.walk.room

    @cached_property
    def context(self) -> Clip:
        return self.walk.clip

    @property
    def context_c2w(self) -> Float[np.ndarray, "T 4 4"]:
        return self.walk.c2w

    @property
    def intrinsics(self) -> Intrinsics:
        return self.walk.config.intrinsics

    @property
    def cloud(self) -> Float[np.ndarray, "N 3"]:
        return self.walk.cloud

    @cached_property
    def _approach(self) -> AnnotatedVideo:
        facts = self.case.facts
        target = Target(facts["object_id"], facts["phrase"])
        start = self.walk.c2w[facts["start"]] if "start" in facts else None
        return grounding_video(self.room, target, self.walk.config, facts["walk"], start, self.case.frames)

    @cached_property
    def _tour(self) -> np.ndarray:
        config = self.walk.config
        return tour(self.room, self.case.frames, seed=self.case.facts["walk"], fps=config.fps, speed=config.speed)

    @cached_property
    def first_frame(self) -> UInt8[np.ndarray, "H W 3"]:
        if self.case.task == "absent":
            return self.room.render(self._tour[:1], self.intrinsics).rgb[0]
        assert self.truth is not None
        return self.truth.frames[0]

    @cached_property
    def truth(self) -> Clip | None:
        if self.case.task == "absent":
            return None
        if self.case.task == "grounding":
            return self._approach.clip
        return Clip(self.room.render(self._tour, self.intrinsics).rgb, self.fps)

    @cached_property
    def truth_path(self) -> CameraPath | None:
        if self.case.task == "absent":
            return None
        if self.case.task == "navigation":
            return CameraPath(self._tour, self.intrinsics)
        assert self._approach.c2w is not None
        return CameraPath(self._approach.c2w, self.intrinsics)

    @property
    def box(self) -> Box | None:
        return Box(*self._approach.meta["box"]) if self.case.task == "grounding" else None


class RoomsContents(Contents):
    """Renders the rooms benchmark."""

    def __init__(self, benchmark: Benchmark) -> None:
        super().__init__(benchmark)
        try:
            self.settings = RoomsSettings(**benchmark.settings)
        except TypeError as error:
            raise InputError(f"benchmark {benchmark.name}: its settings are not those of rooms ({error})") from None

    def open_scene(self, scene_id: str) -> RoomWalk:
        seeds = {case.facts.get("room") for case in self.benchmark.cases if case.scene_id == scene_id}
        if len(seeds) != 1 or not isinstance(seed := seeds.pop(), int):
            raise InputError(f"benchmark {self.benchmark.name}: the cases of {scene_id} do not name one room's seed")
        return RoomWalk(seed, self.settings)

    def content(self, case: Case, scene: RoomWalk) -> RoomContent:
        return RoomContent(case, scene)
