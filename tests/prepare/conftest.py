"""Tiny trees of videos to prepare, and stores to compare."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from video4spatial.cli import main
from video4spatial.schema import Clip
from video4spatial.storage.video import write_video

FRAMES = 21


@pytest.fixture(scope="session")
def videos_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of two places."""
    root = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(("attic/day", "attic/night", "hall", "yard")):
        low = np.random.default_rng(number).integers(0, 256, (FRAMES, 6, 8, 3), dtype=np.uint8)
        (root / name).parent.mkdir(exist_ok=True)
        write_video(root / f"{name}.mp4", Clip(low.repeat(8, axis=1).repeat(8, axis=2), 20.0))
    return root


@pytest.fixture(scope="session")
def prepare(pipeline_folder: Path) -> Callable[..., int]:
    """The command, with the tiny model and clips of 5 frames; its exit code."""

    def run(*arguments: object) -> int:
        return main(["prepare", *map(str, arguments), "--model", str(pipeline_folder), "--clip", "5"])

    return run


@pytest.fixture(scope="session")
def clean(videos_tree: Path, prepare: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The videos' store, from one run that nothing happened to."""
    store = tmp_path_factory.mktemp("clean") / "store"
    assert prepare("videos", videos_tree, store, "--every", "1") == 0
    return store


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a store but its lock."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}
