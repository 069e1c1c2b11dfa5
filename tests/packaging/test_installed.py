"""The wheel in an environment of its own and folder."""

import json
from pathlib import Path

from distributions import run

import video4spatial
from video4spatial.storage.video import read_video


def test_the_installed_package_is_the_wheels_and_light(bare, elsewhere):
    code = "import sys, video4spatial; print(video4spatial.__file__); print('torch' in sys.modules)"
    file, torch = run(bare, elsewhere, "python", "-c", code).stdout.split()
    assert Path(file).is_relative_to(bare)
    assert torch == "False"
    assert run(bare, elsewhere, "video4spatial", "--version").stdout.split()[-1] == video4spatial.__version__


def test_ground_from_outside_the_checkout(bare, elsewhere):
    words = ("ground", "walk.mp4", "the red dresser", "-o", "dresser.mp4", "--json", "answer.json", "--steps", "2")
    done = run(bare, elsewhere, "video4spatial", *words)
    assert done.returncode == 0, done.stderr
    assert len(read_video(elsewhere / "dresser.mp4")) == 33
    assert json.loads((elsewhere / "answer.json").read_text())["task"] == "ground"


def test_the_recipes_came_along(bare, elsewhere):
    done = run(bare, elsewhere, "video4spatial", "train", "--list")
    assert "rooms:transformer_cpu" in done.stdout, done.stderr
