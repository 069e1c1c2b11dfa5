"""Paths from outside the editor and back: presets, files of every format, a table of numbers."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from video4spatial.app.editor.edit import FULL_TURN, MAX_WAYPOINTS, NAMES, PathEdit
from video4spatial.geometry.formats import FORMATS, detect_format, load_path, load_waypoints, save_path, waypoints
from video4spatial.geometry.paths import METRES_PER_RADIAN, Number, Waypoint, preset, preset_options
from video4spatial.schema import CameraPath, InputError, Intrinsics
from video4spatial.storage.artifacts import EXPORTED_PATHS

ARC = np.radians(22.5)  # of an orbit, from waypoint to waypoint
TURN = np.radians(90.0)  # of a camera on one spot; 180 and more would take the short way round
CLOSE = 0.02  # metres, or radians: how far a recorded path may be from straight lines between the waypoints kept
FILE_NAMES = {**EXPORTED_PATHS, "waypoints-json": "waypoints.json", "realestate10k": "path.re10k.txt"}
"""What an exported path is called, by its format; ``colmap`` is a folder, which is zipped."""


def preset_waypoints(name: str, degrees: Number | None = None, metres: Number | None = None) -> list[Waypoint]:
    """The waypoints of a preset (``geometry.paths.PRESETS``), as few as keep to it within 2 cm (for 2 m) and 1 degree.

    ``look-around`` has the same views, but swings at even speed. Raises ``InputError`` as ``preset`` does, and for a
    turn that would need more than ``MAX_WAYPOINTS`` waypoints.
    """
    preset(name, 2, degrees, metres)  # raises for what the preset does not take
    turned = abs(np.radians(preset_options(name).get("degrees", 0.0) if degrees is None else degrees))
    if name == "look-around":
        parts = 4 * max(1, ceil(turned / TURN - 1e-9))
    else:
        parts = max(1, ceil(turned / (ARC if name == "orbit" else TURN) - 1e-9))
    if parts >= MAX_WAYPOINTS:
        raise InputError(f"{name} by {np.degrees(turned):g} degrees needs {parts + 1} waypoints: give less of a turn")
    if name == "still":
        return [Waypoint()]
    return [Waypoint.from_pose(c2w) for c2w in preset(name, parts + 1, degrees, metres)]


@dataclass(frozen=True)
class Imported:
    """A path from a file.

    Attributes:
        poses: how many the file holds; ``waypoints`` are fewer where a recorded path was thinned out.
        apart: how far the thinned-out path is from the recorded one at most, metres or radians.
    """

    waypoints: list[Waypoint]
    format: str
    poses: int
    apart: float = 0.0

    @property
    def said(self) -> str:
        """One sentence for a person."""
        if self.poses == len(self.waypoints):
            return f"{self.poses} waypoints from a {self.format} file."
        return (
            f"{self.poses} poses of a {self.format} file became {len(self.waypoints)} waypoints, at most "
            f"{self.apart:.2g} (metres, or radians) from the recorded path."
        )


def import_path(
    files: str | Path | Sequence[str | Path], intrinsics: Intrinsics, frames: int, format: str | None = None
) -> Imported:
    """The waypoints of a file of any of ``FORMATS``; COLMAP's images.txt and cameras.txt are given together.

    Recorded poses are thinned out to waypoints that keep to the path (``Imported.apart``), at most ``MAX_WAYPOINTS``
    and at most one for four ``frames``. Raises ``InputError`` naming the file and the line.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = _one(files, Path(folder))
        try:
            return _imported(file, intrinsics, frames, format or detect_format(file))
        except InputError as error:  # by its name: where an upload lies means nothing to whoever gave it
            raise InputError(str(error).replace(f"{file.parent}/", "")) from None


def _imported(file: Path, intrinsics: Intrinsics, frames: int, format: str) -> Imported:
    if format in ("waypoints-csv", "waypoints-json"):
        points = load_waypoints(file, format)
        return Imported(points, format, len(points))
    c2w = load_path(file, intrinsics, format).c2w
    most = min(MAX_WAYPOINTS, max(2, frames // 4), frames)
    kept, apart = _thinned(c2w, most)
    return Imported([Waypoint.from_pose(c2w[index]) for index in kept], format, len(c2w), apart)


def export_path(folder: str | Path, path: PathEdit, intrinsics: Intrinsics, format: str, fps: float = 16.0) -> Path:
    """Write the path into ``folder`` as ``format`` and return the file: waypoints as they are, else a pose a frame."""
    if format not in FORMATS:
        raise InputError(f"there is no camera path format {format!r}: choose one of {', '.join(FORMATS)}")
    file = Path(folder) / FILE_NAMES[format]
    if format in ("waypoints-csv", "waypoints-json"):
        write = waypoints.write_csv if format == "waypoints-csv" else waypoints.write_json
        write(file, path.waypoints)
        return file
    save_path(file, CameraPath(path.poses(), intrinsics), format, fps)
    return Path(shutil.make_archive(str(file), "zip", file)) if format == "colmap" else file


def rows(path: Sequence[Waypoint]) -> list[list[float]]:
    """A table for people: metres, and degrees instead of radians, rounded to a tenth of a millimetre and 0.001."""
    return [
        [round(v, 4) for v in point.row[:3]] + [round(float(np.degrees(v)), 3) for v in point.row[3:]] for point in path
    ]


def from_rows(table: Sequence[Sequence[object]], before: Sequence[Waypoint] = ()) -> list[Waypoint]:
    """Waypoints of such a table. A number that is still what ``before`` is rounded to keeps all its digits.

    Rows without any value are left out. Raises ``InputError`` naming row and column.
    """
    shown, points = rows(before), []
    for number, row in enumerate(table):
        cells = ["" if cell is None else str(cell).strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(NAMES):
            raise InputError(f"row {number} has {len(cells)} values: give {', '.join(NAMES)}")
        values = [_cell(number, name, cell) for name, cell in zip(NAMES, cells, strict=True)]
        exact = values[:3] + [float(np.radians(value)) for value in values[3:]]
        if number < len(shown):
            kept = zip(values, shown[number], exact, before[number].row, strict=True)
            exact = [old if value == seen else new for value, seen, new, old in kept]
        points.append(Waypoint(*exact))
    return points


def text_of(path: Sequence[Waypoint]) -> str:
    """The table as text: a waypoint a line, its numbers with commas between."""
    return "\n".join(", ".join(f"{value + 0.0:g}" for value in row) for row in rows(path))


def from_text(text: str, before: Sequence[Waypoint] = ()) -> list[Waypoint]:
    """Waypoints of such a text; commas, semicolons and blanks all separate, ``#`` starts a comment.

    A line may stop after the place or after the yaw: the angles left out are 0. Raises ``InputError``.
    """
    lines = [line.split("#")[0].replace(",", " ").replace(";", " ").split() for line in text.splitlines()]
    table: list[list[object]] = [[*cells, *[0.0] * (len(NAMES) - len(cells))] for cells in lines if cells]
    for number, cells in enumerate(cells for cells in lines if cells):
        if len(cells) not in (3, 4, len(NAMES)):
            raise InputError(f"row {number} has {len(cells)} numbers: give x y z, x y z yaw, or all six")
    if not table:
        raise InputError("there are no waypoints: write one a line, for example 0 0 1 45 0 0")
    return from_rows(table, before)


def _cell(number: int, name: str, cell: str) -> float:
    try:
        return float(cell.replace("−", "-"))  # a minus sign pasted from a text
    except ValueError:
        raise InputError(f"row {number}: {name} is {cell!r}, which is not a number") from None


def _one(files: str | Path | Sequence[str | Path], folder: Path) -> Path:
    """The file to read; COLMAP's, which an upload may keep apart, are brought together in ``folder``."""
    several = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if not several:
        raise InputError("no file was given: choose a camera path file")
    if len(several) == 1:
        return several[0]
    names = {file.name: file for file in several}
    if not {"images.txt", "cameras.txt"} <= names.keys():
        raise InputError(f"{len(several)} files were given: give one, or COLMAP's images.txt and cameras.txt together")
    for name in ("images.txt", "cameras.txt"):
        shutil.copyfile(names[name], folder / name)
    return folder / "images.txt"


def _thinned(c2w: Float[np.ndarray, "T 4 4"], most: int) -> tuple[list[int], float]:
    """Which poses to keep (Douglas and Peucker's rule: the farthest first), and how far the rest is from them."""
    if len(c2w) == 1:
        return [0], 0.0
    path = np.array([Waypoint.from_pose(pose).row for pose in c2w])
    path[:, 3:] = np.unwrap(path[:, 3:], axis=0, period=FULL_TURN) * METRES_PER_RADIAN
    kept = [0, len(path) - 1] if most > 1 else [0]
    while True:
        apart = _apart(path, kept)
        worst = int(np.argmax(apart))
        if apart[worst] <= CLOSE or len(kept) >= most:
            return kept, float(apart[worst])
        kept = sorted([*kept, worst])


def _apart(path: Float64[np.ndarray, "T 6"], kept: list[int]) -> Float64[np.ndarray, " T"]:
    """How far each pose is from the straight line between the kept ones around it."""
    apart = np.linalg.norm(path - path[kept[-1]], axis=1)
    for first, last in pairwise(kept):
        between, along = path[first : last + 1] - path[first], path[last] - path[first]
        share = np.clip(between @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
        apart[first : last + 1] = np.linalg.norm(between - share[:, None] * along, axis=1)
    apart[kept] = 0.0
    return apart
