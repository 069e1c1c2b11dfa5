"""RealEstate10K and CameraCtrl: a title line (the video's address), then 19 numbers a frame.

``timestamp fx fy cx cy 0 0`` and the world-to-camera 3x4 matrix by rows; intrinsics are divided by the image's size.
OpenCV camera axes. Source: the RealEstate10K data page; CameraCtrl ``data/dataset.py``.
"""

from pathlib import Path

import numpy as np

from video4spatial.geometry.formats.text import camera_path, lines_of, numbers, write_text
from video4spatial.geometry.poses import invert, require_rigid
from video4spatial.schema import CameraPath, InputError, Intrinsics


def read(path: Path, intrinsics: Intrinsics | None) -> CameraPath:
    """Poses in the file's order. Of ``intrinsics`` only the image size is used: the file's are normalised."""
    poses = []
    lens = None
    for index, line in enumerate(lines_of(path)):
        if len(line.words) != 19:
            if index == 0 and len(line.words) == 1:
                continue  # the title
            raise line.error(
                f"{len(line.words)} values, expected 19: timestamp fx fy cx cy 0 0 and 3x4 world-to-camera"
            )
        values = line.floats()
        lens = values[1:5] if lens is None else lens
        if np.abs(values[1:5] - lens).max() > 1e-4:
            raise line.error("the intrinsics change here, but a path has one camera: split the file")
        w2c = np.concatenate([values[7:].reshape(3, 4), [[0.0, 0.0, 0.0, 1.0]]])
        require_rigid(w2c[None], f"{path}, line {line.number}")
        poses.append(invert(w2c))
    if lens is not None:
        if intrinsics is None:
            raise InputError(f"{path}: RealEstate10K intrinsics are relative to the image size: give that size")
        width, height = intrinsics.width, intrinsics.height
        fx, fy, cx, cy = (lens * [width, height, width, height]).tolist()
        intrinsics = Intrinsics(fx, fy, cx, cy, width, height)
    return camera_path(path, poses, intrinsics)


def write(path: Path, camera: CameraPath) -> None:
    """The timestamp is the frame's number; the title line, which readers skip, says who wrote it."""
    k = camera.intrinsics
    lens = [k.fx / k.width, k.fy / k.height, k.cx / k.width, k.cy / k.height]
    rows = ["video4spatial"]
    for index, w2c in enumerate(invert(camera.c2w)):
        rows.append(f"{index} {numbers(lens)} 0 0 {numbers(w2c[:3].flatten())}")
    write_text(path, "\n".join(rows) + "\n")
