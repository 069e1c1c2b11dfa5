"""Vertices of .ply files: every form and type, and what is cut off."""

import numpy as np
import pytest

from video4spatial.schema import InputError
from video4spatial.storage.ply import read_vertices

POINTS = np.array([[0.5, -1, 2], [3, 4.25, -5], [6, 7, 8]])


def written(kind: str, number: str = "float") -> bytes:
    head = f"ply\nformat {kind} 1.0\ncomment end of nothing\nelement vertex 3\nproperty uchar red\n"
    head += f"property {number} x\nproperty {number} y\nproperty {number} z\nproperty int label\n"
    head += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    if kind == "ascii":
        rows = "".join(f"7 {x} {y} {z} -1\n" for x, y, z in POINTS)
        return (head + rows + "3 0 1 2\n").encode()
    order = "<" if "little" in kind else ">"
    code = {"float": "f4", "float32": "f4", "double": "f8", "float64": "f8"}[number]
    rows = np.zeros(3, [("red", "u1"), *((axis, order + code) for axis in "xyz"), ("label", order + "i4")])
    for column, axis in enumerate("xyz"):
        rows[axis] = POINTS[:, column]
    return head.encode() + rows.tobytes() + b"\x03" + np.arange(3, dtype=order + "i4").tobytes()


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("number", ["float", "float64"])
def test_positions(tmp_path, kind, number):
    path = tmp_path / "mesh.ply"
    path.write_bytes(written(kind, number))
    np.testing.assert_array_equal(read_vertices(path), POINTS)
    path.write_bytes(written(kind, number).replace(b"\n", b"\r\n", 13) if kind == "ascii" else written(kind, number))
    np.testing.assert_array_equal(read_vertices(path), POINTS)


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
def test_cut_off(tmp_path, kind):
    whole = written(kind)
    start = whole.index(b"end_header\n") + len(b"end_header\n")
    path = tmp_path / "mesh.ply"
    for length in (0, 3, 40, start - 4, start, start + 8, start + 17):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"mesh\.ply"):
            read_vertices(path)


def test_others(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_vertices(tmp_path / "none.ply")
    path = tmp_path / "mesh.ply"
    for old, new in (
        (b"property float y\n", b""),
        (b"vertex 3", b"vertex 0"),
        (b"float x", b"half x"),
        (b"ply", b"obj"),
    ):
        path.write_bytes(written("binary_little_endian").replace(old, new, 1))
        with pytest.raises(InputError, match="not a"):
            read_vertices(path)
    path.write_bytes(written("ascii").replace(b"4.25", b"four"))
    with pytest.raises(InputError, match="damaged"):
        read_vertices(path)
