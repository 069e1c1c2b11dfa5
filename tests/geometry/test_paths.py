"""Waypoint interpolation and presets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.geometry.paths import PRESETS, Waypoint, interpolate, preset, resample
from video4spatial.geometry.poses import pose_from_waypoint, require_rigid, waypoint_from_pose
from video4spatial.schema import InputError

waypoint = st.builds(Waypoint, *[st.floats(-5, 5)] * 3, st.floats(-3, 3), st.floats(-1.2, 1.2), st.floats(-1, 1))


def turned(a, b):
    """Degrees between two rotations."""
    return np.degrees(np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1)))


@settings(max_examples=50)
@given(st.lists(waypoint, min_size=1, max_size=6), st.integers(6, 60))
def test_meets_every_waypoint_in_order(waypoints, frames):
    c2w = interpolate(waypoints, frames)
    assert c2w.shape == (frames, 4, 4)
    require_rigid(c2w)
    at = 0
    for point in waypoints:
        hits = np.flatnonzero(np.abs(c2w[at:] - point.pose).max(axis=(1, 2)) < 1e-6)
        assert len(hits), f"{point} is not met after frame {at}"
        at += int(hits[0])
    np.testing.assert_allclose(c2w[0], waypoints[0].pose, atol=1e-9)
    np.testing.assert_allclose(c2w[-1], waypoints[-1].pose, atol=1e-6)


@settings(max_examples=50)
@given(st.lists(waypoint, min_size=2, max_size=5))
def test_never_leaves_the_box_of_its_waypoints(waypoints):
    places = interpolate(waypoints, 40)[:, :3, 3]
    rows = np.array([point.row[:3] for point in waypoints])
    assert (places >= rows.min(axis=0) - 1e-9).all()
    assert (places <= rows.max(axis=0) + 1e-9).all()


def test_two_waypoints_are_a_straight_even_walk():
    c2w = interpolate([Waypoint(), Waypoint(z=2.0, yaw=0.5)], 5)
    np.testing.assert_allclose(c2w[:, 2, 3], [0, 0.5, 1, 1.5, 2], atol=1e-12)
    np.testing.assert_allclose([waypoint_from_pose(p)[1] for p in c2w], [0, 0.125, 0.25, 0.375, 0.5], atol=1e-12)


def test_frames_are_shared_out_by_arc_length():
    """1 m then 3 m in 41 frames: the middle waypoint is met at frame 10."""
    c2w = interpolate([Waypoint(), Waypoint(z=1.0), Waypoint(z=4.0)], 41)
    assert c2w[10, 2, 3] == pytest.approx(1.0)


def test_speed_is_continuous():
    """C1: around a bend at frame 50 of 101 the step changes little from frame to frame."""
    c2w = interpolate([Waypoint(), Waypoint(x=1.0, z=1.0), Waypoint(x=2.0, z=0.5), Waypoint(x=3.0, z=2.0)], 401)
    steps = np.diff(c2w[:, :3, 3], axis=0)
    assert np.abs(np.diff(steps, axis=0)).max() < 0.05 * np.abs(steps).max()


def test_a_level_camera_stays_level():
    """Pitched down and turning: its x axis stays horizontal, which a rotation spline would not keep."""
    c2w = interpolate([Waypoint(pitch=-0.5), Waypoint(pitch=0.4, yaw=1.5), Waypoint(pitch=-0.6, yaw=2.5)], 60)
    np.testing.assert_allclose(c2w[:, 1, 0], 0, atol=1e-12)


def test_takes_the_short_way_round():
    """From 170 degrees to -170 (that is 190): 20 degrees through the back, not 340 through the front."""
    c2w = interpolate([Waypoint(yaw=np.radians(170)), Waypoint(yaw=np.radians(-170))], 11)
    assert turned(c2w[0], c2w[5]) == pytest.approx(10, abs=1e-6)
    assert turned(c2w[5], np.eye(4)) == pytest.approx(180, abs=1e-3)


def test_one_waypoint_is_still():
    c2w = interpolate([Waypoint(1, 2, 3, 0.1)], 7)
    assert (c2w == pose_from_waypoint([1, 2, 3], 0.1)).all()


def test_repeated_waypoints_and_full_packing():
    """Equal neighbours and as many waypoints as frames: one frame each."""
    points = [Waypoint(), Waypoint(), Waypoint(x=1.0), Waypoint(x=1.0)]
    np.testing.assert_allclose(interpolate(points, 4)[:, 0, 3], [0, 0, 1, 1])
    assert interpolate([Waypoint(), Waypoint()], 5).shape == (5, 4, 4)


@pytest.mark.parametrize(
    ("points", "frames", "message"),
    [
        ([], 5, "no waypoints"),
        ([Waypoint()] * 4, 3, "at least 4"),
        ([Waypoint()], 0, "do not fit"),
        ([Waypoint(), Waypoint(y=float("nan"))], 5, "waypoint 1 holds NaN"),
    ],
)
def test_interpolate_refuses(points, frames, message):
    with pytest.raises(InputError, match=message):
        interpolate(points, frames)


def test_resample_by_hand():
    """Three poses to five: the new ones are half way, in place and in angle."""
    c2w = np.stack([pose_from_waypoint([x, 0, 0], yaw) for x, yaw in ((0, 0.0), (1, 0.2), (3, 0.8))])
    got = resample(c2w, 5)
    np.testing.assert_allclose(got[:, 0, 3], [0, 0.5, 1, 2, 3])
    np.testing.assert_allclose([waypoint_from_pose(p)[1] for p in got], [0, 0.1, 0.2, 0.5, 0.8], atol=1e-12)
    np.testing.assert_allclose(resample(c2w, 3), c2w, atol=1e-12)
    assert (resample(c2w[:1], 4) == c2w[0]).all()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_start_at_identity(name):
    c2w = preset(name, 21)
    np.testing.assert_allclose(c2w[0], np.eye(4), atol=1e-12)
    require_rigid(c2w)
    np.testing.assert_allclose(preset(name, 1), np.eye(4)[None], atol=1e-12)


def test_presets_by_hand():
    right, left = preset("turn-right", 3, degrees=90)[-1], preset("turn-left", 3, degrees=90)[-1]
    np.testing.assert_allclose(right[:3, 2], [1, 0, 0], atol=1e-12)  # looks along +x
    np.testing.assert_allclose(left[:3, 2], [-1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(preset("forward", 3, metres=3)[:, 2, 3], [0, 1.5, 3])
    np.testing.assert_allclose(preset("backward", 3, metres=3)[:, 2, 3], [0, -1.5, -3])
    assert (preset("still", 4) == np.eye(4)).all()
    around = preset("360", 9)
    np.testing.assert_allclose(around[4, :3, 2], [0, 0, -1], atol=1e-12)  # half way: looks back
    np.testing.assert_allclose(around[2, :3, 2], [1, 0, 0], atol=1e-12)  # over the right
    np.testing.assert_allclose(around[-1], np.eye(4), atol=1e-12)
    look = preset("look-around", 5, degrees=30)
    yaw = [np.degrees(waypoint_from_pose(p)[1]) for p in look]
    np.testing.assert_allclose(yaw, [0, -30, 0, 30, 0], atol=1e-9)


@given(st.floats(-180, 180), st.floats(0.1, 5))
def test_orbit_keeps_the_pivot_ahead(degrees, metres):
    for c2w in preset("orbit", 5, degrees=degrees, metres=metres):
        np.testing.assert_allclose(c2w[:3, 3] + metres * c2w[:3, 2], [0, 0, metres], atol=1e-9)
    assert preset("orbit", 9, degrees=30)[-1][0, 3] > 0  # to its right


def test_preset_errors():
    with pytest.raises(InputError, match=r"'trun-left'. Did you mean 'turn-left'\? Known: turn-left, turn-right"):
        preset("trun-left", 5)
    with pytest.raises(InputError, match="'forward' has no degrees: it takes metres"):
        preset("forward", 5, degrees=3)
    with pytest.raises(InputError, match="neither degrees nor metres"):
        preset("still", 5, metres=3)
    with pytest.raises(InputError, match="at least 1 frame"):
        preset("still", 0)
    with pytest.raises(InputError, match="finite"):
        preset("forward", 5, metres=float("inf"))
