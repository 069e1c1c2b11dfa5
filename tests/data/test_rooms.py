"""Rooms as scenes and as annotated videos."""

import numpy as np
import pytest

from video4spatial.data.rooms import HELD_OUT_SEED, RoomScene, RoomsConfig, plain_video, training_videos
from video4spatial.data.scene import Scene
from video4spatial.geometry.boxes import iou, read_red_box
from video4spatial.geometry.cameras import project, unproject
from video4spatial.rooms import is_centred, object_box, tour
from video4spatial.schema import DEFAULT_SCENE, Box


@pytest.fixture(scope="module")
def scene(tiny_room, tiny_rooms) -> RoomScene:
    return RoomScene(tiny_room, tour(tiny_room, 9, seed=2), tiny_rooms, "walk")


def test_a_room_is_a_scene(scene, tiny_room):
    assert isinstance(scene, Scene)
    assert len(scene) == len(scene.timestamps) == 9
    np.testing.assert_allclose(np.diff(scene.timestamps), 1 / scene.fps)
    assert (scene.environment_id, scene.video_id) == ("room3", "room3-walk")
    assert [o.object_id for o in scene.objects] == [o.id for o in tiny_room.objects]
    assert all(o.corners.shape == (8, 3) for o in scene.objects)


def test_frames_depth_and_ids_are_the_rooms_render(scene, tiny_room):
    rendered = tiny_room.render(scene.c2w[[7, 0]], scene.intrinsics)
    np.testing.assert_array_equal(scene.frames([7, 0]), rendered.rgb)
    np.testing.assert_array_equal(scene.depth([7, 0]), rendered.depth)
    np.testing.assert_array_equal(scene.instances([7, 0]), rendered.instance)
    assert scene.frames([7]).shape == (1, 32, 64, 3)


def test_a_grounding_video_ends_with_the_box_of_its_object(tiny_grounding, tiny_room, tiny_rooms):
    video = tiny_grounding
    tail = video.tail_frames
    assert len(video.clip) == len(video.c2w) == tiny_rooms.frames
    held = video.clip.frames[-tail:]
    assert (held == held[0]).all()
    assert (video.c2w[-tail:] == video.c2w[-tail - 1]).all()
    instance = tiny_room.render(video.c2w[-1:], video.intrinsics).instance[0]
    assert is_centred(instance, video.meta["object_id"], 0.45)
    truth = object_box(instance, video.meta["object_id"])
    assert Box(*video.meta["box"]) == truth
    read = read_red_box(held, before=video.clip.frames[-tail - 2 : -tail])
    assert read is not None
    assert iou(read[0], truth) > 0.7
    assert read_red_box(video.clip.frames[-tail - 4 : -tail]) is None


def test_its_sentences_name_the_object(tiny_grounding, tiny_room):
    described, plain = tiny_grounding.sentences
    assert f"the {tiny_grounding.meta['phrase']} in the center" in plain
    assert DEFAULT_SCENE in plain
    assert tiny_room.describe() in described


def test_the_first_and_the_unmoved_part_are_a_walk(tiny_grounding):
    """Poses move by walking speed, and frames change with them."""
    moving = tiny_grounding.c2w[: -tiny_grounding.tail_frames]
    steps = np.linalg.norm(np.diff(moving[:, :3, 3], axis=0), axis=1)
    assert steps.max() < 0.15
    assert moving[:, :3, 3].std() > 0.01
    assert (np.diff(tiny_grounding.clip.frames[:-8].astype(int), axis=0) != 0).any(axis=(1, 2, 3)).all()


def test_a_plain_video_promises_nothing(tiny_walk, tiny_rooms):
    assert tiny_walk.sentences == ()
    assert tiny_walk.tail_frames == 0
    assert len(tiny_walk.clip) == len(tiny_walk.c2w) == tiny_rooms.frames


def test_poses_and_frames_agree(tiny_room, tiny_walk, tiny_rooms):
    """A point seen at its depth in one frame is where another frame's pose says it is."""
    rendered = tiny_room.render(tiny_walk.c2w[[0, 4]], tiny_walk.intrinsics)
    pixels = np.stack(np.meshgrid(np.arange(8, 56, 8) + 0.5, np.arange(8, 24, 4) + 0.5), -1).reshape(-1, 2)
    depth = rendered.depth[0][pixels[:, 1].astype(int), pixels[:, 0].astype(int)].astype(float)
    points = unproject(pixels, depth, tiny_walk.c2w[0], tiny_walk.intrinsics)
    seen, at = project(points, tiny_walk.c2w[4], tiny_walk.intrinsics)
    inside = (seen > 0).all(1) & (seen < [64, 32]).all(1)
    found = rendered.depth[1][seen[inside, 1].astype(int), seen[inside, 0].astype(int)]
    assert inside.sum() > 10
    assert np.median(np.abs(found - at[inside])) < 0.05


def test_training_videos_are_repeatable_and_end_at_different_objects(tiny_rooms):
    videos, again = training_videos(5, tiny_rooms), training_videos(5, tiny_rooms)
    assert len(videos) == tiny_rooms.videos
    for video, same in zip(videos, again, strict=True):
        np.testing.assert_array_equal(video.clip.frames, same.clip.frames)
        assert video.video_id == same.video_id
    assert len({video.video_id for video in videos}) == len(videos)
    named = [video.meta["object_id"] for video in videos if video.sentences]
    assert len(set(named)) == len(named)
    assert {video.environment_id for video in videos} == {"room5"}


@pytest.mark.parametrize("seed", [HELD_OUT_SEED, HELD_OUT_SEED + 7])
def test_held_out_rooms_are_never_trained_on(seed, tiny_rooms):
    with pytest.raises(ValueError, match=f"room seed {seed} is held out"):
        training_videos(seed, tiny_rooms)


def test_more_videos_than_targets_are_filled_with_plain_walks():
    config = RoomsConfig(width=64, height=32, frames=13, tail_frames=4, difficulty=0.0, quality=0.2, rays=1, videos=9)
    room = config.room(1)
    assert len(room.targets()) < 9
    videos = training_videos(1, config)
    assert len(videos) == 9
    assert any(not video.sentences for video in videos)
    assert len({video.video_id for video in videos}) == 9


def test_plain_videos_of_other_seeds_are_other_walks(tiny_room, tiny_rooms, tiny_walk):
    other = plain_video(tiny_room, tiny_rooms, seed=1)
    assert other.video_id != tiny_walk.video_id
    assert not np.allclose(other.c2w, tiny_walk.c2w)
