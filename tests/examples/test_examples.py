"""The examples run as they are written, on the model that ships; short, by their own options."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from video4spatial.cli import main
from video4spatial.geometry.formats import load_path
from video4spatial.model.load import resolve_model
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.storage.video import read_video, write_video

FOLDER = Path(__file__).resolve().parents[2] / "examples"
NAMES = ["1_ground", "2_navigate", "3_custom_path", "4_your_own_dataset", "5_train_a_minute", "6_evaluate_videos"]
FRAMES = 33  # of a clip of rooms-small


def run(monkeypatch, capsys, number: int, *words: object) -> str:
    """What example ``number`` prints, run as a program with these arguments."""
    script = FOLDER / f"{NAMES[number - 1]}.py"
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, words)])
    runpy.run_path(str(script), run_name="__main__")
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def walk(tiny_walk, tmp_path_factory) -> Path:
    """A walk of 41 frames as a file."""
    path = tmp_path_factory.mktemp("walk") / "walk.mp4"
    write_video(path, tiny_walk.clip)
    return path


def test_there_are_six_short_ones():
    assert sorted(file.stem for file in FOLDER.iterdir() if file.suffix == ".py") == NAMES
    for name in NAMES:
        lines = (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()
        assert len(lines) < 40, name
        assert lines[0].startswith(f'"""{name[0]}. '), f"{name} does not open with its number and what it does"
        assert f"python examples/{name}.py" in lines[2]


def test_ground_in_a_room_of_its_own(monkeypatch, capsys, tmp_path):
    told = run(monkeypatch, capsys, 1, "--steps", 2, "--out", tmp_path)
    assert len(read_video(tmp_path / "ground.mp4")) == FRAMES
    answer = json.loads((tmp_path / "ground.json").read_text())
    assert answer["settings"]["unknown_words"] == []
    assert ("not found" in told) == (not answer["found"])


def test_ground_wants_an_object_with_a_video(monkeypatch, capsys, walk):
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, 1, walk)
    assert "say which object" in capsys.readouterr().err


def test_navigate(monkeypatch, capsys, tmp_path, walk):
    run(monkeypatch, capsys, 2, walk, "--steps", 2, "--out", tmp_path)
    videos = [read_video(path).frames for path in sorted(tmp_path.glob("*.mp4"))]
    assert [len(frames) for frames in videos] == [FRAMES] * 3
    assert not np.array_equal(videos[0], videos[1])
    assert Image.open(tmp_path / "sheet.png").height > 3 * 64


def test_custom_path_and_its_own_file_again(monkeypatch, capsys, tmp_path, walk):
    run(monkeypatch, capsys, 3, walk, "--steps", 1, "--out", tmp_path)
    lens = Video4SpatialPipeline.from_pretrained("rooms-small").intrinsics
    written = load_path(tmp_path / "path.tum", lens)
    assert len(read_video(tmp_path / "path.mp4")) == len(written) == FRAMES
    for name in ("transforms.json", "colmap", "path.csv", "path.ros.json"):
        np.testing.assert_allclose(load_path(tmp_path / name, lens).c2w, written.c2w, atol=1e-5)
    again = tmp_path / "again"
    run(monkeypatch, capsys, 3, walk, "--steps", 1, "--path", tmp_path / "transforms.json", "--out", again)
    same = read_video(again / "path.mp4").frames.astype(int) - read_video(tmp_path / "path.mp4").frames
    assert np.abs(same).mean() < 1


def test_your_own_dataset_trains_by_the_command_that_it_tells(monkeypatch, capsys, tmp_path):
    told = run(monkeypatch, capsys, 4, "--out", tmp_path)
    assert Image.open(tmp_path / "examples.png").height > 3 * 64
    command = told.splitlines()[-1].split()
    assert command[:2] == ["video4spatial", "train"]
    assert main([*command[1:], "--out", str(tmp_path / "run"), "--set", "steps=1", "--set", "batch=2"]) == 0
    assert resolve_model(tmp_path / "run" / "pipeline")


def test_train_a_minute(monkeypatch, capsys, tmp_path):
    small = ["previews=false", "validation_rooms=1", "batch=2", "steps=2", "stream.workers=1", "stream.rooms.frames=89"]
    settings = [word for setting in small for word in ("--set", setting)]
    told = run(monkeypatch, capsys, 5, "--minutes", 30, "--rooms", 1, "--out", tmp_path / "run", *settings)
    assert "2 steps" in told
    assert len(read_video(tmp_path / "run" / "turn-right.mp4")) == FRAMES


def test_evaluate_a_folder(monkeypatch, capsys, tmp_path):
    told = run(monkeypatch, capsys, 6, "--cases", 1, "--metrics", "fidelity,box", "--out", tmp_path)
    assert "| my-system |" in told
    again = run(monkeypatch, capsys, 6, "--videos", tmp_path, "--cases", 1, "--metrics", "fidelity")
    assert "| ground-truth |" in again
