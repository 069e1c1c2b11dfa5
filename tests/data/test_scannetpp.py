"""ScanNet++: a room written as the dataset writes it, in every variant, reads back as the room it was."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scannetpp_tree import (
    ABSENT_ID,
    DEPTH,
    FIRST_ID,
    FPS,
    LENS,
    SCENE_ID,
    Walk,
    walk,
    write_photos,
    write_release,
    write_scans,
)

from video4spatial.data.runs import unbroken_runs
from video4spatial.data.scannetpp import ScanNetPP, ScanNetPPOptions, ScanNetPPScene
from video4spatial.data.scannetpp.depth import FramedDepth, GlobalDepth, open_depth
from video4spatial.data.scene import BadScene, Scene
from video4spatial.geometry.boxes import iou
from video4spatial.geometry.cameras import project, unproject_depth
from video4spatial.geometry.sightings import owners
from video4spatial.geometry.timed import is_posed
from video4spatial.rooms import object_box
from video4spatial.schema import Box, Intrinsics


@pytest.fixture(scope="module")
def made(tiny_room) -> Walk:
    return walk(tiny_room)


@pytest.fixture(scope="module")
def release(made, tmp_path_factory) -> ScanNetPP:
    root = tmp_path_factory.mktemp("scannetpp")
    write_photos(write_release(root, made), made)
    return ScanNetPP(root)


@pytest.fixture(scope="module")
def scene(release) -> ScanNetPPScene:
    return release.open(SCENE_ID)


def test_it_is_a_scene(scene, release, made):
    assert isinstance(scene, Scene)
    assert len(scene) == len(made)
    assert (scene.environment_id, scene.video_id) == (f"scannetpp-{SCENE_ID}", f"scannetpp-{SCENE_ID}-iphone")
    assert scene.fps == pytest.approx(FPS, rel=1e-3)
    np.testing.assert_allclose(scene.timestamps, np.arange(len(made)) / FPS, atol=1e-4)
    assert scene.intrinsics == scene.intrinsics_of(3) == LENS
    np.testing.assert_allclose(scene.c2w, made.c2w, atol=1e-12)
    assert scene.remarks == []


def median_reprojection(scene: ScanNetPPScene, truth: np.ndarray, pairs: list[tuple[int, int]]) -> tuple[float, float]:
    """Carry the depth read at frame ``i`` by the poses and lens read into frame ``j``, and into the true camera ``j``.

    Returns the median distance in the video's pixels from where the true poses and lens carry the true surface, and the
    median relative difference from the depth read at frame ``j`` there (of points not hidden there).
    """
    pixel_errors, depth_errors = [], []
    for i, j in pairs:
        depths = scene.depth([i, j])
        lens = scene.depth_intrinsics
        points = unproject_depth(depths[0], scene.c2w[i], lens)[depths[0] > 0]
        true_points = unproject_depth(truth.depth[i], truth.c2w[i], LENS.resized(256, 192))[depths[0] > 0]
        pixels, far = project(points, scene.c2w[j], scene.intrinsics)
        true_pixels, _ = project(true_points, truth.c2w[j], LENS)
        inside = (far > 0) & (pixels > 0).all(axis=1) & (pixels < [320, 240]).all(axis=1)
        pixel_errors.append(np.linalg.norm(pixels - true_pixels, axis=1)[inside])
        column, row = (pixels[inside] * [256 / 320, 192 / 240]).astype(int).T
        there = depths[1][row, column]
        relative = np.abs(far[inside] - there)[there > 0] / there[there > 0]
        depth_errors.append(relative[relative < 0.1])
    return float(np.median(np.concatenate(pixel_errors))), float(np.median(np.concatenate(depth_errors)))


VARIANTS = [
    (video, depth, poses)
    for video, depth in (("rgb.mkv", "global"), ("rgb.mp4", "lz4"), ("rgb.mkv", "deflate"))
    for poses in ("arkit", "colmap", "nerfstudio")
]


@pytest.mark.parametrize(("video", "depth", "poses"), VARIANTS)
def test_every_variant_reprojects(made, tmp_path, video, depth, poses):
    write_release(tmp_path, made, video=video, depth=depth)
    scene = ScanNetPP(tmp_path, ScanNetPPOptions(poses=poses)).open(SCENE_ID)
    posed = np.flatnonzero(is_posed(scene.c2w))
    assert len(posed) == (len(made) if poses == "arkit" else len(made) // 2)
    np.testing.assert_allclose(scene.c2w[posed], made.c2w[posed], atol=1e-9)  # the three sources give the same
    pixels, metres = median_reprojection(scene, made, [(0, 2), (2, 4), (4, 2), (8, 10)])
    assert pixels < 0.05
    assert metres < 0.01
    frames = scene.frames([10, 3])  # each is nearest to the rendered frame of its number
    away = np.abs(frames[:, None].astype(float) - made.rgb[None]).mean(axis=(2, 3, 4))
    assert away.argmin(axis=1).tolist() == [10, 3]
    assert away.min() < 3


def test_frames_agree_with_one_another_where_depth_and_poses_say(scene):
    """The colours read, carried from one frame into another, fit best where they land, not a pixel beside."""
    for i, j in ((1, 2), (5, 6), (9, 8)):
        rgb = scene.frames([i, j]).astype(float)
        depth = scene.depth([i])[0]
        points = unproject_depth(depth, scene.c2w[i], scene.depth_intrinsics)[::2, ::2].reshape(-1, 3)
        source, _ = project(points, scene.c2w[i], scene.intrinsics)
        target, far = project(points, scene.c2w[j], scene.intrinsics)
        good = (depth[::2, ::2].reshape(-1) > 0) & (far > 0)
        good &= (target > 4).all(axis=1) & (target < [316, 236]).all(axis=1)
        x, y = (target[good] * [256 / 320, 192 / 240]).astype(int).T
        good[good] = np.abs(scene.depth([j])[0][y, x] - far[good]) < 0.01  # not hidden there
        column, row = source[good].astype(int).T
        colours = rgb[0][row.clip(0, 239), column.clip(0, 319)]
        errors = {}
        for dx in (-3, -1, 0, 1, 3):
            for dy in (-3, -1, 0, 1, 3):
                x, y = (target[good] + [dx, dy]).astype(int).T
                errors[dx, dy] = np.abs(rgb[1][y, x] - colours).mean()
        assert min(errors, key=lambda shift: errors[shift]) == (0, 0), errors


@pytest.mark.parametrize("variant", sorted(DEPTH))
def test_depth_is_read_by_number(made, tmp_path, variant):
    holed = made.depth.copy()
    holed[:, :40] = 0
    if variant != "lz4":
        holed[4, 100, 50], holed[4, 100, 51], holed[4, 100, 52] = np.nan, np.inf, -1
    path = tmp_path / "depth.bin"
    path.write_bytes(DEPTH[variant](holed))
    stream = open_depth(path)
    assert isinstance(stream, GlobalDepth if variant == "global" else FramedDepth)
    assert len(stream) == len(made)
    for read in (stream, pickle.loads(pickle.dumps(stream))):
        order = [7, 0, 7, 11, 3, 4]
        values = read.read(order)
        assert values.dtype == np.float32
        expected = np.where(np.isfinite(holed[order]) & (holed[order] > 0), holed[order], 0)
        np.testing.assert_allclose(values, expected, atol=6e-4 if variant == "lz4" else 0)
        assert (values[:, :40] == 0).all()
        for number in (7, 7, 3):  # the same again, then one before
            np.testing.assert_array_equal(read.read([number])[0], values[order.index(number)])


def test_a_long_global_stream_stays_out_of_memory(tmp_path):
    """120 frames are 24 MB of depth: only a few states of the decompressor and the frames asked for are kept."""
    rng = np.random.default_rng(0)
    base = rng.random((192, 256), dtype=np.float32) + 1
    path = tmp_path / "depth.bin"
    path.write_bytes(DEPTH["global"](np.stack([base * (1 + index / 100) for index in range(120)])))
    stream = GlobalDepth(path, most_states=8)
    tracemalloc.start()
    try:
        first, last = stream.read([3, 119])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(first, base * np.float32(1 + 3 / 100))
    np.testing.assert_array_equal(last, base * np.float32(1 + 119 / 100))
    assert peak < 3e6
    assert len(stream._states) <= 8
    assert np.diff([state.frame for state in stream._states]).max() <= 120 / 8 * 4


def test_objects_by_patches_and_by_vertices(scene, made, tmp_path):
    folder = write_release(tmp_path, made)
    write_scans(folder, made.room, "vertex")
    for old, new in zip(scene.objects, ScanNetPPScene(folder).objects, strict=True):
        assert (old.object_id, old.category) == (new.object_id, new.category)
        np.testing.assert_array_equal(old.corners, new.corners)


def test_objects_are_the_rooms(scene, made):
    by_id = {o.object_id: o for o in scene.objects}
    for truth in made.room.objects:
        found = by_id[truth.id + FIRST_ID]
        assert found.category == truth.category
        edge = 0.07 if truth.category == "ceiling lamp" else 1e-3  # the lamp is round: its box may be turned
        np.testing.assert_allclose(found.corners.min(axis=0), truth.corners.min(axis=0), atol=edge)
        np.testing.assert_allclose(found.corners.max(axis=0), truth.corners.max(axis=0), atol=edge)


def test_boxes_project_onto_their_objects(scene, made):
    """Against the masks of the renderer; a skirting board's box holds the whole room, so boxes cannot tell it apart."""
    overlaps, right = [], []
    for index in range(0, len(made), 2):
        seen = scene.sightings(index)
        corners = np.array([o.corners for o in scene.objects])
        owner = owners(corners, scene.depth([index])[0], scene.c2w[index], scene.depth_intrinsics)
        ids = np.array([o.object_id for o in scene.objects] + [0])[owner] - FIRST_ID
        for truth in made.room.objects:
            mask = made.instance[index] == truth.id
            if mask.sum() < 60 or truth.category == "skirting board":
                continue
            small = object_box(made.instance[index], truth.id)
            assert small is not None
            box = Box(small.x0 * 1.25, small.y0 * 1.25, small.x1 * 1.25, small.y1 * 1.25)
            overlaps.append(iou(seen[truth.id + FIRST_ID].box, box))
            right.append((ids[mask] == truth.id).mean())
    assert len(overlaps) > 30
    assert np.median(overlaps) > 0.94
    assert min(overlaps) > 0.65
    assert np.median(right) > 0.98
    assert min(right) > 0.85


def test_photographs_are_posed_with_the_video(release, scene, made):
    photos = release.open_photos(SCENE_ID)
    assert isinstance(photos, Scene)
    assert photos.environment_id == scene.environment_id
    assert photos.video_id != scene.video_id
    np.testing.assert_allclose(photos.c2w, made.c2w[::3], atol=1e-9)
    truth = made.room.render(made.c2w[::3], photos.intrinsics).rgb
    frames = photos.frames([2, 0])
    assert np.abs(frames.astype(float) - truth[[2, 0]]).mean() < 3
    assert photos.depth([0]) is None
    assert [o.object_id for o in photos.objects] == [o.object_id for o in scene.objects]


def test_splits_and_absent_scenes(release):
    assert release.splits == ["nvs_sem_train", "nvs_sem_val"]
    assert release.scene_ids == [SCENE_ID]
    assert release.split("nvs_sem_train") == [SCENE_ID, ABSENT_ID]
    assert release.absent("nvs_sem_train") == [ABSENT_ID]
    bad = {}
    scenes = list(release.scenes("nvs_sem_train", on_bad=lambda scene_id, error: bad.update({scene_id: str(error)})))
    assert [scene.files.scene_id for scene in scenes] == [SCENE_ID]
    assert list(bad) == [ABSENT_ID]
    assert ABSENT_ID in bad[ABSENT_ID]
    assert "not on disk" in bad[ABSENT_ID]
    with pytest.raises(BadScene, match=ABSENT_ID):
        list(release.scenes("nvs_sem_val"))


def test_numbers_out_of_range_are_refused(scene):
    for read in (scene.frames, scene.depth):
        for index in (-1, 12):
            with pytest.raises((BadScene, IndexError), match="12 frames"):
                read([index])


def test_sparse_poses_can_be_interpolated(made, tmp_path):
    write_release(tmp_path, made, every=3)
    sparse = ScanNetPP(tmp_path, ScanNetPPOptions(poses="colmap")).open(SCENE_ID)
    with pytest.raises(BadScene, match="longest run"):
        unbroken_runs(sparse, 4)
    filled = ScanNetPP(tmp_path, ScanNetPPOptions(poses="colmap", max_gap=0.06)).open(SCENE_ID)
    (run,) = unbroken_runs(filled, 4)
    assert len(run) == 10
    assert np.abs(run.c2w[:, :3, 3] - made.c2w[:10, :3, 3]).max() < 0.15
    assert any("interpolated" in remark for remark in filled.remarks)


def test_it_goes_to_workers(scene, release):
    copy = pickle.loads(pickle.dumps(scene))
    np.testing.assert_array_equal(copy.frames([4, 1]), scene.frames([4, 1]))
    np.testing.assert_array_equal(copy.depth([4]), scene.depth([4]))
    photos = release.open_photos(SCENE_ID)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(photos)).frames([1]), photos.frames([1]))


def test_lens_of_a_frame(scene):
    assert isinstance(scene.depth_intrinsics, Intrinsics)
    assert scene.depth_intrinsics.fx == pytest.approx(LENS.fx * 0.8)
