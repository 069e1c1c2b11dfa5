"""The real small model behind the app, a walk through a room to give it, and a served page."""

import pytest

from video4spatial.app.files import private_folder
from video4spatial.app.guard import Limits
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


@pytest.fixture(scope="session")
def served_app(small_pipeline, tmp_path_factory):
    """The app as the command serves it, with small limits."""
    pytest.importorskip("gradio", reason="the app's page needs the extra: pip install 'video4spatial[app]'")
    from video4spatial.app.server import Serving, served

    serving = Serving(port=0, limits=Limits(megabytes=5, seconds=30), temporary=tmp_path_factory.mktemp("private"))
    with served(small_pipeline, serving) as running:
        yield running


@pytest.fixture
def client(served_app, tmp_path):
    """A client of that app, with a session of its own."""
    from gradio_client import Client

    client = Client(served_app.url, verbose=False, download_files=tmp_path)
    yield client
    client.close()


@pytest.fixture
def ready(client, walk_file):
    """The same, its walk-through encoded."""
    from gradio_client import handle_file

    client.predict(handle_file(str(walk_file)), api_name="/encode")
    return client
