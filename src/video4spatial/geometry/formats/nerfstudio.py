"""nerfstudio's transforms.json: c2w in OpenGL camera axes, the world's z up (also stable-virtual-camera's files).

Source: nerfstudio documentation, "Data conventions". Only the camera axes are converted; the world frame stays as it
is in the file, so that poses round-trip bit for bit. Bring them to a frame of your choice with ``poses.relative_to``.
"""

import json
import warnings
from pathlib import Path

import numpy as np

from video4spatial.geometry.formats.text import camera_path, read_json_text, write_text
from video4spatial.geometry.poses import opencv_to_opengl, opengl_to_opencv
from video4spatial.schema import CameraPath, InputError, Intrinsics

_CAMERA_KEYS = ("fl_x", "fl_y", "cx", "cy", "w", "h")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


def read(path: Path, intrinsics: Intrinsics | None = None) -> CameraPath:
    """The frames in the file's order. Intrinsics come from the file; ``intrinsics`` serve a file that has none."""
    content = read_json_text(path)
    if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
        raise InputError(f'{path}: a nerfstudio file holds {{"frames": [...]}}')
    poses, cameras = [], set()
    for index, frame in enumerate(content["frames"]):
        where = f"{path}, frame {index}"
        if not isinstance(frame, dict) or "transform_matrix" not in frame:
            raise InputError(f"{where}: transform_matrix is missing")
        try:
            matrix = np.array(frame["transform_matrix"], dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{where}: transform_matrix is not a 4x4 matrix of numbers") from None
        if matrix.shape == (3, 4):  # written by some exporters
            matrix = np.concatenate([matrix, [[0.0, 0.0, 0.0, 1.0]]])
        if matrix.shape != (4, 4):
            raise InputError(f"{where}: transform_matrix has shape {matrix.shape}, not (4, 4)")
        poses.append(opengl_to_opencv(matrix))
        cameras.add(_camera({**content, **frame}, where))
    if len(cameras) > 1:
        raise InputError(f"{path}: the intrinsics change between frames, but a path has one camera: split the file")
    found = next(iter(cameras), None)
    return camera_path(path, poses, found or intrinsics)


def names(path: Path) -> list[str]:
    """The frames' ``file_path``, in the order of ``read``'s poses."""
    content = read_json_text(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    named = [frame.get("file_path") for frame in frames or () if isinstance(frame, dict)]
    known = [name for name in named if isinstance(name, str)]
    if not known or len(known) < len(named):
        raise InputError(f"{path}: a frame has no file_path, which tells its image")
    return known


def _camera(values: dict, where: str) -> Intrinsics | None:
    """The intrinsics that hold for one frame (its own keys override the file's), None where it has none."""
    values = {key: value for key, value in values.items() if value is not None}
    if "camera_angle_x" in values and "fl_x" not in values and "w" in values and "h" in values:
        width, height = _number(values, "w", where), _number(values, "h", where)
        return Intrinsics.from_horizontal_fov(
            float(np.degrees(_number(values, "camera_angle_x", where))), int(width), int(height)
        )
    if "fl_x" not in values:
        return None
    values.setdefault("fl_y", values["fl_x"])
    missing = [key for key in _CAMERA_KEYS if key not in values]
    if missing:
        raise InputError(f"{where}: fl_x is given but {', '.join(missing)} is missing")
    if any(_number(values, key, where) for key in _DISTORTION if key in values):
        warnings.warn(f"{where}: lens distortion is ignored, the path is read as a pinhole camera's", stacklevel=2)
    fx, fy, cx, cy, width, height = (_number(values, key, where) for key in _CAMERA_KEYS)
    return Intrinsics(fx, fy, cx, cy, int(width), int(height))


def _number(values: dict, key: str, where: str) -> float:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise InputError(f"{where}: {key} is {value!r}, which is not a number")
    return float(value)


def write(path: Path, camera: CameraPath) -> None:
    """One frame a pose, named ``images/frame_000000.png`` and so on."""
    k = camera.intrinsics
    frames = [
        {"file_path": f"images/frame_{index:06d}.png", "transform_matrix": matrix.tolist()}
        for index, matrix in enumerate(opencv_to_opengl(camera.c2w.astype(np.float64)))
    ]
    lens = {"fl_x": k.fx, "fl_y": k.fy, "cx": k.cx, "cy": k.cy, "w": k.width, "h": k.height}
    write_text(path, json.dumps({"camera_model": "PINHOLE", **lens, "frames": frames}, indent=1) + "\n")
