"""A prepared store of tiny rooms, and the same curated by the oracle."""

from pathlib import Path

import pytest
from curate.stores import copied, prepared, rooms_source

from video4spatial.cli import main

CLIP, TAIL = 9, 8
TINY_CLIPS = ["--clip-frames", str(CLIP), "--tail-frames", str(TAIL)]


@pytest.fixture(scope="session")
def room_store(tmp_path_factory, codec, pipeline_folder) -> Path:
    """Tours of 25 frames through three rooms, not curated."""
    return prepared(tmp_path_factory.mktemp("prepared") / "rooms", rooms_source(), codec, pipeline_folder)


@pytest.fixture(scope="session")
def curated_store(room_store: Path, tmp_path_factory) -> Path:
    """The same, curated by the oracle in one go."""
    store = copied(room_store, tmp_path_factory.mktemp("curated") / "rooms")
    assert main(["curate", str(store), "--vlm", "oracle", *TINY_CLIPS]) == 0
    return store
