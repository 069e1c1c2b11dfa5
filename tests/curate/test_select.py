"""The centre rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.curate.answers import Detection
from video4spatial.curate.select import Drop, Selection, SelectionConfig, centred_target, sampled_frames, select_clip
from video4spatial.schema import Box, InputError

W, H = 400, 200


def at(x: float, y: float, label: str = "chair", width: float = 20, height: float = 20) -> Detection:
    box = Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Detection(label, box, (box.x0, box.y0, box.x1, box.y1))


@pytest.mark.parametrize(
    ("x", "y", "central"),
    [
        (200, 100, True),
        (200 + 60, 100 + 30, True),  # 0.3 of 400 and of 200 are 120 and 60, half to each side
        (200 - 60, 100 - 30, True),
        (200 + 61, 100, False),
        (200, 100 - 31, False),
    ],
)
def test_the_central_region(x, y, central):
    assert (centred_target([at(x, y)], W, H, 0.3) is not None) == central


def test_the_nearest_counts_in_pixels_and_only_among_the_central():
    near, far = at(195, 110, "near", 30, 30), at(180, 80, "far")  # the far one is smaller, higher and more to the left
    assert centred_target([far, near], W, H, 0.3) == near
    assert centred_target([at(200, 69, "out"), at(240, 100, "far")], W, H, 0.3).label == "far"  # nearer, but outside
    assert centred_target([], W, H, 0.3) is None


def test_what_stands_on_the_table_comes_before_the_table():
    table, vase = at(200, 100, "table", 100, 60), at(200, 100, "vase", 10, 20)
    assert centred_target([table, vase], W, H, 0.3) == vase


places = st.builds(
    at,
    st.sampled_from([190.0, 200.0, 210.0]),
    st.sampled_from([90.0, 100.0, 110.0]),
    st.sampled_from("abc"),
    st.sampled_from([10.0, 20.0]),
    st.sampled_from([10.0, 20.0]),
)


@given(st.lists(places, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_answer_never_matters(objects, random):
    shuffled = objects[:]
    random.shuffle(shuffled)
    assert centred_target(objects, W, H, 0.3) == centred_target(shuffled, W, H, 0.3)


def test_the_clip_is_161_sampled_frames_and_ends_at_the_frame():
    config = SelectionConfig()
    chosen = select_clip(480, [at(200, 100)], (W, H), config)
    assert isinstance(chosen, Selection)
    assert len(chosen.frames) == 161
    assert (chosen.frames[0], chosen.frames[1], chosen.frames[-1]) == (0, 3, 480)
    assert set(chosen.frames) <= set(sampled_frames(481, config))
    assert select_clip(477, [at(200, 100)], (W, H), config) is Drop.TOO_EARLY
    assert select_clip(480, [at(20, 100)], (W, H), config) is Drop.NOTHING_CENTRED
    assert list(sampled_frames(8, config)) == [0, 3, 6]


@pytest.mark.parametrize(
    "settings", [{"every": 0}, {"clip_frames": 160}, {"centre_ratio": 0.0}, {"centre_ratio": 1.5}, {"clip_frames": 0}]
)
def test_bad_settings(settings):
    with pytest.raises(InputError):
        SelectionConfig(**settings)
