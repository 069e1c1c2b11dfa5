"""The rooms reconstructor judged by videos of known quality: the self-checks of Spatial Distance, small.

The full table, over more rooms and all levels: benchmarks/spatial.py.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig
from video4spatial.evaluate.altered import headings, in_view_places, moved, stretched, with_guests
from video4spatial.evaluate.depth_net import DepthNet, floor_inverse_depth, log_depth
from video4spatial.evaluate.following import measure_following
from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed
from video4spatial.evaluate.rooms_reconstructor import RoomsReconstructor, depth_net, resized, working_lens
from video4spatial.evaluate.scene_pose import ScenePoses, agreement, blurred, interpolated, pyramid
from video4spatial.evaluate.spatial import SceneCloud, SpatialOutcome, measure
from video4spatial.evaluate.train_depth import LAST_SEED, make_pairs, spoiled
from video4spatial.geometry.cameras import unproject_depth
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.rooms import tour
from video4spatial.schema import InputError, Intrinsics

CONFIG = RoomsConfig(frames=17, difficulty=0.3, quality=0.3, rays=4)


@pytest.fixture(scope="module")
def held_out():
    """One held-out room with a walk of 17 frames, its anchors, its cloud; and another room."""
    room, other = CONFIG.room(HELD_OUT_SEED + 504), CONFIG.room(HELD_OUT_SEED + 505)
    c2w = tour(room, 51, seed=3, fps=CONFIG.fps)[::3]
    context = tour(room, 121, seed=4, fps=CONFIG.fps)[::3][:40]
    anchors = Anchors(room.render(context, CONFIG.intrinsics).rgb, context, CONFIG.intrinsics)
    cloud = SceneCloud(room.point_cloud(200_000).points)
    made = SimpleNamespace(room=room, other=other, c2w=c2w, anchors=anchors, cloud=cloud)
    made.truth = room.render(c2w, CONFIG.intrinsics).rgb
    made.foreign = other.render(tour(other, 51, seed=3, fps=CONFIG.fps)[::3], CONFIG.intrinsics).rgb
    made.reconstructor = RoomsReconstructor(room)
    made.sd = lambda frames: measure(frames, anchors, cloud, made.reconstructor)
    return made


@pytest.fixture(scope="module")
def true_result(held_out):
    return held_out.sd(held_out.truth)


def test_the_true_video_is_near_the_scene_and_its_cameras_are_found(held_out, true_result):
    assert true_result.outcome is SpatialOutcome.SCORED
    assert true_result.distance < 0.07
    made = held_out.reconstructor(held_out.truth, held_out.anchors)
    off = np.linalg.norm(made.c2w[:, :3, 3] - held_out.c2w[:, :3, 3], axis=1)
    assert made.found.all()
    assert off.max() < 0.05
    followed = measure_following(made, held_out.anchors, held_out.cloud, held_out.c2w)
    assert followed.most_degrees < 2
    assert followed.most_metres < 0.1


def test_a_larger_video_of_the_same_walk_gives_the_same(held_out, true_result):
    lens = CONFIG.intrinsics.resized(192, 128)
    frames = held_out.room.render(held_out.c2w, lens).rgb
    anchors = Anchors(held_out.room.render(held_out.anchors.c2w, lens).rgb, held_out.anchors.c2w, lens)
    result = measure(frames, anchors, held_out.cloud, held_out.reconstructor)
    assert result.distance == pytest.approx(true_result.distance, abs=0.02)


def test_moved_furniture_is_seen(held_out, true_result):
    ways = headings(held_out.room, held_out.c2w[:, :3, 3], 1.0)
    assert ways
    distances = [true_result.distance]
    for metres in (0.2, 0.5, 1.0):
        shown = moved(held_out.room, {k: metres * way for k, way in ways.items()})
        distances.append(held_out.sd(shown.render(held_out.c2w, CONFIG.intrinsics).rgb).distance)
    assert distances == sorted(distances)
    assert distances[-1] > distances[0] + 0.02


def test_invented_objects_are_seen(held_out, true_result):
    places = in_view_places(held_out.room, held_out.c2w, 3, 0.6)
    assert places
    shown = with_guests(held_out.room, held_out.other, places, 0.6)
    assert held_out.sd(shown.render(held_out.c2w, CONFIG.intrinsics).rgb).distance > true_result.distance + 0.02


def test_frames_of_another_room_are_seen(held_out, true_result):
    distances = [true_result.distance]
    for replaced in ([8], [3, 8, 12], [3, 5, 8, 10, 12, 14]):
        mixed = held_out.truth.copy()
        mixed[replaced] = held_out.foreign[replaced]
        distances.append(held_out.sd(mixed).distance)
    assert distances[1] > distances[0] + 0.1
    assert (
        np.diff(distances) > -0.01
    ).all()  # poses of lost frames are interpolated, between other neighbours each time


@pytest.mark.parametrize("kind", ["noise", "black", "another room"])
def test_what_is_not_the_room_is_lost_and_has_no_camera_error(held_out, kind):
    frames = held_out.foreign
    if kind != "another room":
        rng = np.random.default_rng(0)
        frames = rng.integers(0, 256, held_out.truth.shape, dtype=np.uint8) * np.uint8(kind == "noise")
    result = held_out.sd(frames)
    assert result.outcome is SpatialOutcome.LOST
    assert result.lost > 0.9
    assert result.distance is None
    assert not result.within(10)
    followed = measure_following(
        held_out.reconstructor(frames, held_out.anchors), held_out.anchors, held_out.cloud, held_out.c2w
    )
    assert (followed.degrees, followed.metres) == (None, None)
    assert "not found" in followed.reason


def test_frames_that_were_lost_are_counted_and_most_of_them_leave_no_distance(held_out):
    mixed = held_out.truth.copy()
    mixed[3:6] = held_out.foreign[3:6]
    result = held_out.sd(mixed)
    assert result.outcome is SpatialOutcome.SCORED
    assert result.lost == pytest.approx(3 / 17)
    mixed[3:] = held_out.foreign[3:]
    mostly = held_out.sd(mixed)
    assert mostly.outcome is SpatialOutcome.LOST
    assert mostly.lost == pytest.approx(14 / 17)
    assert "may be lost" in mostly.reason


def test_one_frame_and_none(held_out):
    assert held_out.sd(held_out.truth[:1]).distance < 0.07
    assert isinstance(held_out.reconstructor(held_out.truth[:0], held_out.anchors), NotReconstructed)


def test_sizes_are_checked(held_out):
    with pytest.raises(InputError, match="another shape"):
        held_out.reconstructor(np.zeros((2, 64, 64, 3), np.uint8), held_out.anchors)
    with pytest.raises(InputError, match="at least 32"):
        working_lens(Intrinsics.from_horizontal_fov(72, 24, 16))
    assert (working_lens(Intrinsics.from_horizontal_fov(72, 416, 256)).height) == 64
    assert resized(np.zeros((2, 128, 192, 3), np.uint8), CONFIG.intrinsics).shape == (2, 64, 96, 3)


def test_alignment_converges_to_the_pose(held_out):
    poses = ScenePoses(held_out.room, held_out.anchors.c2w, CONFIG.intrinsics)
    true = held_out.c2w[5]
    start = true @ pose_from_waypoint([0.03, -0.02, 0.03], 0.02, -0.01, 0.01)
    found = poses.align(pyramid(held_out.truth[5]), start, ((1, 4),))
    assert np.linalg.norm(found.c2w[:3, 3] - true[:3, 3]) < 0.01
    assert found.agreement > 0.95
    np.testing.assert_allclose(found.c2w[:3, :3].T @ found.c2w[:3, :3], np.eye(3), atol=1e-9)


def test_agreement_by_hand():
    frame = blurred(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))
    assert agreement(frame, frame) == 1
    assert agreement(frame, frame + 20) == pytest.approx(1, abs=1e-5)  # brightness aside
    assert agreement(frame, np.full_like(frame, 100)) == pytest.approx(0, abs=0.01)
    half = np.concatenate([frame[:, :20], 255 - frame[:, 20:]], axis=1)  # more than half of the blocks are the frame's
    assert agreement(frame, np.concatenate([frame[:, :30], half[:, 30:]], axis=1)) > 0.8
    assert agreement(np.full_like(frame, 7), np.full_like(frame, 7)) == 0  # nothing to agree with


def test_poses_between_known_ones():
    c2w = np.tile(np.eye(4), (5, 1, 1))
    c2w[3] = pose_from_waypoint([2, 0, 0], yaw=1.0)
    known = np.array([False, True, False, True, False])
    out = interpolated(c2w, known)
    np.testing.assert_allclose(out[2], pose_from_waypoint([1, 0, 0], yaw=0.5), atol=1e-9)
    np.testing.assert_allclose(out[0], c2w[1])
    np.testing.assert_allclose(out[4], c2w[3])


def test_the_floor_is_where_it_is_said_to_be():
    lens = Intrinsics.from_horizontal_fov(72, 48, 32)
    c2w = np.array([[1.0, 0, 0, 1], [0, 0, 1, 2], [0, -1, 0, 1.5], [0, 0, 0, 1]])  # looks along y, level
    inverse = floor_inverse_depth(c2w[None], lens)[0]
    below = inverse > 0.05
    points = unproject_depth(np.where(below, 1 / np.where(below, inverse, 1), 1.0), c2w, lens)[below]
    np.testing.assert_allclose(points[:, 2], 0, atol=1e-5)
    assert (inverse[:16] < 0).all()  # above the horizon


def test_weights_are_checked(tmp_path):
    with pytest.raises(InputError, match="train_depth"):
        depth_net(tmp_path / "none.safetensors")
    save_file({"head.bias": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="another network"):
        depth_net(tmp_path / "other.safetensors")


def test_depth_mixes_known_and_own():
    net = DepthNet().eval()
    with torch.no_grad():
        image, known = torch.rand(2, 3, 32, 48), log_depth(torch.rand(2, 32, 48) * 5)
        answer = net(image, image, known, torch.zeros(2, 32, 48))
    weight = torch.sigmoid(answer.known_logit)
    torch.testing.assert_close(answer.log_depth, weight * known + (1 - weight) * answer.own)
    assert log_depth(torch.tensor([[0.0, 100.0, 1.0]])).tolist() == [pytest.approx([np.log(12)] * 2 + [0])]


def test_training_pairs_are_of_rooms_that_may_be_trained_on():
    config = RoomsConfig(width=48, height=32, difficulty=0.2, quality=0.2, rays=2)
    other = config.room(1)
    pairs, _ = make_pairs(2, config, other)
    assert pairs.frame.shape == pairs.known.shape == (32, 32, 48, 3)
    changed = np.abs(np.log(pairs.depth) - np.log(pairs.known_depth)) > 0.02
    assert 0.1 < changed.mean() < 0.9
    assert spoiled(pairs.frame[0], np.random.default_rng(1)).shape == (32, 48, 3)
    with pytest.raises(InputError, match="below 900000"):
        make_pairs(LAST_SEED, config, other)


def test_a_uniformly_scaled_room_cannot_be_told(held_out):
    """Seen along a path scaled with it, a scaled room gives the same pixels: no reconstructor can see it."""
    factor = 1.2
    middle = np.array([held_out.room.size[0] / 2, held_out.room.size[1] / 2, 0])
    c2w = held_out.c2w.copy()
    c2w[:, :3, 3] = (c2w[:, :3, 3] - middle) * factor + middle
    shown = stretched(held_out.room, np.full(3, factor)).render(c2w[:3], CONFIG.intrinsics).rgb
    assert np.abs(shown.astype(int) - held_out.truth[:3].astype(int)).mean() < 2
