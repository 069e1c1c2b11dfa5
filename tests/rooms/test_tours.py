import numpy as np
import pytest

from video4spatial.rooms import NoViewpoint, Room, is_centred, tour
from video4spatial.rooms.motion import gaze_of_pose, limit_rate, poses_from_gaze, smooth_pinned
from video4spatial.schema import InputError, Intrinsics

FPS = 16.0


def turn_rates(poses: np.ndarray) -> np.ndarray:
    """Degrees a second between the viewing directions of neighbouring frames."""
    forward = poses[:, :3, 2]
    return np.degrees(np.arccos(np.clip((forward[1:] * forward[:-1]).sum(1), -1, 1))) * FPS


def speeds(poses: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(poses[:, :2, 3], axis=0), axis=1) * FPS


def assert_fit_for_a_person(room: Room, poses: np.ndarray, fastest: float = 1.4) -> None:
    """Rigid poses in the room, out of the furniture, neither rushing nor whirling."""
    rotation = poses[:, :3, :3]
    assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(rotation), 1)
    assert np.allclose(poses[:, 3], [0, 0, 0, 1])
    assert (poses[:, :3, 3] > 0.05).all()
    assert (poses[:, :3, 3] < np.array(room.size) - 0.05).all()
    assert room.walkable.clearance_at(poses[:, :2, 3]).min() >= 0.1
    assert turn_rates(poses).max() < 76
    assert speeds(poses).max() < fastest


def test_a_covering_tour_is_fit_for_a_person_and_covers(rooms: list[Room], camera: Intrinsics):
    for room in rooms:
        poses = tour(room, 300)
        assert_fit_for_a_person(room, poses)
        seen = np.unique(room.instances(poses[::10], camera))
        assert len(seen) > 0.6 * len(room.objects)
        assert np.array_equal(poses, tour(room, 300))
        assert not np.array_equal(poses, tour(room, 300, seed=1))


@pytest.mark.parametrize("frames", [25, 41, 200])
def test_a_tour_ends_with_its_target_in_the_centre(rooms: list[Room], camera: Intrinsics, frames: int):
    reached, asked = 0, 0
    for room in rooms:
        for target in room.targets()[:4]:
            asked += 1
            try:
                poses = tour(room, frames, seed=frames, target=target.object_id)
            except NoViewpoint:
                continue
            reached += 1
            assert_fit_for_a_person(room, poses)
            last = room.instances(poses[-1:], camera)[0]
            assert is_centred(last, target.object_id, 0.3)
            assert (last == target.object_id).sum() >= 25
    assert reached > 0.8 * asked


def test_a_tour_goes_on_from_a_given_pose(rooms: list[Room], camera: Intrinsics):
    reached = 0
    for room in rooms:
        start = tour(room, 60, seed=3)[-1]
        for target in room.targets()[:4]:
            try:
                poses = tour(room, 41, target=target.object_id, start=start)
            except NoViewpoint:
                continue
            reached += 1
            assert np.allclose(poses[0], start, atol=1e-6)
            assert_fit_for_a_person(room, poses, fastest=2.0)
            assert is_centred(room.instances(poses[-1:], camera)[0], target.object_id, 0.3)
    assert reached >= 6


def test_a_start_without_a_target_is_where_the_tour_begins(room: Room):
    start = tour(room, 60, seed=3)[-1]
    poses = tour(room, 50, seed=5, start=start)
    assert np.allclose(poses[0], start, atol=1e-6)
    assert_fit_for_a_person(room, poses)


def test_waypoints_are_visited(room: Room):
    points = room.walkable.points
    ends = points[[0, len(points) // 2, -1]]
    poses = tour(room, 200, waypoints=[tuple(point) for point in ends])
    for end in ends:
        assert np.linalg.norm(poses[:, :2, 3] - end, axis=1).min() < 0.35


def test_an_object_out_of_reach_has_no_viewpoint(room: Room):
    target = room.targets()[0].object_id
    start = _facing_away(room, target)
    with pytest.raises(NoViewpoint):
        tour(room, 5, target=target, start=start)
    assert len(tour(room, 96, target=target, start=start)) == 96


def _facing_away(room: Room, object_id: int) -> np.ndarray:
    """A pose in the room with its back to an object."""
    points = room.walkable.points
    centre = room.object(object_id).centre[:2]
    here = points[np.linalg.norm(points - centre, axis=1).argmax()]
    yaw = np.arctan2(*(here - centre)[::-1])
    return poses_from_gaze(np.array([[*here, 1.5]]), np.array([yaw]), np.zeros(1), np.zeros(1))[0]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_tours_work(room: Room, frames: int):
    target = room.targets()[0].object_id
    assert tour(room, frames).shape == (frames, 4, 4)
    assert tour(room, frames, target=target).shape == (frames, 4, 4)
    assert tour(room, frames, start=tour(room, 1)[0]).shape == (frames, 4, 4)


@pytest.mark.parametrize("arguments", [{"frames": 0}, {"frames": 5, "fps": 0}, {"frames": 5, "waypoints": []}])
def test_impossible_tours_are_input_errors(room: Room, arguments: dict):
    with pytest.raises(InputError):
        tour(room, **arguments)


def test_gaze_angles_survive_a_round_trip():
    for angles in ((0.3, -0.4, 0.1), (-2.5, 0.5, -0.2), (3.0, 0.0, 0.0)):
        yaw, pitch, roll = (np.array([angle]) for angle in angles)
        pose = poses_from_gaze(np.zeros((1, 3)), yaw, pitch, roll)[0]
        assert gaze_of_pose(pose) == pytest.approx(angles)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_pinned_smoothing_keeps_ends_and_rates():
    signal = np.cumsum(np.random.default_rng(0).uniform(-1, 1, 50))
    smoothed = smooth_pinned(signal, 4.0)
    assert smoothed[[0, -1]] == pytest.approx(signal[[0, -1]])
    assert np.abs(np.diff(smoothed)).max() <= np.abs(np.diff(signal)).max()


def test_limited_rates_meet_both_ends():
    followed = limit_rate(np.full(20, 5.0), 0.2, 0.0, 1.0)
    assert followed[[0, -1]] == pytest.approx([0.0, 1.0])
    assert np.abs(np.diff(followed)).max() <= 0.2 + 1e-12
