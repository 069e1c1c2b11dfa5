"""Curation where it is hard: a crop and another size at once, a full disk, a store that someone else writes."""

import resource
import shutil
import signal
from pathlib import Path

import numpy as np
from curate.conftest import TINY_CLIPS
from curate.stores import contents, copied, prepared, rooms_source
from PIL import Image

from video4spatial.cli import main
from video4spatial.data.origin import read_origin
from video4spatial.data.rooms import RoomScene
from video4spatial.data.source import open_source
from video4spatial.geometry.boxes import iou
from video4spatial.rooms import object_box
from video4spatial.schema import Box
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.lock import locked_store

ORACLE = ["--vlm", "oracle", *TINY_CLIPS]


def test_the_box_is_where_the_object_is_in_what_is_stored(tmp_path, codec, pipeline_folder):
    """96x64 pictures are stored as 64x32: rows 8 to 55 of them, at two thirds."""
    store = prepared(tmp_path / "s", rooms_source("0:1", width=96, height=64), codec, pipeline_folder)
    assert main(["curate", str(store), *ORACLE, "--centre-ratio", "0.9"]) == 0
    clips = list(LatentStore(StoreLayout(store).clips))
    assert clips
    scene = read_origin(store).source().open("room0-0")
    assert isinstance(scene, RoomScene)
    for clip in clips:
        mask = scene.instances([clip.meta["frames"][1] - 1])[0][8:56]
        found = [
            object_box(mask, known.object_id) for known in scene.room.targets() if known.phrase == clip.meta["label"]
        ]
        (box,) = [box for box in found if box is not None]
        there = Box(*(np.array([box.x0, box.y0, box.x1, box.y1]) * 2 / 3).tolist())
        assert iou(Box(*clip.meta["box"]), there) > 0.9


def test_a_full_disk(curated_store, tmp_path, capfd):
    """A file size limit stands in for the disk: labels are there, and the first shard of clips does not fit."""
    store = copied(curated_store, tmp_path / "s")
    clips = StoreLayout(StoreLayout(store).clips)
    largest = max(path.stat().st_size for path in clips.shards.iterdir())
    shutil.rmtree(clips.root)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limit[1]))
        assert main(["curate", str(store), *ORACLE]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert "could not be written: the disk is full. Free space" in capfd.readouterr().err
    assert not list(store.rglob(".tmp-*"))
    assert main(["curate", str(store), *ORACLE]) == 0
    assert contents(store, ()) == contents(curated_store, ())


def test_a_vae_without_a_text_encoder_is_refused_before_anything_is_asked(tmp_path, codec, pipeline_folder, capfd):
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(made(tmp_path / "source" / "a") / "0.png")
    shutil.copytree(pipeline_folder / "vae", tmp_path / "bare" / "vae")
    source = open_source("videos", tmp_path / "source")
    store = prepared(tmp_path / "s", source, codec, tmp_path / "bare", clip=1)
    assert main(["curate", str(store), "--url", "http://localhost:9", "--clip-frames", "1"]) == 2
    assert "bare has no text_encoder, tokenizer folder: give a whole pipeline" in capfd.readouterr().err
    assert not StoreLayout(store).curation.exists()


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_two_runs_on_one_store(room_store, tmp_path, capfd):
    store = copied(room_store, tmp_path / "s")
    before = contents(store)
    with locked_store(StoreLayout(store)):
        assert main(["curate", str(store), *ORACLE]) == 2
    assert "is being written by another process: wait for it" in capfd.readouterr().err
    assert contents(store) == before
