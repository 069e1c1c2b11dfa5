"""What a box marks: right on the truth, undecided elsewhere, and never right on another object."""

import numpy as np
import pytest
from PIL import Image

from video4spatial.evaluate.marked import BoxMark, RoomLabels, box_colour, compare, object_in_box
from video4spatial.evaluate.views import SHELL
from video4spatial.geometry.boxes import iou
from video4spatial.rooms import PALETTE, object_box
from video4spatial.schema import Box, InputError


@pytest.fixture(scope="module")
def judges(easy_cases):
    return [RoomLabels(case) for case in easy_cases]


def last_frame(case):
    return case.truth.frames[case.case.moving - 1]


def blurred(frame):
    """A quarter of the resolution: what a poor model still shows."""
    image = Image.fromarray(frame)
    return np.asarray(image.resize((24, 16), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC))


def test_the_truth_is_right(easy_cases, judges):
    for degrade in (np.asarray, blurred):
        outcomes = [judge(degrade(last_frame(c)), c.box).outcome for judge, c in zip(judges, easy_cases, strict=True)]
        assert outcomes.count(BoxMark.RIGHT) >= 18, outcomes
        assert not {BoxMark.WRONG_COLOUR, BoxMark.WRONG_CATEGORY, BoxMark.NOTHING} & set(outcomes)


def test_frames_of_other_rooms_are_undecided(easy_cases, judges):
    others = [*easy_cases[1:], easy_cases[0]]
    outcomes = [judge(last_frame(other), other.box).outcome for judge, other in zip(judges, others, strict=True)]
    assert outcomes.count(BoxMark.UNDECIDED) >= 18, outcomes


def test_plain_and_random_frames_are_undecided(easy_cases, judges):
    frame = last_frame(easy_cases[0])
    noise = np.random.default_rng(0).integers(0, 256, frame.shape).astype(np.uint8)
    for nonsense in (np.full_like(frame, 200), noise):
        assert judges[0](nonsense, easy_cases[0].box).outcome is BoxMark.UNDECIDED


def test_a_box_on_another_object_is_not_right(easy_cases, judges):
    tried = 0
    for case, judge in zip(easy_cases, judges, strict=True):
        ids = case.room.instances(case.truth_path.c2w[-1:], case.intrinsics)[0]
        for other in np.unique(ids):
            box = object_box(ids, int(other))
            if other in (0, case.case.facts["object_id"]) or case.room.object(int(other)).category in SHELL:
                continue
            if box is None or box.area < 60 or iou(box, case.box) > 0.2:
                continue
            assert judge(last_frame(case), box).outcome is not BoxMark.RIGHT
            tried += 1
    assert tried >= 5


def test_a_box_on_the_bare_wall_marks_nothing(easy_cases):
    case = easy_cases[0]
    ids = np.full((64, 96), 3, np.uint16)
    assert case.room.object(3).category == "wall"
    assert object_in_box(case.room, ids, Box(10, 10, 40, 40)) == 0
    assert compare(case.room, 0, case.case.facts["object_id"]) is BoxMark.NOTHING


def test_a_thin_object_wins_over_what_shows_through(easy_cases):
    """A floor lamp's pole fills little of its box; the curtain behind it fills more, but spans another box."""
    room, (lamp, behind) = easy_cases[0].room, [made.id for made in easy_cases[0].room.objects[-2:]]
    assert not {room.object(lamp).category, room.object(behind).category} & SHELL
    ids = np.full((64, 96), behind, np.uint16)
    ids[10:50, 44:46] = lamp
    ids[10:15, 38:52] = lamp
    assert object_in_box(room, ids, Box(37, 11, 53, 50)) == lamp


def test_category_counts_before_colour(easy_cases):
    seen = set()
    for room in [case.room for case in easy_cases]:
        for target in room.targets():
            wanted = room.object(target.object_id)
            assert compare(room, wanted.id, wanted.id) is BoxMark.RIGHT
            for made in room.objects:
                outcome = compare(room, made.id, wanted.id)
                seen.add(outcome)
                if made.category != wanted.category:
                    assert outcome is BoxMark.WRONG_CATEGORY
                elif made.id != wanted.id and wanted.colour:
                    assert outcome is BoxMark.WRONG_COLOUR  # a phrase names one object
    assert seen == {BoxMark.RIGHT, BoxMark.WRONG_CATEGORY, BoxMark.WRONG_COLOUR}


def test_judging_is_deterministic_and_knows_its_size(easy_cases, judges):
    case = easy_cases[0]
    assert judges[0](last_frame(case), case.box) == judges[0](last_frame(case), case.box)
    with pytest.raises(InputError, match="48x32"):
        judges[0](last_frame(case)[::2, ::2], case.box)


@pytest.mark.parametrize("word", PALETTE)
def test_box_colour_knows_the_palette(word):
    frame = np.full((64, 96, 3), 128, np.uint8)
    frame[16:48, 30:60] = np.round(np.array(PALETTE[word]) * 255)
    assert box_colour(frame, Box(26, 12, 64, 52)) == word  # the box's rim is background


def test_box_colour_of_odd_boxes():
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:, 90:] = 255
    assert box_colour(frame, Box(95, 10, 95.4, 10.2)) == "white"  # under a pixel
    assert box_colour(frame, Box(-40, -40, 50, 50)) == "black"
    with pytest.raises(InputError, match="outside"):
        box_colour(frame, Box(90, 0, 110, 20))
