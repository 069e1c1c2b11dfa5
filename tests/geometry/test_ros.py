"""ROS pose lists: which way is forward under each frame's name, what ROS itself prints, and bad files."""

import json

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.geometry.formats import detect_format, load_path, save_path
from video4spatial.geometry.formats.ros import BODY, OPTICAL, write_json, write_yaml
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.schema import CameraPath, InputError, Intrinsics

K = Intrinsics(120.5, 121.25, 48.0, 31.5, 96, 64)
WALK = np.stack([np.eye(4), pose_from_waypoint([0.5, -0.25, 2.0], yaw=np.pi / 2)])
"""Two metres ahead, half a metre right, a quarter higher; turned a quarter right."""


def listed(file):
    return yaml.safe_load(file.read_text())["poses"]


def test_a_body_has_x_ahead_y_left_z_up(tmp_path):
    save_path(tmp_path / "a.yaml", CameraPath(WALK, K), fps=16.0)
    content = yaml.safe_load((tmp_path / "a.yaml").read_text())
    assert (content["header"]["frame_id"], content["child_frame_id"]) == ("map", "camera_link")
    first, last = listed(tmp_path / "a.yaml")
    assert list(first["pose"]["position"].values()) == [0, 0, 0]
    assert list(first["pose"]["orientation"].values()) == [0, 0, 0, 1]
    np.testing.assert_allclose(list(last["pose"]["position"].values()), [2.0, -0.5, 0.25])
    half = np.sqrt(0.5)  # right is a negative turn about z, which is up
    np.testing.assert_allclose(list(last["pose"]["orientation"].values()), [0, 0, -half, half], atol=1e-12)
    assert last["header"]["stamp"] == {"sec": 0, "nanosec": 62_500_000}


def test_the_optical_frame_of_the_camera_looks_along_its_z(tmp_path):
    """In ``map`` a camera that looks ahead has an optical frame turned by ROS's well-known (-0.5, 0.5, -0.5, 0.5)."""
    write_yaml(tmp_path / "a.yaml", CameraPath(WALK, K), child=OPTICAL)
    first, last = listed(tmp_path / "a.yaml")
    np.testing.assert_allclose(list(first["pose"]["orientation"].values()), [-0.5, 0.5, -0.5, 0.5])
    np.testing.assert_allclose(list(last["pose"]["position"].values()), [2.0, -0.5, 0.25])


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([BODY, OPTICAL]), st.booleans())
def test_both_frames_read_back_the_same(tmp_path_factory, seed, child, as_json):
    rng = np.random.default_rng(seed)
    c2w = np.stack([pose_from_waypoint(rng.normal(size=3), *rng.uniform(-3, 3, 3)) for _ in range(3)])
    file = tmp_path_factory.mktemp("ros") / ("a.json" if as_json else "a.yml")
    (write_json if as_json else write_yaml)(file, CameraPath(c2w, K), 30.0, child)
    assert detect_format(file) == ("ros-json" if as_json else "ros-yaml")
    loaded = load_path(file)
    np.testing.assert_allclose(loaded.c2w, c2w, atol=1e-12)
    assert loaded.intrinsics == K


ECHOED = """
header:
  stamp: {sec: 17, nanosec: 5}
  frame_id: odom
poses:
- header: {stamp: {sec: 17, nanosec: 5}, frame_id: odom}
  pose:
    position: {x: 1, y: 0.0, z: 0.0}
    orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}
---
header: {frame_id: odom}
poses: []
---
"""


def test_what_ros2_topic_echo_prints_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text(ECHOED)
    loaded = load_path(tmp_path / "a.yaml", K)
    assert len(loaded) == 1
    np.testing.assert_allclose(loaded.c2w[0], pose_from_waypoint([0, 0, 1]), atol=1e-15)  # a metre ahead
    (tmp_path / "b.yaml").write_text(ECHOED.replace("odom", "camera_optical_frame"))
    np.testing.assert_allclose(
        load_path(tmp_path / "b.yaml", K).c2w[0] @ [0, 0, 0, 1], [1, 0, 0, 1]
    )  # of an optical world, x is right


def posed(**changed):
    pose = {"position": dict.fromkeys("xyz", 0), "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}}
    return {"pose": pose | changed}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "a header and a list of poses"),
        ({"poses": []}, "holds no poses"),
        ({"poses": [{}]}, "pose 0, position: give x, y, z"),
        ({"poses": [posed(position={"x": 0, "y": True, "z": 0})]}, "position: give x, y, z"),
        ({"poses": [posed(position={"x": 0, "y": 10**400, "z": 0})]}, "position: give x, y, z"),
        ({"poses": [posed(orientation={"x": 0, "y": 0, "z": 0, "w": 2})]}, "quaternion has length 2"),
        ({"poses": [posed(), posed() | {"header": {"frame_id": "odom"}}]}, "pose 1: its frame is 'odom'"),
        ({"poses": [posed() | {"header": {"stamp": {"sec": 0.5, "nanosec": 0}}}]}, "whole numbers sec and nanosec"),
        (
            {"poses": [posed() | {"header": {"stamp": {"sec": s, "nanosec": 0}}} for s in (2, 1)]},
            "pose 1: its stamp comes before",
        ),
        ({"header": {"frame_id": 3}, "poses": [posed()]}, "header.frame_id is 3"),
        ({"child_frame_id": "", "poses": [posed()]}, "child_frame_id is ''"),
        ({"camera_info": {"k": [1]}, "poses": [posed()]}, "camera_info holds width, height"),
        ({"camera_info": {"k": [1] * 9, "width": 4.5, "height": 4}, "poses": [posed()]}, "whole numbers of pixels"),
    ],
)
@pytest.mark.parametrize("format", ["ros-yaml", "ros-json"])
def test_bad_files_name_the_pose(tmp_path, content, told, format):
    file = tmp_path / "a.file"
    file.write_text(json.dumps(content))  # JSON is YAML
    with pytest.raises(InputError, match=told):
        load_path(file, K, format)


@settings(max_examples=40)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("ros") / "a.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    with pytest.raises(InputError, match=r"a\.yaml"):
        load_path(file, K)


@pytest.mark.parametrize("value", ["!!python/object/apply:os.system ['true']", "!!int ''", "!!bool x", "2001-99-99"])
def test_yaml_makes_no_objects(tmp_path, value):
    (tmp_path / "a.yaml").write_text(f"poses: {value}\n")
    with pytest.raises(InputError, match="not valid YAML"):
        load_path(tmp_path / "a.yaml", K)
