"""The built distributions, made once, and an environment that has the wheel but none of its extras."""

from pathlib import Path

import pytest
from distributions import ROOT, Built, build, fresh_environment, optional

from video4spatial.storage.video import write_video


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    pytest.importorskip("hatchling", reason="building needs hatchling: pip install 'video4spatial[dev]'")
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out, "sdist", "wheel")
    return Built(next(out.glob("*.whl")), next(out.glob("*.tar.gz")))


@pytest.fixture(scope="session")
def bare(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as `pip install video4spatial` leaves it: nothing that only an extra asks for."""
    return fresh_environment(tmp_path_factory.mktemp("fresh") / "venv", built.wheel, optional(built.wheel))


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory, tiny_walk) -> Path:
    """A folder with nothing but a walk-through in it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    write_video(folder / "walk.mp4", tiny_walk.clip)
    return folder
