import numpy as np

from video4spatial.rooms import Room, tour
from video4spatial.rooms.compiled import DOUBLE_SIDED, OBJECT
from video4spatial.rooms.motion import poses_from_gaze
from video4spatial.rooms.shading import shell_hit
from video4spatial.schema import Intrinsics


def pixel_rays(camera: Intrinsics) -> np.ndarray:
    """Rays ``[H, W, 3]`` through the pixels' centres in camera axes, with z = 1."""
    row, column = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    return np.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, np.ones_like(row)], -1)


def trace_all(room: Room, eye: np.ndarray, direction: np.ndarray) -> tuple[float, int]:
    """The plain way: intersect one ray with every triangle; distance along ``direction`` and object id."""
    scene = room.scene
    a, b, c = (scene.vertices[scene.triangles[:, k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    facing = normal @ direction
    distance = np.einsum("kd,kd->k", normal, a - eye) / np.where(facing == 0, np.inf, facing)
    hit = eye + distance[:, None] * direction
    within = distance > 0.02
    for start, end in ((a, b), (b, c), (c, a)):
        within &= np.einsum("kd,kd->k", np.cross(end - start, hit - start), normal) >= 0
    double_sided = scene.patch_int[scene.triangle_patch, DOUBLE_SIDED] == 1
    within &= double_sided | (facing < 0)
    if not within.any():
        return 0.0, 0
    nearest = int(np.where(within, distance, np.inf).argmin())
    return float(distance[nearest]), int(scene.patch_int[scene.triangle_patch[nearest], OBJECT])


def test_it_agrees_with_a_ray_caster_over_all_triangles(rooms: list[Room]):
    camera = Intrinsics.from_horizontal_fov(75.0, 12, 8)
    rays = pixel_rays(camera)
    agree, total = 0, 0
    for room in rooms[:4]:
        pose = tour(room, 2, seed=9)[0]
        shown = room.render(pose[None], camera, supersample=1)
        for row in range(camera.height):
            for column in range(camera.width):
                depth, instance = trace_all(room, pose[:3, 3], pose[:3, :3] @ rays[row, column])
                same_depth = abs(depth - shown.depth[0, row, column]) < 0.005
                agree += bool(same_depth and instance == shown.instance[0, row, column])
                total += 1
    assert agree / total > 0.97


def test_depth_of_the_bare_shell_is_the_analytic_one(rooms: list[Room], camera: Intrinsics):
    for room in rooms:
        pose = tour(room, 1, seed=2)[0]
        shown = room.render(pose[None], camera, supersample=1)
        rays = pixel_rays(camera) @ pose[:3, :3].T
        bare = np.argwhere((shown.instance[0] >= 1) & (shown.instance[0] <= 6))
        assert len(bare) > 20
        for row, column in bare[:: max(len(bare) // 40, 1)]:
            patch, _, _, distance = shell_hit(np.array(room.size), *pose[:3, 3], *rays[row, column])
            assert abs(distance - shown.depth[0, row, column]) < 0.002
            assert room.scene.patch_int[patch, OBJECT] == shown.instance[0, row, column]


def test_depth_lifts_one_frame_into_the_next(rooms: list[Room]):
    camera = Intrinsics.from_horizontal_fov(72.0, 192, 128)
    rays = pixel_rays(camera)
    for room in rooms[:3]:
        poses = tour(room, 24)[[4, 10]]
        depth = room.render(poses, camera).depth
        points = (rays * depth[0][..., None]) @ poses[0, :3, :3].T + poses[0, :3, 3]
        moved = (points - poses[1, :3, 3]) @ poses[1, :3, :3]
        x = np.floor(moved[..., 0] / moved[..., 2] * camera.fx + camera.cx).astype(int)
        y = np.floor(moved[..., 1] / moved[..., 2] * camera.fy + camera.cy).astype(int)
        seen = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (moved[..., 2] > 0.1)
        assert seen.mean() > 0.3
        error = np.abs(depth[1][y[seen], x[seen]] - moved[..., 2][seen])
        assert np.median(error) < 0.01


def test_supersampling_changes_edges_only(room: Room, camera: Intrinsics):
    pose = tour(room, 1)
    coarse, fine = room.render(pose, camera, 1), room.render(pose, camera, 3)
    assert (coarse.instance == fine.instance).mean() > 0.97
    assert np.abs(coarse.rgb.astype(int) - fine.rgb).mean() < 8


def test_dtypes_shapes_and_ids_alone(room: Room):
    camera = Intrinsics.from_horizontal_fov(60.0, 20, 10)
    poses = tour(room, 3)
    shown = room.render(poses, camera, 1)
    assert (shown.rgb.shape, shown.rgb.dtype) == ((3, 10, 20, 3), np.uint8)
    assert (shown.depth.shape, shown.depth.dtype) == ((3, 10, 20), np.float32)
    assert (shown.instance.shape, shown.instance.dtype) == ((3, 10, 20), np.uint16)
    assert np.array_equal(room.instances(poses, camera), shown.instance)


def test_a_camera_outside_looking_away_sees_nothing(room: Room, camera: Intrinsics):
    away = poses_from_gaze(np.array([[-5.0, 1.0, 1.0]]), np.array([np.pi]), np.zeros(1), np.zeros(1))
    shown = room.render(away, camera)
    assert not shown.depth.any()
    assert not shown.instance.any()
