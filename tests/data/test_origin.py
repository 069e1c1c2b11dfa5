"""What a store says it was made of."""

import json

import pytest

from video4spatial.data.origin import Origin, keep_origin, read_origin
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout

MADE = Origin("rooms", "0:4", {"tours": 2}, 1, (96, 64), 161, "rooms-small", "abc", None, ("room1",), "0.1.0")


def test_it_is_written_once_and_read_back(tmp_path):
    keep_origin(tmp_path, MADE)
    assert read_origin(tmp_path) == MADE
    before = StoreLayout(tmp_path).origin.read_bytes()
    keep_origin(tmp_path, Origin(**{**vars(MADE), "version": "9", "vae": "elsewhere/rooms-small"}))
    assert StoreLayout(tmp_path).origin.read_bytes() == before
    assert MADE.source().units[0].unit_id == "room0-0"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "videos"}, "source.kind rooms, not videos"),
        ({"options": {"tours": 3}}, "source.options.tours 2, not 3"),
        ({"fingerprint": "def"}, "fingerprint abc, not def"),
        ({"only": ("room2",)}, r"only none, not \['room2'\]"),
        ({"leave_out": tuple("abcde")}, r"leave_out \['room1'\], not 5 entries \(a among them\)"),
        ({"leave_out": ()}, r"leave_out \['room1'\], not none"),
    ],
)
def test_what_differs_is_said(tmp_path, change, told):
    keep_origin(tmp_path, MADE)
    with pytest.raises(InputError, match=told):
        keep_origin(tmp_path, Origin(**{**vars(MADE), **change}))


@pytest.mark.parametrize("content", [{}, [], {"source": {}}, {"made_of": "x", "vae": "y"}, {"source": 3}, None])
def test_an_origin_that_is_none(tmp_path, content):
    StoreLayout(tmp_path).origin.write_text(json.dumps(content))
    with pytest.raises(InputError, match="is not of a store that `video4spatial prepare` made"):
        read_origin(tmp_path)
    whole = MADE.to_json()
    for broken in ({**whole, "size": 3}, {**whole, "more": 1}, {k: v for k, v in whole.items() if k != "clip"}):
        StoreLayout(tmp_path).origin.write_text(json.dumps(broken))
        with pytest.raises(InputError, match="is not of a store"):
            read_origin(tmp_path)


def test_every_is_a_whole_step():
    with pytest.raises(InputError, match="every is 0"):
        Origin(**{**vars(MADE), "every": 0})
