"""The command line: what it makes, and how it says no."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from video4spatial.cli import main
from video4spatial.cli.command import parse_size
from video4spatial.geometry.formats import load_path
from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.video import read_video, write_video

LENS = Intrinsics.from_horizontal_fov(72.0, 64, 32)


@pytest.fixture(scope="module")
def walk(tmp_path_factory, tiny_walk):
    file = tmp_path_factory.mktemp("videos") / "walk.mp4"
    write_video(file, tiny_walk.clip)
    return file


@pytest.fixture
def model(pipeline_folder) -> list[str]:
    return ["--model", str(pipeline_folder), "--steps", "2"]


def refused(capsys, arguments: list, *told: str) -> str:
    """Run in this process: exit code 2, one line on stderr that tells ``told``, nothing on stdout."""
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith(f"video4spatial {arguments[0]}: ")
    assert "Traceback" not in err
    for word in told:
        assert word in err, err
    return err


def test_help_comes_at_once():
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "video4spatial.cli", "--help"], capture_output=True, text=True)
    seconds = time.monotonic() - began
    assert done.returncode == 0
    for command in ("ground", "navigate", "modes", "rooms", "train", "generate", "evaluate", "demo"):
        assert command in done.stdout
    bare = time.monotonic()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    assert seconds < 2 + 5 * (time.monotonic() - bare), "help must not wait for torch"


@pytest.mark.parametrize(
    "command", ["ground", "navigate", "rooms", "train", "benchmark", "generate", "evaluate", "demo"]
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage: video4spatial " + command in capsys.readouterr().out


def test_version(capsys):
    from video4spatial import __version__

    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_ground_writes_a_video_and_its_answer(walk, model, tmp_path, capsys):
    out, answer = tmp_path / "new" / "a.mp4", tmp_path / "a.json"
    assert main(["ground", str(walk), "the red sofa", "-o", str(out), "--json", str(answer), *model]) == 0
    assert len(read_video(out)) == 17
    content = json.loads(answer.read_text())
    assert content["task"] == "ground"
    assert content["found"] is False
    assert content["settings"]["steps"] == 2
    assert "not found" in capsys.readouterr().out


def test_navigate_takes_presets_and_files(walk, model, tmp_path, capsys):
    (tmp_path / "path.csv").write_text("x,y,z,yaw,pitch,roll\n0,0,0,0,0,0\n0,0,0.5,0.3,0,0\n")
    asked = {"preset.mp4": ["forward", "--metres", "0.4"], "file.mp4": [str(tmp_path / "path.csv"), "--fov", "60"]}
    for name, path in asked.items():
        arguments = ["navigate", str(walk), *path, "-o", str(tmp_path / name), "--frames", "9", "--seed", "3", *model]
        assert main(arguments) == 0
        assert f"9 frames at 16 fps; {tmp_path / name}" in capsys.readouterr().out
        assert read_video(tmp_path / name).size == (64, 32)
    first, second = (read_video(tmp_path / name).frames for name in asked)
    assert (first != second).any()


def test_faster_modes_are_listed_used_and_recorded(walk, model, tmp_path, capsys):
    assert main(["modes"]) == 0
    printed = capsys.readouterr().out
    for name in ("fp8-matmul", "guidance-interval[=LOW:HIGH]", "block-cache[=T]", "cached-context"):
        assert name in printed
    answer, steps = tmp_path / "a.json", ["--faster", "fewer-steps"]
    asked = ["navigate", str(walk), "still", "-o", str(tmp_path / "a.mp4"), "--json", str(answer), *model[:2]]
    modes = ["--faster", "block-cache=0.2", "--faster", "cached-context", "--faster", "int8-weights"]
    assert main([*asked, *steps, *modes, "--sequential"]) == 0
    settings = json.loads(answer.read_text())["settings"]
    assert settings["modes"] == ["int8-weights", "fewer-steps=1", "block-cache=0.2", "cached-context"]
    assert settings["branches"] == "sequential"
    assert "was not trained for cached-context" in capsys.readouterr().err


def test_navigate_from_images_and_another_first_frame(tiny_walk, model, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, frame in enumerate(tiny_walk.clip.frames[:9]):
        Image.fromarray(frame).save(folder / f"{i}.png")
    arguments = ["navigate", str(folder), "turn-left", "--first-frame", str(folder / "0.png")]
    assert main([*arguments, "-o", str(tmp_path / "a.mp4"), *model]) == 0
    assert len(read_video(tmp_path / "a.mp4")) == 17


def test_memory_options_reach_the_pipeline(walk, model, tmp_path, capsys):
    arguments = ["--offload", "group", "--weights", "int8", "--dtype", "bfloat16", "--attention", "native"]
    assert main(["navigate", str(walk), "still", "-o", str(tmp_path / "a.mp4"), *arguments, *model]) == 0
    assert main(["navigate", str(walk), "still", "-o", str(tmp_path / "b.mp4"), *model]) == 0
    placed, plain = (read_video(tmp_path / name).frames for name in ("a.mp4", "b.mp4"))
    assert (placed != plain).any()
    assert "encoding" not in capsys.readouterr().err  # no bar for a short video


def test_models_are_imported_without_their_makers_remarks():
    code = "import torch; from video4spatial.cli.command import quiet_libraries; quiet_libraries(); "
    code += "import video4spatial.sample.placement, torchao.quantization"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_rooms_writes_a_walk_its_poses_and_a_sheet(tmp_path, capsys):
    out = tmp_path / "walk.mp4"
    arguments = ["rooms", "7", str(out), "--size", "64x32", "--frames", "9", "--difficulty", "0.1"]
    assert main([*arguments, "--poses", str(tmp_path / "transforms.json"), "--sheet", str(tmp_path / "a.png")]) == 0
    clip = read_video(out)
    assert (len(clip), clip.size) == (9, (64, 32))
    assert clip.fps == pytest.approx(16.0)
    poses = load_path(tmp_path / "transforms.json")
    assert len(poses) == 9
    assert (poses.intrinsics.width, poses.intrinsics.height) == (64, 32)
    assert Image.open(tmp_path / "a.png").size[0] > 200
    printed = capsys.readouterr().out
    assert "it holds: " in printed

    phrase = printed.split("it holds: ")[1].split(",")[0].strip()
    target = tmp_path / "target.mp4"
    assert main(["rooms", "7", str(target), *arguments[3:], "--target", f"the {phrase}"]) == 0
    assert (read_video(target).frames != clip.frames).any()


def test_sizes_are_read():
    assert parse_size("416x256") == (416, 256)
    assert parse_size("96X64") == (96, 64)
    for text in ("416", "x256", "416x", "0x64", "-2x4", "4.0x4", "axb", "", "²x2"):
        with pytest.raises(InputError, match="WIDTHxHEIGHT"):
            parse_size(text)
    for text in ("63x64", "64x63"):
        with pytest.raises(InputError, match="must be even"):
            parse_size(text)


class TestRefusals:
    """Each: exit code 2, one line, no traceback, no output."""

    @pytest.fixture
    def out(self, tmp_path):
        file = tmp_path / "out.mp4"
        yield file
        assert not file.exists()
        assert not list(tmp_path.rglob("*.tmp*")) + list(tmp_path.rglob(".tmp*"))

    @pytest.mark.parametrize("content", [b"", b"this is no video" * 50])
    def test_videos_that_cannot_be_read(self, capsys, out, model, tmp_path, content):
        (tmp_path / "bad.mp4").write_bytes(content)
        refused(capsys, ["navigate", tmp_path / "bad.mp4", "still", "-o", out, *model], "bad.mp4 cannot be read")

    def test_videos_that_are_not_there(self, capsys, out, model, tmp_path):
        refused(capsys, ["ground", tmp_path / "no.mp4", "the sofa", "-o", out, *model], "no.mp4 does not exist")

    def test_context_that_is_too_short(self, capsys, out, model, tmp_path, tiny_walk):
        from video4spatial.schema import Clip

        write_video(tmp_path / "short.mp4", Clip(tiny_walk.clip.frames[:4], 16.0))
        refused(capsys, ["ground", tmp_path / "short.mp4", "the sofa", "-o", out, *model], "short.mp4", "at least 5")

    def test_a_missing_model(self, capsys, out, walk):
        refused(capsys, ["ground", walk, "the sofa", "-o", out, "--model", "nonsense"], "'nonsense'", "--model")

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            (["turn-lft"], "Did you mean 'turn-left'?"),
            (["nonsense"], "Known: turn-left"),
            (["still", "--degrees", "3"], "'still' has no degrees"),
            (["turn-left", "--degrees", "nan"], "give a finite number"),
            (["turn-left", "--fov", "0"], "field of view"),
            (["missing.csv"], "missing.csv does not exist"),
            (["still", "--frames", "16"], "frames is 16"),
            (["still", "--frames", "0"], "frames is 0"),
            (["still", "--frames", "1"], "frames is 1: too short"),
            (["still", "--guidance", "-2"], "guidance is -2"),
            (["still", "--context-latents", "-1"], "context-latents is -1"),
            (["still", "--seed", "-1"], "seed is -1"),
            (["still", "--first-frame", "missing.png"], "missing.png cannot be read"),
            (["still", "--offload", "disk"], "use one of none, model, group"),
            (["still", "--weights", "int3"], "use one of as-is, int8"),
            (["still", "--weights", "fp8-matmul"], "CUDA device of compute capability 8.9"),
            (["still", "--dtype", "float8"], "use one of auto, float32"),
            (["still", "--attention", "flash"], "use auto, native"),
            (["still", "--faster", "warp"], "--faster 'warp' is unknown: use one of"),
            (["still", "--faster", "fewer-steps"], "--faster fewer-steps and --steps set the same thing"),
            (["still", "--faster", "fp8-weights", "--weights", "int8"], "fp8-weights and --weights set the same"),
            (["still", "--faster", "fp8-matmul"], "CUDA device of compute capability 8.9"),
            (["still", "--faster", "guidance-interval", "--guidance", "1"], "guidance is off"),
        ],
    )
    def test_paths_and_settings(self, capsys, out, model, walk, path, told):
        refused(capsys, ["navigate", walk, path[0], *path[1:], "-o", out, *model], told)

    def test_steps_below_one(self, capsys, out, walk, pipeline_folder):
        arguments = ["navigate", walk, "still", "-o", out, "--model", pipeline_folder, "--steps", "0"]
        refused(capsys, arguments, "steps is 0")

    @pytest.mark.parametrize(
        ("text", "told"), [("", "instruction is empty"), (" . ", "instruction is empty"), ("the xylograph", "armchair")]
    )
    def test_instructions(self, capsys, out, model, walk, text, told):
        refused(capsys, ["ground", walk, text, "-o", out, *model], told)

    def test_numbers_that_are_none_in_a_path(self, capsys, out, model, walk, tmp_path):
        (tmp_path / "p.csv").write_text("x,y,z,yaw,pitch,roll\n0,0,0,0,0,0\n0,nan,1,0,0,0\n")
        refused(capsys, ["navigate", walk, tmp_path / "p.csv", "-o", out, *model], "p.csv, line 3", "y is 'nan'")

    def test_poses_that_are_not_rigid(self, capsys, out, model, walk, tmp_path):
        matrix = np.diag([2.0, 2.0, 2.0, 1.0]).tolist()
        content = {"fl_x": 40.0, "cx": 32.0, "cy": 16.0, "w": 64, "h": 32, "frames": [{"transform_matrix": matrix}]}
        (tmp_path / "transforms.json").write_text(json.dumps(content))
        told = ("transforms.json", "pose 0 is not rigid")
        refused(capsys, ["navigate", walk, tmp_path / "transforms.json", "-o", out, *model], *told)

    @pytest.mark.parametrize("name", ["a.gif", "a", "file/a.mp4", "folder.mp4"])
    def test_places_that_cannot_be_written(self, capsys, out, walk, tmp_path, name):
        """Told before the model is even loaded."""
        (tmp_path / "file").write_text("")
        (tmp_path / "folder.mp4").mkdir()
        for command in (["ground", walk, "the sofa", "-o"], ["navigate", walk, "still", "-o"], ["rooms", "1"]):
            arguments = [*command, tmp_path / name]
            if command[0] != "rooms":
                arguments += ["--model", "never-looked-for"]
            refused(capsys, arguments, name)

    @pytest.mark.skipif(os.geteuid() == 0 and not os.path.isdir("/proc/self"), reason="no read-only place here")
    def test_read_only_places(self, capsys, walk):
        folder = "/proc/self"
        refused(capsys, ["ground", walk, "the sofa", "-o", f"{folder}/a.mp4", "--model", "x"], "a.mp4")

    def test_a_json_that_cannot_be_written_is_told_beforehand(self, capsys, out, walk, tmp_path):
        (tmp_path / "file").write_text("")
        arguments = ["ground", walk, "the sofa", "-o", out, "--json", tmp_path / "file" / "a.json", "--model", "x"]
        refused(capsys, arguments, "a.json cannot be written")

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--size", "63x32"], "must be even"),
            (["--size", "big"], "WIDTHxHEIGHT"),
            (["--frames", "0"], "frames"),
            (["--fps", "0"], "fps"),
            (["--fps", "nan"], "fps"),
            (["--difficulty", "2"], "difficulty"),
            (["--tour", "-1"], "tour"),
            (["--target", "the xylograph"], "--target 'the xylograph' is not in room 1"),
            (["--sheet", "a.gif"], "a.gif"),
            (["--poses", "a.txt"], "a.txt"),
            (["--poses", "/proc/self/x/transforms.json"], "transforms.json"),
        ],
    )
    def test_rooms(self, capsys, out, arguments, told):
        refused(capsys, ["rooms", "1", out, "--size", "64x32", "--frames", "9", "--difficulty", "0", *arguments], told)

    def test_rooms_of_negative_seeds(self, capsys, out):
        refused(capsys, ["rooms", "-3", out], "seed is -3")

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ([], "RECIPE or --resume"),
            (["rooms:nonsense"], "tiny_transformer"),
            (["nonsense"], "file:function"),
            (["rooms:tiny_transformer", "--set", "nonsense=1"], "unknown config key 'nonsense'"),
            (["rooms:tiny_transformer", "--set", "optim.lrr=1"], "did you mean optim.lr"),
            (["rooms:tiny_transformer", "--set", "steps"], "key=value"),
            (["rooms:tiny_transformer", "--set", "vae=nowhere"], "nowhere: no vae"),
            (["rooms:tiny_transformer", "--minutes", "nan"], "minutes"),
            (["rooms:tiny_transformer", "--minutes", "-1"], "minutes"),
            (["--resume", "nowhere"], "config.json does not exist"),
            (["rooms:tiny_transformer", "--resume", "x"], "RECIPE or --resume"),
        ],
    )
    def test_training(self, capsys, tmp_path, monkeypatch, arguments, told):
        monkeypatch.chdir(tmp_path)
        refused(capsys, ["train", *arguments], told)
        assert not list(tmp_path.rglob("*.*"))


def test_recipes_are_listed(capsys):
    assert main(["train", "--list"]) == 0
    assert "rooms:tiny_transformer" in capsys.readouterr().out.splitlines()


def test_an_interrupt_is_no_traceback(capsys, walk, model, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("video4spatial.cli.sampling.load_pipeline", interrupt)
    assert main(["ground", str(walk), "the sofa", "-o", str(tmp_path / "a.mp4"), *model]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_a_reader_that_went_away_is_no_traceback():
    command = f"{sys.executable} -m video4spatial.cli train --list | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
