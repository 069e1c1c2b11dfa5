"""The datasets' own annotation as an oracle: what it says is where it says it, and curation works without a model."""

import json

import numpy as np
import pytest
from arkitscenes_tree import write_video
from curate.stores import prepared
from scannetpp_tree import SCENE_ID, walk, write_release

from video4spatial.cli import main
from video4spatial.curate.annotated import AnnotatedTruth, AnnotationOracle
from video4spatial.curate.answers import Outcome, parse_description, parse_objects
from video4spatial.curate.exchange import exported
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.prompts import describe_clip, list_objects
from video4spatial.curate.records import all_labels
from video4spatial.data.sampled import Sampled
from video4spatial.data.scannetpp import ScanNetPP, ScanNetPPOptions
from video4spatial.data.scene import BadScene
from video4spatial.data.source import open_source
from video4spatial.geometry.boxes import iou
from video4spatial.rooms import object_box, tour
from video4spatial.schema import Box, Intrinsics
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.vlm.question import FrameSource

CLIPS = ["--vlm", "oracle", "--clip-frames", "5", "--tail-frames", "4", "--centre-ratio", "0.8"]


@pytest.fixture(scope="module")
def made(tiny_rooms):
    return walk(tiny_rooms.room(0))


@pytest.fixture(scope="module")
def release(made, tmp_path_factory):
    root = tmp_path_factory.mktemp("scannetpp")
    write_release(root, made)
    return root


def test_what_it_lists_is_there(made, release):
    scene = Sampled(ScanNetPP(release).open(SCENE_ID), 1, 320, 240)
    oracle = AnnotationOracle([scene])
    categories = [known.category for known in made.room.objects]
    overlaps = []
    for number in range(0, len(scene), 3):
        frame = scene.frames([number])[0]
        source = FrameSource(scene.video_id, (number,))
        found = parse_objects(oracle.ask(list_objects(frame, source=source)), 320, 240)
        assert found.outcome in (Outcome.FOUND, Outcome.NOTHING)
        for detection in found.objects:
            assert categories.count(detection.label) == 1
            assert detection.label not in ("wall", "floor", "ceiling", "skirting board")
            (known,) = [known for known in made.room.objects if known.category == detection.label]
            truth = object_box(made.instance[number], known.id)
            assert truth is not None
            scaled = Box(truth.x0 * 1.25, truth.y0 * 1.25, truth.x1 * 1.25, truth.y1 * 1.25)
            overlaps.append(iou(detection.box, scaled))
            given = [int(corner) for corner in detection.given]
            described = parse_description(oracle.ask(describe_clip(frame[None], "it", given, source=source)))
            assert described.target == f"the {detection.label}"
            assert described.scene.startswith("a room with ")
    assert len(overlaps) > 4
    assert np.median(overlaps) > 0.8


def test_what_is_missing_is_named(release, made, tmp_path):
    bare = ScanNetPP(release, ScanNetPPOptions(depth=False)).open(SCENE_ID)
    with pytest.raises(BadScene, match="-iphone has no depth: "):
        AnnotatedTruth(bare)
    bare = ScanNetPP(release, ScanNetPPOptions(objects=False)).open(SCENE_ID)
    with pytest.raises(BadScene, match="-iphone has no annotated objects: "):
        AnnotatedTruth(bare)


def curated(store) -> list[dict]:
    assert main(["curate", str(store), *CLIPS]) == 0
    layout = StoreLayout(store)
    assert json.loads(layout.curation_report.read_text())["clips"] > 0
    return [row.meta for row in LatentStore(layout.clips)]


def test_a_tree_of_scannetpp_is_curated(made, release, codec, pipeline_folder, tmp_path):
    """And its boxes, cut to the store's crop, mark the object in the source's own frames."""
    source = open_source("scannetpp", release)
    store = prepared(tmp_path / "s", source, codec, pipeline_folder, size=(64, 32), clip=5)
    assert curated(store)
    there = PreparedStore(store)
    labels = all_labels(there.layout, [row.video_id for row in there.rows])
    for one in exported(there, labels, "oracle"):
        assert (one.unit, one.width, one.height) == (SCENE_ID, 320, 240)
        (known,) = [known for known in made.room.objects if known.category == one.label]
        truth = object_box(made.instance[one.frames[-1]], known.id)
        assert truth is not None
        x0, x1 = truth.x0 * 1.25, truth.x1 * 1.25
        y0, y1 = max(truth.y0 * 1.25, 40), min(truth.y1 * 1.25, 200)  # 64x32 is the middle 160 rows
        assert iou(one.box, Box(x0, y0, x1, y1)) > 0.6


def test_a_tree_of_arkitscenes_is_curated(tiny_room, codec, pipeline_folder, tmp_path):
    lens = Intrinsics(53.0, 52.9, 32.3, 23.6, 64, 48)
    c2w = tour(tiny_room, 37, seed=5, fps=20)
    write_video(tmp_path / "tree", tiny_room, c2w, "41000001", "7", lens=lens, paint=False, sky="Left")
    source = open_source("arkitscenes", tmp_path / "tree")
    store = prepared(tmp_path / "s", source, codec, pipeline_folder, every=2, size=(64, 64), clip=5)
    annotated = {"fridge", "stool", "door"}
    assert {meta["label"] for meta in curated(store)} <= annotated
