"""Paths into the editor and out of it: presets, every format, the table of numbers."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.app.editor.edit import PathEdit
from video4spatial.app.editor.exchange import (
    FILE_NAMES,
    export_path,
    from_rows,
    from_text,
    import_path,
    preset_waypoints,
    rows,
    text_of,
)
from video4spatial.geometry.formats import FORMATS, load_path
from video4spatial.geometry.paths import PRESETS, Waypoint, interpolate, preset
from video4spatial.schema import InputError, Intrinsics

LENS = Intrinsics.from_horizontal_fov(70, 96, 64)
PATH = [Waypoint(), Waypoint(0.1, -0.2, 1.5, 0.4, -0.1, 0.05), Waypoint(-1.0, 0.3, 2.0, 3.5, 0.2, 0.0)]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_keep_to_the_dense_path(name):
    """In place and, but for the swing of look-around, in view at each frame."""
    got, want = interpolate(preset_waypoints(name), 121), preset(name, 121)
    if name == "look-around":
        np.testing.assert_allclose(got[[0, 30, 60, 90, 120]], want[[0, 30, 60, 90, 120]], atol=1e-9)
        return
    assert np.linalg.norm(got[:, :3, 3] - want[:, :3, 3], axis=1).max() < 0.02
    cosine = (np.einsum("tij,tij->t", got[:, :3, :3], want[:, :3, :3]) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 1.0


@given(st.sampled_from(["turn-left", "turn-right", "orbit", "360"]), st.floats(-720, 720))
def test_turns_of_any_size_go_the_right_way(name, degrees):
    got = interpolate(preset_waypoints(name, degrees), 240)
    want = preset(name, 240, degrees)
    assert np.linalg.norm(got[120] - want[120]) < 0.1
    assert np.linalg.norm(got[-1] - want[-1]) < 1e-6


def test_preset_errors():
    with pytest.raises(InputError, match="'forward' has no degrees"):
        preset_waypoints("forward", degrees=3)
    with pytest.raises(InputError, match="needs 81 waypoints"):
        preset_waypoints("360", degrees=7200)
    with pytest.raises(InputError, match="Did you mean"):
        preset_waypoints("orbitt")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_out_and_in_again(format, tmp_path):
    """Waypoints come back exactly; poses as the path, a pose a frame; and thinned out they keep to it."""
    path = PathEdit(PATH, frames=81)
    file = export_path(tmp_path, path, LENS, format)
    assert file.name == FILE_NAMES[format] + (".zip" if format == "colmap" else "")
    given = file
    if format == "colmap":
        given = []
        for name in zipfile.ZipFile(file).namelist():  # as uploads lie: each in a folder of its own
            if name.endswith(".txt"):
                given.append(zipfile.ZipFile(file).extract(name, tmp_path / "in" / str(len(given))))
    got = import_path(given, LENS, 81)
    assert got.format == format
    if format.startswith("waypoints"):
        assert got.waypoints == PATH
        assert got.said == f"3 waypoints from a {format} file."
        return
    read = load_path(tmp_path / "colmap" if format == "colmap" else file, LENS)
    np.testing.assert_allclose(read.c2w, path.poses(), atol=1e-6)
    assert got.poses == 81
    assert len(got.waypoints) <= 20
    assert f"81 poses of a {format} file became {len(got.waypoints)} waypoints" in got.said
    PathEdit(got.waypoints, frames=81)
    np.testing.assert_allclose(got.waypoints[-1].pose, PATH[-1].pose, atol=1e-6)
    dense = interpolate(got.waypoints, 2000)[:, :3, 3]
    off = np.linalg.norm(path.poses()[:, None, :3, 3] - dense[None], axis=-1).min(axis=1)
    assert off.max() < 0.06


def test_a_straight_recording_needs_its_ends_only(tmp_path):
    file = export_path(tmp_path, PathEdit([Waypoint(), Waypoint(z=3.0)]), LENS, "tum")
    got = import_path(file, LENS, 81)
    assert [round(point.z, 6) for point in got.waypoints] == [0.0, 3.0]
    assert got.apart < 1e-6


def test_short_videos_get_few_waypoints(tmp_path):
    file = export_path(tmp_path, PathEdit(preset_waypoints("orbit"), frames=40), LENS, "tum")
    assert len(import_path(file, LENS, 5).waypoints) == 2
    assert len(import_path(file, LENS, 1).waypoints) == 1


def test_import_refuses(tmp_path):
    bad = tmp_path / "path.csv"
    bad.write_text("x,y,z,yaw,pitch,roll\n0,0,0,0,0,90\n")
    with pytest.raises(InputError, match=r"^path\.csv, line 2.*radians"):
        import_path(bad, LENS, 81)
    with pytest.raises(InputError, match="no file was given"):
        import_path([], LENS, 81)
    with pytest.raises(InputError, match=r"images\.txt and cameras\.txt together"):
        import_path([bad, tmp_path / "other.csv"], LENS, 81)
    with pytest.raises(InputError, match="no camera path format 'fbx'"):
        export_path(tmp_path, PathEdit(), LENS, "fbx")


def test_the_table_is_in_degrees_and_keeps_digits_that_were_not_touched():
    path = [Waypoint(1 / 3, 0, 0, 1 / 7), Waypoint(z=2.0, yaw=np.pi / 2)]
    table = rows(path)
    assert table == [[0.3333, 0, 0, 8.185, 0, 0], [0, 0, 2, 90, 0, 0]]
    assert from_rows(table, path) == path
    table[0][3] = "−45"
    got = from_rows([*table, ["", None, "", "", "", ""]], path)
    assert got == [Waypoint(1 / 3, 0, 0, -np.pi / 4), path[1]]
    assert from_rows([["1", "2", "3", "0", "0", "0"]]) == [Waypoint(1, 2, 3)]


def test_the_table_says_which_cell():
    with pytest.raises(InputError, match="row 1: pitch is 'up', which is not a number"):
        from_rows([[0] * 6, [0, 0, 0, 0, "up", 0]])
    with pytest.raises(InputError, match="row 0 has 2 values"):
        from_rows([[1, 2]])
    with pytest.raises(InputError, match="row 0 has 7 values"):
        from_rows([[1, 2, 3, 0, 0, 0, 7]])


def test_the_table_as_text():
    path = [Waypoint(1 / 3, 0, 0, 1 / 7), Waypoint(z=2.0, yaw=np.pi / 2)]
    assert text_of(path) == "0.3333, 0, 0, 8.185, 0, 0\n0, 0, 2, 90, 0, 0"
    assert from_text(text_of(path), path) == path
    assert from_text("# a walk\n0 0 0\n\n0; 0; 1.5; 45 # turned") == [Waypoint(), Waypoint(z=1.5, yaw=np.pi / 4)]
    with pytest.raises(InputError, match="row 1 has 5 numbers: give x y z"):
        from_text("0 0 0\n1 2 3 4 5")
    with pytest.raises(InputError, match="no waypoints"):
        from_text("# nothing")


@given(st.lists(st.builds(Waypoint, *[st.floats(-100, 100)] * 3, *[st.floats(-6.2, 6.2)] * 3), min_size=1, max_size=5))
def test_an_untouched_text_changes_nothing(path):
    assert from_text(text_of(path), path) == path
