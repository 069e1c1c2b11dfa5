"""The benchmarks: what they promise to a model and to those who measure."""

import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest

from video4spatial.data.rooms import HELD_OUT_SEED
from video4spatial.evaluate.benchmarks import NAMED, open_benchmark, open_contents
from video4spatial.evaluate.cases import Case
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.reconstruct import ANCHORS, anchor_indices
from video4spatial.evaluate.rooms_cases import RoomsSettings, kind_of, rooms_benchmark, shared_out
from video4spatial.geometry.boxes import centre_rule, iou, read_red_box
from video4spatial.rooms import object_box
from video4spatial.schema import InputError


@pytest.mark.parametrize("name", ["rooms", "rooms:long"])
def test_the_rooms_benchmarks_have_the_papers_counts(name):
    benchmark = open_benchmark(name)
    assert benchmark.counts == {"grounding": 107, "absent": 36, "navigation": 90}
    assert len({case.scene_id for case in benchmark.cases}) == 18
    a_room = Counter((case.scene_id, case.task) for case in benchmark.cases)
    assert {a_room[scene, "navigation"] for scene, _ in a_room} == {5}
    assert {a_room[scene, "absent"] for scene, _ in a_room} == {2}
    assert sorted(a_room[scene, "grounding"] for scene in {scene for scene, _ in a_room})[:2] == [5, 6]
    assert min(case.facts["room"] for case in benchmark.cases) >= HELD_OUT_SEED
    assert [case.seed for case in benchmark.cases] == list(range(233))
    assert benchmark.settings == asdict(NAMED[name])
    for case in benchmark.cases:
        words = (
            f"The camera moves across {case.scene}. Finally, it focuses on {case.target} in the center of the frame."
        )
        assert case.sentence == ("" if case.task == "navigation" else words)


def test_the_shipped_manifest_is_what_its_seeds_give():
    """Were rooms to change, this fails: the manifest is then found anew and its change told."""
    shipped = open_benchmark("rooms")
    first = shipped.cases[0].facts["room"]
    again = rooms_benchmark(
        "rooms", replace(NAMED["rooms"], rooms=1, grounding=6, navigation=5, absent=0, first_seed=first)
    )
    kept = [case for case in shipped.cases if case.facts["room"] == first and case.task != "absent"]
    assert [replace(case, seed=0) for case in again.cases] == [replace(case, seed=0) for case in kept]


def test_another_size_is_the_same_benchmark_in_other_pixels():
    small, large = open_benchmark("rooms"), open_benchmark("rooms", (192, 128))
    assert small.cases == large.cases
    assert (large.width, large.settings["width"]) == (192, 192)
    assert small.digest != large.digest
    content = next(open_contents(large).of(large.cases[:1]))
    assert content.truth.size == content.context.size == (192, 128)
    assert content.intrinsics.width == 192


def test_short_clips_do_not_begin_in_front_of_their_target():
    """Else no context is needed to find it."""
    benchmark = open_benchmark("rooms", cases=3, tasks=["grounding"])
    for content in open_contents(benchmark).of(benchmark.cases):
        begin = content.room.instances(content.truth_path.c2w[:1], content.intrinsics)[0]
        assert not (begin == content.case.facts["object_id"]).any()
        assert np.allclose(content.truth_path.c2w[0], content.context_c2w[content.case.facts["start"]])


def test_cases_are_shared_out_evenly():
    assert shared_out(107, 18) == [6] * 17 + [5]
    assert kind_of("red floor lamp") == "floor lamp"
    assert kind_of("clock") == "clock"


def test_a_selection_goes_round_the_scenes():
    whole = open_benchmark("rooms")
    few = whole.select(18, ["navigation"])
    assert few.counts == {"grounding": 0, "absent": 0, "navigation": 18}
    assert len({case.scene_id for case in few.cases}) == 18
    assert whole.select(10_000) == whole
    shares = [whole.shard(k, 4) for k in range(4)]
    assert sum(shares, ()) == whole.cases
    assert {len(share) for share in shares} <= {58, 59}
    for bad in (lambda: whole.select(0), lambda: whole.select(1, ["fly"]), lambda: whole.shard(4, 4)):
        with pytest.raises(InputError):
            bad()


def test_content_keeps_its_promises(tiny_benchmark, tiny_contents):
    again = list(open_contents(tiny_benchmark).of(tiny_benchmark.cases))
    for content, same in zip(tiny_contents, again, strict=True):
        case = content.case
        assert (content.first_frame == same.first_frame).all()
        assert (content.context.frames == same.context.frames).all()
        assert len(content.context) == len(content.context_c2w) == 41
        assert content.anchors.frames.shape == (ANCHORS, 32, 64, 3)
        assert content.cloud.shape == (20_000, 3)
        assert (content.path is None) == (case.task != "navigation")
        if case.task == "absent":
            assert content.truth is content.truth_path is content.box is None
            assert not any(made.category == case.category for made in content.room.objects)
            continue
        assert len(content.truth) == len(content.truth_path) == case.frames
        assert (content.truth.frames[0] == content.first_frame).all()
        k = case.moving // 2
        rendered = content.room.render(content.truth_path.c2w[[k]], content.intrinsics).rgb[0]
        assert (rendered == content.truth.frames[k]).all()
        points = content.cloud
        centre = content.truth_path.c2w[0, :3, 3]
        assert (points.min(axis=0) < centre).all()
        assert (centre < points.max(axis=0)).all()  # cloud and poses share a frame


def test_anchors_are_spread_evenly():
    assert anchor_indices(3) == [0, 1, 2]
    many = anchor_indices(161)
    assert (len(many), many[0], many[-1]) == (40, 0, 160)
    assert set(np.diff(many)) <= {4, 5}


def test_grounding_asks_for_what_was_seen_and_ends_there(easy_cases):
    rooms = [content.case.facts["room"] for content in easy_cases]
    assert rooms == sorted(set(rooms))
    for content in easy_cases:
        object_id = content.case.facts["object_id"]
        seen = content.room.instances(content.context_c2w, content.intrinsics) == object_id
        assert seen.mean(axis=(1, 2)).max() >= 0.005
        last = content.room.instances(content.truth_path.c2w[-1:], content.intrinsics)[0]
        box = object_box(last, object_id)
        assert box is not None
        assert iou(content.box, box) > 0.85  # the truth's own box is read from a supersampled rendering
        assert centre_rule(content.box, 96, 64)
        made = content.room.object(object_id)
        assert content.case.target.removeprefix("the ") == f"{made.colour} {made.category}".strip()
        frames, moving = content.truth.frames, content.case.moving
        read = read_red_box(frames[moving:], frames[moving - 2 : moving])
        assert read is None or iou(read[0], content.box) > 0.6


def test_manifests_survive_json(tmp_path, tiny_benchmark):
    tiny_benchmark.save(tmp_path)
    loaded = Benchmark.load(tmp_path)
    assert loaded == tiny_benchmark
    assert loaded.digest == tiny_benchmark.digest
    assert open_benchmark(tmp_path).cases == tiny_benchmark.cases


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda c: c.update(format=99), "format"),
        (lambda c: c.update(cases=[]), "no cases"),
        (lambda c: c.pop("fps"), "fps"),
        (lambda c: c["cases"][0].update(task="fly"), "case 0"),
        (lambda c: c["cases"][0].update(frames=32), "case 0"),
        (lambda c: c["cases"][0].update(case_id="../x"), "case_id"),
        (lambda c: c["cases"][0].update(colour="red"), "colour"),
        (lambda c: c["cases"].append(c["cases"][0]), "twice"),
    ],
)
def test_broken_manifests_are_named(tmp_path, tiny_benchmark, spoil, told):
    content = tiny_benchmark.to_json()
    spoil(content)
    (tmp_path / "benchmark.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=told) as error:
        Benchmark.load(tmp_path)
    assert "benchmark.json" in str(error.value)


def test_what_cannot_be_a_benchmark_is_refused(tmp_path):
    for settings, told in (
        ({"first_seed": HELD_OUT_SEED - 1}, "trained on"),
        ({"frames": 32}, "4k\\+1"),
        ({"frames": 9}, "too short"),
        ({"rooms": 0}, "at least 1 room"),
    ):
        with pytest.raises(InputError, match=told):
            rooms_benchmark("x", RoomsSettings(**settings))
    with pytest.raises(InputError, match="Did you mean 'rooms'"):
        open_benchmark("room")
    strange = Benchmark("x", "moon", 64, 32, 16.0, {}, (Case("a", "absent", "s", 25, 8, 0),))
    with pytest.raises(InputError, match="moon"):
        open_contents(strange)
    with pytest.raises(InputError, match="settings"):
        open_contents(replace(strange, kind="rooms", settings={"moons": 3}))
