"""Poses looked up by time."""

import numpy as np

from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.geometry.timed import TimedPoses, is_posed


def turning(times: np.ndarray) -> np.ndarray:
    """A camera that walks and turns at an even pace: interpolation is exact for it."""
    return np.stack([pose_from_waypoint([2 * t, 1.0, -t], 0.7 * t) for t in times.tolist()])


def test_an_even_motion_is_interpolated_exactly():
    recorded = np.arange(0, 2, 0.1)
    asked = np.linspace(0, 1.9, 57)
    np.testing.assert_allclose(TimedPoses(recorded, turning(recorded)).at(asked), turning(asked), atol=0.01)
    strict = TimedPoses(recorded, turning(recorded)).at(asked, exact=0.0)
    np.testing.assert_allclose(strict, turning(asked), atol=1e-9)


def test_no_pose_beyond_the_ends_nor_in_a_gap():
    recorded = np.array([1.0, 1.1, 1.5, 1.6])
    poses = TimedPoses(recorded, turning(recorded)).at(
        np.array([0.99, 0.996, 1.05, 1.104, 1.3, 1.496, 1.55, 1.604, 1.7])
    )
    assert is_posed(poses).tolist() == [False, True, True, True, False, True, True, True, False]
    np.testing.assert_array_equal(poses[[1, 3]], turning(np.array([1.0, 1.1])))  # within 5 ms: as they are
    assert is_posed(TimedPoses(recorded, turning(recorded)).at(np.array([1.3]), max_gap=0.4)).all()


def test_one_pose_and_none():
    one = TimedPoses(np.array([1.0]), turning(np.array([1.0])))
    assert is_posed(one.at(np.array([0.9, 1.0, 1.1]))).tolist() == [False, True, False]
    none = TimedPoses(np.zeros(0), np.zeros((0, 4, 4)))
    assert not is_posed(none.at(np.array([0.9]))).any()
