"""Spatial Distance and camera following as one metric of an evaluation: both come of one reconstruction."""

from functools import cached_property
from pathlib import Path
from typing import Any

from video4spatial.evaluate.cases import CaseContent, Task
from video4spatial.evaluate.following import FollowingResult, measure_following
from video4spatial.evaluate.generated import Video
from video4spatial.evaluate.metric import Column, Score, Value
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.reconstruct import Reconstructor
from video4spatial.evaluate.reconstructors import FEED_FORWARD, RECONSTRUCTORS, open_reconstructor
from video4spatial.evaluate.spatial import POINTS_A_FRAME, SceneCloud, spatial_distance
from video4spatial.schema import InputError
from video4spatial.storage.digest import content_digest

_VIDEOS: tuple[Task, ...] = ("grounding", "navigation")
_NAVIGATION: tuple[Task, ...] = ("navigation",)


class SpatialMetric:
    """SD in metres of the frames ahead of the box tail; in navigation also how far the camera is from the asked path.

    ``sd_scored`` is the share of videos that have a distance at all: one that could not be registered has none, and is
    below no limit. ``lost`` is the share of frames, over all videos, whose pose could not be found: of a video that
    loses more than half there is neither distance nor camera error. Read the means beside both.

    Args:
        reconstructor: "auto" is rooms' own where the scene is a room, COLMAP elsewhere; "vggt" (the paper's) and
            "depth-anything-3" need ``weights``, the folder of theirs.
        device: that those run on.
    """

    name = "spatial"
    version = 2
    tasks: tuple[Task, ...] = _VIDEOS
    columns = (
        Column("sd", "SD (m)", "lower", digits=4),
        Column("sd_scored", "registered", rate=True, without_video=False, digits=2),
        Column("lost", "lost frames", "lower", digits=2),
        Column("camera_degrees", "camera (degrees)", "lower", digits=2, tasks=_NAVIGATION),
        Column("camera_metres", "camera (m)", "lower", digits=3, tasks=_NAVIGATION),
    )

    def __init__(self, reconstructor: str = "auto", weights: str | None = None, device: str = "cuda") -> None:
        known = ("auto", *RECONSTRUCTORS)
        if reconstructor not in known:
            raise InputError(f"spatial.reconstructor is {reconstructor!r}: use one of {', '.join(known)}")
        if reconstructor in FEED_FORWARD and weights is None:
            raise InputError(f"spatial.reconstructor={reconstructor} needs --set spatial.weights=FOLDER")
        self.which, self.weights, self.device = reconstructor, weights, device
        self._scene: tuple[str, SceneCloud, Reconstructor] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {"reconstructor": self.which, "weights": self._fingerprint, "points a frame": POINTS_A_FRAME}

    @cached_property
    def _fingerprint(self) -> str:
        """Of the weights that decide: rooms' depth network; else what is in the folder that was given."""
        if self.which in ("auto", "rooms"):
            from video4spatial.evaluate.rooms_reconstructor import packaged_weights

            return content_digest(packaged_weights())
        return "none" if self.which == "colmap" or self.weights is None else content_digest(Path(self.weights))

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        scene = content.case.scene_id
        if self._scene is None or self._scene[0] != scene:
            self._scene = (scene, SceneCloud(content.cloud), self._reconstructor(content))
        _, cloud, reconstructor = self._scene
        anchors = content.anchors
        made = reconstructor(video.moving, anchors)
        found = spatial_distance(made, anchors, cloud)
        values: dict[str, Value] = {column.key: None for column in self.columns}
        values |= {"sd": found.distance, "sd_scored": found.distance is not None, "lost": found.lost}
        notes: dict[str, Any] = {"outcome": found.outcome.value, "by": reconstructor.name}
        notes |= {} if found.worst is None else {"worst": found.worst}
        notes |= {"reason": found.reason} if found.reason else {}
        if content.path is not None:
            path = content.path.c2w[: len(video.moving)]  # a video taken as a prefix follows as much of it
            camera: FollowingResult = measure_following(made, anchors, cloud, path)
            values |= {"camera_degrees": camera.degrees, "camera_metres": camera.metres}
            notes |= {"camera": camera.reason} if camera.reason else {}
        return Score(values, notes)

    def _reconstructor(self, content: CaseContent) -> Reconstructor:
        which = self.which
        if which == "auto":
            which = "colmap" if content.room is None else "rooms"
        if which == "rooms" and content.room is None:
            raise InputError("spatial.reconstructor=rooms is for rooms: use colmap, vggt or depth-anything-3")
        if which in FEED_FORWARD:
            return self._feed_forward
        return open_reconstructor(which, room=content.room)

    @cached_property
    def _feed_forward(self) -> Reconstructor:
        """VGGT or Depth Anything 3, loaded once."""
        return open_reconstructor(self.which, self.weights, self.device)
