"""From a benchmark to videos to tables, at tiny size."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from video4spatial.cli import main
from video4spatial.commands.generate import Run, generate
from video4spatial.commands.loaded import Models, Settings
from video4spatial.commands.methods import METHODS
from video4spatial.evaluate.benchmarks import open_benchmark
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.schema import Clip, InputError
from video4spatial.storage.artifacts import read_json, write_json
from video4spatial.storage.video import read_video, write_video


@pytest.fixture
def run(tmp_path, tiny_pipeline, pipeline_folder):
    def made(names, settings=None, out="out", cases=1, **more):
        benchmark = open_benchmark("rooms:tiny", cases=cases, tasks=more.pop("tasks", None))
        models = Models(settings or Settings(model=str(pipeline_folder), steps=1), lambda name: tiny_pipeline)
        folder = GeneratedFolder(tmp_path / out)
        return Run(benchmark, names, folder, models, progress=False, **more)

    return made


OURS = [name for name, method in METHODS.items() if method.needs == "model"]
NEED_TRUTH = ("ground-truth", "vae-reconstruction", "nearest-context-frame-oracle")
FREE = [name for name, method in METHODS.items() if method.needs == "nothing"]


def test_every_method_answers_every_case(run):
    asked = run([*OURS, *FREE])
    assert generate(asked) == 3 * len(METHODS) - 3 * 2  # all but the rivals
    videos = {}
    for case in asked.benchmark.cases:
        for method in [*OURS, *FREE]:
            said = read_json(asked.folder.said(method, case.case_id))
            video = asked.folder.read(method, case, (64, 32), 16.0)
            if case.task == "absent" and method in NEED_TRUTH:
                assert said["not_applicable"]
                continue
            assert video.outcome.value == "ok", video.reason
            assert len(video.frames) == case.frames
            assert said["seconds"] >= 0
            assert said["peak_memory_bytes"] > 1_000_000
            assert said["seed"] == case.seed
            videos[case.task, method] = video.frames
    for method in OURS[1:-1]:  # each ablation changes the video
        assert (videos["navigation", method] != videos["navigation", "full"]).any(), method
    full = read_json(asked.folder.said("full", asked.benchmark.cases[0].case_id))["settings"]
    assert (full["steps"], full["guidance_mode"], full["context_choice"]) == (1, "joint", "uniform")
    assert len(full["context_index"]) == 4
    run_of = read_json(asked.folder.said("contiguous-context", asked.benchmark.cases[0].case_id))["settings"]
    assert (np.diff(run_of["context_index"]) == 1).all()
    assert read_json(asked.folder.method("full") / "method.json")["settings"]["model"].endswith("tiny")
    assert generate(asked) == 0  # nothing is made twice


def test_shards_make_the_same_videos(run):
    names, part = ["first-frame-held", "first-frame-only"], {"cases": 2, "tasks": ["navigation"]}
    whole = run(names, **part)
    assert generate(whole) == 4
    for number in range(2):
        assert generate(run(names, out="shares", shard=(number, 2), **part)) == 2
    shares = run([], out="shares").folder
    for case in whole.benchmark.cases:
        a, b = (folder.video("first-frame-only", case.case_id) for folder in (whole.folder, shares))
        assert a.read_bytes() == b.read_bytes()


def test_repeats_differ_and_more_may_follow(run):
    once = run(["first-frame-only"], tasks=["navigation"])
    assert generate(once) == 1
    more = run(["first-frame-only"], cases=2, tasks=["navigation"], repeats=2)
    assert generate(more) == 3
    case = once.benchmark.cases[0].case_id
    first, second = (read_video(more.folder.video("first-frame-only", case, r)).frames for r in range(2))
    assert (first != second).any()
    assert read_json(more.folder.said("first-frame-only", case, 1))["seed"] == once.benchmark.cases[0].seed + 100_000


def test_other_settings_are_refused_in_the_same_folder(run, pipeline_folder):
    generate(run(["first-frame-only"], tasks=["navigation"]))
    with pytest.raises(InputError, match="other settings"):
        generate(run(["first-frame-only"], Settings(model=str(pipeline_folder), steps=2), tasks=["navigation"]))
    assert generate(
        run(
            ["first-frame-only"],
            Settings(model=str(pipeline_folder), steps=2),
            tasks=["navigation"],
            renamed="two-steps",
        )
    )
    other = run(["first-frame-held"])
    object.__setattr__(other, "benchmark", open_benchmark("rooms:tiny", (96, 48)))
    with pytest.raises(InputError, match="another benchmark"):
        generate(other)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["generate", "rooms:tiny", "--method", "fly", "--out", "x"], "there is no method"),
        (["generate", "moon", "--method", "full", "--out", "x"], "neither a folder"),
        (["generate", "rooms:tiny", "--method", "full", "--out", "x", "--shard", "4/4"], "--shard"),
        (["generate", "rooms:tiny", "--method", "full", "--out", "x", "--faster", "int8-weights"], "int8-weights"),
        (["generate", "rooms:tiny", "--method", "wan-i2v", "--out", "x", "--cases", "1"], "--rival"),
        (["evaluate", "rooms:tiny"], "--out"),
        (["evaluate", "nowhere"], "nowhere"),
        (["evaluate", "nowhere", "--metrics", "fidelity,moon"], "moon"),
        (["evaluate", "nowhere", "--set", "box.colour=red"], "box"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert told in error[-1]


def test_one_command_makes_the_table_of_a_model(pipeline_folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "evaluate",
        "rooms:tiny",
        "--model",
        str(pipeline_folder),
        "--steps",
        "1",
        "--cases",
        "1",
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert set(results["tables"]) == {"grounding", "absent", "navigation"}
    assert results["benchmark"]["counts"] == {"grounding": 1, "absent": 1, "navigation": 1}
    assert results["made_with"]["command"].startswith("video4spatial")
    walk = results["tables"]["navigation"]["methods"]
    assert walk["ground-truth"]["columns"]["psnr"]["mean"] == 100
    assert "full - first-frame-held" in printed
    assert (out / "sheet_navigation.png").stat().st_size > 1000
    assert len(results["rows"]) == 3 * len(results["methods"])
    said = {row["method"]: row["said"] for row in results["rows"] if row["task"] == "grounding"}
    assert said["full"]["settings"]["steps"] == 1
    assert main(["evaluate", str(out), "--metrics", "fidelity", "--method", "full", "--task", "navigation"]) == 0
    assert set(json.loads((out / "results.json").read_text())["tables"]) == {"navigation"}


def test_an_external_systems_videos_are_measured(tmp_path, capsys):
    """The worked example of docs/evaluation-benchmarks.md: write the benchmark, put videos beside it, measure."""
    bench, mine = tmp_path / "bench", tmp_path / "mine"
    assert main(["benchmark", "rooms:tiny", str(bench), "--cases", "1"]) == 0
    (mine / "my-system").mkdir(parents=True)
    info = {"title": "My system 1.0", "tail_frames": 0, "size": "fit", "length": "resample"}
    (mine / "my-system" / "method.json").write_text(json.dumps(info))
    for case in sorted((bench / "cases").iterdir()):
        truth = case / "truth.mp4"
        if truth.exists():  # our system answers with the truth, twice as large and at another rate
            frames = read_video(truth).frames
            moving = frames[:17] if case.name.count("grounding") else frames
            large = moving.repeat(2, axis=1).repeat(2, axis=2).repeat(2, axis=0)
            write_video(mine / "my-system" / f"{case.name}.mp4", Clip(large, 30.0), crf=4)
    assert main(["evaluate", str(mine), "--benchmark", str(bench)]) == 0
    tables = json.loads((mine / "results.json").read_text())["tables"]
    walk = tables["navigation"]["methods"]["my-system"]
    assert walk["videos"] == {"ok": 1}
    assert walk["columns"]["psnr"]["mean"] > 30
    assert tables["absent"]["methods"]["my-system"]["videos"] == {"missing": 1}
    ground = tables["grounding"]["methods"]["my-system"]
    assert ground["not_computed"]["box"] == {"the video has no box tail": 1}
    assert "missing" in capsys.readouterr().out
    for video in (mine / "my-system").glob("*.mp4"):  # names that are no case's: nothing is left to measure
        video.rename(video.with_stem(f"my-{video.stem}"))
    assert main(["evaluate", str(mine), "--benchmark", str(bench)]) == 2
    assert "none of the 3 videos" in capsys.readouterr().err


def test_a_model_trained_anew_is_another_model(run, tmp_path, pipeline_folder):
    """The same name with other weights: its videos are not taken for the old one's."""
    model = tmp_path / "model"
    shutil.copytree(pipeline_folder, model)
    settings = Settings(model=str(model), steps=1)
    assert generate(run(["first-frame-only"], settings, tasks=["navigation"])) == 1
    again = run(["first-frame-only"], settings, tasks=["navigation"])
    assert generate(again) == 0
    weights = next((model / "transformer").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match="other settings"):
        generate(run(["first-frame-only"], settings, tasks=["navigation"]))
    path = again.folder.method("first-frame-only") / "method.json"
    told = read_json(path)
    del told["settings"]["weights"]  # as folders were written that do not tell
    write_json(path, told)
    assert generate(run(["first-frame-only"], settings, tasks=["navigation"])) == 0


def test_a_video_that_is_gone_is_made_again_and_a_changed_case_refused(run):
    asked = run(["first-frame-held", "ground-truth"], tasks=["absent"])
    case = asked.benchmark.cases[0]
    assert generate(asked) == 2
    asked.folder.video("first-frame-held", case.case_id).unlink()
    assert generate(asked) == 1  # the ground truth of an absent object is known not to be
    other = replace(asked, benchmark=replace(asked.benchmark, cases=(replace(case, target="the blue lamp"),)))
    with pytest.raises(InputError, match=f"another case {case.case_id}"):
        generate(other)
