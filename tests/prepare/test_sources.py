"""What lies in the store is what the source shows: all four kinds, through the command."""

import json
import shutil

import arkitscenes_tree
import numpy as np
import pytest
import scannetpp_tree
import torch
from prepare.conftest import contents

from video4spatial.data.arkitscenes import WITHOUT_TRAJECTORY
from video4spatial.data.origin import read_origin
from video4spatial.data.sampled import Sampled
from video4spatial.geometry.formats import save_path
from video4spatial.prepare.encode import IMAGES_AT_ONCE
from video4spatial.prepare.unit import one_thread
from video4spatial.rooms import tour
from video4spatial.schema import CameraPath, Intrinsics
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore

ROOM = ("difficulty=0.1", "quality=0.3", "rays=2")


def require_what_is_seen(store_root, codec) -> LatentStore:
    """Every stored latent is the encoding of the frames that ``Sampled`` shows; poses and lens are its own."""
    store, source = LatentStore(store_root), read_origin(store_root).source()
    for row in store:
        seen = Sampled.of_stored(source.open(row.meta["source"]), row)
        frames = seen.frames(range(len(seen)))
        assert (row.video_id, row.environment_id, row.frames) == (seen.video_id, seen.environment_id, len(seen))
        assert row.fps == pytest.approx(seen.fps)
        with one_thread(torch.device("cpu")):
            assert store.read(row.video_id, "video").equal(codec.encode(frames).half())
            assert store.read(row.video_id, "image").equal(codec.encode_images(frames[::4], IMAGES_AT_ONCE).half())
        assert row.intrinsics == seen.intrinsics
        assert ("c2w" in row.tensors) == (seen.c2w is not None)
        if seen.c2w is not None:
            np.testing.assert_array_equal(store.read(row.video_id, "c2w").numpy(), seen.c2w)
    return store


def test_rooms(tmp_path, prepare, codec):
    settings = [word for setting in (*ROOM, "frames=13") for word in ("--set", setting)]
    assert prepare("rooms", "3:5", tmp_path, "--tours", 2, *settings) == 0
    store = require_what_is_seen(tmp_path, codec)
    assert store.environments() == {"room3": ["room3-0", "room3-1"], "room4": ["room4-0", "room4-1"]}
    row = store["room4-1"]
    assert (row.frames, row.latents, row.fps, row.meta) == (
        13, 4, 16.0, {"source": "room4-1", "every": 1, "frames": [0, 13]},
    )  # fmt: skip
    assert (row.width, row.height) == (64, 32)  # the pipeline's own


@pytest.fixture(scope="module")
def release(tmp_path_factory, tiny_room):
    root = tmp_path_factory.mktemp("release")
    scannetpp_tree.write_release(root, scannetpp_tree.walk(tiny_room, 42))
    return root


def test_scannetpp(tmp_path, prepare, release, codec, capfd):
    assert prepare("scannetpp", release, tmp_path / "s", "--split", "nvs_sem_train", "--size", "96x64") == 0
    store = require_what_is_seen(tmp_path / "s", codec)
    (row,) = store
    assert (row.video_id, row.frames) == (f"scannetpp-{scannetpp_tree.SCENE_ID}-iphone", 13)
    assert row.fps == pytest.approx(20.0)
    assert row.meta == {"source": scannetpp_tree.SCENE_ID, "every": 3, "frames": [0, 42]}
    printed = capfd.readouterr()
    assert "1 scenes done (1 videos, 13 frames), 0 were there, 0 bad, 1 absent" in printed.out
    assert f"absent: {scannetpp_tree.ABSENT_ID}: listed in splits/nvs_sem_train.txt" in printed.err


def test_a_scene_with_a_hole_is_two_videos(tmp_path, prepare, release, codec):
    shutil.copytree(release, tmp_path / "r")
    poses = tmp_path / "r" / "data" / scannetpp_tree.SCENE_ID / "iphone" / "pose_intrinsic_imu.json"
    entries = json.loads(poses.read_text())
    poses.write_text(json.dumps({name: entry for name, entry in entries.items() if name != "frame_000020"}))
    assert prepare("scannetpp", tmp_path / "r", tmp_path / "s") == 0
    store = require_what_is_seen(tmp_path / "s", codec)
    name = f"scannetpp-{scannetpp_tree.SCENE_ID}-iphone"
    assert {row.video_id: row.meta["frames"] for row in store} == {
        f"{name}-000000": [0, 20],
        f"{name}-000021": [21, 42],
    }
    record = json.loads(StoreLayout(tmp_path / "s").scene(scannetpp_tree.SCENE_ID).read_text())
    assert [video["video_id"] for video in record["videos"]] == sorted(row.video_id for row in store)
    assert record["outcome"] == "done"
    assert record["remarks"] == ["1 of 42 frames have no pose"]


def test_arkitscenes(tmp_path, prepare, codec, tiny_room):
    for video_id, seed in (("40000001", 4), ("40000002", 5)):
        c2w = tour(tiny_room, 31, seed=seed, fps=60.0)
        arkitscenes_tree.write_video(tmp_path / "d", tiny_room, c2w, video_id, "500001", paint=False)
    assert prepare("arkitscenes", tmp_path / "d", tmp_path / "s", "--split", "Training") == 0
    store = require_what_is_seen(tmp_path / "s", codec)
    assert store.environments() == {"arkit-visit-500001": ["40000001", "40000002"]}
    assert all(row.frames == 5 for row in store)


def test_a_video_of_arkitscenes_without_trajectory(tmp_path, prepare, codec, tiny_room, capfd):
    """One of the 24: stored without poses, for grounding and context, and its record says so."""
    (known, *_) = sorted(WITHOUT_TRAJECTORY)
    c2w = tour(tiny_room, 31, seed=4, fps=60.0)
    arkitscenes_tree.write_video(tmp_path / "d", tiny_room, c2w, known, "500001", paint=False)
    (tmp_path / "d" / "raw" / "Training" / known / "lowres_wide.traj").unlink()
    (tmp_path / "d" / "raw" / "Training" / "7").mkdir()
    arkitscenes_tree.add_row(tmp_path / "d", "8", "500002", "Up", "Training")
    assert prepare("arkitscenes", tmp_path / "d", tmp_path / "s") == 0
    printed = capfd.readouterr()
    assert "absent: 8: listed in metadata.csv but not in " in printed.err
    assert f"absent: 7: in {tmp_path / 'd' / 'raw'} but not listed in metadata.csv, so that its visit" in printed.err
    assert "2 absent" in printed.out
    (row,) = require_what_is_seen(tmp_path / "s", codec)
    assert "c2w" not in row.tensors
    assert "24 videos without trajectory" in StoreLayout(tmp_path / "s").scene(known).read_text()


def test_videos_with_and_without_poses(tmp_path, prepare, codec, videos_tree, tiny_room):
    shutil.copytree(videos_tree, tmp_path / "v")
    lens = Intrinsics.from_horizontal_fov(60, 64, 48)
    save_path(tmp_path / "v" / "hall.poses.json", CameraPath(tour(tiny_room, 21, seed=1), lens), "nerfstudio")
    assert prepare("videos", tmp_path / "v", tmp_path / "s", "--every", 2) == 0
    store = require_what_is_seen(tmp_path / "s", codec)
    assert store.environments() == {"attic": ["day", "night"], "hall": ["hall"], "yard": ["yard"]}
    assert [row.video_id for row in store if row.intrinsics is not None] == ["hall"]
    assert [row.video_id for row in store if "c2w" in row.tensors] == ["hall"]
    assert all((row.frames, row.fps) == (9, 10.0) for row in store)


def test_files_tell_no_time_and_no_place_of_their_own(clean):
    files = contents(clean)
    assert sorted(files) == [
        "index.parquet",
        "origin.json",
        *(f"scenes/{name}.json" for name in ("day", "hall", "night", "yard")),
        *(f"shards/{name}.safetensors" for name in ("day", "hall", "night", "yard")),
    ]
    assert not [name for name, content in files.items() if str(clean).encode() in content]
