"""TUM RGB-D trajectories: ``timestamp tx ty tz qx qy qz qw`` a line, camera-to-world, OpenCV camera axes.

Source: TUM RGB-D benchmark, "File formats".
"""

from pathlib import Path

import numpy as np

from video4spatial.geometry.formats.text import (
    camera_path,
    lines_of,
    numbers,
    quaternion_pose,
    quaternion_wxyz,
    write_text,
)
from video4spatial.schema import CameraPath, Intrinsics


def read(path: Path, intrinsics: Intrinsics | None) -> CameraPath:
    """Poses in the file's order, one a line; timestamps must not run backwards and are then dropped."""
    poses = []
    last = -np.inf
    for line in lines_of(path):
        if len(line.words) != 8:
            raise line.error(f"{len(line.words)} values, expected 8: timestamp tx ty tz qx qy qz qw")
        values = line.floats()
        if values[0] < last:
            raise line.error(f"timestamp {values[0]:g} comes before the one above: sort the file by time")
        last = values[0]
        poses.append(quaternion_pose(line, values[4:], values[1:4]))
    return camera_path(path, poses, intrinsics)


def write(path: Path, camera: CameraPath, fps: float | None = None) -> None:
    """One pose a line; the timestamp is in seconds where ``fps`` is given, else the frame's number."""
    clock = "frame number" if fps is None else "seconds"
    rows = [f"# timestamp tx ty tz qx qy qz qw (camera-to-world; timestamp = {clock})"]
    for index, c2w in enumerate(camera.c2w.astype(np.float64)):
        w, x, y, z = quaternion_wxyz(c2w[:3, :3])
        rows.append(numbers([index / (1.0 if fps is None else fps), *c2w[:3, 3].tolist(), x, y, z, w]))
    write_text(path, "\n".join(rows) + "\n")
