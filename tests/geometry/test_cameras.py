"""Rays, projection and Pluecker maps."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.geometry import cameras
from video4spatial.geometry.camera_maps import camera_maps
from video4spatial.geometry.poses import invert, pose_from_waypoint
from video4spatial.schema import CameraPath, InputError, Intrinsics

K = Intrinsics(fx=10.0, fy=20.0, cx=4.0, cy=3.0, width=8, height=6)
seeds = st.integers(0, 2**32 - 1)


def some_poses(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([pose_from_waypoint(rng.uniform(-3, 3, 3), *rng.uniform(-1.5, 1.5, 3)) for _ in range(count)])


def test_project_by_hand():
    """The camera stands at x = 1 and looks along +x, so its right is -z: a point 2 m ahead, 0.4 m right, 0.1 m low."""
    c2w = pose_from_waypoint([1, 0, 0], np.pi / 2)
    pixels, depth = cameras.project(np.array([[3.0, 0.1, -0.4], [0.0, 0.0, 0.0]]), c2w, K)
    np.testing.assert_allclose(depth, [2, -1], atol=1e-12)
    np.testing.assert_allclose(pixels[0], [10 * 0.4 / 2 + 4, 20 * 0.1 / 2 + 3])
    assert np.isnan(pixels[1]).all()


@given(seeds)
def test_unproject_inverts_project(seed):
    rng = np.random.default_rng(seed)
    c2w = some_poses(1, seed)[0]
    pixels, depth = rng.uniform(0, 8, (5, 2)), rng.uniform(0.1, 9, 5)
    again, depth_again = cameras.project(cameras.unproject(pixels, depth, c2w, K), c2w, K)
    np.testing.assert_allclose(again, pixels, atol=1e-8)
    np.testing.assert_allclose(depth_again, depth, atol=1e-10)


def test_unproject_depth_agrees_with_unproject():
    c2w = some_poses(1)[0]
    depth = np.random.default_rng(1).uniform(1, 2, (6, 8))
    points = cameras.unproject_depth(depth, c2w, K)
    expected = cameras.unproject(np.array([[7.5, 2.5]]), depth[2, 7:8], c2w, K)
    np.testing.assert_allclose(points[2, 7], expected[0])


def test_plucker_by_hand():
    """Pixel (4, 3) has its centre at (4.5, 3.5): direction (.05, .025, 1) normalised; o = (0, 0, 2) gives o x d."""
    maps = cameras.plucker(pose_from_waypoint([0, 0, 2])[None], K, 6, 8)
    assert maps.dtype == np.float32
    d = np.array([0.05, 0.025, 1]) / np.sqrt(0.05**2 + 0.025**2 + 1)
    np.testing.assert_allclose(maps[0, 3:, 3, 4], d, rtol=1e-6)
    np.testing.assert_allclose(maps[0, :3, 3, 4], [-2 * d[1], 2 * d[0], 0], atol=1e-7)


@given(seeds)
def test_plucker_axioms(seed):
    """d is a unit vector, the moment is at right angles to it, and any point of the ray has the same moment."""
    c2w = some_poses(2, seed)
    maps = cameras.plucker(c2w, K, 6, 8).astype(np.float64)
    moment, d = maps[:, :3], maps[:, 3:]
    np.testing.assert_allclose(np.linalg.norm(d, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose((moment * d).sum(axis=1), 0, atol=1e-5)
    point = cameras.unproject(np.array([[2.5, 4.5]]), np.array([3.0]), c2w[1], K)[0]
    np.testing.assert_allclose(np.cross(point, d[1, :, 4, 2]), moment[1, :, 4, 2], atol=1e-5)


def test_wrong_size_is_refused():
    with pytest.raises(InputError, match="8x6 image, but 16x6"):
        cameras.plucker(np.eye(4)[None], K, 6, 16)


def test_packing_order():
    """Coordinate i of frame j of latent f lies in channel 4 i + j; latent 0 holds frame 0 four times."""
    maps = np.random.default_rng(0).normal(size=(9, 6, 2, 3)).astype(np.float32)
    packed = cameras.pack_plucker(maps)
    assert packed.shape == (24, 3, 2, 3)
    for i in range(6):
        for j in range(4):
            np.testing.assert_array_equal(packed[4 * i + j, 0], maps[0, i])
            np.testing.assert_array_equal(packed[4 * i + j, 2], maps[5 + j, i])


@pytest.mark.parametrize("frames", [4, 8, 6])
def test_packing_needs_4k_plus_1(frames):
    with pytest.raises(InputError, match="4k\\+1"):
        cameras.pack_plucker(np.zeros((frames, 6, 2, 2)))


@pytest.mark.parametrize("frames", [1, 5, 129, 133, 269])
def test_maps_made_at_once_are_the_packed_ones(frames):
    lens = Intrinsics.from_horizontal_fov(72.0, 64, 32)
    c2w = some_poses(frames, 3)
    whole = cameras.pack_plucker(cameras.plucker(c2w, lens.resized(4, 2), 2, 4))
    maps = camera_maps(CameraPath(c2w, lens), 64, 32)
    assert maps.shape == (24, 1 + frames // 4, 2, 4)
    np.testing.assert_allclose(maps, whole, rtol=0, atol=1e-6)


def test_a_long_paths_maps_take_little_memory():
    """2,701 frames of the paper's size: 27 MB of maps."""
    path = CameraPath(np.tile(np.eye(4), (2701, 1, 1)), Intrinsics.from_horizontal_fov(72.0, 416, 256))
    tracemalloc.start()
    try:
        maps = camera_maps(path, 416, 256)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert maps.shape == (24, 676, 16, 26)
    assert peak < 1.4 * maps.nbytes


def test_invert_gives_extrinsics():
    """Projection through w2c written out equals ``project``."""
    c2w = some_poses(1)[0]
    point = c2w[:3, :3] @ [0.2, -0.1, 2.0] + c2w[:3, 3]
    camera = invert(c2w) @ [*point, 1.0]
    np.testing.assert_allclose(camera, [0.2, -0.1, 2.0, 1.0], atol=1e-12)
    pixels, _ = cameras.project(point[None], c2w, K)
    np.testing.assert_allclose(pixels[0], [5.0, 2.0])
