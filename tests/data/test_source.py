"""Sources of each kind behind one door, and scenes as they are encoded."""

import arkitscenes_tree
import numpy as np
import pytest
import scannetpp_tree

from video4spatial.data.rooms import RoomScene
from video4spatial.data.runs import Run
from video4spatial.data.sampled import Sampled, sampled_length
from video4spatial.data.scene import BadScene, Scene
from video4spatial.data.source import open_source
from video4spatial.geometry.cameras import project, unproject_depth
from video4spatial.rooms import tour
from video4spatial.schema import Clip, InputError
from video4spatial.storage.resize import resize_clip
from video4spatial.storage.video import write_video

TINY = {"width": 64, "height": 32, "frames": 9, "difficulty": 0.1, "quality": 0.3, "rays": 2}


def test_rooms():
    source = open_source("rooms", "3:5", {**TINY, "tours": 2})
    assert [(unit.unit_id, unit.environment_id) for unit in source.units] == [
        ("room3-0", "room3"), ("room3-1", "room3"), ("room4-0", "room4"), ("room4-1", "room4"),
    ]  # fmt: skip
    assert source.every == 1
    scene = source.open("room3-1")
    assert isinstance(scene, RoomScene)
    assert (scene.video_id, scene.environment_id, len(scene)) == ("room3-1", "room3", 9)
    again = open_source(source.kind, source.root, source.options)
    np.testing.assert_array_equal(again.open("room3-1").c2w, scene.c2w)
    with pytest.raises(BadScene, match="room9-0 is not among"):
        source.open("room9-0")


@pytest.mark.parametrize("root", ["", "5", "4:4", "7:3", "-1:3", "a:b"])
def test_a_range_of_seeds_that_is_none(root):
    with pytest.raises(InputError, match="give a range of seeds, for example 0:16"):
        open_source("rooms", root)


def test_scannetpp(tmp_path, tiny_room):
    scannetpp_tree.write_release(tmp_path, scannetpp_tree.walk(tiny_room))
    everything = open_source("scannetpp", tmp_path)
    assert [(unit.unit_id, unit.environment_id) for unit in everything.units] == [
        (scannetpp_tree.SCENE_ID, f"scannetpp-{scannetpp_tree.SCENE_ID}")
    ]
    assert everything.absent == ()
    split = open_source("scannetpp", tmp_path, {"split": "nvs_sem_train", "max_gap": 1}, frames_only=True)
    assert split.units == everything.units
    assert [unit.unit_id for unit in split.absent] == [scannetpp_tree.ABSENT_ID]
    assert "listed in splits/nvs_sem_train.txt but not in" in split.absent[0].reason
    assert split.options["poses"] == "arkit"
    assert split.options["objects"] is True
    scene = split.open(scannetpp_tree.SCENE_ID)
    assert isinstance(scene, Scene)
    assert scene.objects == []
    assert scene.depth([0]) is None
    assert len(open_source("scannetpp", tmp_path, split.options).open(scannetpp_tree.SCENE_ID).objects) > 0
    with pytest.raises(BadScene, match="is not on disk"):
        split.open(scannetpp_tree.ABSENT_ID)


def test_arkitscenes(tmp_path, tiny_room):
    c2w = tour(tiny_room, 24, seed=4, fps=60.0)
    arkitscenes_tree.write_video(tmp_path, tiny_room, c2w, "40000001", "500001", paint=False)
    arkitscenes_tree.write_video(tmp_path, tiny_room, c2w, "40000002", "500002", fold="Validation", paint=False)
    arkitscenes_tree.add_row(tmp_path, "40000003", "500001", "Up", "Training")
    arkitscenes_tree.add_row(tmp_path, "40000004", "500002", "Up", "Training")
    (tmp_path / "raw" / "Training" / "40000005").mkdir()
    everything = open_source("arkitscenes", tmp_path)
    assert [(unit.unit_id, unit.environment_id) for unit in everything.units] == [
        ("40000001", "arkit-visit-500001"), ("40000002", "arkit-visit-500002"),
    ]  # fmt: skip
    assert [unit.unit_id for unit in everything.absent] == ["40000003", "40000004", "40000005"]
    assert "its visit is unknown" in everything.absent[2].reason
    training = open_source("arkitscenes", tmp_path, {"split": "Training"})
    assert [unit.unit_id for unit in training.units] == ["40000001"]
    assert [unit.unit_id for unit in training.absent] == ["40000003", "40000005"]  # 40000004's visit is held out
    assert len(training.open("40000001")) == 12
    with pytest.raises(InputError, match="no fold 'train'"):
        open_source("arkitscenes", tmp_path, {"split": "train"})


def test_videos(tmp_path, noise_frames):
    write_video(tmp_path / "hall.mp4", Clip(noise_frames, 20.0))
    source = open_source("videos", tmp_path, {"fps": 10.0})
    assert [(unit.unit_id, unit.environment_id) for unit in source.units] == [("hall", "hall")]
    assert len(source.open("hall")) == 11
    with pytest.raises(BadScene, match="has no video attic"):
        source.open("attic")


def test_what_no_source_is(tmp_path):
    with pytest.raises(InputError, match="no source 'kinect': choose one of scannetpp, arkitscenes, rooms, videos"):
        open_source("kinect", tmp_path)
    with pytest.raises(InputError, match="rooms has no option 'fold': its options are tours, frames"):
        open_source("rooms", "0:1", {"fold": 1})
    with pytest.raises(InputError, match="option tours of rooms is 'two': give int"):
        open_source("rooms", "0:1", {"tours": "two"})
    with pytest.raises(InputError, match=r"option fps of videos is True: give float \| None"):
        open_source("videos", tmp_path, {"fps": True})


@pytest.mark.parametrize(("frames", "every", "taken"), [(0, 3, 0), (1, 3, 1), (481, 3, 161), (480, 3, 157), (9, 1, 9)])
def test_how_many_frames_are_taken(frames, every, taken):
    assert sampled_length(frames, every) == taken


@pytest.fixture(scope="module")
def walk(tmp_path_factory, tiny_room):
    root = tmp_path_factory.mktemp("release")
    scannetpp_tree.write_release(root, scannetpp_tree.walk(tiny_room, 30))
    return open_source("scannetpp", root).open(scannetpp_tree.SCENE_ID)


def test_a_scene_as_it_is_encoded(walk):
    seen = Sampled(walk, 3, 64, 32)
    assert isinstance(seen, Scene)
    assert (len(seen), seen.fps, seen.video_id) == (9, walk.fps / 3, walk.video_id)
    np.testing.assert_array_equal(seen.c2w, walk.c2w[:27:3])
    np.testing.assert_array_equal(seen.timestamps, walk.timestamps[:27:3])
    expected = resize_clip(Clip(walk.frames([24, 3]), 1.0), 64, 32).frames
    np.testing.assert_array_equal(seen.frames([8, 1]), expected)
    assert (seen.intrinsics.width, seen.intrinsics.height) == (64, 32)
    assert seen.objects == walk.objects
    for wrong in (-1, 9):
        with pytest.raises(IndexError, match="9 frames"):
            seen.frames([wrong])


def test_its_depth_is_of_the_same_view(walk):
    """What a depth pixel shows is where the lens of the cropped frame says."""
    seen = Sampled(walk, 3, 64, 32)
    depth = seen.depth([2])[0]
    lens = seen.intrinsics.resized(depth.shape[1], depth.shape[0])
    whole = walk.depth([6])[0]
    places = unproject_depth(depth, seen.c2w[2], lens)
    back = project(places.reshape(-1, 3), walk.c2w[6], walk.intrinsics.resized(256, 192))[0]
    u, v = np.floor(np.asarray(back)).astype(int).reshape(*depth.shape, 2).transpose(2, 0, 1)
    inside = (u >= 0) & (u < 256) & (v >= 0) & (v < 192)
    assert inside.mean() > 0.98
    assert np.mean(np.abs(whole[v[inside], u[inside]] - depth[inside]) < 0.02 * depth[inside]) > 0.97


def test_a_stored_video_is_seen_again(walk):
    part = Sampled(Run(walk, 2, 30), 3, 64, 32)
    assert part.video_id.endswith("-iphone-000002")
    np.testing.assert_array_equal(part.frames([4]), Sampled(walk, 1, 64, 32).frames([14]))


def test_a_scene_without_poses(tmp_path, noise_frames):
    write_video(tmp_path / "hall.mp4", Clip(noise_frames, 20.0))
    seen = Sampled(open_source("videos", tmp_path).open("hall"), 2, 32, 32)
    assert (seen.c2w, seen.intrinsics, seen.depth([0]), len(seen)) == (None, None, None, 9)
    with pytest.raises(InputError, match="every is 0"):
        Sampled(seen, 0, 32, 32)
