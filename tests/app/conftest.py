"""The real small model behind the app, a walk through a room to give it, and a served page."""

import pytest

from video4spatial.app.files import private_folder
from video4spatial.data.rooms import RoomsConfig, plain_video
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.storage.video import write_video


@pytest.fixture(scope="session")
def small_pipeline() -> Video4SpatialPipeline:
    return Video4SpatialPipeline.from_pretrained("rooms-small")


@pytest.fixture(scope="session")
def walk_file(tmp_path_factory):
    """A walk of 41 frames through a room the model has never seen."""
    config = RoomsConfig(frames=41, quality=0.3, rays=2)
    file = tmp_path_factory.mktemp("walk") / "walk.mp4"
    write_video(file, plain_video(config.room(1_000_007), config).clip)
    return file


@pytest.fixture
def files(tmp_path):
    with private_folder(tmp_path) as folder:
        yield folder
