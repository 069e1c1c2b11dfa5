"""An evaluation: every case has an outcome and a defined score, nothing is measured twice, the table is right."""

import json
from dataclasses import replace

import numpy as np
import pytest

from video4spatial.evaluate.benchmarks import open_contents
from video4spatial.evaluate.generated import GeneratedFolder, VideoOutcome
from video4spatial.evaluate.metric import Column, Joint, Score
from video4spatial.evaluate.metrics import JOINTS, make_metrics
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.run import Evaluation, Row
from video4spatial.evaluate.table import markdown, tables
from video4spatial.schema import Clip, InputError
from video4spatial.storage.video import write_video


class Brightness:
    """A metric of its own, as somebody else would write it."""

    name, version, tasks = "brightness", 1, ("grounding", "navigation")
    columns = (Column("mean", "mean", None), Column("bright", "bright", rate=True, without_video=False))

    def __init__(self, limit=128.0):
        self.limit, self.asked = limit, []

    @property
    def settings(self):
        return {"limit": self.limit}

    def __call__(self, content, video):
        self.asked.append((video.method, content.case.case_id, video.repeat))
        mean = float(video.moving.mean())
        if mean == 0:
            return NotComputed("all black")
        return Score({"mean": mean, "bright": mean > self.limit})


@pytest.fixture
def evaluation(tmp_path, tiny_benchmark):
    return Evaluation(GeneratedFolder(tmp_path), tiny_benchmark, open_contents(tiny_benchmark), [], methods=None)


def fill(folder, contents, method, make, repeat=0):
    folder.method(method).mkdir(exist_ok=True)
    for content in contents:
        frames = make(content)
        if frames is not None:
            write_video(folder.video(method, content.case.case_id, repeat), Clip(frames, 16.0), lossless=True)


def truth(content):
    return content.truth.frames if content.truth is not None else None


def random(content):
    return np.random.default_rng(0).integers(0, 256, (content.case.frames, 32, 64, 3), dtype=np.uint8)


def evaluate(folder, benchmark, metrics, joints=(), methods=None):
    run = Evaluation(folder, benchmark, open_contents(benchmark), metrics, joints, methods)
    rows = list(run.rows())
    assert len(rows) == run.videos
    return rows, tables(rows, metrics, joints)


def test_odd_videos_have_scores_and_totals_add_up(tmp_path, tiny_benchmark, tiny_contents):
    folder = GeneratedFolder(tmp_path)
    kinds = {
        "truth": truth,
        "random": random,
        "black": lambda c: np.zeros((c.case.frames, 32, 64, 3), np.uint8),
        "short": lambda c: random(c)[:-4],
        "one": lambda c: random(c)[:1],
        "small": lambda c: random(c)[:, ::2],
        "none": lambda c: None,
    }
    for method, make in kinds.items():
        fill(folder, tiny_contents, method, make)
    broken = tiny_contents[0].case.case_id
    folder.video("random", broken).write_bytes(b"junk")
    metrics = make_metrics()
    rows, found = evaluate(folder, tiny_benchmark, metrics)
    for task, table in found.items():
        for method, of in table["methods"].items():
            assert sum(of["videos"].values()) == table["cases"] == (1 if task == "absent" else 2), (task, method)
            for entry in of["columns"].values():
                assert entry["of"] + entry["missing"] == table["cases"]
    ground, walk, absent = (found[task]["methods"] for task in ("grounding", "navigation", "absent"))
    assert ground["truth"]["columns"]["box_found"]["mean"] == 1
    assert ground["none"]["videos"] == {"missing": 2}
    assert ground["none"]["columns"]["box_right"] == {"mean": 0, "low": 0, "of": 2, "missing": 0} | {
        "high": ground["none"]["columns"]["box_right"]["high"]
    }
    assert ground["random"]["videos"] == {"ok": 1, "unreadable": 1}
    for method in ("short", "one"):
        assert walk[method]["videos"] == {"wrong_length": 2}
        assert walk[method]["columns"]["psnr"] == {"mean": None, "low": None, "high": None, "of": 0, "missing": 2}
    assert walk["small"]["videos"] == {"wrong_size": 2}
    psnr = {method: of["columns"]["psnr"]["mean"] for method, of in walk.items()}
    assert psnr["truth"] == 100 > psnr["black"] > 3
    assert 5 < psnr["random"] < 12
    assert absent["black"]["columns"]["false_find"]["mean"] == absent["random"]["columns"]["false_find"]["mean"] == 0
    assert json.loads(json.dumps([row.to_json() for row in rows]))
    text = markdown(found, metrics)
    assert "- none: 2 missing" in text
    assert "- short: 2 wrong length" in text


def test_nothing_is_measured_twice_and_changes_are_seen(tmp_path, tiny_benchmark, tiny_contents):
    folder, metric = GeneratedFolder(tmp_path), Brightness()
    fill(folder, tiny_contents, "full", truth)
    first, _ = evaluate(folder, tiny_benchmark, [metric])
    assert len(metric.asked) == 4
    idle = Brightness()
    again, _ = evaluate(folder, tiny_benchmark, [idle])
    assert again == first
    assert idle.asked == []
    changed = tiny_contents[0]
    write_video(folder.video("full", changed.case.case_id), Clip(random(changed), 16.0), lossless=True)
    evaluate(folder, tiny_benchmark, [idle])
    assert idle.asked == [("full", changed.case.case_id, 0)]
    other = Brightness(limit=1.0)
    evaluate(folder, tiny_benchmark, [other])
    assert len(other.asked) == 4  # another setting is another measure


def test_a_stopped_evaluation_goes_on(tmp_path, tiny_benchmark, tiny_contents):
    folder, metric = GeneratedFolder(tmp_path), Brightness()
    fill(folder, tiny_contents, "full", truth)
    rows = Evaluation(folder, tiny_benchmark, open_contents(tiny_benchmark), [metric]).rows()
    next(rows)
    rest = Brightness()
    evaluate(folder, tiny_benchmark, [rest])
    assert len(metric.asked) + len(rest.asked) == 4


def test_what_failed_for_want_of_a_file_is_tried_again(tmp_path, tiny_benchmark, tiny_contents):
    class Wanting(Brightness):
        ready = False

        def __call__(self, content, video):
            if not self.ready:
                raise InputError("weights.pth is not there")
            return super().__call__(content, video)

    folder, metric = GeneratedFolder(tmp_path), Wanting()
    fill(folder, tiny_contents, "full", truth)
    rows, _ = evaluate(folder, tiny_benchmark, [metric])
    assert {row.not_computed["brightness"] for row in rows if row.not_computed} == {"weights.pth is not there"}
    metric.ready = True
    rows, _ = evaluate(folder, tiny_benchmark, [metric])
    assert not any(row.not_computed for row in rows)
    assert len(metric.asked) == 4


def test_repeats_count_a_case_if_any_succeeds(tmp_path, tiny_benchmark, tiny_contents):
    folder, metric = GeneratedFolder(tmp_path), Brightness()
    level = {0: (200, 10), 1: (10, 10), 2: (10, 200)}
    navigation = [content for content in tiny_contents if content.case.task == "navigation"]
    for repeat, of_case in level.items():
        values = dict(zip([content.case.case_id for content in navigation], of_case, strict=True))
        fill(
            folder,
            navigation,
            "full",
            lambda c, v=values: np.full((c.case.frames, 32, 64, 3), v[c.case.case_id], np.uint8),
            repeat,
        )
    part = replace(tiny_benchmark, cases=tuple(content.case for content in navigation))
    _, found = evaluate(folder, part, [metric])
    entry = found["navigation"]["methods"]["full"]["columns"]["bright"]
    assert entry["mean"] == pytest.approx(2 / 6)
    assert {n: of["mean"] for n, of in entry["any_of"].items()} == pytest.approx({"1": 1 / 3, "2": 2 / 3, "3": 1.0})


def test_why_something_was_not_computed_is_counted(tmp_path, tiny_benchmark, tiny_contents):
    folder = GeneratedFolder(tmp_path)
    fill(folder, tiny_contents, "black", lambda c: np.zeros((c.case.frames, 32, 64, 3), np.uint8))

    class Broken(Brightness):
        name, columns = "broken", (Column("x", "x"),)

        def __call__(self, content, video):
            if content.case.task == "grounding":
                raise InputError("no weights given")
            return Score({"x": float("nan")})

    metrics = [Brightness(), Broken()]
    _, found = evaluate(folder, tiny_benchmark, metrics)
    of = found["grounding"]["methods"]["black"]
    assert of["not_computed"] == {"brightness": {"all black": 2}, "broken": {"no weights given": 2}}
    assert found["navigation"]["methods"]["black"]["not_computed"]["broken"] == {"x came out as nan": 2}
    assert "- broken not computed: no weights given (videos: black 2" in markdown(found, metrics)
    with pytest.raises(ValueError, match="two metrics have a column"):
        evaluate(folder, tiny_benchmark, [Brightness(), Brightness()])
    with pytest.raises(InputError, match="it holds black"):
        evaluate(folder, tiny_benchmark, metrics, methods=["full"])


def rows_of(method, values, outcome=VideoOutcome.OK):
    return [Row(method, f"c{k}", "grounding", 0, outcome, values=v) for k, v in enumerate(values)]


def test_joint_rates_by_hand():
    """IF(SD < d): over all videos; a distance that is not known is not below d."""
    asked = [(True, 0.1), (True, 0.3), (False, 0.1), (True, None), (None, 0.1)]
    told = [JOINTS[0].of({"if": followed, "sd": sd, "sd_scored": sd is not None}) for followed, sd in asked]
    assert told == [True, False, False, False, None]
    assert JOINTS[1].of({"if": True, "sd": 0.15, "sd_scored": True}) is False
    assert JOINTS[0].of({"if": True, "sd": None, "sd_scored": None}) is None  # SD was not computed at all


def test_differences_are_paired_over_shared_cases():
    class Given(Brightness):
        columns = (Column("mean", "mean"), Column("bright", "bright", rate=True, without_video=False))

    rows = rows_of("full", [{"mean": 3.0 + k, "bright": True} for k in range(5)])
    rows += rows_of("rival", [{"mean": 1.0 + k, "bright": k > 2} for k in range(4)] + [{"mean": None, "bright": False}])
    rows += rows_of("nowhere", [{"mean": None, "bright": None}] * 5, VideoOutcome.NOT_APPLICABLE)
    found = tables(rows, [Given()])["grounding"]
    assert found["differences"]["full - rival"]["mean"] == {"mean": 2.0, "low": 2.0, "high": 2.0, "of": 4, "p": 0.125}
    assert found["differences"]["full - nowhere"] == {}
    nowhere = found["methods"]["nowhere"]["columns"]["bright"]
    assert (nowhere["mean"], nowhere["of"], nowhere["missing"]) == (None, 0, 0)  # not asked of it: nothing is missing
    assert list(found["methods"]) == ["full", "nowhere", "rival"]
    assert found["methods"]["full"]["columns"]["bright"]["low"] < 1  # 5 of 5 is not certainty
    text = markdown({"grounding": found}, [Given()])
    assert "| full - rival | 2.000 [2.000, 2.000] (4 of 5) |" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1  # no ragged row
    joint = Joint(Column("both", "both", rate=True), ("mean", "bright"), lambda v: None)
    assert "both" in tables(rows, [Given()], [joint])["grounding"]["methods"]["full"]["columns"]


def test_what_others_wrote_marks_nothing_up():
    """Method names, titles and reasons are shown as they are; a bar in one makes no further column."""

    class Loud(Brightness):
        name, columns = "loud", (Column("mean", "a|b <i>"),)

    rows = [*rows_of("full", [{"mean": 1.0}] * 2), *rows_of("x_*y*", [{"mean": None}] * 2)]
    rows[-1].not_computed = {"loud": "no | <script> file"}
    text = markdown(tables(rows, [Loud()]), [Loud()])
    assert "- loud not computed: no \\| &lt;script&gt; file (videos: x\\_\\*y\\* 1)" in text
    assert "| method | a\\|b &lt;i&gt; ↑ |" in text
    assert "<" not in text


def test_metrics_are_chosen_by_name():
    assert [metric.name for metric in make_metrics(["box"])] == ["box"]
    for names, settings in ((["fid"], []), ([], []), (None, ["box"]), (None, ["box.x=1"]), (None, ["moon.x=1"])):
        with pytest.raises(InputError):
            make_metrics(names, settings)


def test_measures_without_their_weights_say_so(tmp_path, tiny_benchmark, tiny_contents):
    folder = GeneratedFolder(tmp_path)
    fill(folder, tiny_contents, "truth", truth)
    metrics = make_metrics(["imaging-quality", "dynamic-degree", "lpips"])
    _, found = evaluate(folder, tiny_benchmark, metrics)
    told = found["navigation"]["methods"]["truth"]["not_computed"]
    assert {name: sum(of.values()) for name, of in told.items()} == {metric.name: 2 for metric in metrics}
    assert all("were given" in reason for of in told.values() for reason in of)
    stand_in = make_metrics(["dynamic-degree"], ["dynamic-degree.flow=dis"])
    _, found = evaluate(folder, tiny_benchmark, stand_in)
    assert found["navigation"]["methods"]["truth"]["columns"]["dd"]["of"] == 2
    assert "flow DIS (stand-in)" in markdown(found, stand_in)
    with pytest.raises(InputError, match="raft or dis"):
        make_metrics(["dynamic-degree"], ["dynamic-degree.flow=guess"])
