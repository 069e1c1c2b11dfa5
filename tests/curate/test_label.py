"""From a scene to labelled clips: with the oracle the answer is known."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
from vlm.stub_server import Reply, StubServer

from video4spatial.curate.answers import Outcome, parse_description, parse_objects
from video4spatial.curate.label import label_scene
from video4spatial.curate.labels import Funnel, SceneLabels
from video4spatial.curate.oracle import RoomOracle
from video4spatial.curate.prompts import describe_clip, list_objects
from video4spatial.curate.select import Drop, SelectionConfig
from video4spatial.data.rooms import RoomScene, article, grounding_video
from video4spatial.geometry.boxes import iou
from video4spatial.rooms import NoViewpoint, object_box
from video4spatial.schema import Box, InputError, grounding_sentence
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.cache import AnswerCache
from video4spatial.vlm.question import VLM, FrameSource, Question, RawAnswer
from video4spatial.vlm.server import ServerVLM

SHORT = SelectionConfig(every=3, clip_frames=9)


@pytest.fixture(scope="module")
def walk(tiny_room, tiny_rooms):
    """A walk of 37 frames that ends at an object which the oracle can name, and what that is."""
    config = dataclasses.replace(tiny_rooms, tail_frames=4)
    for target in tiny_room.targets():
        try:
            video = grounding_video(tiny_room, target, config, seed=1)
        except NoViewpoint:
            continue
        return RoomScene(tiny_room, video.c2w[: -video.tail_frames], config, "walk"), video
    raise AssertionError("no object of the tiny room can be walked to")


@pytest.fixture
def asker(walk, tmp_path) -> Asker:
    return Asker(RoomOracle([walk[0]]), AnswerCache(tmp_path / "answers.jsonl"))


@pytest.fixture(scope="module")
def labels(walk, tmp_path_factory) -> SceneLabels:
    asker = Asker(RoomOracle([walk[0]]), AnswerCache(tmp_path_factory.mktemp("oracle") / "answers.jsonl"))
    return label_scene(walk[0], asker, SHORT)


def test_the_target_of_a_grounding_video_is_picked(walk, labels):
    scene, video = walk
    last = labels.clips[-1]
    assert last.frames == range(12, 37, 3)
    assert last.target.label == video.meta["phrase"]
    assert iou(last.target.box, Box(*video.meta["box"])) > 0.8
    assert (
        last.sentence == grounding_sentence(article(video.meta["phrase"]), scene.room.describe()) == video.sentences[0]
    )
    assert (last.video_id, last.environment_id) == ("room3-walk", "room3")


def test_every_frame_is_accounted_for(labels):
    funnel = labels.funnel
    assert funnel.frames == 13
    assert funnel.objects[Outcome.FOUND] == funnel.drops.total() + funnel.descriptions.total()
    assert funnel.kept == len(labels.clips) == funnel.descriptions.total()
    assert {clip.target.label for clip in labels.clips} <= labels.labels
    both = funnel + funnel
    assert (both.frames, both.kept) == (26, 2 * funnel.kept)


def test_labels_hold_what_is_annotated_too(walk, labels):
    annotated = {f"{made.colour} {made.category}".strip() for made in walk[0].room.objects}
    assert annotated <= labels.labels


def test_a_second_run_asks_nothing(walk, asker, labels):
    assert label_scene(walk[0], asker, SHORT) == labels
    asked = asker.asked
    assert label_scene(walk[0], asker, SHORT) == labels
    assert asker.asked == asked


def test_the_oracle_answers_like_a_vlm(walk):
    scene, _ = walk
    oracle = RoomOracle([scene])
    assert isinstance(oracle, VLM)
    frame = scene.frames([36])[0]
    raw = oracle.ask(list_objects(frame, source=FrameSource(scene.video_id, (36,))))
    found = parse_objects(raw, 64, 32)
    assert found.outcome is Outcome.FOUND
    phrases = {target.phrase: target.object_id for target in scene.room.targets()}
    mask = scene.instances([36])[0]
    for detection in found.objects:
        truth = object_box(mask, phrases[detection.label])
        assert truth is not None
        assert iou(detection.box, truth) > 0.95
    seen = [phrase for phrase, object_id in phrases.items() if np.mean(mask == object_id) >= 0.01]
    assert set(seen) <= {detection.label for detection in found.objects}
    for detection in found.objects:
        given = [int(corner) for corner in detection.given]
        question = describe_clip(frame[None], "it", given, source=FrameSource(scene.video_id, (36,)))
        described = parse_description(oracle.ask(question))
        assert described.target == article(detection.label)
        assert described.scene == scene.room.describe()


def test_the_oracle_knows_only_its_scenes(walk):
    with pytest.raises(InputError, match="knows rooms only"):
        RoomOracle([]).ask(list_objects(walk[0].frames([0])[0], source=FrameSource("room3-walk", (0,))))


def test_a_scene_shorter_than_a_clip_is_named_before_anything_is_asked(walk, asker):
    with pytest.raises(InputError, match=r"room3-walk has 13 sampled frames.*fewer than a clip's 17"):
        label_scene(walk[0], asker, SelectionConfig(clip_frames=17))
    assert asker.asked == 0


class Scripted:
    """Says the next thing each time it is asked for objects, and so for descriptions."""

    identity, concurrency = "scripted", 1

    def __init__(self, objects: list[str], descriptions: list[str]) -> None:
        self.left = {"objects": list(objects), "description": list(descriptions)}
        self.asked: list[Question] = []

    def ask(self, question: Question) -> RawAnswer:
        self.asked.append(question)
        return RawAnswer(self.left[question.answer.name].pop(0))


def entry(*bbox_2d: int) -> str:
    return json.dumps({"objects": [{"bbox_2d": list(bbox_2d), "label": "lamp"}]})


def test_the_funnel_counts_every_kind_and_the_order_holds(walk, tmp_path):
    centred, aside = entry(400, 410, 600, 610), entry(0, 0, 100, 100)
    objects = [centred, aside, "", "no idea", "[]", entry(5, 5, 1, 9), entry(5, 5, 1009, 9), centred[:-3]]
    objects += [centred, centred, "I can't.", centred, aside]
    words = ['{"scene": "a room", "object": "the lamp"}', "A lamp.", '{"scene": "a hall", "object": "the lamp"}']
    vlm = Scripted(objects, words)
    labels = label_scene(walk[0], Asker(vlm, AnswerCache(tmp_path / "a")), SHORT, described_frames=4)
    assert labels.funnel == Funnel(
        Counter(
            {
                Outcome.FOUND: 6,
                Outcome.EMPTY: 1,
                Outcome.MALFORMED: 1,
                Outcome.NOTHING: 1,
                Outcome.SWAPPED: 1,
                Outcome.OUT_OF_RANGE: 1,
                Outcome.TRUNCATED: 1,
                Outcome.REFUSED: 1,
            }
        ),
        Counter({Drop.TOO_EARLY: 1, Drop.NOTHING_CENTRED: 2}),
        Counter({Outcome.FOUND: 2, Outcome.MALFORMED: 1}),
    )
    assert [(clip.frames[-1], clip.scene) for clip in labels.clips] == [(24, "a room"), (33, "a hall")]
    described = [question for question in vlm.asked if question.answer.name == "description"]
    assert described[0].source == FrameSource("room3-walk", (0, 9, 15, 24))
    assert '{"bbox_2d": [400, 410, 600, 610], "label": "lamp"}' in described[0].prompt
    np.testing.assert_array_equal(np.stack(described[0].images), walk[0].frames([0, 9, 15, 24]))


def test_over_a_server_the_labels_are_the_same(walk, labels, tmp_path):
    """The stub passes the oracle's words on, so that the whole way over HTTP is taken; half its answers fail first."""
    scene, _ = walk
    oracle = Asker(RoomOracle([scene]), AnswerCache(tmp_path / "oracle"))
    label_scene(scene, oracle, SHORT)
    said = [json.loads(line) for line in (tmp_path / "oracle").read_text().splitlines()]
    texts = iter([record["text"] for record in said])  # one at a time, so in the order of the questions

    def behave(number: int, attempt: int) -> Reply:
        failing = not attempt and number % 2
        return Reply(status=500, headers={"retry-after-ms": "1"}) if failing else Reply(next(texts))

    with StubServer(behave) as stub:
        vlm = ServerVLM("stub", stub.url, concurrency=1)
        over_http = label_scene(scene, Asker(vlm, AnswerCache(tmp_path / "a")), SHORT)
    assert over_http == labels
