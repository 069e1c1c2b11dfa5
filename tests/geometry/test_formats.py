"""Camera path files: hand-worked cases, round trips, and errors that name file and line."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.geometry.formats import FORMATS, detect_format, load_path, load_waypoints, save_path
from video4spatial.geometry.paths import Waypoint
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.schema import CameraPath, InputError, Intrinsics

K = Intrinsics(120.5, 121.25, 48.0, 31.5, 96, 64)
NAMES = {
    "waypoints-csv": "path.csv",
    "waypoints-json": "path.json",
    "nerfstudio": "transforms.json",
    "colmap": "model",
    "tum": "path.tum",
    "realestate10k": "path.txt",
    "ros-yaml": "path.yaml",
    "ros-json": "path.ros.json",
}
HALF = float(np.sqrt(0.5))


def write(folder, name, text):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_round_trip(tmp_path_factory, format, seed, count):
    rng = np.random.default_rng(seed)
    c2w = np.stack([pose_from_waypoint(rng.normal(size=3), *rng.uniform(-3, 3, 3)) for _ in range(count)])
    file = tmp_path_factory.mktemp("paths") / NAMES[format]
    save_path(file, CameraPath(c2w, K), format)
    assert detect_format(file) == format
    for named in (format, None):
        loaded = load_path(file, K, named)
        np.testing.assert_allclose(loaded.c2w, c2w, atol=1e-12)
        np.testing.assert_allclose(loaded.intrinsics.vector, K.vector, rtol=1e-12)
        assert (loaded.intrinsics.width, loaded.intrinsics.height) == (96, 64)


def test_nerfstudio_round_trip_is_exact(tmp_path):
    c2w = np.stack([pose_from_waypoint([0.1, 1 / 3, 7], 0.1 * i, 0.2) for i in range(5)])
    save_path(tmp_path / "transforms.json", CameraPath(c2w, K))
    loaded = load_path(tmp_path / "transforms.json")
    assert (loaded.c2w == c2w).all()
    assert loaded.intrinsics == K


def test_csv_by_hand(tmp_path):
    """One metre ahead, turned a quarter right: it looks along +x of the reference frame."""
    text = "# a walk\nx,y,z,yaw,pitch,roll\n0,0,0,0,0,0\n\n0, 0, 1, 1.5707963267948966, 0, 0\n"
    loaded = load_path(write(tmp_path, "a.csv", text), K)
    assert (loaded.c2w[0] == np.eye(4)).all()
    np.testing.assert_allclose(loaded.c2w[1], [[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 1], [0, 0, 0, 1]], atol=1e-15)
    assert load_waypoints(tmp_path / "a.csv")[1] == Waypoint(0.0, 0.0, 1.0, np.pi / 2, 0.0, 0.0)


def test_csv_columns_in_any_order_and_bom(tmp_path):
    file = write(tmp_path, "a.csv", "\ufeffyaw,pitch,roll,x,y,z\r\n1,2,3,4,5,6\r\n")
    assert load_waypoints(file) == [Waypoint(4.0, 5.0, 6.0, 1.0, 2.0, 3.0)]


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"waypoints": items}])
def test_json_by_hand(tmp_path, wrap):
    items = [{"x": 1, "y": 2, "z": 3.5, "yaw": 0, "pitch": -0.25, "roll": 0}]
    file = write(tmp_path, "a.json", json.dumps(wrap(items)))
    assert load_waypoints(file) == [Waypoint(1.0, 2.0, 3.5, 0.0, -0.25, 0.0)]


def test_frames_interpolate_waypoints_and_resample_poses(tmp_path):
    file = write(tmp_path, "a.csv", "x,y,z,yaw,pitch,roll\n0,0,0,0,0,0\n0,0,2,0,0,0\n")
    np.testing.assert_allclose(load_path(file, K, frames=5).c2w[:, 2, 3], [0, 0.5, 1, 1.5, 2])
    file = write(tmp_path, "a.tum", "0 0 0 0 0 0 0 1\n1 4 0 0 0 0 0 1\n")
    np.testing.assert_allclose(load_path(file, K, frames=5).c2w[:, 0, 3], [0, 1, 2, 3, 4])


def test_nerfstudio_by_hand(tmp_path):
    """A level camera 1.5 m above a z-up floor, looking along world +y: OpenGL x = +x, y (up) = +z, z (back) = -y."""
    matrix = [[1, 0, 0, 5], [0, 0, -1, 6], [0, 1, 0, 1.5], [0, 0, 0, 1]]
    content = {
        "fl_x": 100,
        "fl_y": 110,
        "cx": 50,
        "cy": 40,
        "w": 100,
        "h": 80,
        "frames": [{"transform_matrix": matrix}],
    }
    loaded = load_path(write(tmp_path, "transforms.json", json.dumps(content)))
    expected = [[1, 0, 0, 5], [0, 0, 1, 6], [0, -1, 0, 1.5], [0, 0, 0, 1]]  # OpenCV: y (down) = -z, z (ahead) = +y
    np.testing.assert_array_equal(loaded.c2w[0], expected)
    assert loaded.intrinsics == Intrinsics(100.0, 110.0, 50.0, 40.0, 100, 80)


def test_nerfstudio_lens_variants(tmp_path):
    frame = {"transform_matrix": np.eye(4).tolist()}
    angle = {"camera_angle_x": np.pi / 2, "w": 100, "h": 80, "frames": [frame]}
    assert load_path(write(tmp_path, "t.json", json.dumps(angle))).intrinsics.fx == pytest.approx(50)
    assert load_path(write(tmp_path, "t.json", json.dumps({"frames": [frame]})), K).intrinsics == K
    lens = {"fl_x": 9, "cx": 5, "cy": 4, "w": 10, "h": 8}
    per_frame = {"frames": [frame | lens, frame | lens]}
    assert load_path(write(tmp_path, "t.json", json.dumps(per_frame))).intrinsics.fy == 9
    with pytest.raises(InputError, match="change between frames"):
        load_path(write(tmp_path, "t.json", json.dumps({"frames": [frame | lens, frame | lens | {"fl_x": 10}]})))
    with pytest.warns(UserWarning, match="lens distortion is ignored"):
        load_path(write(tmp_path, "t.json", json.dumps({"frames": [frame], "k1": 0.1, **lens})))


def test_colmap_by_hand(tmp_path):
    """qvec (cos 45, 0, sin 45, 0) turns the world a quarter about y: w2c = [[0,0,1],[0,1,0],[-1,0,0]], t = (1,2,3).

    The centre is -R^T t = (3, -2, -1) and the view direction, the third row of R, (-1, 0, 0).
    """
    write(tmp_path, "m/cameras.txt", "# cameras\n7 SIMPLE_PINHOLE 96 64 100 48 32\n")
    write(
        tmp_path,
        "m/images.txt",
        f"# images\n4 1 0 0 0 0 0 0 7 frame_10.png\n1.5 2.5 -1 3 4 17\n9 {HALF} 0 {HALF} 0 1 2 3 7 frame_2.png\n\n",
    )
    for given_path in (tmp_path / "m", tmp_path / "m/images.txt"):
        loaded = load_path(given_path)
        np.testing.assert_allclose(loaded.c2w[0, :3, 3], [3, -2, -1], atol=1e-12)  # frame_2 before frame_10
        np.testing.assert_allclose(loaded.c2w[0, :3, 2], [-1, 0, 0], atol=1e-12)
        assert (loaded.c2w[1] == np.eye(4)).all()
        assert loaded.intrinsics == Intrinsics(100.0, 100.0, 48.0, 32.0, 96, 64)


@pytest.mark.parametrize("between", ["", "\n", "1 2 -1\n", "1 2 -1 3 4 5 6 7 8\n"])
def test_colmap_points_lines(tmp_path, between):
    """The line of points may be missing, blank, or hold any number of points."""
    write(tmp_path, "cameras.txt", "1 PINHOLE 96 64 100 101 48 32\n")
    images = "".join(f"{i} 1 0 0 0 {i} 0 0 1 my frame {i}.png\n{between}" for i in (1, 2, 3))
    write(tmp_path, "images.txt", images)
    np.testing.assert_allclose(load_path(tmp_path).c2w[:, 0, 3], [-1, -2, -3])


def test_colmap_opencv_warns_of_distortion(tmp_path):
    write(tmp_path, "images.txt", "1 1 0 0 0 0 0 0 1 a.png\n\n")
    write(tmp_path, "cameras.txt", "1 OPENCV 96 64 100 101 48 32 0 0 0 0\n")
    assert load_path(tmp_path).intrinsics.fy == 101
    write(tmp_path, "cameras.txt", "1 OPENCV 96 64 100 101 48 32 .1 0 0 0\n")
    with pytest.warns(UserWarning, match=r"cameras.txt, line 1: lens distortion is ignored"):
        load_path(tmp_path)


def test_colmap_writes_what_colmap_reads(tmp_path):
    save_path(tmp_path / "m", CameraPath(pose_from_waypoint([3, -2, -1], -np.pi / 2)[None], K))
    words = (tmp_path / "m/images.txt").read_text().splitlines()[1].split()
    np.testing.assert_allclose([float(w) for w in words[1:8]], [HALF, 0, HALF, 0, 1, 2, 3], atol=1e-12)
    assert words[8:] == ["1", "frame_000000.png"]
    assert "1 PINHOLE 96 64 120.5 121.25 48.0 31.5" in (tmp_path / "m/cameras.txt").read_text()
    assert (tmp_path / "m/points3D.txt").is_file()


def test_tum_by_hand(tmp_path):
    """qx qy qz qw = (0, sin 45, 0, cos 45): yaw a quarter to the right, c2w, so the place is as written."""
    loaded = load_path(write(tmp_path, "a.txt", f"# title\n0.5 1 2 3 0 {HALF} 0 {HALF}\n"), K)
    np.testing.assert_allclose(loaded.c2w[0], pose_from_waypoint([1, 2, 3], np.pi / 2), atol=1e-12)


def test_realestate10k_by_hand(tmp_path):
    """w2c rows (0 0 1 1 | 0 1 0 2 | -1 0 0 3) as in the COLMAP case; intrinsics times the 96 x 64 size."""
    row = "33366 0.5 0.75 0.5 0.5 0 0 0 0 1 1 0 1 0 2 -1 0 0 3"
    loaded = load_path(write(tmp_path, "a.txt", f"https://example.org/watch\n{row}\n{row}\n"), K)
    np.testing.assert_allclose(loaded.c2w[1, :3, 3], [3, -2, -1])
    np.testing.assert_allclose(loaded.c2w[1, :3, 2], [-1, 0, 0])
    assert loaded.intrinsics == Intrinsics(48.0, 48.0, 48.0, 32.0, 96, 64)
    with pytest.raises(InputError, match="give that size"):
        load_path(tmp_path / "a.txt")


HEAD = "x,y,z,yaw,pitch,roll\n"
POINT = '{"x": 0, "y": 0, "z": 0, "yaw": %s, "pitch": 0, "roll": 0}'
RE = "0 .5 .5 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 1 0\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", HEAD, "holds no waypoints"),
        ("a.csv", "x,y,z\n1,2,3\n", "a.csv, line 1: the header is x,y,z"),
        ("a.csv", HEAD + "0,0,0,0,0,0\n0,0,0\n", "a.csv, line 3: 3 values"),
        ("a.csv", HEAD + "0,0,zero,0,0,0\n", "a.csv, line 2: z is 'zero'"),
        ("a.csv", HEAD + "0,0,nan,0,0,0\n", "line 2: z is 'nan', which is not a finite"),
        ("a.csv", HEAD + "0,0,0,90,0,0\n", "line 2: yaw is 90.*radians"),
        ("a.csv", HEAD + '0,0,0,0,0,"0\n', "a.csv: not valid CSV"),
        ("a.json", "[", "a.json, line 1: not valid JSON"),
        ("a.json", "[" * 100000, "a.json"),
        ("a.json", "3", "give a list of waypoints"),
        ("a.json", "[]", "holds no waypoints"),
        ("a.json", '[{"x": 1}]', "waypoint 0: give an object with exactly the keys"),
        ("a.json", f"[{POINT % 0}, {POINT % 'true'}]", "waypoint 1: yaw is True"),
        ("a.json", f"[{POINT % 'null'}]", "yaw is None"),
        ("a.json", f"[{POINT % 'NaN'}]", "not a finite number"),
        ("a.json", f"[{POINT % ('1' + '0' * 400)}]", "yaw is 1"),
        ("t.json", '{"frames": 3}', '"frames": '),
        ("t.json", '{"frames": []}', "holds no poses"),
        ("t.json", '{"frames": [{}]}', "frame 0: transform_matrix is missing"),
        ("t.json", '{"frames": [{"transform_matrix": "x"}]}', "frame 0: transform_matrix is not"),
        ("t.json", '{"frames": [{"transform_matrix": [[1, 2], [3]]}]}', "not a 4x4 matrix"),
        ("t.json", '{"frames": [{"transform_matrix": [[1, 2], [3, 4]]}]}', r"shape \(2, 2\)"),
        ("t.json", '{"fl_x": 3, "frames": [{"transform_matrix": [[]]}]}', "transform_matrix has shape"),
        ("a.txt", "1 2 3\n", "format is not plain.*name one of"),
        ("a.txt", "", "format is not plain"),
        ("a.tum", "0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0\n", "a.tum, line 2: 7 values"),
        ("a.tum", "0 0 0 0 0 0 0 one\n", "line 1: 'one' is not a number"),
        ("a.tum", "0 0 0 0 0 0 0 inf\n", "line 1: 'inf' is not a finite"),
        ("a.tum", "0 0 0 0 0 0 0 0\n", "line 1: the quaternion has length 0"),
        ("a.tum", "1 0 0 0 0 0 0 1\n0 0 0 0 0 0 0 1\n", "line 2: timestamp 0 comes before"),
        ("a.txt", RE + "3 4\n", "a.txt, line 2: 2 values, expected 19"),
        ("a.txt", RE + RE.replace(".5", ".6"), "line 2: the intrinsics change"),
        ("a.txt", "url\n" + RE.replace(" 1 0 0 0 0 1", " 2 0 0 0 0 1"), "line 2: pose 0 is not rigid"),
    ],
)
def test_malformed_names_file_and_line(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        load_path(write(tmp_path, name, text), K)


@pytest.mark.parametrize(
    ("cameras", "images", "message"),
    [
        ("1 PINHOLE 96 64 1 1 1\n", "", "cameras.txt, line 1: PINHOLE has 4 parameters, not 3"),
        ("1 PINHOLE wide 64 1 1 1\n", "", "cameras.txt, line 1: expected CAMERA_ID"),
        ("1 FISHEYE 96 64 1\n", "", "cameras.txt, line 1: camera model FISHEYE is not one of"),
        ("1 PINHOLE 96 64 9 9 9 9\n", "", "holds no poses"),
        ("1 PINHOLE 96 64 0 9 9 9\n", "1 1 0 0 0 0 0 0 1 a.png\n", "focal lengths and image size must be above 0"),
        ("1 PINHOLE 96 64 9 9 9 9\n", "1 1 0 0 0 0 0 0 2 a.png\n", "images.txt, line 1: camera 2 is not in"),
        ("1 PINHOLE 96 64 9 9 9 9\n", "1 1 0 0 0 0 0 0 1\n", "images.txt, line 1: expected IMAGE_ID"),
        ("1 PINHOLE 96 64 9 9 9 9\n", "1 2 0 0 0 0 0 0 1 a.png\n", "images.txt, line 1: the quaternion has length 2"),
        (
            "1 PINHOLE 96 64 9 9 9 9\n2 PINHOLE 96 64 8 8 8 8\n",
            "1 1 0 0 0 0 0 0 1 a\n\n2 1 0 0 0 0 0 0 2 b\n",
            "2 different cameras",
        ),
    ],
)
def test_malformed_colmap(tmp_path, cameras, images, message):
    write(tmp_path, "cameras.txt", cameras)
    write(tmp_path, "images.txt", images)
    with pytest.raises(InputError, match=message):
        load_path(tmp_path)


def test_places_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nothing.csv does not exist"):
        load_path(tmp_path / "nothing.csv", K)
    with pytest.raises(InputError, match=r"folder without images.txt"):
        load_path(tmp_path, K)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"b.csv is not a text file"):
        load_path(tmp_path / "b.csv", K)
    with pytest.raises(InputError, match="carries no intrinsics"):
        load_path(write(tmp_path, "a.csv", HEAD + "0,0,0,0,0,0\n"))
    with pytest.raises(InputError, match="no camera path format 'obj'"):
        load_path(tmp_path / "a.csv", K, "obj")
    with pytest.raises(InputError, match="tum file: waypoints are read from"):
        load_waypoints(write(tmp_path, "a.tum", "0 0 0 0 0 0 0 1\n"))


def test_save_needs_a_telling_name(tmp_path):
    path = CameraPath(np.eye(4)[None], K)
    with pytest.raises(InputError, match=r"a.txt: the name does not tell"):
        save_path(tmp_path / "a.txt", path)
    write(tmp_path, "file", "")
    with pytest.raises(InputError, match="is a file, but a COLMAP model is a folder"):
        save_path(tmp_path / "file", path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = write(tmp_path, "a.csv", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"a.csv cannot be written: No space left"):
        save_path(file, CameraPath(np.eye(4)[None], K))
    assert file.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["a.csv"]
