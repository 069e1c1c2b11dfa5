"""The pose convention, by hand-worked cases and by axioms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.geometry import poses
from video4spatial.schema import InputError

RIGHT, UP, AHEAD = np.array([1.0, 0, 0]), np.array([0.0, -1, 0]), np.array([0.0, 0, 1])
angle = st.floats(-np.pi, np.pi)
metre = st.floats(-50, 50)
pose = st.builds(
    lambda x, y, z, yaw, pitch, roll: poses.pose_from_waypoint([x, y, z], yaw, pitch, roll),
    *[metre] * 3,
    *[angle] * 3,
)


def test_quarter_turns_by_hand():
    """Each angle alone, a quarter turn: where the camera's axes end up in the reference frame."""
    yaw = poses.rotation_from_angles(np.pi / 2, 0.0, 0.0)
    np.testing.assert_allclose(yaw @ AHEAD, RIGHT, atol=1e-15)  # +yaw looks right
    np.testing.assert_allclose(yaw @ UP, UP, atol=1e-15)
    pitch = poses.rotation_from_angles(0.0, np.pi / 2, 0.0)
    np.testing.assert_allclose(pitch @ AHEAD, UP, atol=1e-15)  # +pitch looks up
    roll = poses.rotation_from_angles(0.0, 0.0, np.pi / 2)
    np.testing.assert_allclose(roll @ RIGHT, -UP, atol=1e-15)  # +roll dips the right side
    np.testing.assert_allclose(roll @ AHEAD, AHEAD, atol=1e-15)


def test_order_by_hand():
    """Yaw 90 then pitch 90 (in the turned camera): it looks up, its top points back to where it came from, left."""
    rotation = poses.rotation_from_angles(np.pi / 2, np.pi / 2, 0.0)
    np.testing.assert_allclose(rotation, [[0, 1, 0], [0, 0, -1], [-1, 0, 0]], atol=1e-15)


def test_order_is_yaw_pitch_roll():
    def about(axis, a):
        c, s = np.cos(a), np.sin(a)
        return {"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]]}.get(
            axis, [[c, -s, 0], [s, c, 0], [0, 0, 1]]
        )

    product = np.array(about("y", 0.3)) @ about("x", -0.4) @ about("z", 0.5)
    np.testing.assert_allclose(poses.rotation_from_angles(0.3, -0.4, 0.5), product, atol=1e-15)


@given(pose)
def test_waypoint_round_trip(c2w):
    np.testing.assert_allclose(poses.pose_from_waypoint(*poses.waypoint_from_pose(c2w)), c2w, atol=1e-6)


@given(metre, st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
def test_angles_come_back(x, yaw, pitch, roll):
    t, *angles = poses.waypoint_from_pose(poses.pose_from_waypoint([x, 0, 0], yaw, pitch, roll))
    np.testing.assert_allclose(angles, [yaw, pitch, roll], atol=1e-9)
    assert t[0] == x


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2])
def test_gimbal_lock_is_defined(pitch):
    """Straight up or down only the sum or difference of yaw and roll shows: roll becomes 0, the pose stays."""
    c2w = poses.pose_from_waypoint([0, 0, 0], 0.7, pitch, 0.2)
    _, yaw, got_pitch, roll = poses.waypoint_from_pose(c2w)
    assert roll == 0.0
    assert got_pitch == pytest.approx(pitch)
    assert yaw == pytest.approx(0.7 - np.sign(pitch) * 0.2)
    np.testing.assert_allclose(poses.pose_from_waypoint([0, 0, 0], yaw, got_pitch, roll), c2w, atol=1e-9)


@given(pose, pose)
def test_group_axioms(a, b):
    np.testing.assert_allclose(poses.invert(poses.invert(a)), a, atol=1e-12)
    np.testing.assert_allclose(a @ poses.invert(a), np.eye(4), atol=1e-11)
    np.testing.assert_allclose(poses.invert(a @ b), poses.invert(b) @ poses.invert(a), atol=1e-11)
    assert np.linalg.det(a[:3, :3]) == pytest.approx(1)


@given(st.lists(pose, min_size=2, max_size=4), st.integers(0, 1), pose)
def test_relative_to_forgets_the_world(path, index, world):
    c2w = np.stack(path)
    relative = poses.relative_to(c2w, index)
    assert (relative[index] == np.eye(4)).all()
    np.testing.assert_allclose(poses.relative_to(world @ c2w, index), relative, atol=1e-10)
    np.testing.assert_allclose(c2w[index] @ relative, c2w, atol=1e-10)


def test_relative_to_outside():
    with pytest.raises(InputError, match="reference frame 3"):
        poses.relative_to(np.eye(4)[None].repeat(3, 0), 3)


def test_opengl_by_hand():
    """An OpenGL camera at the origin looks along -z, its up is +y; in OpenCV axes that is z = -z and y = -y."""
    c2w = poses.opengl_to_opencv(np.eye(4))
    np.testing.assert_array_equal(c2w[:3, :3] @ AHEAD, [0, 0, -1])
    np.testing.assert_array_equal(c2w[:3, :3] @ UP, [0, 1, 0])


@given(pose)
def test_opengl_is_exact_and_keeps_the_place(c2w):
    there = poses.opencv_to_opengl(c2w)
    np.testing.assert_array_equal(there[:3, 3], c2w[:3, 3])
    np.testing.assert_array_equal(poses.opengl_to_opencv(there), c2w)
    np.testing.assert_array_equal(there, c2w @ poses.OPENGL_TO_OPENCV)


def bad(row, column, value):
    c2w = np.tile(np.eye(4), (3, 1, 1))
    c2w[1, row, column] = value
    return c2w


@pytest.mark.parametrize(
    ("c2w", "message"),
    [
        (bad(0, 3, np.nan), "spam: pose 1 holds NaN"),
        (bad(0, 0, np.inf), "pose 1 holds NaN or infinity"),
        (bad(0, 0, 2.0), "pose 1 is not rigid"),
        (bad(0, 0, -1.0), "pose 1 is left-handed"),
        (bad(3, 0, 1.0), "pose 1 does not end in the row 0 0 0 1"),
        (np.eye(4), r"shape \(4, 4\)"),
        (np.zeros((0, 4, 4)), "T at least 1"),
        (np.zeros((2, 3, 4)), r"\(2, 3, 4\)"),
    ],
)
def test_require_rigid_names_the_row(c2w, message):
    with pytest.raises(InputError, match=message):
        poses.require_rigid(c2w, "spam")


@given(pose)
def test_require_rigid_passes_poses_unchanged(c2w):
    np.testing.assert_array_equal(poses.require_rigid(c2w[None]), c2w[None])
