"""Every experiment end to end at tiny size: made, measured, set beside the paper; and all that can be given to it."""

import json
from dataclasses import replace

import pytest

from video4spatial.cli import main
from video4spatial.commands.experiment import Asked, metrics_of, run_experiment
from video4spatial.commands.experiments import Defaults, rows_of
from video4spatial.commands.generate import Run, generate
from video4spatial.commands.loaded import Models, Settings
from video4spatial.evaluate.benchmarks import open_benchmark
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.evaluate.metrics import JOINTS, METRICS
from video4spatial.evaluate.paper import BETTER, PAPER
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json
from video4spatial.storage.digest import content_digest

TRAINABLE = ("no-pretraining", "no-box-tail")


@pytest.fixture
def asked(tmp_path, tiny_pipeline, pipeline_folder):
    """An experiment on one tiny room, two cases, one sampling step."""
    whole = open_benchmark("rooms:tiny")
    room = replace(whole, cases=tuple(case for case in whole.cases if case.scene_id == whole.cases[0].scene_id))
    loaded = []

    def load(name):
        loaded.append(name)
        return tiny_pipeline

    def make(name, out="out", cases=2, **more):
        settings = Settings(model=str(pipeline_folder), steps=1)
        folder = GeneratedFolder(tmp_path / out)
        part = room.select(cases, [PAPER[name].task])
        metrics = more.pop("metrics", ["fidelity" if PAPER[name].task == "navigation" else "box"])
        return Asked(name, part, folder, settings, load, metrics=metrics, progress=False, **more)

    make.loaded = loaded
    return make


def by_method(experiment):
    return {row["method"]: row for row in experiment["rows"] if row["method"]}


def videos(folder):
    return sorted(folder.root.glob("*/*.mp4"))


def test_table_1_runs_what_it_can_and_says_what_the_rest_needs(asked, capsys):
    call = asked("table1", cases=1)
    experiment = run_experiment(call)
    assert experiment == read_json(call.folder.experiment)
    rows = by_method(experiment)
    assert set(rows) == {
        "ground-truth",
        "full",
        "first-frame-only",
        "no-guidance",
        "no-context-guidance",
        "vanilla-rope",
        "first-frame-held",
        "nearest-context-frame",
    }
    assert len(videos(call.folder)) == len(rows)
    missing = {row["label"]: row["not_run"] for row in experiment["rows"] if row["method"] is None}
    assert "ablations:rooms_no_box_tail" in missing["Ours w/o auxiliary bbox"]
    assert "--trained no-pretraining=" in missing["Ours w/o pretraining"]
    assert "--rival wan-i2v=" in missing["Wan2.2-5B"]
    assert "--external veo3=" in missing["Veo3"]
    assert [row["label"] for row in experiment["rows"]][:11] == [row.label for row in PAPER["table1"].rows]
    assert rows["full"]["paper"]["sd"] == 0.1099
    results = read_json(call.folder.results)
    assert set(results["methods"]) == set(rows)
    assert "Directions:" in capsys.readouterr().out
    made = {path: path.stat().st_mtime_ns for path in videos(call.folder)}
    assert run_experiment(call) == experiment  # a rerun makes nothing
    assert {path: path.stat().st_mtime_ns for path in videos(call.folder)} == made


def test_table_1_with_trained_models_and_videos_from_elsewhere(asked, tmp_path, pipeline_folder):
    source = asked("table1", out="elsewhere", cases=1)
    generate(Run(source.benchmark, ["first-frame-held"], source.folder, Models(source.settings, source.load)))
    theirs = source.folder.root / "first-frame-held"
    (theirs / "method.json").write_text(json.dumps({"title": "Veo 3", "settings": {"seen": 1}}))
    trained = tmp_path / "trained"
    trained.symlink_to(pipeline_folder)
    given = {"trained": {"no-box-tail": str(trained)}, "external": {"veo3": theirs, "my-system": theirs}}
    call = asked("table1", cases=1, **given)
    rows = by_method(run_experiment(call))
    assert {"veo3", "my-system", "no-box-tail"} <= set(rows)
    assert asked.loaded.count(str(trained)) == 1
    made_with = read_json(call.folder.method("no-box-tail") / "method.json")["settings"]
    assert made_with == {
        "model": str(trained),
        "weights": content_digest(pipeline_folder),
        "steps": 1,
        "guidance": 3.0,
        "context_latents": 4,
        "method": "full",
        "seed": 0,
    }
    case = call.benchmark.cases[0].case_id
    assert read_json(call.folder.said("no-box-tail", case))["settings"]["context_latents"] == 4
    assert call.folder.video("veo3", case).read_bytes() == (theirs / f"{case}.mp4").read_bytes()
    results = read_json(call.folder.results)
    assert results["methods"]["veo3"]["title"] == "Veo 3"
    assert results["tables"]["grounding"]["methods"]["my-system"]["videos"] == {"ok": 1}
    again = run_experiment(asked("table1", cases=1))  # what was given once stays
    assert {"veo3", "no-box-tail"} <= set(by_method(again))


def test_table_2(asked):
    experiment = run_experiment(asked("table2", cases=1))
    rows = by_method(experiment)
    assert {"full", "vae-reconstruction", "first-frame-held"} <= set(rows)
    assert {row["label"] for row in experiment["rows"] if row["not_run"]} == {"AnySplat", "TrajectoryCrafter", "Gen3C"}


def test_table_3_and_shards(asked):
    """Two processes make a half each; a third call measures."""
    for number in range(2):
        assert run_experiment(asked("table3", shard=(number, 2))) is None
    shared = asked("table3")
    assert len(videos(shared.folder)) == 4
    assert not shared.folder.results.exists()
    experiment = run_experiment(shared)
    assert set(by_method(experiment)) == {"full", "contiguous-context"}
    alone = asked("table3", out="alone")
    run_experiment(alone)
    pairs = zip(videos(shared.folder), videos(alone.folder), strict=True)
    assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)


def test_context_length(asked):
    experiment = run_experiment(asked("context-length", cases=1))
    (curve,) = experiment["curves"]
    assert curve["x"]["values"] == [1, 5, 9, 17, 33]
    methods = ["first-frame-only", "context-1", "context-2", "full", "context-8"]
    for series in curve["series"]:
        assert series["methods"] == methods
        assert series["paper"] == [
            PAPER["table1"].row("first-frame-only").values[series["key"]],
            None,
            None,
            None,
            None,
        ]
    folder = asked("context-length").folder
    case = open_benchmark(folder.root).cases[0].case_id
    seen = [len(read_json(folder.said(name, case))["settings"]["context_index"]) for name in methods]
    assert seen == [0, 1, 2, 4, 8]
    assert [row["words"].get("sd") for row in experiment["rows"]] == [None, 1, 1, None, None]


def test_train_context(asked, pipeline_folder):
    experiment = run_experiment(asked("train-context", cases=1, trained={"train-context-double": str(pipeline_folder)}))
    (curve,) = experiment["curves"]
    assert curve["x"]["values"] == [0, 0.25, 0.5, 1, 2]
    assert curve["series"][0]["methods"] == [None, None, None, "full", "train-context-double"]
    assert curve["series"][0]["paper"] == [None, None, None, 0.1099, None]
    assert "ablations:rooms_train_context_half" in experiment["rows"][2]["not_run"]


def test_repeats(asked):
    call = asked("repeats", repeats=3)
    experiment = run_experiment(call)
    assert experiment["seeds"] == [0, 1, 2]
    (curve,) = experiment["curves"]
    assert curve["x"]["values"] == [1, 2, 3]
    assert all(series["methods"] == ["full"] * 3 and series["any_of"] for series in curve["series"])
    assert len(videos(call.folder)) == 6
    entry = read_json(call.folder.results)["tables"]["grounding"]["methods"]["full"]["columns"]["box_found"]
    rates = [entry["any_of"][str(n)]["mean"] for n in (1, 2, 3)]
    assert rates[0] == pytest.approx(entry["mean"])
    assert rates == sorted(rates)


def test_guidance_reuses_what_another_experiment_made(asked):
    before = asked("guidance", out="before", cases=1)
    run_experiment(before)
    scales = by_method(read_json(before.folder.experiment))
    assert set(scales) == {"no-guidance", "guidance-2", "full", "guidance-5", "guidance-7"}
    case = before.benchmark.cases[0].case_id
    assert read_json(before.folder.said("guidance-7", case))["settings"]["guidance"] == 7
    table = asked("table3", reuse=[before.folder.root])
    run_experiment(table)
    mine, other = (folder.video("full", case) for folder in (table.folder, before.folder))
    assert mine.stat().st_ino == other.stat().st_ino
    assert len(videos(table.folder)) == 4  # the second case was not there
    steps = replace(asked("table3", out="steps", cases=1, reuse=[before.folder.root]))
    run_experiment(replace(steps, settings=replace(steps.settings, steps=2)))
    assert steps.folder.video("full", case).stat().st_ino != other.stat().st_ino  # other settings, other videos


def test_every_column_of_the_paper_is_one_of_a_metric():
    known = {column.key for make in METRICS.values() for column in make().columns}
    known |= {joint.column.key for joint in JOINTS}
    assert set(BETTER) <= known
    for joint in JOINTS:
        assert set(joint.needs) <= known
    for paper in PAPER.values():
        given = {column.key for metric in metrics_of(paper) for column in metric.columns}
        given |= {joint.column.key for joint in JOINTS if given >= set(joint.needs)}
        assert set(paper.columns) <= given


def test_the_papers_size_gives_the_papers_axis():
    rows = rows_of("context-length", Defaults(steps=50, guidance=5.0, context_latents=84), available=85)
    assert [row.x for row in rows] == [1, 41, 85, 169, 337]
    assert [row.method for row in rows] == ["first-frame-only", "context-10", "context-21", "context-42", "full"]
    assert rows[-1].values["sd"] == 0.1099
    with pytest.raises(InputError, match="--context-latents"):
        rows_of("context-length", Defaults(steps=50, guidance=5.0, context_latents=84), available=41)
    scales = rows_of("guidance", Defaults(steps=50, guidance=4.0, context_latents=84), available=85)
    assert [(row.x, row.method) for row in scales][2:4] == [(3.0, "guidance-3"), (4.0, "full")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["experiment"], "table1, table2"),
        (["experiment", "table4"], "there is no experiment 'table4'"),
        (["experiment", "table1", "--trained", "no-box-tail"], "write NAME=FOLDER"),
        (["experiment", "table1", "--trained", "a=b", "--trained", "a=c"], "given twice"),
        (["experiment", "table1", "--trained", "full=x"], "no-box-tail, no-pretraining, vanilla-rope"),
        (["experiment", "table2", "--trained", "no-box-tail=x"], "it has none of that kind"),
        (["experiment", "table1", "--rival", "veo3=x"], "framepack, wan-i2v"),
        (["experiment", "table1", "--external", "veo3=nowhere"], "there is no such folder"),
        (["experiment", "table1", "--external", "veo3=."], "holds no video of the 107 cases"),
        (["experiment", "table1", "--rival", "wan-i2v=x", "--external", "wan-i2v=."], "give one of them"),
        (["experiment", "table1", "--model", "moon"], "neither a shipped model"),
        (["experiment", "table1", "--metrics", "fidelity"], "measures grounding"),
        (["experiment", "table1", "--reuse", "nowhere", "--cases", "1"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert told in capsys.readouterr().err.strip().splitlines()[-1]


def test_the_list_names_every_row(capsys):
    assert main(["experiment", "--list"]) == 0
    printed = capsys.readouterr().out
    for paper in PAPER.values():
        assert f"{paper.name}: {paper.title}" in printed
        assert all(row.label in printed and row.method in printed for row in paper.rows)
