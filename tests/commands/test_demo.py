"""The demo at tiny size."""

import json

import numpy as np
import pytest
from PIL import Image

from video4spatial.commands.demo import answer, enlarge, index_page, make_demo, marked, rooms_of
from video4spatial.sample.session import Result
from video4spatial.schema import Box, Clip, Found, InputError
from video4spatial.storage.video import read_video


@pytest.fixture(scope="module")
def made(tiny_pipeline, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "page"
    make_demo(tiny_pipeline, out, 1_000_007)
    return out


def test_rooms_are_the_models_own(tiny_pipeline):
    config = rooms_of(tiny_pipeline)
    assert (config.width, config.height, config.fps, config.fov) == (64, 32, 16.0, 72.0)
    assert (config.frames, config.tail_frames) == (161, 8)
    assert config.intrinsics == tiny_pipeline.intrinsics


def test_everything_the_page_shows_is_there(made):
    html = (made / "index.html").read_text()
    for name in ("context", "ground", "navigate"):
        assert f'src="{name}_large.mp4"' in html
        assert read_video(made / f"{name}_large.mp4").size == (256, 128)
        assert read_video(made / f"{name}.mp4").size == (64, 32)
    assert len(read_video(made / "context.mp4")) == 161
    assert len(read_video(made / "ground.mp4")) == len(read_video(made / "navigate.mp4")) == 17
    assert 'src="sheet.png"' in html
    assert Image.open(made / "sheet.png").size[0] > 400
    assert not [file for file in made.iterdir() if file.name.startswith(".")]


def test_the_answers_are_told(made):
    ground, navigate = (json.loads((made / f"{name}.json").read_text()) for name in ("ground", "navigate"))
    assert ground["task"] == "ground"
    assert "in the center of the frame" in ground["settings"]["sentence"]
    assert navigate["task"] == "navigate"
    assert "not found" in (made / "index.html").read_text() or ground["found"]


def test_no_paths_of_this_machine_are_told(made):
    text = (made / "index.html").read_text()
    assert str(made.parent) not in text
    assert "/tmp" not in text


def test_a_place_that_cannot_be_written(tiny_pipeline, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        make_demo(tiny_pipeline, tmp_path / "file" / "demo", 1)


def test_found_boxes_are_drawn_on_frames_of_their_own():
    frames = np.full((9, 32, 64, 3), 90, np.uint8)
    missed = Result(frames, 16.0, "ground", {"seed": 2})
    assert answer(missed) == "not found, with seeds 0 to 2"
    np.testing.assert_array_equal(marked(missed).frames, frames)
    found = Result(frames, 16.0, "ground", {"seed": 1}, Found(Box(10.0, 8.0, 40.0, 28.0), 8, "sofa", 0.876))
    assert answer(found).startswith("a box is drawn with seed 1;")
    shown = marked(found).frames
    np.testing.assert_array_equal(shown[:9], frames)
    assert len(shown) == 17
    assert (shown[9:, 8, 20] == [255, 0, 0]).all()


def test_pages_escape_what_they_quote():
    assert "&lt;b&gt;" in index_page(["<b>"], ["context"], 3.0)
    assert "<b>" not in index_page(["<b>"], ["context"], 3.0)


def test_enlarging():
    clip = enlarge(Clip(np.full((2, 8, 16, 3), 70, np.uint8), 8.0), 3)
    assert clip.size == (48, 24)
    assert (clip.frames == 70).all()
    assert clip.fps == 8.0
