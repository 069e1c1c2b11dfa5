"""Our own waypoint files: CSV and JSON with x, y, z in metres and yaw, pitch, roll in radians."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from video4spatial.geometry.formats.text import read_json_text, read_text, write_text
from video4spatial.geometry.paths import Waypoint
from video4spatial.schema import InputError

COLUMNS = ("x", "y", "z", "yaw", "pitch", "roll")


def read_csv(path: Path) -> list[Waypoint]:
    """Waypoints of a CSV file with the header ``x,y,z,yaw,pitch,roll`` (any order; ``#`` starts a comment line)."""
    text = read_text(path)
    try:
        rows = [(number, row) for number, row in _csv_rows(text) if row]
    except csv.Error as error:
        raise InputError(f"{path}: not valid CSV ({error})") from None
    if not rows:
        raise InputError(f"{path} is empty: its first line is {','.join(COLUMNS)}, then one waypoint a line")
    number, header = rows[0]
    if sorted(header) != sorted(COLUMNS):
        raise InputError(f"{path}, line {number}: the header is {','.join(header)}, but must be {','.join(COLUMNS)}")
    if len(rows) == 1:
        raise InputError(f"{path} holds no waypoints: give at least one line below the header")
    waypoints = []
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise InputError(f"{path}, line {number}: {len(row)} values, but the header names {len(header)}")
        waypoints.append(_waypoint(dict(zip(header, row, strict=True)), f"{path}, line {number}"))
    return waypoints


def _csv_rows(text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    return [(number, row) for number, row in rows if any(row) and not row[0].startswith("#")]


def read_json(path: Path) -> list[Waypoint]:
    """Waypoints of a JSON list of objects with the six keys, or of ``{"waypoints": [...]}``."""
    content = read_json_text(path)
    if isinstance(content, dict) and "waypoints" in content:
        content = content["waypoints"]
    if not isinstance(content, list):
        raise InputError(f'{path}: give a list of waypoints, or {{"waypoints": [...]}}')
    if not content:
        raise InputError(f"{path} holds no waypoints: give at least one")
    waypoints = []
    for index, item in enumerate(content):
        where = f"{path}, waypoint {index}"
        if not isinstance(item, dict) or sorted(item) != sorted(COLUMNS):
            raise InputError(f"{where}: give an object with exactly the keys {', '.join(COLUMNS)}")
        waypoints.append(_waypoint(item, where))
    return waypoints


def _waypoint(values: dict, where: str) -> Waypoint:
    numbers = {}
    for name in COLUMNS:
        value = values[name]
        try:
            if isinstance(value, bool):
                raise TypeError
            numbers[name] = float(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{where}: {name} is {value!r}, which is not a number") from None
        if not np.isfinite(numbers[name]):
            raise InputError(f"{where}: {name} is {value!r}, which is not a finite number")
        if name in COLUMNS[3:] and abs(numbers[name]) > 2 * np.pi + 1e-6:
            raise InputError(
                f"{where}: {name} is {value}, more than a full turn. Angles are in radians: 90 degrees is 1.5708"
            )
    return Waypoint(**numbers)


def write_csv(path: Path, waypoints: Sequence[Waypoint]) -> None:
    """One waypoint a line below the header; numbers read back exactly."""
    rows = [",".join(map(repr, waypoint.row)) for waypoint in waypoints]
    write_text(path, "\n".join([",".join(COLUMNS), *rows]) + "\n")


def write_json(path: Path, waypoints: Sequence[Waypoint]) -> None:
    """``{"waypoints": [...]}``; numbers read back exactly."""
    items = [dict(zip(COLUMNS, waypoint.row, strict=True)) for waypoint in waypoints]
    write_text(path, json.dumps({"waypoints": items}, indent=2) + "\n")
