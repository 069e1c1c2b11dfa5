"""Paths as forms give them."""

import numpy as np
import pytest

from video4spatial.app.form import navigate_ask, preset_of, takes_not
from video4spatial.app.route import (
    MOST_WAYPOINTS,
    PRESETS,
    FromFile,
    Through,
    rows_of,
    text_of,
    waypoints_along,
    waypoints_from_text,
    waypoints_of,
)
from video4spatial.geometry.paths import Waypoint, preset
from video4spatial.schema import CameraPath, InputError, Intrinsics

LENS = Intrinsics.from_horizontal_fov(72, 96, 64)
SETTINGS = (0, 1, None, None, None, None)


def test_rows_are_metres_and_degrees():
    (point,) = waypoints_of([[1, 2, "3", 90, "", None]])
    assert point.row == pytest.approx((1, 2, 3, np.pi / 2, 0, 0))
    assert rows_of([point]) == [[1, 2, 3, 90, 0, 0]]


def test_text_and_waypoints_are_inverse():
    points = [Waypoint(), Waypoint(0.5, 0, 1.25, 0.5, -0.1, 0.02)]
    back = waypoints_from_text(text_of(points))
    assert np.allclose([p.row for p in back], [p.row for p in points], atol=2e-5)


def test_short_lines_and_comments():
    points = waypoints_from_text("# a walk\n0 0 1\n\n0, 0, 2, 45  # turned\n")
    assert [p.row[2] for p in points] == [1, 2]
    assert points[1].row[3] == pytest.approx(np.pi / 4)


@pytest.mark.parametrize("text", ["", "1 2", "1 2 3 4 5", "1 2 x", "nan 0 0", "0 0 inf", "1 2 3 4 5 6 7"])
def test_bad_waypoints_are_refused(text):
    with pytest.raises(InputError, match="waypoint"):
        waypoints_from_text(text)


def test_too_many_waypoints():
    with pytest.raises(InputError, match="at most"):
        Through(tuple(Waypoint(0, 0, i) for i in range(MOST_WAYPOINTS + 1)))


def test_a_path_as_waypoints_keeps_its_ends():
    poses = CameraPath(preset("orbit", 33), LENS)
    points = waypoints_along(poses)
    assert len(points) == 5
    assert np.allclose(points[0].pose, poses.c2w[0])
    assert np.allclose(points[-1].pose, poses.c2w[-1])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_with_fields_it_does_not_take(name):
    """The page shows both fields always; what a preset does not take is left out, and the rest is not refused."""
    route = preset_of(name, 30, 0.5)
    assert {o for o in ("degrees", "metres") if getattr(route, o) is None} == set(takes_not(name))
    assert len(route.poses(LENS, 9)) == 9


def test_a_file_that_cannot_be_read_is_named_as_the_person_named_it(tmp_path):
    (tmp_path / "x81.csv").write_text("1,2\n")
    with pytest.raises(InputError, match=r"^mine\.csv"):
        FromFile(tmp_path / "x81.csv", name="mine.csv").poses(LENS, 9)


def test_the_form_says_what_is_missing():
    with pytest.raises(InputError, match="no path file"):
        navigate_ask("File", "turn-left", None, None, "", None, *SETTINGS)
    with pytest.raises(InputError, match="no camera preset"):
        navigate_ask("Preset", "sideways", None, None, "", None, *SETTINGS)
    asked = navigate_ask("Waypoints", "turn-left", None, None, "0 0 1", None, *SETTINGS)
    assert asked.task == "navigate"
    assert asked.words == "1 waypoint"


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [(0, 1.5, "seed"), (0, -1, "seed"), (1, 1000, "best of"), (2, 0, "steps"), (3, "x", "guidance"), (5, 1, "frames")],
)
def test_numbers_out_of_range_name_their_field(place, value, told):
    settings = list(SETTINGS)
    settings[place] = value
    with pytest.raises(InputError, match=f"^{told} is"):
        navigate_ask("Preset", "still", None, None, "", None, *settings)
