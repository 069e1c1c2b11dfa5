"""The editor's viewer: what it shows follows the path, it plays, and closing it leaves nothing behind."""

import gc
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import viser
import websockets.sync.client

from video4spatial.app.editor import PathEditor
from video4spatial.geometry.paths import Waypoint, interpolate
from video4spatial.schema import InputError, Intrinsics

LENS = Intrinsics.from_horizontal_fov(70, 96, 64)
PATH = [Waypoint(), Waypoint(z=1.0), Waypoint(0.5, -0.2, 1.5, 1.0, 0.2, 0.1)]


@pytest.fixture
def editor():
    with PathEditor(LENS, PATH, frames=17, fps=200) as editor:
        yield editor


def node(editor, name):
    return editor._server.scene.get_handle_by_name(name)


def shown_places(editor):
    """Where the waypoints' balls are, in order, as many as there are."""
    found = []
    while (ball := node(editor, f"/waypoints/{len(found)}")) is not None:
        found.append(ball.position)
    return np.array(found)


def wait_until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_scene_follows_the_path(editor):
    np.testing.assert_allclose(shown_places(editor), [[0, 0, 0], [0, 0, 1], [0.5, -0.2, 1.5]])
    assert editor.chosen == 2
    np.testing.assert_allclose(node(editor, "/gizmo").position, [0.5, -0.2, 1.5])
    editor.set_waypoints([Waypoint(), Waypoint(x=2.0)])
    np.testing.assert_allclose(shown_places(editor), [[0, 0, 0], [2, 0, 0]])
    assert editor.chosen == 1
    line = node(editor, "/path")
    np.testing.assert_allclose(line.points[:, 0], interpolate(editor.waypoints, 17)[:-1, :3, 3], atol=1e-6)
    editor.set_waypoints([Waypoint(), Waypoint(x=2.0), Waypoint(x=2.0, z=9.2)])
    assert len(shown_places(editor)) == 3
    assert node(editor, "/grid").width == 20.0
    assert node(editor, "/metres/z8").text == "z = 8 m"
    assert node(editor, "/metres/z9") is None
    editor.change(lambda edit: edit.undo())
    editor.change(lambda edit: edit.undo())
    assert editor.waypoints == PATH


def test_the_convention_is_drawn(editor):
    names = {axis: node(editor, f"/axes/{axis}/name").text for axis in "xyz"}
    assert names == {"x": "x right", "y": "y down", "z": "z forward"}
    for axis, way in zip("xyz", np.eye(3), strict=True):
        arrow = node(editor, f"/axes/{axis}").points[0]
        np.testing.assert_allclose(arrow[1] - arrow[0], 0.6 * way, atol=1e-6)


def test_cameras_are_drawn_looking_along_z(editor):
    """The middle of a pyramid's far side lies ahead of its centre, its upper side towards -y."""
    lines = node(editor, "/cameras").points.reshape(-1, 8, 2, 3)
    assert len(lines) == 17
    np.testing.assert_allclose(lines[0, 4:, 0].mean(axis=0), [0, 0, 0.16], atol=1e-6)
    assert lines[0, 0, 1, 1] < 0 < lines[0, 2, 1, 1]


def test_only_changes_made_in_the_viewer_are_told():
    told = []
    with PathEditor(LENS, PATH, told.append, frames=17) as editor:
        editor.set_waypoints(PATH[:2])
        editor.choose(0)
        assert told == []
        version = editor.version
        editor.change(lambda edit: edit.move(1, 1, 1, 1))
        assert told == [[Waypoint(), Waypoint(1, 1, 1)]]
        assert editor.version == version + 1
        editor.change(lambda edit: edit.move(1, 1, 1, 1))
        assert len(told) == 1


def test_a_refused_change_shows_what_was(editor):
    with pytest.raises(InputError, match="give a place within 100 m"):
        editor.change(lambda edit: edit.move(2, 500, 0, 0))
    np.testing.assert_allclose(node(editor, "/gizmo").position, [0.5, -0.2, 1.5])
    with pytest.raises(InputError, match="18 waypoints"):
        editor.set_waypoints([Waypoint()] * 18)
    assert editor.waypoints == PATH


def test_changes_of_one_gesture_are_one_step(editor):
    for x in (1.0, 2.0, 3.0):
        editor.change(lambda edit, x=x: edit.move(1, x, 0, 0), gesture=("type", 1))
    editor.change(lambda edit: edit.move(1, 4, 0, 0), gesture=("type", 2))
    editor.change(lambda edit: edit.undo())
    assert editor.waypoints[1].x == 3.0
    editor.change(lambda edit: edit.undo())
    assert editor.waypoints == PATH


def test_playing_reaches_the_end_and_can_be_stopped(editor):
    editor.playback.play()
    wait_until(lambda: editor.playback.frame == 16 and not editor.playback.playing)
    np.testing.assert_allclose(editor._scene.player.position, [0.5, -0.2, 1.5])
    editor.playback.play()
    wait_until(lambda: 0 < editor.playback.frame < 16)
    editor.playback.pause()
    at = editor.playback.frame
    time.sleep(0.1)
    assert editor.playback.frame == at < 16


def test_a_shorter_video(editor):
    editor.playback.go(16)
    editor.set_frames(9)
    assert editor.playback.frame == 8
    assert editor.edit.poses().shape == (9, 4, 4)
    with pytest.raises(InputError, match="2 frames for 3 waypoints"):
        editor.set_frames(2)


def test_two_editors_share_nothing(editor):
    with PathEditor(LENS, [Waypoint()], frames=17) as other:
        other.set_waypoints([Waypoint(x=3.0)])
        assert editor.port != other.port
        assert editor.secret != other.secret
        assert editor.waypoints == PATH
        assert len(shown_places(other)) == 1


def sockets():
    """The sockets that this process has open."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc to count sockets in")
def test_closing_frees_threads_ports_and_sockets():
    gc.collect()
    threads, before = set(threading.enumerate()), sockets()
    editors = [PathEditor(LENS, PATH, frames=17) for _ in range(3)]
    assert len(set(threading.enumerate()) - threads) >= 3
    assert len(sockets() - before) >= 3
    protocol = websockets.Subprotocol(f"viser-v{viser.__version__}")
    viewers = [
        websockets.sync.client.connect(f"ws://127.0.0.1:{editor.port}", subprotocols=[protocol]) for editor in editors
    ]
    for viewer, editor in zip(viewers, editors, strict=True):
        viewer.recv()
        editor.playback.play()
        editor.close()
        editor.close()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", editor.port)):
            pass
        viewer.close()
    wait_until(lambda: not set(threading.enumerate()) - threads)
    gc.collect()
    wait_until(lambda: not sockets() - before)
    with pytest.raises(InputError, match="was closed"):
        editors[0].set_waypoints(PATH)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc/net to look in")
def test_the_viewer_listens_on_this_machine_only_and_cannot_be_shared(editor):
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{editor.port:04X}")]
    assert listening == [f"0100007F:{editor.port:04X}"]
    assert editor._server.request_share_url() is None
