"""Where the camera is to go: a preset, waypoints, or a path file; in words, and as poses for a clip's length."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from video4spatial.geometry.formats import load_path
from video4spatial.geometry.paths import PRESETS, Waypoint, interpolate, preset
from video4spatial.schema import CameraPath, InputError, Intrinsics

COLUMNS = ("x", "y", "z", "yaw", "pitch", "roll")
MOST_WAYPOINTS = 64


@dataclass(frozen=True)
class Preset:
    """A named path; ``degrees`` and ``metres`` None are the preset's own."""

    name: str
    degrees: float | None = None
    metres: float | None = None

    def __post_init__(self) -> None:
        preset(self.name, 1, self.degrees, self.metres)  # raises now what it would raise later

    @property
    def words(self) -> str:
        """What it is, as a person would say it."""
        options = [f"{self.degrees:g} degrees" if self.degrees is not None else ""]
        options += [f"{self.metres:g} m" if self.metres is not None else ""]
        return " ".join(part for part in (self.name, *options) if part)

    def poses(self, lens: Intrinsics, frames: int) -> CameraPath:
        """The path as ``frames`` poses; ``lens`` where it brings none."""
        return CameraPath(preset(self.name, frames, self.degrees, self.metres), lens)


@dataclass(frozen=True)
class Through:
    """A smooth path through waypoints."""

    waypoints: tuple[Waypoint, ...]

    def __post_init__(self) -> None:
        if len(self.waypoints) > MOST_WAYPOINTS:
            raise InputError(f"{len(self.waypoints)} waypoints: give at most {MOST_WAYPOINTS}")
        interpolate(self.waypoints, max(1, len(self.waypoints)))

    @property
    def words(self) -> str:
        """What it is, as a person would say it."""
        count = len(self.waypoints)
        return "1 waypoint" if count == 1 else f"{count} waypoints"

    def poses(self, lens: Intrinsics, frames: int) -> CameraPath:
        """The path as ``frames`` poses; ``lens`` where it brings none."""
        return CameraPath(interpolate(self.waypoints, frames), lens)


@dataclass(frozen=True)
class FromFile:
    """A path file in any format of ``geometry.formats``."""

    path: Path
    format: str | None = None
    name: str = ""

    @property
    def words(self) -> str:
        """What it is, as a person would say it."""
        return self.name or self.path.name

    def poses(self, lens: Intrinsics, frames: int) -> CameraPath:
        """The path as ``frames`` poses; ``lens`` where it brings none."""
        try:
            return load_path(self.path, lens, self.format, frames)
        except InputError as error:
            raise InputError(str(error).replace(str(self.path), self.words)) from None


Route = Preset | Through | FromFile


def waypoints_of(rows: Sequence[Sequence[Any]]) -> list[Waypoint]:
    """Rows of a table (metres, degrees) as waypoints. Wholly empty rows are left out; an empty cell counts as 0.

    Raises:
        InputError: a cell that is no finite number, naming row and column.
    """
    found = []
    for number, row in enumerate(rows, 1):
        cells = [None if _empty(cell) else cell for cell in row]
        if all(cell is None for cell in cells):
            continue
        if len(cells) != len(COLUMNS):
            raise InputError(f"waypoint {number} has {len(cells)} numbers: give {', '.join(COLUMNS)}")
        values = [_number(cell, f"waypoint {number}, {name}") for name, cell in zip(COLUMNS, cells, strict=True)]
        found.append(Waypoint(*values[:3], *np.radians(values[3:]).tolist()))
    return found


def rows_of(waypoints: Sequence[Waypoint]) -> list[list[float]]:
    """The inverse: metres and degrees, to a tenth of a millimetre and a thousandth of a degree."""
    return [
        [round(v, 4) + 0.0 for v in point.row[:3]] + [round(float(np.degrees(v)), 3) + 0.0 for v in point.row[3:]]
        for point in waypoints
    ]


def waypoints_from_text(text: str) -> list[Waypoint]:
    """Waypoints written one a line: x, y, z in metres, then yaw, pitch, roll in degrees (left out: 0)."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        cells: list[Any] = line.split("#")[0].replace(",", " ").replace(";", " ").split()
        if cells and len(cells) not in (3, 4, 6):
            raise InputError(
                f"line {number} of the waypoints has {len(cells)} numbers: give x y z, x y z yaw, or all six"
            )
        if cells:
            rows.append([*cells, *[0.0] * (6 - len(cells))])
    if not rows:
        raise InputError("there are no waypoints: write one a line, for example 0 0 1 45 0 0")
    return waypoints_of(rows)


def text_of(waypoints: Sequence[Waypoint]) -> str:
    """The same as text, one waypoint a line."""
    return "\n".join(", ".join(f"{value:g}" for value in row) for row in rows_of(waypoints))


def waypoints_along(poses: CameraPath, count: int = 5) -> list[Waypoint]:
    """``count`` waypoints spread evenly over a path, both ends included; all poses if there are fewer."""
    chosen = np.unique(np.linspace(0, len(poses) - 1, min(count, len(poses))).round().astype(int))
    return [Waypoint.from_pose(poses.c2w[i]) for i in chosen]


def _empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def _number(cell: Any, where: str) -> float:
    if cell is None:
        return 0.0
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{where} is {cell!r}: give a number")
    return value


__all__ = ["COLUMNS", "PRESETS", "FromFile", "Preset", "Route", "Through"]
