"""Absent-object examples: what they ask for is truly not there."""

import itertools

import pytest

from video4spatial.curate.absent import absent_examples, kind
from video4spatial.curate.answers import Detection, Outcome
from video4spatial.curate.labels import Look, SceneLabels
from video4spatial.schema import Box, InputError, grounding_sentence


def scene(environment: str, labels: str, targets: str = "", video: str = "0") -> SceneLabels:
    named = [label.strip() for label in targets.split(",") if label.strip()]
    found = Outcome.FOUND
    looks = [
        Look(8 + n, found, 1, Detection(label, Box(0, 0, 1, 1), (0, 0, 1, 1)), None, found, f"a {environment}", "x")
        for n, label in enumerate(named)
    ]
    seen = frozenset(label.strip() for label in labels.split(",") if label.strip()) | set(named)
    return SceneLabels(f"{environment}-{video}", environment, 9, 1, (2, 2), tuple(looks), seen)


OFFICE = scene("office", "desk, grey chair, chair cushion", "black monitor, office chair")
BEDROOM = scene("bedroom", "bed, white lamps, monitors on desk", "wooden wardrobe, red armchair")
KITCHEN = scene("kitchen", "oven", "silver fridge, round table")


def asked(examples, environment: str) -> set[str]:
    return {example.label for example in examples if example.environment_id == environment}


def test_what_is_there_in_any_form_is_never_asked_for():
    examples = absent_examples([OFFICE, BEDROOM, KITCHEN], 9)
    assert asked(examples, "office") == {"wooden wardrobe", "red armchair", "silver fridge", "round table"}
    assert asked(examples, "bedroom") == {"office chair", "silver fridge", "round table"}  # no monitor: it has some
    assert asked(examples, "kitchen") == {"black monitor", "office chair", "wooden wardrobe", "red armchair"}


def test_each_is_marked_and_says_where_it_is_from():
    example = next(e for e in absent_examples([OFFICE, KITCHEN], 9) if e.label == "silver fridge")
    assert example.present is False
    assert (example.environment_id, example.taken_from) == ("office", "kitchen")
    assert example.sentence == grounding_sentence("the silver fridge", "a office")


def test_all_videos_of_an_environment_count():
    other = scene("office", "fridge magnets, round tables", video="1")
    assert asked(absent_examples([OFFICE, KITCHEN], 9), "office") == {"silver fridge", "round table"}
    assert asked(absent_examples([OFFICE, other, KITCHEN], 9), "office") == set()


def test_same_scenes_and_seed_same_examples_in_any_order():
    first = absent_examples([OFFICE, BEDROOM, KITCHEN], 2, seed=3)
    assert all(
        absent_examples(order, 2, seed=3) == first for order in itertools.permutations([OFFICE, BEDROOM, KITCHEN])
    )
    assert len(first) == 6
    assert any(absent_examples([OFFICE, BEDROOM, KITCHEN], 2, seed=s) != first for s in range(5))


def test_each_kind_is_asked_for_once():
    many = scene("store", "shelf", "red chair, blue chair, green chair, sofa")
    assert len(absent_examples([many, KITCHEN], 9)) == 2 + 2


def test_a_label_without_a_word_is_never_asked_for():
    assert asked(absent_examples([scene("store", "shelf", "!, on the table"), OFFICE], 9), "office") == set()


def test_where_nothing_could_be_listed_nothing_is_known_to_be_absent():
    assert asked(absent_examples([scene("dark", ""), OFFICE], 9), "dark") == set()


@pytest.mark.parametrize(
    ("label", "noun"),
    [
        ("red armchair", "armchair"),
        ("grey chairs with arms", "chair"),
        ("bookshelves", "bookshelf"),
        ("Boxes", "box"),
        ("glass", "glass"),
        ("monitor on the desk", "monitor"),
        ("!", ""),
    ],
)
def test_the_kind_of_a_label(label, noun):
    assert kind(label) == noun


def test_bad_settings():
    with pytest.raises(InputError, match="per_environment"):
        absent_examples([], 0)
