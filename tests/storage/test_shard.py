"""Shards read by position: every dtype, and every kind of damage is told apart from data."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from video4spatial.storage.shard import DamagedShard, Shard

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("shard") / "s.safetensors"
    values = torch.arange(42).reshape(7, 2, 3)
    save_file({f"v/{name}": values.to(getattr(torch, name)) for name in DTYPES} | {"v/none": torch.zeros(0, 4)}, path)
    return path


@pytest.mark.parametrize("name", DTYPES)
def test_rows_are_bit_exact(path, name):
    shard, expected = Shard(path), torch.arange(42).reshape(7, 2, 3).to(getattr(torch, name))
    assert shard.read(f"v/{name}").equal(expected)
    rows = np.array([6, 0, 1, 2, 2, 5])
    assert shard.read(f"v/{name}", rows).equal(expected[rows])
    out = torch.zeros(3, 2, 3, dtype=expected.dtype)
    shard.read_into(f"v/{name}", np.array([1]), out[1:2])
    assert out[1].equal(expected[1])
    assert not out[[0, 2]].any()


@given(st.lists(st.integers(0, 6), max_size=12))
def test_any_rows_in_any_order(path, rows):
    found = Shard(path).read("v/int32", np.array(rows, dtype=np.int64))
    assert found.equal(torch.arange(42, dtype=torch.int32).reshape(7, 2, 3)[rows])


def test_nothing_is_read_of_nothing(path):
    shard = Shard(path)
    assert shard.read("v/none").shape == (0, 4)
    assert "v/none" in shard
    assert "w" not in shard
    with pytest.raises(DamagedShard, match="no tensor 'w'"):
        shard.read("w")


def test_memory_that_does_not_fit_is_refused(path):
    shard = Shard(path)
    for out in (torch.zeros(2, 2, 3), torch.zeros(1, 2, 3, dtype=torch.float64), torch.zeros(1, 3, 2).transpose(1, 2)):
        with pytest.raises(ValueError, match="do not fit"):
            shard.read_into("v/float32", np.array([0]), out)


def header(told: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(told).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


ENTRY = {"dtype": "U8", "shape": [2, 1], "data_offsets": [0, 2]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header is cut off"),
        (b"\1\0", "header is cut off"),
        (header({"v": ENTRY}, b"ab", length=10**6), "header is cut off"),
        (header({"v": ENTRY}, b"a"), "its header tells of"),
        (header({"v": ENTRY}, b"abc"), "its header tells of"),
        ((3).to_bytes(8, "little") + b"\xff{}", "header cannot be read"),
        (header([1]), "header cannot be read"),
        (header({"v": ENTRY | {"shape": [3, 1]}}, b"ab"), "header cannot be read"),
        (header({"v": ENTRY | {"shape": []}}, b"ab"), "header cannot be read"),
        (header({"v": ENTRY | {"dtype": "F8"}}, b"ab"), "header cannot be read"),
        (header({"v": {"dtype": "U8"}}, b"ab"), "header cannot be read"),
        (header({"v": ENTRY | {"data_offsets": [-2, 0]}}, b""), "header cannot be read"),
    ],
)
def test_damage_is_told(tmp_path, content, message):
    path = tmp_path / "s.safetensors"
    path.write_bytes(content)
    with pytest.raises(DamagedShard, match=message):
        Shard(path)


def test_a_file_cut_off_while_it_is_open(tmp_path, path):
    """An error, where a map would end the process."""
    copy = tmp_path / "s.safetensors"
    copy.write_bytes(path.read_bytes())
    shard = Shard(copy)
    copy.write_bytes(copy.read_bytes()[:-60])
    with pytest.raises(DamagedShard, match="it ends before byte"):
        shard.read("v/bool"), shard.read("v/uint8"), shard.read("v/float64")
