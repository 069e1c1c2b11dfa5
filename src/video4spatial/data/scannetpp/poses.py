"""Poses and lenses of the iPhone's frames, by frame number, from three files that say the same.

- "arkit": ``pose_intrinsic_imu.json``, a dict by ``frame_000000``: ``aligned_pose`` 4x4 c2w in OpenCV axes and the
  mesh's frame (metres), ``intrinsic`` 3x3 at the video's resolution, ``timestamp`` in seconds. Its ``pose`` is not
  aligned to the mesh and is not read. Source: scannetpp/scannetpp ``iphone/arkit_pcl.py``.
- "colmap": ``colmap/*.txt``, w2c, a subset of the frames, names with or without a folder. Source: scannetpp/scannetpp
  ``common/utils/colmap.py`` and ``iphone/prepare_iphone_data.py``.
- "nerfstudio": ``nerfstudio/transforms.json``, OpenGL axes in a world with permuted axes, a subset of the frames.
  Source: nerfstudio's COLMAP conversion, which scannetpp/scannetpp issue 160 says was used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int

from video4spatial.data.scannetpp.files import SceneFiles, require_file
from video4spatial.geometry.formats import colmap, nerfstudio
from video4spatial.geometry.poses import require_rigid
from video4spatial.geometry.timed import is_posed
from video4spatial.schema import CameraPath, InputError
from video4spatial.storage.artifacts import read_json

PoseSource = Literal["arkit", "colmap", "nerfstudio"]
_IDENTITY_WITHIN = 1e-9
_WORLD_OF_TRANSFORMS = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]])  # its own inverse


@dataclass(frozen=True)
class FramePoses:
    """What a file says of frames ``numbers`` (rising): ``c2w`` (NaN: no usable pose), ``lens`` fx fy cx cy in pixels of
    the video (NaN: none), ``seconds`` by the phone's clock (NaN: none).

    Attributes:
        size: width and height that the lens belongs to, where the file says so.
        remarks: what was left out, in words.
    """

    numbers: Int[np.ndarray, " N"]
    c2w: Float64[np.ndarray, "N 4 4"]
    lens: Float64[np.ndarray, "N 4"]
    seconds: Float64[np.ndarray, " N"]
    size: tuple[int, int] | None = None
    remarks: list[str] = field(default_factory=list)


def read_poses(files: SceneFiles, source: PoseSource) -> FramePoses:
    """The poses of ``source``.

    Raises:
        InputError: the file is missing, empty, cut off, holds no usable pose, or names frames in another way.
    """
    if source == "arkit":
        return _read_arkit(require_file(files.poses))
    if source == "colmap":
        require_file(files.colmap / "cameras.txt")
        path = require_file(files.colmap / "images.txt")
        return _of_path(path, colmap.names(files.colmap), colmap.read(files.colmap))
    path = require_file(files.transforms)
    camera = nerfstudio.read(path)
    return _of_path(path, nerfstudio.names(path), CameraPath(from_transforms_world(camera.c2w), camera.intrinsics))


def from_transforms_world(c2w: Float[np.ndarray, "T 4 4"]) -> Float64[np.ndarray, "T 4 4"]:
    """Poses (OpenCV axes) from the world of ScanNet++'s transforms files to the mesh's: x and y swapped, z negated."""
    return _WORLD_OF_TRANSFORMS @ c2w


def _of_path(path: Path, names: Sequence[str], camera: CameraPath) -> FramePoses:
    numbers, order = _numbered(names, path)
    k = camera.intrinsics
    lens = np.tile(k.vector.astype(np.float64), (len(numbers), 1))
    return FramePoses(numbers, camera.c2w[order], lens, np.full(len(numbers), np.nan), (k.width, k.height))


def _numbered(names: Sequence[str], path: Path) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """The frame numbers of the names, rising, and the order that sorts so: ``video/frame_000120.jpg`` is frame 120."""
    numbers = np.empty(len(names), dtype=np.int64)
    for index, name in enumerate(names):
        match = re.fullmatch(r"frame_(\d{1,9})", PurePosixPath(name).stem, re.ASCII)
        if match is None:
            raise InputError(f"{path}: {name!r} is not named frame_NUMBER: fetch it again, or choose other poses")
        numbers[index] = int(match.group(1))
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    if (twice := numbers[1:][np.diff(numbers) == 0]).size:
        raise InputError(f"{path} has frame {twice[0]} twice: fetch it again")
    return numbers, order


def _read_arkit(path: Path) -> FramePoses:
    content = read_json(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} holds no frames (frame_000000 and so on): fetch it again, or choose other poses")
    numbers, order = _numbered(list(content), path)
    found = list(content.values())
    entries = [found[index] for index in order]
    if not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: a frame is not an object with aligned_pose and intrinsic: fetch it again")
    if not any("aligned_pose" in entry for entry in entries):
        raise InputError(
            f"{path} has no aligned_pose: fetch version 2 of the dataset (pose is not in the mesh's frame), "
            "or choose the poses of colmap or nerfstudio"
        )
    matrices = [_numbers(entry.get("aligned_pose"), (4, 4)) for entry in entries]
    k = np.array([_numbers(entry.get("intrinsic"), (3, 3)) for entry in entries])
    lens = np.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], axis=-1)
    lens[~(np.isfinite(lens).all(axis=1) & (lens > 0).all(axis=1))] = np.nan
    c2w, remarks = _usable(np.array(matrices), path)
    seconds = np.array([_numbers(entry.get("timestamp"), ()) for entry in entries])
    return FramePoses(numbers, c2w, lens, seconds, remarks=remarks)


def _numbers(values: object, shape: tuple[int, ...]) -> Float64[np.ndarray, "..."]:
    """The values as an array of that shape; NaN where they are none."""
    try:
        return np.asarray(values, dtype=np.float64).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        return np.full(shape, np.nan)


def _usable(c2w: Float64[np.ndarray, "N 4 4"], path: Path) -> tuple[Float64[np.ndarray, "N 4 4"], list[str]]:
    """NaN for poses that cannot be used, and how many of which kind there were."""
    finite = is_posed(c2w)
    identity = np.abs(np.where(finite[:, None, None], c2w, 0) - np.eye(4)).max(axis=(1, 2)) < _IDENTITY_WITHIN
    skewed = np.zeros(len(c2w), dtype=bool)
    for index in np.flatnonzero(finite & ~identity):
        try:
            require_rigid(c2w[index : index + 1])
        except InputError:
            skewed[index] = True
    kinds = ((~finite, "missing or not finite"), (identity, "the identity"), (skewed, "not rigid"))
    counts = [f"{int(bad.sum())} {name}" for bad, name in kinds if bad.any()]
    bad = ~finite | identity | skewed
    if bad.all():
        raise InputError(f"{path}: no pose can be used ({', '.join(counts)}): fetch it again, or choose other poses")
    remarks = [f"{path.name}: poses left out: {', '.join(counts)}"] if counts else []
    return np.where(bad[:, None, None], np.nan, c2w), remarks
