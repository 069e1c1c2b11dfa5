"""Vertex positions of a .ply mesh or point cloud, with errors that name the file.

Read are ``x``, ``y``, ``z`` of the element ``vertex``, which comes first, as in every scanner's files; what follows it
is left alone. Source: Greg Turk, "The PLY Polygon File Format".
"""

from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path

_NAMES = {"i1": "char int8", "u1": "uchar uint8", "i2": "short int16", "u2": "ushort uint16", "i4": "int int32"}
_NAMES |= {"u4": "uint uint32", "f4": "float float32", "f8": "double float64"}
_TYPES = {name: code for code, names in _NAMES.items() for name in names.split()}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 1 << 16


def read_vertices(path: str | Path) -> Float64[np.ndarray, "N 3"]:
    """The positions of all vertices, in the file's order.

    Raises:
        InputError: the file is missing, cut off, or no .ply whose vertices have a position.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            kind, count, columns, start = _header(path, file.read(_LONGEST_HEADER))
            if kind == "ascii":
                file.seek(start)
                places = [list(columns).index(axis) for axis in "xyz"]
                rows = [line.split() for line in islice(file, count)]
                if len(rows) < count or min(map(len, rows)) < len(columns):
                    raise ValueError
                return np.array([[float(row[place]) for place in places] for row in rows])
            layout = np.dtype([(name, _ORDERS[kind] + code) for name, code in columns.items()])
            if path.stat().st_size < start + count * layout.itemsize:
                raise ValueError
        vertices = np.memmap(path, layout, mode="r", offset=start, shape=(count,))
        return np.stack([vertices[axis].astype(np.float64) for axis in "xyz"], axis=-1)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is cut off or damaged within its vertices: fetch it again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def write_vertices(path: str | Path, points: Float[np.ndarray, "N 3"]) -> None:
    """Write a point cloud: float32 positions, binary, little-endian; the whole file or none."""
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    with atomic_path(path) as temporary:
        header = "\n".join([*lines, "end_header", ""]).encode("ascii")
        temporary.write_bytes(header + np.ascontiguousarray(points, "<f4").tobytes())


def _header(path: Path, begin: bytes) -> tuple[str, int, dict[str, str], int]:
    """``(format, number of vertices, their properties' types, where they start)``."""
    head, end, _ = begin.partition(b"end_header")
    line_end = begin.find(b"\n", len(head))
    if not begin.startswith(b"ply") or not end or line_end < 0:
        raise InputError(f"{path} is not a .ply file (its header is missing or cut off): fetch it again")
    kind, count, columns, element = "", 0, {}, None
    for line in head.decode("ascii", errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["format"] and len(words) > 1:
            kind = words[1]
        elif words[:1] == ["element"] and len(words) == 3:
            if element is None and words[1] == "vertex" and words[2].isdigit():
                count = int(words[2])
            element = words[1]
        elif words[:1] == ["property"] and element == "vertex" and len(words) == 3:
            columns[words[2]] = _TYPES.get(words[1], "")
    if kind not in _ORDERS or not count or not set("xyz") <= columns.keys() or "" in columns.values():
        raise InputError(f"{path} is not a .ply whose first element is vertices with x, y and z: fetch it again")
    return kind, count, columns, line_end + 1
