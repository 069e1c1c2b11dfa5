"""Runs that something happens to: whatever it is, the next run ends with the bytes of one clean run."""

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from prepare.conftest import contents

from video4spatial.cli import main
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.lock import locked_store
from video4spatial.storage.scene_shards import SceneShards

KILLS = 20


def command(arguments: list[str]) -> None:
    """The real command, as the whole of a process."""
    sys.exit(main(arguments))


@pytest.fixture(scope="module")
def start(pipeline_folder: Path, videos_tree: Path) -> Callable[..., multiprocessing.Process]:
    """Starts the command in a process of its own, forked from a server that has imported the libraries already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["video4spatial.prepare.preloaded", "video4spatial.commands.prepare"])

    def begin(store: Path, *more: str) -> multiprocessing.Process:
        words = ["prepare", "videos", str(videos_tree), str(store), "--every", "1", "--clip", "5", *more]
        process = context.Process(target=command, args=([*words, "--model", str(pipeline_folder)],))
        process.start()
        return process

    return begin


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, start, prepare, videos_tree, clean):
    start(tmp_path / "first").join()  # starts the server
    began = time.monotonic()
    start(tmp_path / "timed").join()
    lasts = time.monotonic() - began
    assert contents(tmp_path / "timed") == contents(clean)
    unfinished = 0
    for number, moment in enumerate(np.random.default_rng(0).uniform(0.1, 1, KILLS) * lasts):
        store = tmp_path / str(number)
        process = start(store)
        time.sleep(moment)
        process.kill()
        process.join()
        unfinished += not StoreLayout(store).index.exists()
        assert prepare("videos", videos_tree, store, "--every", "1") == 0
        assert contents(store) == contents(clean), f"killed after {moment:.3f} of {lasts:.3f} s"
    assert unfinished > 0, "every run had ended before it was killed"


def test_killed_while_it_writes(tmp_path, prepare, videos_tree, clean, monkeypatch):
    """What killed writers leave: shards without records, half files under temporary names, an index of less."""
    store = tmp_path / "store"
    shutil.copytree(clean, store)
    layout = StoreLayout(store)
    layout.scene_shard("hall").rename(layout.shards / ".tmp-0badcafe-hall.safetensors")
    layout.scene("hall").rename(layout.scenes / ".tmp-0badcafe-hall.json")
    layout.scene("yard").unlink()
    layout.index.rename(store / ".tmp-0badcafe-index.parquet")
    assert prepare("videos", videos_tree, store, "--every", "1") == 0
    assert contents(store) == contents(clean)


@pytest.mark.slow
def test_worker_processes_make_the_same_store(tmp_path, prepare, videos_tree, clean):
    assert prepare("videos", videos_tree, tmp_path / "s", "--every", "1", "--workers", 2) == 0
    assert contents(tmp_path / "s") == contents(clean)


@pytest.mark.slow
def test_ray_makes_the_same_store(tmp_path, prepare, videos_tree, clean):
    pytest.importorskip("ray")
    assert prepare("videos", videos_tree, tmp_path / "s", "--every", "1", "--ray", "--workers", 2) == 0
    assert contents(tmp_path / "s") == contents(clean)


def descendants(pid: int) -> dict[int, int]:
    """The processes that ``pid`` started, and those that these did: each with its parent."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid: 0}
    while more := {child: parent for child, parent in parents.items() if parent in found and child not in found}:
        found |= more
    return found


@pytest.mark.slow
def test_workers_end_with_the_run_that_was_killed(tmp_path, start, prepare, videos_tree, clean):
    process = start(tmp_path / "s", "--workers", "2")
    started = {}
    while max(Counter(started.values()).values(), default=0) < 2 or not (tmp_path / "s" / "scenes").is_dir():
        assert process.is_alive()
        started = descendants(process.pid)
        time.sleep(0.01)
    process.kill()
    process.join()
    for _ in range(300):
        if not any(Path(f"/proc/{pid}").exists() for pid in started):
            break
        time.sleep(0.1)
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert prepare("videos", videos_tree, tmp_path / "s", "--every", "1") == 0
    assert contents(tmp_path / "s") == contents(clean)


def test_an_interrupt_ends_it_cleanly(tmp_path, start, prepare, videos_tree, clean):
    store = tmp_path / "s"
    process = start(store)
    layout = StoreLayout(store)
    while not layout.shards.is_dir() or not any(layout.shards.glob("*.safetensors")):
        assert process.is_alive()
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode in (130, 0)  # it may have ended just before
    left = contents(store)
    assert not [name for name in left if ".tmp-" in name]
    assert {f"shards/{row.shard}" for row in LatentStore(store)} == {name for name in left if "shards/" in name}
    assert prepare("videos", videos_tree, store, "--every", "1") == 0
    assert contents(store) == contents(clean)


def test_two_runs_on_one_store(tmp_path, prepare, videos_tree, capfd):
    with locked_store(StoreLayout(tmp_path)):
        assert prepare("videos", videos_tree, tmp_path) == 2
    assert f"{tmp_path} is being written by another process: wait for it or choose another" in capfd.readouterr().err
    assert list(contents(tmp_path)) == []


def test_a_full_disk(tmp_path, prepare, videos_tree, clean, capfd):
    """A file size limit stands in for the disk: small files fit, a shard does not."""
    store = tmp_path / "s"
    smallest = min(path.stat().st_size for path in (clean / "shards").iterdir())
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (smallest - 1, limit[1]))
        assert prepare("videos", videos_tree, store, "--every", "1") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert "day.safetensors could not be written: the disk is full. Free space" in capfd.readouterr().err
    assert sorted(contents(store)) == ["index.parquet", "origin.json"]
    assert len(LatentStore(store)) == 0
    assert prepare("videos", videos_tree, store, "--every", "1") == 0
    assert contents(store) == contents(clean)


def test_a_run_goes_on_where_it_was(tmp_path, prepare, videos_tree, clean, capfd):
    store = tmp_path / "s"
    assert prepare("videos", videos_tree, store, "--every", "1", "--limit", 2) == 0
    assert "2 scenes done (2 videos, 42 frames), 0 were there" in capfd.readouterr().out
    kept = {name: content for name, content in contents(store).items() if name != "index.parquet"}
    assert prepare("videos", videos_tree, store, "--every", "1") == 0
    assert "2 scenes done (2 videos, 42 frames), 2 were there" in capfd.readouterr().out
    assert kept.items() <= contents(store).items()
    assert contents(store) == contents(clean)
    times = {path: path.stat().st_mtime_ns for path in store.glob("s*/*")}
    assert prepare("videos", videos_tree, store, "--every", "1") == 0
    assert "0 scenes done (0 videos, 0 frames), 4 were there" in capfd.readouterr().out
    assert times == {path: path.stat().st_mtime_ns for path in store.glob("s*/*")}


def spoiled(videos_tree: Path, root: Path) -> Path:
    """A copy of the tree in which one video is cut off; where that is."""
    shutil.copytree(videos_tree, root)
    broken = root / "hall.mp4"
    broken.write_bytes(broken.read_bytes()[:300])
    return broken


@pytest.mark.parametrize("workers", [pytest.param(1), pytest.param(2, marks=pytest.mark.slow)])
def test_a_bad_scene_is_named_and_tried_again(tmp_path, prepare, videos_tree, capfd, workers):
    broken, store = spoiled(videos_tree, tmp_path / "v"), tmp_path / "s"
    more = ("--every", "1", "--workers", workers)
    assert prepare("videos", tmp_path / "v", store, *more) == 3
    printed = capfd.readouterr()
    assert f"bad: hall: {broken} has no video stream" in printed.err
    assert "3 scenes done (3 videos, 63 frames), 0 were there, 1 bad, 0 absent; 3 videos in the store" in printed.out
    assert sorted(row.video_id for row in LatentStore(store)) == ["day", "night", "yard"]
    assert '"outcome": "bad"' in StoreLayout(store).scene("hall").read_text()
    shutil.copy(videos_tree / "hall.mp4", broken)
    assert prepare("videos", tmp_path / "v", store, *more) == 0
    assert "1 scenes done (1 videos, 21 frames), 3 were there, 0 bad" in capfd.readouterr().out
    assert prepare("videos", tmp_path / "v", tmp_path / "t", "--every", "1") == 0
    assert contents(store) == contents(tmp_path / "t")


def test_strict_stops_at_the_first_bad_scene(tmp_path, prepare, videos_tree, capfd):
    spoiled(videos_tree, tmp_path / "v")
    assert prepare("videos", tmp_path / "v", tmp_path / "s", "--every", "1", "--strict") == 2
    assert "video4spatial prepare: hall: " in capfd.readouterr().err
    assert sorted(row.video_id for row in LatentStore(tmp_path / "s")) == ["day", "night"]


def test_what_was_stored_of_a_scene_that_went_bad_is_dropped(tmp_path, prepare, videos_tree):
    """A run was killed after the shard and before the record, and then the file broke."""
    broken, store = spoiled(videos_tree, tmp_path / "v"), tmp_path / "s"
    whole = broken.read_bytes()
    shutil.copy(videos_tree / "hall.mp4", broken)
    assert prepare("videos", tmp_path / "v", store, "--every", "1") == 0
    StoreLayout(store).scene("hall").unlink()
    broken.write_bytes(whole)
    assert prepare("videos", tmp_path / "v", store, "--every", "1") == 3
    assert not StoreLayout(store).scene_shard("hall").exists()
    assert "hall" not in LatentStore(store)


def test_a_stretch_that_the_source_no_longer_has_is_dropped(tmp_path, prepare, videos_tree, clean):
    """A run was killed in the middle of a broken-up scene, which was then fetched again whole."""
    store = tmp_path / "s"
    shutil.copytree(clean, store)
    shards = SceneShards(store)
    tensors = {"video": torch.zeros(48, 2, 2, 4)}
    shards.write("hall-000003", "hall", tensors, fps=20, size=(64, 32), meta={"source": "hall", "frames": [3, 8]})
    shards.reindex()
    assert prepare("videos", videos_tree, store, "--every", "1") == 0
    assert contents(store) == contents(clean)


def test_scenes_shorter_than_a_clip(tmp_path, prepare, videos_tree, capfd):
    assert prepare("videos", videos_tree, tmp_path, "--every", "7", "--limit", "1") == 3
    printed = capfd.readouterr()
    assert "bad: day: day: its longest run has 21 frames of 21, a clip needs 29: leave the scene out" in printed.err
    assert "1 bad" in printed.out
    assert len(LatentStore(tmp_path)) == 0


def test_two_scenes_of_one_name(tmp_path, prepare, videos_tree, capfd):
    """A broken-up video's part may be called as another video is."""
    store = tmp_path / "s"
    assert prepare("videos", videos_tree, store, "--every", "1", "--limit", 1) == 0
    layout = StoreLayout(store)
    layout.scene_shard("day").rename(layout.scene_shard("hall"))
    layout.scene("day").unlink()
    assert prepare("videos", videos_tree, store, "--every", "1") == 2
    assert "both hold video 'day': remove one of them" in capfd.readouterr().err
    assert "bad: hall: hall: day has a video of the same name, hall: rename one"
