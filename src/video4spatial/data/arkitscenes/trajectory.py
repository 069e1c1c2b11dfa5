"""lowres_wide.traj: ``seconds ax ay az tx ty tz`` a line, world-to-camera, the rotation as axis times angle (radians).

Source: ARKitScenes DATA.md ("Dataset files formats") and ``threedod/benchmark_scripts/utils/tenFpsDataLoader.py``,
``TrajStringToMatrix``, which inverts each. After inversion: OpenCV camera axes, the world's z up, metres. About ten
poses a second (apple/ARKitScenes issue 77).
"""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from video4spatial.data.scene import BadScene
from video4spatial.geometry.poses import invert
from video4spatial.geometry.timed import TimedPoses


def read_trajectory(path: Path) -> tuple[TimedPoses, list[str]]:
    """The poses of a file, camera-to-world, and remarks on what was left out: NaN and all-zero lines (the tracker had
    none) and repeated times.

    Raises:
        BadScene: the file cannot be read, is empty, or a line of it is not seven numbers (cut off?).
    """
    rows = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != 7 or not np.isfinite(row[0]):
            raise BadScene(f"{path}, line {number}: {line[:60]!r} is not seven numbers: is it cut off? Fetch it again")
        rows.append(row)
    if not rows:
        raise BadScene(f"{path} is empty: fetch it again, or leave the video out")
    table = np.array(rows)
    finite = np.isfinite(table).all(axis=1)
    moved = table[:, 1:].any(axis=1)
    good = table[finite & moved]
    kept = good[np.unique(good[:, 0], return_index=True)[1]]
    left_out = {
        "hold NaN or infinity": np.count_nonzero(~finite),
        "are the identity": np.count_nonzero(~moved),
        "repeat a time": len(good) - len(kept),
    }
    remarks = [f"{path.name}: {n} of {len(table)} poses {what}, left out" for what, n in left_out.items() if n]
    w2c = np.tile(np.eye(4), (len(kept), 1, 1))
    w2c[:, :3, :3] = Rotation.from_rotvec(kept[:, 1:4]).as_matrix()
    w2c[:, :3, 3] = kept[:, 4:]
    return TimedPoses(kept[:, 0], invert(w2c)), remarks


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise BadScene(f"{path} is not text: fetch it again") from None
    except OSError as error:
        raise BadScene(f"{path} cannot be read: {error.strerror or error}") from None
