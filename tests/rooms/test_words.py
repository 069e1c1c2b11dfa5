from collections import Counter

import numpy as np

from video4spatial.rooms import COLOURS, PALETTE, Room, make_room, vocabulary
from video4spatial.rooms.layout.plan import RoomObject, box_corners
from video4spatial.rooms.phrases import describe, unique_targets


def thing(object_id: int, category: str, colour: str = "", height: float = 1.0) -> RoomObject:
    centre, size = np.zeros(3), np.array([1.0, 1.0, height])
    return RoomObject(object_id, category, colour, centre, size, 0.0, box_corners(centre, size, 0.0))


def test_a_phrase_names_one_object_only():
    objects = [thing(1, "chair", "red"), thing(2, "chair", "blue"), thing(3, "chair", "blue"), thing(4, "sofa")]
    assert unique_targets(objects) == [(1, "red chair"), (4, "sofa")]


def test_an_object_without_a_clear_colour_makes_its_category_ambiguous():
    assert unique_targets([thing(1, "chair", "red"), thing(2, "chair")]) == []


def test_phrases_of_real_rooms_are_unique(rooms: list[Room]):
    for room in rooms:
        targets = room.targets()
        assert targets
        assert max(Counter(target.phrase for target in targets).values()) == 1
        for target in targets:
            made = room.object(target.object_id)
            assert target.phrase == f"{made.colour} {made.category}".strip()
            assert made.colour in ("", *COLOURS)


def test_a_description_names_the_room_and_what_is_in_it():
    objects = [thing(1, "sofa", "orange"), thing(2, "plant", "green", 1.2), thing(3, "window"), thing(4, "window")]
    assert describe("office", objects) == "an office with a tall plant, an orange sofa and two windows"
    assert describe("living", []) == "a living room"
    assert describe("living", objects[2:3]) == "a living room with a window"


def test_every_word_is_in_the_vocabulary():
    words = vocabulary()
    assert words == sorted(set(words))
    assert set(COLOURS) == set(PALETTE) <= set(words)
    for seed in range(6):
        made = make_room(seed, difficulty=seed / 5, quality=0.2, rays=1)
        text = " ".join([made.describe(), *(target.phrase for target in made.targets())])
        assert set(text.replace(",", "").split()) <= set(words)


def test_colours_are_what_is_seen_of_an_object():
    yellow_bed = make_room(6, quality=0.2, rays=1)  # with a black frame and white linen under the cover
    assert "yellow bed" in [target.phrase for target in yellow_bed.targets()]


def test_the_room_itself_has_no_colour_words(rooms: list[Room]):
    for room in rooms:
        for made in room.objects:
            if made.category in ("floor", "wall", "window", "picture", "tv"):
                assert made.colour == ""
