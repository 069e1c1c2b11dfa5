"""Boxes told apart by depth, and upright boxes around points, against worlds simple enough to know."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.geometry.boxes3d import oriented_corners, upright_corners
from video4spatial.geometry.sightings import owners, sightings
from video4spatial.schema import Box, Intrinsics

LENS = Intrinsics(100.0, 100.0, 50.0, 40.0, 100, 80)
CAMERA = np.eye(4)  # looks along z


def cube(x: float, y: float, z: float, size: float) -> np.ndarray:
    return oriented_corners(np.array([x, y, z], dtype=np.float64), np.full(3, size), np.eye(3))


def wall_with(depth: float, window: tuple[slice, slice], nearer: float) -> np.ndarray:
    image = np.full((80, 100), depth)
    image[window] = nearer
    return image


def test_a_box_is_seen_where_depth_lies_in_it():
    # the cube's front is at z = 2, from x = -0.2 to 0.2: pixels 40 to 60 across, 30 to 50 down
    depth = wall_with(5.0, (slice(30, 50), slice(40, 60)), 2.0)
    (found,) = sightings(cube(0, 0, 2.2, 0.4)[None], depth, CAMERA, LENS)
    assert found is not None
    assert found.box == Box(40, 30, 60, 50)
    assert found.pixels == 400
    assert found.hidden == 0


def test_boxes_come_in_the_images_pixels():
    depth = wall_with(5.0, (slice(30, 50), slice(40, 60)), 2.0)
    (found,) = sightings(cube(0, 0, 2.2, 0.4)[None], depth, CAMERA, LENS.resized(300, 240))
    assert found is not None
    assert found.box == Box(120, 90, 180, 150)


def test_what_stands_before_hides():
    depth = wall_with(5.0, (slice(30, 50), slice(40, 60)), 2.0)
    depth[:, :50] = 1.0  # a screen over its left half
    (found,) = sightings(cube(0, 0, 2.2, 0.4)[None], depth, CAMERA, LENS)
    assert found is not None
    assert found.box == Box(50, 30, 60, 50)
    assert found.hidden == pytest.approx(0.5, abs=0.03)
    depth[:] = 1.0
    assert sightings(cube(0, 0, 2.2, 0.4)[None], depth, CAMERA, LENS) == [None]


def test_no_depth_has_no_owner():
    assert (owners(cube(0, 0, 2.2, 0.4)[None], np.zeros((80, 100)), CAMERA, LENS) == -1).all()


def test_the_smaller_of_two_nested_boxes_has_the_pixel():
    depth = wall_with(3.0, (slice(30, 50), slice(40, 60)), 2.0)
    table, cup = cube(0, 0, 2.5, 1.2), cube(0, 0, 2.05, 0.12)
    for boxes, numbers in ((np.stack([table, cup]), (0, 1)), (np.stack([cup, table]), (1, 0))):
        owner = owners(boxes, depth, CAMERA, LENS)
        assert owner[40, 50] == numbers[1]
        assert owner[32, 42] == numbers[0]
        assert owner[5, 5] == -1


def test_the_picture_not_the_flat_wall():
    depth = np.full((80, 100), 4.0)
    wall = oriented_corners(np.array([0.0, 0, 4]), np.array([6.0, 6, 0]), np.eye(3))
    picture = oriented_corners(np.array([0.0, 0, 3.99]), np.array([1.0, 0.8, 0.04]), np.eye(3))
    owner = owners(np.stack([wall, picture]), depth, CAMERA, LENS)
    assert owner[40, 50] == 1
    assert owner[5, 5] == 0


def test_behind_and_beside_the_camera():
    depth = np.full((80, 100), 2.0)
    boxes = np.stack([cube(0, 0, -2, 0.4), cube(50, 0, 2, 0.4)])
    assert sightings(boxes, depth, CAMERA, LENS) == [None, None]
    room = cube(0, 0, 0, 4.2)[None]  # around the camera
    (found,) = sightings(room, depth, CAMERA, LENS)
    assert found is not None
    assert found.pixels == 8000


def test_it_does_not_matter_where_the_world_is():
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn[:, 0] *= np.linalg.det(turn)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, [3.0, -2, 7]
    depth = wall_with(5.0, (slice(30, 50), slice(40, 60)), 2.0)
    box = cube(0, 0, 2.2, 0.4)
    (found,) = sightings((box @ turn.T + pose[:3, 3])[None], depth, pose, LENS)
    assert found == sightings(box[None], depth, CAMERA, LENS)[0]


@given(st.floats(-3, 3), st.floats(0.2, 4), st.floats(0.2, 4), st.floats(0.1, 3), st.integers(0, 100))
def test_upright_boxes_are_found_again(yaw, length, width, height, seed):
    cos, sin = np.cos(yaw), np.sin(yaw)
    axes = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    truth = oriented_corners(np.array([1.0, -2, 0.5]), np.array([length, width, height]), axes)
    weights = np.random.default_rng(seed).dirichlet(np.ones(8), 30)
    found = upright_corners(np.concatenate([truth, weights @ truth]))
    order = np.linalg.norm(found[:, None] - truth[None], axis=-1)
    assert order.min(axis=0).max() < 1e-6 * max(length, width, height) + 1e-6  # the same corners
    assert sorted(order.argmin(axis=1).tolist()) == list(range(8))
    sides = np.linalg.norm(found[[4, 2, 1]] - found[0], axis=1)
    assert sides.prod() == pytest.approx(length * width * height, rel=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_upright_boxes_of_few_points(count):
    points = np.linspace([0.0, 0, 0], [1, 2, 3], count)
    found = upright_corners(points)
    np.testing.assert_allclose(found.min(axis=0), points.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.max(axis=0), points.max(axis=0), atol=1e-9)
