"""Objects of a scan as 3D boxes: ``segments_anno.json`` says which segments and what, ``segments.json`` which vertices
of ``mesh_aligned_0.05_semantic.ply`` each segment has.

Source: scannetpp/scannetpp ``common/utils/anno.py``, ``load_annotation``; its issues 31 and 48 say that segments were
patches of the mesh once and are single vertices now. Where mesh or segments are not there, the annotation's own ``obb``
serves: full ``axesLengths`` along ``normalizedAxes``, three numbers an axis [I: as in ARKitScenes and 3RScan, whose
annotations have the same keys].
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int

from video4spatial.data.scannetpp.files import SceneFiles, require_file
from video4spatial.data.scene import SceneObject
from video4spatial.geometry.boxes3d import oriented_corners, upright_corners
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json
from video4spatial.storage.ply import read_vertices

_AGAIN = "fetch it again, or read without objects"


def read_objects(files: SceneFiles) -> list[SceneObject]:
    """The annotated objects (walls and floor among them) in the mesh's frame, with the ids of ``objectId``.

    A box is the upright one around the object's vertices. Objects without vertices are left out.

    Raises:
        InputError: a file is cut off, not UTF-8, or does not fit the others; names it.
    """
    groups = _groups(require_file(files.annotation))
    ids = [_id(group, files.annotation) for group in groups]
    if len(set(ids)) < len(ids):
        raise InputError(f"{files.annotation} has an objectId twice: {_AGAIN}")
    if files.mesh.is_file() and files.segments.is_file():
        boxes = _boxes_of_mesh(files, groups)
    else:
        boxes = [_obb(group, files) for group in groups]
    return [
        SceneObject(object_id, str(group.get("label") or "").strip(), "", corners)
        for object_id, group, corners in zip(ids, groups, boxes, strict=True)
        if corners is not None
    ]


def _groups(path: Path) -> list[dict]:
    content = read_json(path)
    groups = content.get("segGroups") if isinstance(content, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise InputError(f"{path} has no list segGroups: {_AGAIN}")
    return groups


def _id(group: dict, path: Path) -> int:
    value = group.get("objectId")
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{path}: an object has objectId {value!r}: {_AGAIN}")
    return value


def _boxes_of_mesh(files: SceneFiles, groups: list[dict]) -> list[Float64[np.ndarray, "8 3"] | None]:
    vertices = read_vertices(require_file(files.mesh))
    segments = _segments(require_file(files.segments))
    if len(segments) != len(vertices):
        raise InputError(
            f"{files.segments} is of {len(segments)} vertices, {files.mesh.name} has {len(vertices)}: fetch both again"
        )
    order = np.argsort(segments, kind="stable")
    in_order = segments[order]
    boxes: list[Float64[np.ndarray, "8 3"] | None] = []
    for group in groups:
        wanted = np.unique(_whole(group.get("segments"), f"{files.annotation}, object {group['objectId']}: segments"))
        first, last = np.searchsorted(in_order, wanted), np.searchsorted(in_order, wanted, side="right")
        owned = order[_ranges(first, last)]
        boxes.append(upright_corners(vertices[owned]) if len(owned) else None)
    return boxes


def _ranges(first: Int[np.ndarray, " N"], last: Int[np.ndarray, " N"]) -> Int[np.ndarray, " M"]:
    """``first[0]`` up to ``last[0]``, then ``first[1]`` up to ``last[1]`` and so on, without a loop over vertices."""
    counts = last - first
    return np.arange(counts.sum()) + np.repeat(last - counts.cumsum(), counts)


def _segments(path: Path) -> Int[np.ndarray, " N"]:
    content = read_json(path)
    return _whole(content.get("segIndices") if isinstance(content, dict) else None, f"{path}: segIndices")


def _whole(values: object, where: str) -> Int[np.ndarray, " N"]:
    array = np.asarray(values if isinstance(values, list) else None)
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        raise InputError(f"{where} is not a list of whole numbers: {_AGAIN}")
    return array.astype(np.int64)


def _obb(group: dict, files: SceneFiles) -> Float64[np.ndarray, "8 3"]:
    box = group.get("obb")
    missing = next(path for path in (files.mesh, files.segments) if not path.is_file())
    where = f"{files.annotation}, object {group['objectId']}"
    if not isinstance(box, dict):
        raise InputError(f"{where} has no obb, and {missing} is missing: fetch it, or read without objects")
    try:
        centre, lengths = (np.array(box[key], dtype=np.float64).reshape(3) for key in ("centroid", "axesLengths"))
        axes = np.array(box["normalizedAxes"], dtype=np.float64).reshape(3, 3)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{where} has a damaged obb: {_AGAIN}") from None
    rotation = np.abs(axes @ axes.T - np.eye(3)).max()
    if not np.isfinite(centre).all() or not (lengths >= 0).all() or not rotation < 1e-2:
        raise InputError(f"{where} has an obb that cannot be: {_AGAIN}")
    return oriented_corners(centre, lengths, axes)
