"""Contact sheets: what is on them, at the size asked for."""

import numpy as np
import pytest
from PIL import Image

from video4spatial.schema import InputError
from video4spatial.storage.sheet import contact_sheet, evenly, write_image

RED = np.full((9, 32, 48, 3), (200, 20, 20), np.uint8)
BLUE = np.full((2, 32, 48, 3), (20, 20, 200), np.uint8)


def test_frames_are_spread_from_first_to_last():
    assert evenly(9, 3) == [0, 4, 8]
    assert evenly(2, 8) == [0, 1]


def test_every_row_is_seen_enlarged():
    sheet = contact_sheet({"red": RED, "blue": BLUE}, columns=3, frame_width=96)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] >= 3 * 96
    red = (np.abs(sheet.astype(int) - (200, 20, 20)).sum(-1) < 10).sum()
    blue = (np.abs(sheet.astype(int) - (20, 20, 200)).sum(-1) < 10).sum()
    assert red == 3 * 96 * 64
    assert blue == 2 * 96 * 64


def test_nothing_to_show_is_an_error():
    for rows in ({}, {"empty": RED[:0]}):
        with pytest.raises(InputError, match="at least one clip"):
            contact_sheet(rows)


def test_images_are_written_whole(tmp_path):
    write_image(tmp_path / "deep" / "sheet.png", RED[0])
    with Image.open(tmp_path / "deep" / "sheet.png") as image:
        assert (np.asarray(image) == RED[0]).all()
    with pytest.raises(InputError, match="choose such a name"):
        write_image(tmp_path / "sheet.gif", RED[0])
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
