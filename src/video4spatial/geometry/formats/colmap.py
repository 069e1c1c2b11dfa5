"""COLMAP's text model: a folder with cameras.txt, images.txt (world-to-camera, qvec wxyz) and points3D.txt.

Source: COLMAP documentation, "Output format". OpenCV camera axes; pixel centres at +0.5, as ours.
"""

import re
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from video4spatial.geometry.formats.text import (
    Line,
    camera_path,
    lines_of,
    numbers,
    quaternion_pose,
    quaternion_wxyz,
    write_text,
)
from video4spatial.geometry.poses import invert
from video4spatial.schema import CameraPath, InputError, Intrinsics

_PARAMETERS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "OPENCV": 8}


def read(path: Path) -> CameraPath:
    """The model in folder ``path`` (or its images.txt), ordered by image name, numbers in names by value.

    PINHOLE and SIMPLE_PINHOLE are read exactly; OPENCV loses its distortion, with a warning if it has any.
    """
    folder = path if path.is_dir() else path.parent
    cameras = _cameras(folder / "cameras.txt")
    images = _ordered(folder / "images.txt")
    used = set()
    for line, camera_id, _name, _pose in images:
        if camera_id not in cameras:
            raise line.error(f"camera {camera_id} is not in cameras.txt")
        used.add(cameras[camera_id])
    if len(used) > 1:
        raise InputError(f"{folder / 'images.txt'}: the images have {len(used)} different cameras: split the model")
    return camera_path(folder / "images.txt", [pose for *_, pose in images], next(iter(used), None))


def names(path: Path) -> list[str]:
    """The images' names, in the order of ``read``'s poses."""
    return [name for _, _, name, _ in _ordered((path if path.is_dir() else path.parent) / "images.txt")]


def _ordered(path: Path) -> list[tuple[Line, int, str, Float64[np.ndarray, "4 4"]]]:
    return sorted(_images(path), key=lambda image: _natural(image[2]))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts frame_2 before frame_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _cameras(path: Path) -> dict[int, Intrinsics]:
    cameras = {}
    for line in lines_of(path):
        words = line.words
        if len(words) < 4 or not all(word.isdigit() for word in (words[0], words[2], words[3])):
            raise line.error("expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS")
        model = words[1]
        if model not in _PARAMETERS:
            raise line.error(f"camera model {model} is not one of {', '.join(_PARAMETERS)}: undistort the images first")
        values = line.floats(words[4:])
        if len(values) != _PARAMETERS[model]:
            raise line.error(f"{model} has {_PARAMETERS[model]} parameters, not {len(values)}")
        if values[4:].any():
            warnings.warn(f"{path}, line {line.number}: lens distortion is ignored", stacklevel=2)
        fx, fy, cx, cy = values[[0, 0, 1, 2]] if model == "SIMPLE_PINHOLE" else values[:4]
        cameras[int(words[0])] = Intrinsics(float(fx), float(fy), float(cx), float(cy), int(words[2]), int(words[3]))
    return cameras


def _images(path: Path) -> list[tuple[Line, int, str, Float64[np.ndarray, "4 4"]]]:
    """Two lines an image: the pose, then its 2D points, a line that may be blank and that some exporters leave out."""
    images = []
    pending = False  # the line of points of the last image is still to come
    for line in lines_of(path, keep_blank=True):
        words = line.words
        if pending and _is_points(words):
            pending = False
            continue
        if not words:
            continue
        if len(words) < 10 or not (words[0].isdigit() and words[8].isdigit()):
            raise line.error("expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME")
        w, x, y, z, *translation = line.floats(words[1:8])
        w2c = quaternion_pose(line, np.array([x, y, z, w]), np.array(translation))
        images.append((line, int(words[8]), " ".join(words[9:]), invert(w2c)))
        pending = True
    return images


def _is_points(words: list[str]) -> bool:
    if len(words) % 3:
        return False
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


def write(path: Path, camera: CameraPath) -> None:
    """A folder ``path`` with one PINHOLE camera, one image a pose and no points; images.txt is written last."""
    if path.is_file():
        raise InputError(f"{path} is a file, but a COLMAP model is a folder: choose another name")
    k = camera.intrinsics
    size_and_lens = f"{k.width} {k.height} {numbers(k.vector)}"
    write_text(path / "cameras.txt", f"# CAMERA_ID MODEL WIDTH HEIGHT PARAMS\n1 PINHOLE {size_and_lens}\n")
    write_text(path / "points3D.txt", "# POINT3D_ID X Y Z R G B ERROR TRACK\n")
    rows = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then POINTS2D (none)"]
    for index, w2c in enumerate(invert(camera.c2w)):
        values = numbers([*quaternion_wxyz(w2c[:3, :3]), *w2c[:3, 3].tolist()])
        rows += [f"{index + 1} {values} 1 frame_{index:06d}.png", ""]
    write_text(path / "images.txt", "\n".join(rows) + "\n")
