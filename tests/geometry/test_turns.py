"""Quarter turns by axioms: what a camera sees stays, whichever way its image is turned."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from video4spatial.geometry.cameras import project
from video4spatial.geometry.poses import require_rigid
from video4spatial.geometry.turns import turn_images, turn_intrinsics, turn_poses
from video4spatial.schema import Intrinsics

LENS = Intrinsics(50.0, 47.0, 30.0, 26.0, 64, 48)


def some_pose() -> np.ndarray:
    c2w = np.eye(4)
    c2w[:3, :3] = Rotation.from_euler("xyz", [0.2, 0.4, -0.1]).as_matrix()
    c2w[:3, 3] = [0.3, -0.2, 0.5]
    return c2w


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 5])
def test_a_point_is_in_the_same_place_of_the_picture(turns):
    """A pixel lit where a point projects is, after the turn, lit where the point projects in the turned camera."""
    rng = np.random.default_rng(0)
    c2w = some_pose()
    turned_pose = turn_poses(c2w[None], turns)[0]
    turned_lens = turn_intrinsics(LENS, turns)
    require_rigid(turned_pose[None])
    np.testing.assert_allclose(turned_pose[:3, 2:], c2w[:3, 2:])  # the place and the line of sight
    points = (np.column_stack([rng.uniform(-1, 1, (40, 2)), rng.uniform(3, 5, 40)]) @ c2w[:3, :3].T) + c2w[:3, 3]
    before, depth = project(points, c2w, LENS)
    after, turned_depth = project(points, turned_pose, turned_lens)
    np.testing.assert_allclose(depth, turned_depth)
    for old, new in zip(before, after, strict=True):
        image = np.zeros((1, 48, 64), np.uint8)
        image[0, int(old[1]), int(old[0])] = 1
        turned = turn_images(image, turns)[0]
        assert turned.shape == (turned_lens.height, turned_lens.width)
        assert turned[int(new[1]), int(new[0])] == 1


def test_four_turns_are_none():
    lens = LENS
    for _ in range(4):
        lens = turn_intrinsics(lens, 1)
    assert lens == LENS
    np.testing.assert_array_equal(turn_poses(some_pose()[None], 4)[0], some_pose())
    assert turn_intrinsics(LENS, -1) == turn_intrinsics(LENS, 3)
