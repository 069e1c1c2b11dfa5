"""Splits: whole environments, the same ones whatever the order, and files that may be written by hand."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.data.splits import held_out, read_split, write_split
from video4spatial.schema import InputError

NAMES = [f"scene{number:02d}" for number in range(40)]
ids = st.text(st.characters(categories=("L", "N"), include_characters="-_."), min_size=1, max_size=8)


def test_the_order_of_environments_does_not_matter():
    shuffled = random.Random(1).sample(NAMES, len(NAMES))
    chosen = held_out(NAMES, 18)
    assert held_out(shuffled + shuffled, 18) == chosen
    assert len(set(chosen)) == 18
    assert chosen == tuple(sorted(chosen))


def test_other_seeds_hold_out_others_and_more_keep_those_that_were():
    assert held_out(NAMES, 18, seed=1) != held_out(NAMES, 18)
    assert set(held_out(NAMES, 10)) < set(held_out(NAMES, 18))
    grown = set(held_out([*NAMES, "new"], 18))
    assert len(grown - {*held_out(NAMES, 18)}) <= 1


def test_the_choice_is_fixed_for_good():
    """A split is cited by its seed: this must not change between versions."""
    assert held_out(["a", "b", "c", "d", "e"], 2) == ("b", "c")


@pytest.mark.parametrize("count", [0, -1, 40, 41])
def test_some_are_held_out_and_some_left(count):
    with pytest.raises(InputError, match=rf"{count} environments cannot be held out of 40"):
        held_out(NAMES, count)


@given(st.lists(ids, unique=True, min_size=1, max_size=8))
def test_what_is_written_is_read(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("splits") / "held.txt"
    write_split(path, names, "18 of 40\nseed 0")
    assert read_split(path) == tuple(names)
    assert path.read_text(encoding="utf-8").startswith("# 18 of 40\n# seed 0\n")


def test_a_file_by_hand(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufeff# mine\r\n\r\n  41048190   # the kitchen\r\nmy flat\r\n".encode())
    assert read_split(path) == ("41048190", "my flat")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\na\n", r"mine.txt, line 3: 'a' is on line 1 already"),
        (b"a, b\n", r"mine.txt, line 1: 1 of 1 ids belong to no environment here: a, b:"),
        (b"# nothing\n\n", r"mine.txt lists no environments"),
        (b"a\n\xff\xfe\n", r"mine.txt is not UTF-8 text \(byte 2\)"),
        (b"a\nz\ny\n", r"mine.txt, line 2: 2 of 3 ids belong to no environment here: z, y"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_split(path, known={"a", "b"})


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match=r"none.txt does not exist"):
        read_split(tmp_path / "none.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read_split(tmp_path)


@pytest.mark.parametrize("name", ["a#b", " a", "", "a\nb", "a\u2028b"])
def test_ids_that_a_line_cannot_hold(tmp_path, name):
    with pytest.raises(InputError, match="cannot stand in"):
        write_split(tmp_path / "held.txt", ["fine", name], "comment")
    assert not (tmp_path / "held.txt").exists()
