"""Reading answers: never a crash, never a silent success."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from video4spatial.curate.answers import (
    Description,
    Detection,
    ObjectList,
    Outcome,
    parse_description,
    parse_objects,
)
from video4spatial.schema import Box
from video4spatial.vlm.answers import size_seen
from video4spatial.vlm.question import RawAnswer

W, H = 416, 256
CHAIR = {"bbox_2d": [100, 200, 300, 400], "label": "red chair"}
PLANT = {"bbox_2d": [0, 0, 1000, 1000], "label": "plant"}


def parse(text: str, **options) -> ObjectList:
    return parse_objects(RawAnswer(text), W, H, **options)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([CHAIR, PLANT]),
        json.dumps({"objects": [CHAIR, PLANT]}),
        json.dumps([CHAIR, PLANT], indent=2),
        f"```json\n{json.dumps([CHAIR, PLANT])}\n```",
        f"Here are the objects:\n```json\n{json.dumps([CHAIR, PLANT])}\n```\nThat is all.",
        f"```\n{json.dumps([CHAIR, PLANT])}",
        str([CHAIR, PLANT]),
        f"<think>I'm sorry for [this] chair</think>\n{json.dumps([CHAIR, PLANT])}",
        json.dumps([CHAIR, PLANT])[:-1] + ",]",
    ],
)
def test_the_ways_of_qwen(text):
    found = parse(text)
    assert found.outcome is Outcome.FOUND, found
    assert found.objects == (
        Detection("red chair", Box(0.1 * W, 0.2 * H, 0.3 * W, 0.4 * H), (100, 200, 300, 400)),
        Detection("plant", Box(0, 0, W, H), (0, 0, 1000, 1000)),
    )


def one(bbox_2d, label="chair") -> str:
    return json.dumps([PLANT, {"bbox_2d": bbox_2d, "label": label}])


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("", Outcome.EMPTY),
        (" \n\t", Outcome.EMPTY),
        ("<think>hm</think>", Outcome.EMPTY),
        ("[]", Outcome.NOTHING),
        ('```json\n{"objects": []}\n```', Outcome.NOTHING),
        ("I see a chair.", Outcome.MALFORMED),
        ("None of these.", Outcome.MALFORMED),
        ("null", Outcome.MALFORMED),
        ("3", Outcome.MALFORMED),
        ("{}", Outcome.MALFORMED),
        ("[[]]", Outcome.MALFORMED),
        ("[{1: 2}]", Outcome.MALFORMED),
        ("{1, 2}", Outcome.MALFORMED),
        ("[__import__('os')]", Outcome.MALFORMED),
        ('{"objects": null}', Outcome.MALFORMED),
        ('{"objects": {"bbox_2d": [1, 2, 3, 4], "label": "chair"}}', Outcome.MALFORMED),
        ("The chair is at [1, 2, 3, 4].", Outcome.MALFORMED),
        (f"```json\n{json.dumps([CHAIR])}\n```\n```json\n{json.dumps([PLANT])}\n```", Outcome.MALFORMED),
        (json.dumps([CHAIR]) + json.dumps([PLANT]), Outcome.MALFORMED),
        (one([1, 2, 3]), Outcome.MALFORMED),
        (one([1, 2, 3, 4, 5]), Outcome.MALFORMED),
        (one([[1, 2], [3, 4]]), Outcome.MALFORMED),
        (one([1, 2, "3", 4]), Outcome.MALFORMED),
        (one([0, 0, True, True]), Outcome.MALFORMED),
        (one([1, 2, None, 4]), Outcome.MALFORMED),
        ('[{"bbox_2d": [NaN, 0, 1, 1], "label": "chair"}]', Outcome.MALFORMED),
        (one([5, 5, 5, 9]), Outcome.MALFORMED),
        (one([1, 2, 3, 4], label=""), Outcome.MALFORMED),
        (one([1, 2, 3, 4], label=7), Outcome.MALFORMED),
        (one([1, 2, 3, 4], label="a\0b"), Outcome.MALFORMED),
        (one([1, 2, 3, 4], label="\ud800"), Outcome.MALFORMED),
        (one([1, 2, 3, 4], label="x" * 200), Outcome.MALFORMED),
        (json.dumps([PLANT, {"bbox_2d": [1, 2, 3, 4]}]), Outcome.MALFORMED),
        ("[" * 100_000, Outcome.MALFORMED),
        ("[" + "-" * 100_000 + "1]", Outcome.MALFORMED),
        ("[" + "1+" * 90_000 + "1j]", Outcome.MALFORMED),
        ("[" + "9" * 5000 + "]", Outcome.MALFORMED),
        ("x" * 300_000, Outcome.MALFORMED),
        ("```json", Outcome.TRUNCATED),
        ("```json\n[{", Outcome.TRUNCATED),
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "cha', Outcome.TRUNCATED),
        ("<think>a chair and", Outcome.TRUNCATED),
        (one([1, 2, 3, 1001]), Outcome.OUT_OF_RANGE),
        (one([-1, 2, 3, 4]), Outcome.OUT_OF_RANGE),
        (one([1, 2, 3, 10**300]), Outcome.OUT_OF_RANGE),
        ('[{"bbox_2d": [0, 0, 1e999, 1], "label": "chair"}]', Outcome.OUT_OF_RANGE),
        (one([30, 2, 3, 4]), Outcome.SWAPPED),
        (one([3, 40, 30, 4]), Outcome.SWAPPED),
        ("I'm sorry, but I cannot look at this picture.", Outcome.REFUSED),
        ("As an AI, I have no eyes.", Outcome.REFUSED),
        ("Sorry, I am unable to do that. I can't.", Outcome.REFUSED),
    ],
)
def test_the_ways_to_fail(text, outcome):
    answer = parse(text)
    assert answer.outcome is outcome, answer.reason
    assert answer.objects == ()
    assert answer.reason or outcome is Outcome.NOTHING


def test_what_was_cut_off_is_not_believed_even_where_it_reads_well():
    assert parse_objects(RawAnswer(json.dumps([CHAIR]), "length"), W, H).outcome is Outcome.TRUNCATED
    assert parse_objects(RawAnswer(json.dumps([CHAIR]), "refused"), W, H).outcome is Outcome.REFUSED
    assert parse_objects(RawAnswer(json.dumps([CHAIR]), "rejected"), W, H).outcome is Outcome.REJECTED


corner = st.integers(0, 1000)
label = st.from_regex(r"[a-z]{1,9}( [a-z'\"]{1,9}){0,3}", fullmatch=True)


@st.composite
def entry(draw) -> dict:
    (x0, x1), (y0, y1) = (sorted(draw(st.lists(corner, min_size=2, max_size=2, unique=True))) for _ in range(2))
    return {"bbox_2d": [x0, y0, x1, y1], "label": draw(label)}


entries = st.lists(entry(), min_size=1, max_size=6)


@given(entries, st.integers(2, 4000), st.integers(2, 4000))
def test_a_proper_list_comes_back_as_it_was(objects, width, height):
    for text in (json.dumps(objects), str(objects)):
        found = parse_objects(RawAnswer(text), width, height)
        assert found.outcome is Outcome.FOUND
        assert [detection.label for detection in found.objects] == [made["label"] for made in objects]
        for detection, made in zip(found.objects, objects, strict=True):
            assert list(detection.given) == made["bbox_2d"]
            box = detection.box
            assert [box.x0 / width, box.y0 / height, box.x1 / width, box.y1 / height] == pytest.approx(
                [value / 1000 for value in made["bbox_2d"]]
            )


@given(entries, st.data())
def test_one_spoilt_entry_spoils_the_answer(objects, data):
    spoilt = dict(data.draw(st.sampled_from(objects)))
    x0, y0, x1, y1 = spoilt["bbox_2d"]
    what, corners = data.draw(
        st.sampled_from(
            [
                (Outcome.SWAPPED, [x1, y0, x0, y1]),
                (Outcome.SWAPPED, [x0, y1, x1, y0]),
                (Outcome.OUT_OF_RANGE, [x0, y0, x1 + 1001, y1]),
                (Outcome.OUT_OF_RANGE, [x0 - 1001, y0, x1, y1]),
                (Outcome.MALFORMED, [x0, y0, x1]),
                (Outcome.MALFORMED, [x0, y0, str(x1), y1]),
                (Outcome.MALFORMED, [x0, y0, x0, y1]),
            ]
        )
    )
    place = data.draw(st.integers(0, len(objects)))
    text = json.dumps([*objects[:place], {**spoilt, "bbox_2d": corners}, *objects[place:]])
    assert parse(text).outcome is what


@given(entries, st.data())
def test_cut_anywhere_it_is_truncated(objects, data):
    text = json.dumps(data.draw(st.sampled_from([objects, {"objects": objects}])))
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    assert parse(cut).outcome is Outcome.TRUNCATED
    assert parse(f"```json\n{cut}").outcome is Outcome.TRUNCATED


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["objects", "bbox_2d", "label", "scene", "object", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
noise = st.text("[]{}()\"'\\,:`-+.1e9njson \n", max_size=60)
anything = st.one_of(
    st.text(), noise, nested.map(json.dumps), nested.map(repr), nested.map(lambda v: f"```json\n{v}```")
)


@given(anything, st.sampled_from(["stop", "length", "refused", "rejected"]), st.booleans())
@example("[{'bbox_2d': [1, 2, 3, 4], 'label': b'x'}]", "stop", False)
@example("['\\N{DIGIT}']", "stop", False)
def test_whatever_it_says_nothing_crashes_and_nothing_succeeds_in_silence(text, finish, pixels):
    raw = RawAnswer(text, finish)
    found = parse_objects(raw, W, H, "pixels" if pixels else "relative-1000")
    assert (found.outcome is Outcome.FOUND) == bool(found.objects)
    for detection in found.objects:
        box = detection.box
        assert 0 <= box.x0 < box.x1 <= W + 1e-9
        assert 0 <= box.y0 < box.y1 <= H + 1e-9
        assert detection.label.strip()
        assert "bbox_2d" in text
    described = parse_description(raw)
    assert (described.outcome is Outcome.FOUND) == bool(described.scene and described.target)
    if finish != "stop":
        assert Outcome.FOUND not in (found.outcome, described.outcome)


def test_pixels_are_those_of_the_image_as_qwen25_sees_it():
    assert size_seen(W, H) == (420, 252)
    found = parse(json.dumps([{"bbox_2d": [0, 0, 420, 252], "label": "wall"}]), coordinates="pixels")
    box = found.objects[0].box
    assert (box.x1, box.y1) == pytest.approx((W, H))
    assert parse(json.dumps([{"bbox_2d": [0, 0, 421, 252], "label": "wall"}]), coordinates="pixels").outcome is (
        Outcome.OUT_OF_RANGE
    )


@given(st.integers(10, 6000), st.integers(10, 6000))
def test_the_size_seen_is_that_of_transformers(width, height):
    if max(width, height) > 200 * min(width, height):
        return
    seen = smart_resize(height, width, factor=28, min_pixels=56 * 56, max_pixels=12_845_056)
    assert size_seen(width, height) == seen[::-1]


def describe(text: str) -> Description:
    return parse_description(RawAnswer(text))


def test_a_description():
    text = json.dumps({"scene": "A bright office\n with two desks.", "object": "The TV on the wall"})
    assert describe(text) == Description(Outcome.FOUND, "a bright office with two desks", "the TV on the wall")
    assert describe(f"```json\n{text}\n```").outcome is Outcome.FOUND


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("", Outcome.EMPTY),
        ("A bright office.", Outcome.MALFORMED),
        ("[]", Outcome.MALFORMED),
        ('{"scene": "an office"}', Outcome.MALFORMED),
        ('{"scene": "an office", "object": " . "}', Outcome.MALFORMED),
        ('{"scene": "an office", "object": ["the chair"]}', Outcome.MALFORMED),
        ('{"scene": "An office. It has two desks.", "object": "the chair"}', Outcome.MALFORMED),
        (json.dumps({"scene": "an office " * 50, "object": "the chair"}), Outcome.MALFORMED),
        ('{"scene": "an office", "object": "the', Outcome.TRUNCATED),
        ("I cannot describe this.", Outcome.REFUSED),
    ],
)
def test_a_bad_description(text, outcome):
    assert describe(text).outcome is outcome
    assert not describe(text).target


@pytest.mark.parametrize("made", [lambda: ObjectList(Outcome.FOUND), lambda: Description(Outcome.FOUND, "a room")])
def test_a_success_without_a_result_cannot_be_made(made):
    with pytest.raises(ValueError, match="an answer that is found"):
        made()
