"""Oriented boxes, and where they are seen."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from video4spatial.geometry.boxes3d import oriented_corners, seen_box
from video4spatial.geometry.cameras import project
from video4spatial.schema import Intrinsics

LENS = Intrinsics(50.0, 50.0, 32.0, 24.0, 64, 48)


def test_corners_lie_along_the_rows():
    """As ARKitScenes' compute_box_3d: transpose(rotation) @ corners, of an oblique box."""
    axes = Rotation.from_euler("xyz", [0.3, -0.5, 0.9]).as_matrix()
    centre, lengths = np.array([1.0, 2, 3]), np.array([0.4, 1.0, 2.0])
    x, y, z = np.array([(i, j, k) for i in (1, -1) for j in (1, -1) for k in (1, -1)]).T * lengths[:, None] / 2
    theirs = np.transpose(np.transpose(axes) @ np.vstack([x, y, z])) + centre
    ours = oriented_corners(centre, lengths, axes)
    np.testing.assert_allclose(np.array(sorted(map(tuple, ours))), np.array(sorted(map(tuple, theirs))))
    np.testing.assert_allclose(np.ptp((ours - centre) @ axes.T, axis=0), lengths)


def test_a_box_in_view_is_the_box_of_its_corners():
    corners = oriented_corners(np.array([0.1, -0.1, 3.0]), np.array([0.5, 0.6, 0.7]), np.eye(3))
    box = seen_box(corners, np.eye(4), LENS)
    pixels, _ = project(corners, np.eye(4), LENS)
    assert box is not None
    np.testing.assert_allclose([box.x0, box.y0, box.x1, box.y1], [*pixels.min(axis=0), *pixels.max(axis=0)])


def test_a_box_around_the_camera_fills_the_image_and_one_behind_is_not_seen():
    around = oriented_corners(np.zeros(3), np.array([4.0, 4.0, 4.0]), np.eye(3))
    box = seen_box(around, np.eye(4), LENS)
    assert box is not None
    assert (box.x0, box.y0, box.x1, box.y1) == (0, 0, 64, 48)
    for place in ([0, 0, -3.0], [9.0, 0, 3.0], [0, -9.0, 3.0]):
        assert seen_box(oriented_corners(np.array(place), np.ones(3), np.eye(3)), np.eye(4), LENS) is None


def test_a_box_that_reaches_behind_the_camera_is_cut():
    """A long table beside the camera: seen from the image's edge on; its far end is where its far corners are."""
    corners = oriented_corners(np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.5, 8.0]), np.eye(3))
    box = seen_box(corners, np.eye(4), LENS)
    assert box is not None
    assert box.x0 == pytest.approx(50 * 0.75 / 4 + 32)
    assert box.x1 == 64
