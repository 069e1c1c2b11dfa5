import hashlib
import subprocess
import sys

import numpy as np
import pytest

from video4spatial.rooms import CATEGORIES, Room, make_room, object_box, tour
from video4spatial.rooms.furniture import MAKERS
from video4spatial.schema import Box, InputError, Intrinsics

DIGEST = """
import hashlib
from video4spatial.rooms import make_room, tour
from video4spatial.schema import Intrinsics
room = make_room(5, difficulty=0.7, quality=0.3, rays=2)
poses = tour(room, 5, seed=1)
shown = room.render(poses, Intrinsics.from_horizontal_fov(72.0, 24, 16))
cloud = room.point_cloud(100)
data = b"".join(a.tobytes() for a in (poses, shown.rgb, shown.depth, shown.instance, cloud.points, cloud.colours))
print(hashlib.sha256(data).hexdigest() + room.describe())
"""


def test_same_seed_is_the_same_room_in_every_process_whatever_was_made_before(capsys: pytest.CaptureFixture[str]):
    make_room(123, quality=0.3, rays=1)
    exec(DIGEST, {})
    here = capsys.readouterr().out
    there = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True).stdout
    assert here == there


def test_different_seeds_are_different_rooms(rooms: list[Room]):
    prints = {hashlib.sha256(room.scene.vertices.tobytes()).hexdigest() for room in rooms}
    assert len(prints) == len(rooms)
    assert len({room.describe() for room in rooms}) > 3


def test_there_are_many_categories_and_every_one_of_them_has_a_maker_or_belongs_to_the_room():
    assert len(MAKERS) >= 20
    assert len(set(CATEGORIES)) == len(CATEGORIES)


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 0, "difficulty": 1.5}, {"seed": 0, "quality": 0.0}])
def test_arguments_out_of_range_are_named(arguments: dict):
    with pytest.raises(InputError):
        make_room(**arguments)


def test_unknown_object_and_bad_poses_are_input_errors(room: Room, camera: Intrinsics):
    with pytest.raises(InputError):
        room.object(10_000)
    with pytest.raises(InputError):
        room.render(np.eye(4), camera)
    with pytest.raises(InputError):
        room.point_cloud(0)


def test_easy_rooms_hold_less_and_are_plainer():
    easy = [make_room(seed, difficulty=0.0, quality=0.2, rays=1) for seed in range(6)]
    hard = [make_room(seed, difficulty=1.0, quality=0.2, rays=1) for seed in range(6)]

    def pieces(room: Room) -> int:
        return sum(made.category in MAKERS for made in room.objects)

    assert all(1 <= pieces(room) <= 6 for room in easy)
    assert np.mean([pieces(room) for room in easy]) < 0.6 * np.mean([pieces(room) for room in hard])
    assert np.mean([len(r.scene.textures) for r in easy]) < np.mean([len(r.scene.textures) for r in hard])


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_no_seed_crashes(difficulty: float):
    lens = Intrinsics.from_horizontal_fov(72.0, 12, 8)
    for seed in (*range(1000, 1007), 2**40):
        made = make_room(seed, difficulty, quality=0.2, rays=1)
        assert np.isfinite(made.scene.lightmap).all()
        assert made.scene.lightmap.min() >= 0
        assert made.describe()
        shown = made.render(tour(made, 3), lens, 1)
        assert (shown.depth > 0).all()


def test_object_box_is_tight():
    instance = np.zeros((6, 8), np.uint16)
    instance[2:4, 3:7] = 9
    assert object_box(instance, 9) == Box(3, 2, 7, 4)
    assert object_box(instance, 8) is None


def test_points_lie_on_the_surfaces_of_their_objects(room: Room):
    cloud = room.point_cloud(4000, seed=2)
    assert cloud.points.dtype == np.float64
    assert cloud.colours.dtype == np.uint8
    assert np.array_equal(cloud.points, room.point_cloud(4000, seed=2).points)
    width, depth, height = room.size
    on_wall = {1: (2, 0.0), 2: (2, height), 3: (1, 0.0), 4: (1, depth), 5: (0, 0.0), 6: (0, width)}
    for object_id, (axis, value) in on_wall.items():
        mine = cloud.points[cloud.object_ids == object_id]
        assert len(mine)
        assert np.abs(mine[:, axis] - value).max() < 1e-5
    for made in room.objects[6:]:
        mine = cloud.points[cloud.object_ids == made.id]
        assert _inside_box(mine, made).all()


def _inside_box(points: np.ndarray, made) -> np.ndarray:
    cos, sin = np.cos(made.yaw), np.sin(made.yaw)
    local = (points - made.centre) @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return (np.abs(local) <= made.size / 2 + 0.002).all(1)


def test_pixels_of_an_object_lie_inside_its_box(rooms: list[Room], camera: Intrinsics):
    for room in rooms[:3]:
        poses = tour(room, 3, seed=4)
        shown = room.render(poses, camera, supersample=1)
        row, column = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
        ray = np.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, np.ones_like(row)], -1)
        for pose, depth, instance in zip(poses, shown.depth, shown.instance, strict=True):
            points = (ray * depth[..., None]) @ pose[:3, :3].T + pose[:3, 3]
            for made in room.objects[6:]:
                mine = instance == made.id
                assert _inside_box(points[mine], made).mean() > 0.99 if mine.any() else True


def test_boxes_have_eight_corners_around_the_centre(room: Room):
    for made in room.objects:
        assert made.corners.shape == (8, 3)
        assert np.allclose(made.corners.mean(0), made.centre)
        assert np.linalg.norm(made.corners[0] - made.corners[7]) == pytest.approx(np.linalg.norm(made.size))
