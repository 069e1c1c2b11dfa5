"""Weights are told apart by what is in them."""

import pytest

from video4spatial.schema import InputError
from video4spatial.storage.digest import content_digest


def test_a_folder_is_its_files_and_their_names(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "part").mkdir(parents=True)
        (folder / "part" / "a.bin").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")
    (two / ".cache").mkdir()
    (two / ".cache" / "lock").write_text("x")
    assert content_digest(one) == content_digest(two)
    (two / "part" / "a.bin").rename(two / "part" / "b.bin")
    assert content_digest(one) != content_digest(two)
    (two / "part" / "b.bin").rename(two / "part" / "a.bin")
    (two / "part" / "a.bin").write_bytes(b"Weights")
    assert content_digest(one) != content_digest(two)
    with pytest.raises(InputError, match="cannot be read"):
        content_digest(tmp_path / "none")


def test_a_large_file_is_looked_at_in_places(tmp_path):
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(2**26 + 4096)  # a hole: no disk is used
    before = content_digest(large)
    for place in (0, 2**26 + 4095):  # both ends
        with large.open("r+b") as file:
            file.seek(place)
            file.write(b"\1")
        after = content_digest(large)
        assert after != before
        before = after
