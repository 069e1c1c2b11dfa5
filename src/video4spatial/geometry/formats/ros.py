"""A ROS-style list of poses: what a ``nav_msgs/Path`` message holds, as YAML or JSON.

    header: {frame_id: map, stamp: {sec: 0, nanosec: 0}}
    child_frame_id: camera_link
    poses:
    - header: {frame_id: map, stamp: {sec: 0, nanosec: 62500000}}
      pose:
        position: {x: 0.0, y: 0.0, z: 0.0}
        orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}
    camera_info: {width: 416, height: 256, k: [fx, 0, cx, 0, fy, cy, 0, 0, 1]}

ROS frames have x forward, y left, z up, but for those named ``*_optical_frame``: z forward, x right, y down, as here
(REP 103, "Suffix Frames"). A camera has both, ``camera_link`` and ``camera_optical_frame``; ``header.frame_id`` names
the frame that the poses are in, ``child_frame_id`` the one that they are of. Each is turned by what its name says, so
that the path's first camera, the identity here, is the identity there too. ``child_frame_id`` and ``camera_info`` are
not of ``nav_msgs/Path``, and need not be there: poses are then of a body. Other keys are let be, so that a message
printed by ``ros2 topic echo`` is read.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from video4spatial.geometry.formats.text import camera_path, read_json_text, read_text, write_text
from video4spatial.schema import CameraPath, InputError, Intrinsics

WORLD, BODY, OPTICAL = "map", "camera_link", "camera_optical_frame"
OPTICAL_TO_BODY = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""What a place in optical axes is in a body's: forward is z there and x here."""

_UNIT = 1e-2  # by which a quaternion's length may differ from 1
_SECOND = 1_000_000_000
_BAD_YAML = (yaml.YAMLError, RecursionError, ValueError, KeyError, IndexError, AttributeError, TypeError)
"""Errors of PyYAML about a text: the last five escape it where a tag is not true of its value (``!!int ''``)."""


def read_yaml(path: Path, intrinsics: Intrinsics | None) -> CameraPath:
    """The poses of a YAML file in its order (of several documents the first: a topic's first message)."""
    text = read_text(path)
    try:
        content = next(iter(yaml.safe_load_all(text)), None)
    except _BAD_YAML as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f", line {where.line + 1}"
        raise InputError(f"{path}{line}: not valid YAML") from None
    return _read(path, content, intrinsics)


def read_json(path: Path, intrinsics: Intrinsics | None) -> CameraPath:
    """The same from JSON."""
    return _read(path, read_json_text(path), intrinsics)


def write_yaml(path: Path, camera: CameraPath, fps: float | None = None, child: str = BODY) -> None:
    """Poses of ``child`` in ``map``, the time counted from the first; without ``fps`` a frame counts as a second."""
    write_text(path, yaml.safe_dump(message(camera, fps, child), sort_keys=False, default_flow_style=None, width=120))


def write_json(path: Path, camera: CameraPath, fps: float | None = None, child: str = BODY) -> None:
    """The same as JSON."""
    write_text(path, json.dumps(message(camera, fps, child), indent=1) + "\n")


def message(camera: CameraPath, fps: float | None = None, child: str = BODY) -> dict[str, Any]:
    """The list of poses as plain dicts. ``child``: ``camera_link`` or ``camera_optical_frame``."""
    poses = OPTICAL_TO_BODY @ camera.c2w.astype(np.float64) @ np.linalg.inv(_axes(child))
    turned = Rotation.from_matrix(poses[:, :3, :3]).as_quat(canonical=True)
    stamped = [
        {
            "header": {"frame_id": WORLD, "stamp": _stamp(number / (1.0 if fps is None else fps))},
            "pose": {
                "position": dict(zip("xyz", place.tolist(), strict=True)),
                "orientation": dict(zip("xyzw", quaternion.tolist(), strict=True)),
            },
        }
        for number, (place, quaternion) in enumerate(zip(poses[:, :3, 3], turned, strict=True))
    ]
    k = camera.intrinsics
    lens = {"width": k.width, "height": k.height, "k": [float(value) for value in k.matrix.reshape(-1)]}
    return {
        "header": {"frame_id": WORLD, "stamp": _stamp(0.0)},
        "child_frame_id": child,
        "poses": stamped,
        "camera_info": lens,
    }


def _read(path: Path, content: object, intrinsics: Intrinsics | None) -> CameraPath:
    if not isinstance(content, dict) or not isinstance(content.get("poses"), list):
        raise InputError(f"{path}: a ROS path holds a header and a list of poses, as nav_msgs/Path does")
    world, child = _world(path, content), content.get("child_frame_id", BODY)
    if not isinstance(child, str) or not child:
        raise InputError(f"{path}: child_frame_id is {child!r}: name the camera's frame, {BODY} or {OPTICAL}")
    into = np.linalg.inv(_axes(world)), _axes(child)
    poses = []
    last = -1
    for index, entry in enumerate(content["poses"]):
        where = f"{path}, pose {index}"
        entry = entry if isinstance(entry, dict) else {}
        header = entry.get("header")
        if isinstance(header, dict):
            if header.get("frame_id", world) != world:
                raise InputError(f"{where}: its frame is {header['frame_id']!r}, the path's {world!r}: use one")
            now = _nanoseconds(header["stamp"], where) if "stamp" in header else last
            if now < last:
                raise InputError(f"{where}: its stamp comes before the one above: sort the poses by time")
            last = now
        poses.append(into[0] @ _pose(entry.get("pose", entry), where) @ into[1])
    return camera_path(path, poses, _lens(path, content.get("camera_info")) or intrinsics)


def _axes(frame: str) -> Float64[np.ndarray, "4 4"]:
    """From optical axes to those of a frame, by its name."""
    return np.eye(4) if frame.endswith(("_optical_frame", "_optical")) else OPTICAL_TO_BODY


def _world(path: Path, content: dict[str, Any]) -> str:
    header = content.get("header")
    world = header.get("frame_id", WORLD) if isinstance(header, dict) else WORLD
    if not isinstance(world, str):
        raise InputError(f"{path}: header.frame_id is {world!r}: give the name of a frame, such as {WORLD}")
    return world


def _pose(pose: object, where: str) -> Float64[np.ndarray, "4 4"]:
    parts = pose if isinstance(pose, dict) else {}
    found = np.eye(4)
    found[:3, 3] = _numbers(parts.get("position"), "xyz", f"{where}, position")
    quaternion = _numbers(parts.get("orientation"), "xyzw", f"{where}, orientation")
    if abs((length := float(np.linalg.norm(quaternion))) - 1) > _UNIT:
        raise InputError(f"{where}: the quaternion has length {length:.4g}, not 1")
    found[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    return found


def _numbers(values: object, names: str, where: str) -> Float64[np.ndarray, "n"]:
    given = [values.get(name) for name in names] if isinstance(values, dict) else [None]
    numbers = [v for v in given if isinstance(v, int | float) and not isinstance(v, bool)]
    try:
        found = np.array(numbers, np.float64)
    except OverflowError:
        found = np.array([np.nan])
    if len(found) != len(names) or not np.isfinite(found).all():
        raise InputError(f"{where}: give {', '.join(names)} as finite numbers")
    return found


def _stamp(seconds: float) -> dict[str, int]:
    whole = round(seconds * _SECOND)
    return {"sec": whole // _SECOND, "nanosec": whole % _SECOND}


def _nanoseconds(stamp: object, where: str) -> int:
    given = [stamp.get(name) for name in ("sec", "nanosec")] if isinstance(stamp, dict) else []
    values = [v for v in given if isinstance(v, int) and not isinstance(v, bool)]
    if len(values) != 2:
        raise InputError(f"{where}: a stamp holds whole numbers sec and nanosec")
    return values[0] * _SECOND + values[1]


def _lens(path: Path, info: object) -> Intrinsics | None:
    if info is None:
        return None
    k = info.get("k") if isinstance(info, dict) else None
    if not isinstance(info, dict) or not isinstance(k, list) or len(k) != 9:
        raise InputError(f"{path}: camera_info holds width, height and the nine numbers k of the camera matrix")
    fx, cx, fy, cy = _numbers(
        dict(zip("abcd", (k[0], k[2], k[4], k[5]), strict=True)), "abcd", f"{path}, camera_info.k"
    )
    width, height = info.get("width"), info.get("height")
    if type(width) is not int or type(height) is not int:
        raise InputError(f"{path}: camera_info's width and height are whole numbers of pixels")
    return Intrinsics(float(fx), float(fy), float(cx), float(cy), width, height)
