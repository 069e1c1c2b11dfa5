"""Exported camera paths: every format reads back the same, COLMAP's own reader agrees, and scales are told."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.commands.path_export import SCALES, Exported, export_paths
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.recovered import Recovered
from video4spatial.geometry.formats import detect_format, load_path
from video4spatial.geometry.poses import invert, pose_from_waypoint, relative_to
from video4spatial.schema import CameraPath, InputError, Intrinsics
from video4spatial.storage.ply import read_vertices

LENS = Intrinsics(240.0, 242.0, 96.0, 63.0, 192, 128)
AT_THE_CLIPS_SIZE = Intrinsics(120.0, 121.0, 48.0, 31.5, 96, 64)


def wandering(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([pose_from_waypoint(rng.normal(size=3), *rng.uniform(-3, 3, 3)) for _ in range(count)])


def recovered(c2w, scale="metric", factor=1.0) -> Recovered:
    found = np.arange(len(c2w)) != 1
    points = np.array([[0.5, -1.0, 2.0], [np.nan, 0, 0], [3.0, 4.25, 5.0]])
    return Recovered(relative_to(c2w), found, scale, factor, points, LENS)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6), fps=st.sampled_from([1.0, 16.0, 29.97]))
def test_every_format_reads_back_the_same(tmp_path_factory, seed, count, fps):
    folder, c2w = tmp_path_factory.mktemp("export"), wandering(seed, count)
    made = recovered(wandering(seed + 1, count))
    told = export_paths(folder, Exported(CameraPath(c2w, LENS), made, fps, 96, 64))
    assert json.loads((folder / "path.json").read_text()) == told
    for which, wanted in (("asked", relative_to(c2w)), ("recovered", made.c2w)):
        for format, name in told[which]["files"].items():
            if format == "ply":
                np.testing.assert_array_equal(read_vertices(folder / name), made.points[[0, 2]])
                continue
            assert detect_format(folder / name) == format
            loaded = load_path(folder / name, AT_THE_CLIPS_SIZE)
            np.testing.assert_allclose(loaded.c2w, wanted, atol=1e-9)
            np.testing.assert_allclose(loaded.intrinsics.vector, AT_THE_CLIPS_SIZE.vector)
    assert told["recovered"]["interpolated"] == [1] * (count > 1)


def test_colmap_itself_reads_it(tmp_path):
    pycolmap = pytest.importorskip("pycolmap")
    c2w = wandering(3, 4)
    export_paths(tmp_path, Exported(CameraPath(c2w, LENS), NotComputed("-"), 16.0, 96, 64))
    model = pycolmap.Reconstruction(str(tmp_path / "asked" / "colmap"))
    images = sorted(model.images.values(), key=lambda image: image.name)
    assert len(images) == 4
    for image, w2c in zip(images, invert(relative_to(c2w)), strict=True):
        pose = image.cam_from_world
        np.testing.assert_allclose((pose() if callable(pose) else pose).matrix(), w2c[:3], atol=1e-9)
    (camera,) = model.cameras.values()
    np.testing.assert_allclose(camera.calibration_matrix(), AT_THE_CLIPS_SIZE.matrix)
    assert (camera.width, camera.height) == (96, 64)


def test_clocks_count_seconds(tmp_path):
    export_paths(tmp_path, Exported(CameraPath(wandering(1, 3), LENS), NotComputed("-"), 16.0, 96, 64))
    rows = (tmp_path / "asked" / "path.tum").read_text().splitlines()
    assert [float(row.split()[0]) for row in rows[1:]] == [0, 0.0625, 0.125]
    poses = json.loads((tmp_path / "asked" / "path.ros.json").read_text())["poses"]
    assert poses[2]["header"]["stamp"] == {"sec": 0, "nanosec": 125_000_000}


def test_a_scale_is_never_left_to_be_guessed(tmp_path):
    for scale, unit in SCALES.items():
        told = export_paths(tmp_path, Exported(None, recovered(wandering(0, 3), scale, 1.5), 16.0, 96, 64))
        assert told["asked"] is None
        assert (told["recovered"]["scale"], told["recovered"]["unit"]) == (scale, unit)
        assert told["recovered"]["factor"] == 1.5


def test_what_is_not_there_is_told_and_an_earlier_export_goes(tmp_path):
    path = CameraPath(wandering(0, 3), LENS)
    export_paths(tmp_path, Exported(path, recovered(wandering(1, 3)), 16.0, 96, 64))
    (tmp_path / "recovered" / "mine.txt").write_text("kept")
    told = export_paths(tmp_path, Exported(path, NotComputed("the first frame was not found"), 16.0, 96, 64))
    assert told["recovered"] is None
    assert told["recovered_missing"] == "the first frame was not found"
    left = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    colmap = {f"asked/colmap/{name}.txt" for name in ("cameras", "images", "points3D")}
    others = {f"asked/{name}" for name in ("transforms.json", "path.tum", "path.ros.yaml", "path.ros.json")}
    assert left == colmap | others | {"asked/waypoints.csv", "recovered/mine.txt", "path.json"}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="out"):
        export_paths(tmp_path / "out", Exported(CameraPath(wandering(0, 2), LENS), NotComputed("-"), 16.0, 96, 64))
