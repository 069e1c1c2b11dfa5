import numpy as np
import pytest

from video4spatial.rooms import Room, follow
from video4spatial.schema import InputError

MIDDLE = (2.0, 1.5, 1.4)


def test_axes_and_signs(room: Room):
    level = follow(room, [(*MIDDLE, 0, 0, 0)], 1)[0]
    assert np.allclose(level[:3, 3], MIDDLE)
    assert np.allclose(level[:3, :3].T, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # right, down, forward
    assert follow(room, [(*MIDDLE, 0.3, 0, 0)], 1)[0, 0, 2] > 0.2  # +yaw turns right
    assert follow(room, [(*MIDDLE, 0, 0.3, 0)], 1)[0, 2, 2] > 0.2  # +pitch looks up
    assert follow(room, [(*MIDDLE, 0, 0, 0.3)], 1)[0, 2, 0] < -0.2  # +roll dips the right side


def test_it_starts_and_ends_at_the_waypoints_and_passes_the_others(room: Room):
    waypoints = [(1, 1, 1.5, 0, 0, 0), (2, 1, 1.5, 1.0, 0.1, 0), (2, 1, 1.5, 1.0, 0.1, 0), (2, 2, 1.2, 2.0, 0, 0.1)]
    poses = follow(room, waypoints, 200)
    assert np.allclose(poses[0], follow(room, waypoints[:1], 1)[0])
    assert np.allclose(poses[-1], follow(room, waypoints[-1:], 1)[0])
    middle = follow(room, waypoints[1:2], 1)[0]
    assert np.abs(poses - middle).max((1, 2)).min() < 0.03
    rotation = poses[:, :3, :3]
    assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3))
    assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).max() < 0.05


def test_bad_waypoints_are_input_errors(room: Room):
    for waypoints in ([], [(1, 2, 3)], [(-1, 1, 1, 0, 0, 0)], [(1, 1, np.nan, 0, 0, 0)]):
        with pytest.raises(InputError):
            follow(room, waypoints, 5)
    with pytest.raises(InputError):
        follow(room, [(*MIDDLE, 0, 0, 0)], 0)
