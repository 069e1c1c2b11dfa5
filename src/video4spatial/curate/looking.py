"""A stored video as it is looked at: its frames, numbered as they are stored, with more pixels than are stored."""

from video4spatial.curate.framing import Framing
from video4spatial.data.runs import Run
from video4spatial.data.sampled import Sampled
from video4spatial.data.scene import BadScene, Scene
from video4spatial.storage.latent_index import StoredVideo

_CHANGED = "the source changed; prepare it again"


class StoredLook(Sampled):
    """Frame ``n`` of a stored video, for the VLM: at the source's own resolution, up to ``look_size`` pixels along the
    longer side, of the stored frame's crop. ``scene`` is the video's unit of the source, opened."""

    def __init__(self, scene: Scene, row: StoredVideo, look_size: int) -> None:
        start, stop = row.meta["frames"]
        if stop > len(scene):
            raise BadScene(f"{row.video_id} holds frames up to {stop}, its source has {len(scene)}: {_CHANGED}")
        run = Run(scene, start, stop)
        height, width = run.frames([0]).shape[1:3]
        self.row, self.framing = row, Framing.of((width, height), (row.width, row.height), look_size)
        super().__init__(run, row.meta["every"], *self.framing.look)
        self.video_id, self.environment_id = row.video_id, row.environment_id
        if len(self) != row.frames:
            raise BadScene(f"{row.video_id} has {row.frames} stored frames, its source gives {len(self)}: {_CHANGED}")

    def as_stored(self) -> Sampled:
        """The same frames at the stored size: what the VAE encoded."""
        return Sampled(self.scene, self.every, *self.framing.stored)
