"""Paths as forms give them."""

import numpy as np
import pytest

from video4spatial.app.form import navigate_ask, preset_of, takes_not
from video4spatial.app.route import MAX_WAYPOINTS, PRESETS, FromFile, Preset, Through, waypoints_along
from video4spatial.geometry.formats import save_path
from video4spatial.geometry.paths import Waypoint
from video4spatial.schema import InputError, Intrinsics

LENS = Intrinsics.from_horizontal_fov(72, 96, 64)
SETTINGS = (0, 1, None, None, None, None)


def test_too_many_waypoints():
    with pytest.raises(InputError, match="at most"):
        Through(tuple(Waypoint(0, 0, i) for i in range(MAX_WAYPOINTS + 1)))


@pytest.mark.parametrize("point", [Waypoint(x=1e160), Waypoint(yaw=7), Waypoint(z=float("nan"))])
def test_waypoints_beyond_the_limits(point):
    with pytest.raises(InputError, match=r"^waypoint 1: "):
        Through((Waypoint(), point))


def test_routes_become_waypoints(tmp_path):
    points = [Waypoint(), Waypoint(0, 0, 1)]
    assert waypoints_along(Through(tuple(points)), LENS, 33) == points
    assert waypoints_along(Preset("forward", metres=1), LENS, 33) == points
    save_path(tmp_path / "path.tum", Preset("forward", metres=1).poses(LENS, 33))
    back = waypoints_along(FromFile(tmp_path / "path.tum"), LENS, 33)
    assert np.allclose([p.row for p in back], [p.row for p in points], atol=1e-6)


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
