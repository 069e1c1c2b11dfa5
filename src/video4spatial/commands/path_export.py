"""Camera paths for other programs: the one asked for, and the one that a clip shows, each in every format.

from video4spatial.commands.path_export import export_paths

export_paths("out/", Exported(asked, recovered, fps=16.0, width=96, height=64))

Both are in the frame of the clip's own first camera, one pose a frame, with the lens of the clip's pixels. What lengths
mean is stated beside each (``scale`` in path.json), never left to be guessed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.recovered import Recovered
from video4spatial.geometry.formats import save_path
from video4spatial.geometry.poses import relative_to
from video4spatial.schema import CameraPath
from video4spatial.storage.artifacts import COLMAP_FILES, EXPORTED_PATHS, PathExportLayout, explained_writes, write_json
from video4spatial.storage.ply import write_vertices

FRAME_OF_REFERENCE = "the clip's first camera: x right, y down, z forward (OpenCV); poses are camera-to-world"
SCALES = {
    "metric": "metres, of a scene whose size is known",
    "asked path": "multiplied so that the path is as long as the asked one: metres as far as the clip keeps to it",
    "arbitrary": "a unit of its own: the walk-through's median depth is 2; multiply by a length that you know",
}
"""What a length of a recovered path is, by ``Recovered.scale``."""


@dataclass(frozen=True)
class Exported:
    """What there is to export of a clip.

    Attributes:
        asked: the path that was asked for, one pose a frame; None: an instruction was.
        recovered: the path that the clip shows, or why there is none.
        width, height: the clip's pixels, to which the lenses are brought.
    """

    asked: CameraPath | None
    recovered: Recovered | NotComputed
    fps: float
    width: int
    height: int


def export_paths(folder: str | Path, exported: Exported) -> dict[str, Any]:
    """Write the paths into ``folder`` (``PathExportLayout`` has the names), path.json last; returns what that holds.

    An earlier export in the same folder is replaced: files of its that are not written again are removed.

    Raises ``InputError`` where the folder cannot be written.
    """
    layout = PathExportLayout(Path(folder))
    _remove_earlier(layout)
    asked, recovered = exported.asked, exported.recovered
    told: dict[str, Any] = {"format": 1, "fps": exported.fps, "reference": FRAME_OF_REFERENCE}
    told |= {"asked": None, "recovered": None}
    if asked is not None:
        home = CameraPath(relative_to(asked.c2w), asked.intrinsics)
        told["asked"] = {"scale": "as asked", "unit": "metres, as asked", "frames": len(home)}
        told["asked"]["files"] = _write(layout, "asked", home, exported)
    if isinstance(recovered, NotComputed):
        told["recovered_missing"] = recovered.reason
    else:
        path = CameraPath(recovered.c2w, recovered.intrinsics)
        points = recovered.points[np.isfinite(recovered.points).all(axis=1)]
        told["recovered"] = {
            "scale": recovered.scale,
            "unit": SCALES[recovered.scale],
            "factor": recovered.factor,
            "frames": len(path),
            "interpolated": np.flatnonzero(~recovered.found).tolist(),
            "points": len(points),
            "files": _write(layout, "recovered", path, exported),
        }
        if len(points):
            write_vertices(layout.points, points)
            told["recovered"]["files"]["ply"] = _name(layout, layout.points)
    write_json(layout.summary, told)
    return told


def _write(layout: PathExportLayout, which: str, path: CameraPath, exported: Exported) -> dict[str, str]:
    """One path in every format, at the clip's size; the files' names by format."""
    sized = CameraPath(path.c2w, path.intrinsics.resized(exported.width, exported.height))
    names = {}
    for format in EXPORTED_PATHS:
        file = layout.path(which, format)
        save_path(file, sized, format, exported.fps)
        names[format] = _name(layout, file)
    return names


def _name(layout: PathExportLayout, file: Path) -> str:
    return file.relative_to(layout.root).as_posix()


def _remove_earlier(layout: PathExportLayout) -> None:
    """Remove the files of an earlier export, and nothing else; the summary first, since it vouches for the others."""
    paths = [layout.path(which, format) for which in ("asked", "recovered") for format in EXPORTED_PATHS]
    files = [file for path in paths for file in ([path / name for name in COLMAP_FILES] if not path.suffix else [path])]
    with explained_writes(layout.root):
        for file in (layout.summary, *files, layout.points):
            file.unlink(missing_ok=True)
