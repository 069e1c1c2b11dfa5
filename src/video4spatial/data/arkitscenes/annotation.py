"""``<video_id>_3dod_annotation.json``: oriented boxes of furniture in the frame of the poses.

Source: ARKitScenes ``tenFpsDataLoader.py`` (``extract_gt``) and ``box_utils.py`` (``compute_box_3d``): ``axesLengths``
are full lengths along the ROWS of ``normalizedAxes``.
"""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from video4spatial.data.scene import BadScene, SceneObject
from video4spatial.geometry.boxes3d import oriented_corners

_NOT_A_ROTATION = 1e-2


def read_annotation(path: Path) -> list[SceneObject]:
    """The objects of a file, numbered from 1 in its order; none if the annotators skipped the video.

    Raises:
        BadScene: the file is not UTF-8, not JSON, or a box in it cannot be; names the file and the object.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
        entries = [] if content.get("skipped") is True else content["data"]
    except OSError as error:
        raise BadScene(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BadScene(f"{path} is not UTF-8 (byte {error.start}): fetch it again, or read without objects") from None
    except (json.JSONDecodeError, RecursionError, KeyError, AttributeError):
        raise BadScene(f"{path} is not a 3DOD annotation (cut off?): fetch it again, or read without objects") from None
    return [_object(number, entry, f"{path}, object {number}") for number, entry in enumerate(entries, 1)]


def _object(number: int, entry: dict, where: str) -> SceneObject:
    try:
        box, label = entry["segments"]["obbAligned"], entry["label"]
        centre, lengths = _numbers(box["centroid"], 3), _numbers(box["axesLengths"], 3)
        axes = _numbers(box["normalizedAxes"], 9).reshape(3, 3)
    except (KeyError, TypeError, ValueError):
        raise BadScene(f"{where} has no whole obbAligned box: fetch it again, or read without objects") from None
    if not isinstance(label, str) or (lengths <= 0).any() or np.abs(axes @ axes.T - np.eye(3)).max() > _NOT_A_ROTATION:
        raise BadScene(f"{where} ({label!r}) has a box that cannot be: fetch it again, or read without objects")
    return SceneObject(number, label.replace("_", " "), "", oriented_corners(centre, lengths, axes))


def _numbers(values: object, count: int) -> Float64[np.ndarray, " N"]:
    array = np.array(values, dtype=np.float64).reshape(-1)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise ValueError(f"expected {count} finite numbers")
    return array
