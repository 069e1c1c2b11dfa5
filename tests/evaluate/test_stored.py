"""A benchmark of a prepared store: clips, trajectories and absent objects of its own walks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from video4spatial.cli import main
from video4spatial.data.origin import Origin, keep_origin
from video4spatial.data.sampled import Sampled
from video4spatial.data.source import open_source
from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.stored_cases import StoredSettings, context_index, scene_in, stored_benchmark
from video4spatial.geometry.boxes import read_box_tail
from video4spatial.schema import InputError, grounding_sentence
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.scene_shards import SceneShards

FRAMES, CLIP, TAIL = 81, 17, 8
OPTIONS = {"tours": 1, "frames": FRAMES, "width": 64, "height": 32, "difficulty": 0.1, "quality": 0.3, "rays": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Walks of two rooms, as prepare and curate leave them; of their latents only the shape is real."""
    root = tmp_path_factory.mktemp("stored") / "store"
    source = open_source("rooms", "4:6", OPTIONS)
    origin = Origin("rooms", "4:6", source.options, 1, (64, 32), CLIP, "tiny", "0", None, ())
    root.mkdir()
    keep_origin(root, origin)
    shards, clips = SceneShards(root), SceneShards(root / "clips")
    for unit in source.units:
        walk = Sampled(source.open(unit.unit_id), 1, 64, 32)
        more = {"fps": walk.fps, "size": (64, 32), "intrinsics": walk.intrinsics}
        meta = {"source": unit.unit_id, "every": 1, "frames": [0, FRAMES]}
        video = {"video": torch.zeros(48, (FRAMES - 1) // 4 + 1, 2, 4), "c2w": walk.c2w}
        shards.write(walk.video_id, walk.environment_id, video, meta=meta, **more)
        with clips.shard(walk.video_id) as shard:
            for number, stop in enumerate((17, 50, 81)):
                told = {"phrase": f"red lamp {number}", "label": "lamp", "scene": "a room with a lamp"}
                told |= {"tail_latents": TAIL // 4, "of": walk.video_id, "frames": [stop - CLIP, stop]}
                told |= {"sentences": [], "box": [20, 8, 44, 24]}
                tensors = {"video": torch.zeros(48, 7, 2, 4), "c2w": np.repeat(np.eye(4)[None], CLIP + TAIL, 0)}
                name = f"{walk.video_id}@{stop:06d}"
                shard.add(name, walk.environment_id, tensors, meta=told, **more)
    shards.reindex()
    clips.reindex()
    told = {label: grounding_sentence(f"the {label}", "an attic") for label in ("boat", "horse")}
    lines = [
        {"environment_id": unit.environment_id, "label": label, "sentence": sentence}
        for unit in source.units
        for label, sentence in told.items()
    ]
    StoreLayout(root).absent.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def settings(store, **more):
    values = {"scenes": 2, "grounding": 5, "navigation": 4, "absent": 3, "navigation_frames": 21, "cloud_points": 3000}
    return StoredSettings(str(store), **values | more)


def test_cases_are_cut_from_the_stores_own_walks(store):
    benchmark = stored_benchmark("mine", settings(store))
    assert benchmark.counts == {"grounding": 5, "absent": 3, "navigation": 4}
    assert stored_benchmark("mine", settings(store)) == benchmark
    assert stored_benchmark("mine", settings(store, seed=1)) != benchmark
    source, rows = open_source("rooms", "4:6", OPTIONS), LatentStore(store)
    walks = {row.video_id: Sampled.of_stored(source.open(row.meta["source"]), row) for row in rows}
    for content in open_contents(benchmark).of(benchmark.cases):
        case, walk = content.case, walks[content.case.facts["video"]]
        start, stop = case.facts["frames"]
        assert (content.first_frame == walk.frames([start])[0]).all()
        assert len(content.context) == len(content.context_c2w)
        assert len(content.context) % 4 == 1
        assert content.cloud.shape == (3000, 3)
        if case.task == "absent":
            assert content.truth is content.truth_path is None
            assert case.sentence == grounding_sentence(case.target, "an attic")
            continue
        seen = {frame.tobytes() for frame in content.context.frames}
        assert not seen & {frame.tobytes() for frame in content.truth.frames[: case.moving]}  # nothing leaks
        assert (content.truth.frames[: case.moving] == walk.frames(range(start, stop))).all()
        assert len(content.truth) == len(content.truth_path) == case.frames
        assert (content.truth_path.c2w[: case.moving] == walk.c2w[start:stop]).all()
        if case.task == "grounding":
            assert (case.frames, case.tail_frames) == (CLIP + TAIL, TAIL)
            assert case.sentence == grounding_sentence(case.target, "a room with a lamp")
            assert read_box_tail(content.truth.frames, TAIL) is not None


def test_points_from_depth_lie_on_the_room(store):
    """Depth of the walks, put together by their poses, is the room that they show."""
    benchmark = stored_benchmark("mine", settings(store))
    content = next(open_contents(benchmark).of(benchmark.cases))
    surface = content.walk.scene.scene.room.point_cloud(60_000).points
    distance, _ = cKDTree(surface).query(content.cloud)
    assert np.median(distance) < 0.05


@given(st.integers(1, 90), st.integers(0, 90), st.integers(1, 60))
def test_the_context_leaves_the_clip_out(frames, start, length):
    start = min(start, frames - 1)
    stop = min(start + length, frames)
    index = context_index(frames, start, stop)
    assert not set(index) & set(range(start, stop))
    assert len(index) % 4 == 1 or len(index) == 0
    assert (np.diff(index) > 0).all()
    jump = np.flatnonzero(np.diff(index) > 1)
    assert all((at + 1) % 4 == 1 for at in jump)  # a latent holds frames of one side
    assert len(index) >= frames - (stop - start) - 7


def test_scene_in_a_sentence():
    assert scene_in(grounding_sentence("the boat", "an attic"), "the boat") == "an attic"
    assert scene_in("Go to the boat.", "the boat") == ""


def test_what_a_store_cannot_offer_is_told(store, tmp_path):
    for more, told in (
        ({"scenes": 3}, "2 of its 2 environments"),
        ({"grounding": 9}, "offer 5 clips"),
        ({"navigation_frames": 20}, "4k\\+1"),
        ({"environments": ("moon",)}, "moon"),
    ):
        with pytest.raises(InputError, match=told):
            stored_benchmark("mine", settings(store, **more))
    one = settings(store, scenes=1, grounding=2, absent=2, environments=("room5",))
    assert {case.scene_id for case in stored_benchmark("mine", one).cases} == {"room5"}
    with pytest.raises(InputError, match=r"origin\.json"):
        stored_benchmark("mine", settings(tmp_path))


def test_the_file_that_split_writes_says_which_environments(store, tmp_path, capsys):
    held_out, bench = tmp_path / "held_out.txt", tmp_path / "bench"
    assert main(["split", str(store), "--held-out", "1", "--out", str(held_out)]) == 0
    counts = ["--scenes", "1", "--grounding", "1", "--navigation", "1", "--absent", "1", "--navigation-frames", "17"]
    asked = ["benchmark", str(store), str(bench), *counts, "--environments", str(held_out), "--manifest-only"]
    assert main(asked) == 0, capsys.readouterr().err
    (name,) = [line for line in held_out.read_text().splitlines() if not line.startswith("#")]
    assert {case.scene_id for case in open_benchmark(bench).cases} == {name}
    assert main(["generate", str(store), "--method", "full", "--out", str(tmp_path / "videos")]) == 2
    assert f"video4spatial benchmark {store} DIR" in capsys.readouterr().err


def test_from_a_store_to_its_table(store, tmp_path, capsys):
    """The command line: the manifest, videos by a baseline, the table."""
    bench, out = tmp_path / "bench", tmp_path / "out"
    counts = ["--scenes", "2", "--grounding", "2", "--navigation", "2", "--absent", "2", "--navigation-frames", "21"]
    assert main(["benchmark", str(store), str(bench), *counts, "--manifest-only"]) == 0
    methods = ["--method", "ground-truth", "--method", "first-frame-held", "--method", "nearest-context-frame-oracle"]
    assert main(["generate", str(bench), *methods, "--out", str(out)]) == 0
    assert main(["evaluate", str(out)]) == 0
    tables = json.loads((out / "results.json").read_text())["tables"]
    assert tables["navigation"]["methods"]["ground-truth"]["columns"]["psnr"]["mean"] == 100
    assert tables["grounding"]["methods"]["ground-truth"]["columns"]["box_found"]["mean"] == 1
    assert tables["grounding"]["methods"]["ground-truth"]["columns"]["box_right"]["mean"] is None
    files = tmp_path / "files"
    assert main(["benchmark", str(bench), str(files), "--cases", "1"]) == 0
    assert open_benchmark(files).kind == "files"
    case = open_benchmark(files).cases[0]
    assert case.facts["context"] == case.case_id
