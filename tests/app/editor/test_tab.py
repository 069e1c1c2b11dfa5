"""The editor in a page, in a real browser: dragged, typed, played, taken back, by mouse and by keyboard alone."""

import contextlib
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe

from video4spatial.app.editor.edit import NAMES
from video4spatial.app.editor.exchange import from_text, text_of
from video4spatial.app.editor.proxy import Door
from video4spatial.app.editor.sessions import Editors
from video4spatial.app.editor.tab import editor_part
from video4spatial.geometry.paths import Waypoint
from video4spatial.schema import InputError, Intrinsics

LENS = Intrinsics.from_horizontal_fov(70, 96, 64)
WALK = "0, 0, 0, 0, 0, 0\n0, 0, 1.5, 0, 0, 0\n0.8, -0.2, 2, 60, 0, 0"


@contextlib.contextmanager
def served(folder, **launch):
    """A page with nothing but a table and the editor."""
    editors = Editors(Door(), LENS, 41, lambda session: Path(folder))
    with gr.Blocks(analytics_enabled=False) as blocks:
        table = gr.Textbox(WALK, label="Waypoints", lines=4, elem_id="waypoints")
        editor_part(editors, table)

        def end(request: gr.Request) -> None:
            editors.end(request.session_hash)

        blocks.unload(end)
    _, url, _ = blocks.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, inbrowser=False,
        allowed_paths=[str(folder)], app_kwargs={"routes": editors.door.routes}, **launch,
    )  # fmt: skip
    try:
        yield editors, url
    finally:
        editors.close()
        blocks.close(verbose=False)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with served(tmp_path_factory.mktemp("exports")) as running:
        yield running


@pytest.fixture
def opened(page, app):
    """The page with the editor open, and this session's editor."""
    editors, url = app
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url.removeprefix("blob:")).netloc))
    before = set(editors._open)
    page.goto(url)
    page.get_by_role("button", name="Open the 3D editor").click()
    viewer = page.frame_locator("#path-editor iframe")
    viewer.get_by_role("button", name="Play").wait_for(timeout=60_000)
    (session,) = set(editors._open) - before
    editor = editors.find(session)
    until(lambda: editor._server.get_clients())
    yield page, viewer, editor
    assert asked - {""} == {urlsplit(url).netloc}, "the page asks nothing of other hosts"
    editors.end(session)


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def table(page):
    return page.locator("#waypoints textarea").input_value()


def until_table(page, true):
    """Wait for the table, while the browser goes on."""
    for _ in range(300):
        if true(table(page)):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"the table stays {table(page)!r}")


def on_screen(editor, viewer, place):
    """Where in the browser's window a place in the scene is seen."""
    import numpy as np
    from scipy.spatial.transform import Rotation

    canvas = viewer.locator("canvas").first.bounding_box()
    camera = next(iter(editor._server.get_clients().values())).camera
    turn = Rotation.from_quat(camera.wxyz, scalar_first=True).as_matrix()
    x, y, z = turn.T @ (np.asarray(place) - camera.position)
    f = canvas["height"] / 2 / np.tan(camera.fov / 2)
    return canvas["x"] + canvas["width"] / 2 + f * x / z, canvas["y"] + canvas["height"] / 2 + f * y / z


def drag(page, start, end):
    page.mouse.move(*start)
    page.wait_for_timeout(300)
    page.mouse.down()
    for share in (0.25, 0.5, 0.75, 1.0):
        page.mouse.move(*(a + share * (b - a) for a, b in zip(start, end, strict=True)))
        page.wait_for_timeout(150)
    page.mouse.up()


def test_a_waypoint_is_dragged_and_the_table_follows_and_undo_takes_it_back(opened):
    page, viewer, editor = opened
    assert editor.waypoints == from_text(WALK)
    page.wait_for_timeout(2000)
    pose = editor.waypoints[2].pose
    arrow = 0.33
    start = on_screen(editor, viewer, pose[:3, 3] + arrow * pose[:3, 0])
    end = on_screen(editor, viewer, pose[:3, 3] + (arrow + 0.6) * pose[:3, 0])
    drag(page, start, end)
    until(lambda: editor.waypoints[2] != from_text(WALK)[2], 10)
    until_table(page, lambda text: text == text_of(editor.waypoints) != WALK)
    moved = editor.waypoints[2].pose[:3, 3] - pose[:3, 3]
    assert 0.3 < moved @ pose[:3, 0] < 0.9
    assert abs(moved @ pose[:3, 1]) < 1e-3
    assert editor.waypoints[:2] == from_text(WALK)[:2]
    viewer.get_by_role("button", name="Undo").click()
    until_table(page, lambda text: text == WALK)
    viewer.get_by_role("button", name="Redo").click()
    until_table(page, lambda text: text != WALK)
    page.locator("#path-undo").click()
    until_table(page, lambda text: text == WALK)


def test_the_path_is_played_and_looked_along(opened):
    _, viewer, editor = opened
    viewer.get_by_role("checkbox").first.check(force=True)
    until(lambda: editor.playback.looking)
    viewer.get_by_role("button", name="Play").click()
    viewer.get_by_role("button", name="Pause").wait_for()
    until(lambda: editor.playback.frame == 40)
    viewer.get_by_role("button", name="Play").wait_for()
    camera = next(iter(editor._server.get_clients().values())).camera
    assert abs(camera.position - editor.waypoints[2].pose[:3, 3]).max() < 1e-3
    viewer.get_by_role("checkbox").first.uncheck(force=True)
    until(lambda: abs(camera.position - editor.waypoints[2].pose[:3, 3]).max() > 0.5)


def test_by_keyboard_alone(opened):
    """From the table into the viewer: a number, a button, the shortcut for undo."""
    page, _, editor = opened
    page.locator("#waypoints textarea").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("\n1, 0, 3, 90, 0, 0")
    page.keyboard.press("Tab")
    until(lambda: len(editor.waypoints) == 4)
    assert editor.waypoints[3] == from_text("1 0 3 90")[0]
    tab_to(page, "Add after the last")
    page.keyboard.press("Enter")
    until(lambda: len(editor.waypoints) == 5 and editor.chosen == 4)
    for _ in range(6):  # back to x
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("2.5")
    until(lambda: editor.waypoints[4].x == 2.5)
    until_table(page, lambda text: text.splitlines()[4:] == ["2.5, 0, 3, 90, 0, 0"])
    tab_to(page, "Undo")
    page.keyboard.press("Enter")
    until_table(page, lambda text: text.splitlines()[4:] == ["2, 0, 3, 90, 0, 0"])
    tab_to(page, "Play")
    page.keyboard.press("Space")
    until(lambda: editor.playback.frame > 0)


def tab_to(page, name):
    """Press Tab until the button of that name, in the page or in the viewer, has the focus."""
    focus = "document.activeElement.innerText || document.activeElement.tagName"
    viewer = next(frame for frame in page.frames if "path-editor" in frame.url)
    reached = []
    while len(reached) < 40:
        page.keyboard.press("Tab")
        here = page.evaluate(focus)
        reached.append(viewer.evaluate(focus) if here == "IFRAME" else here)
        if reached[-1].strip() == name:
            return
    pytest.fail(f"Tab does not reach {name}: {reached}")


def test_the_viewer_has_no_serious_findings(opened):
    """axe-core, within the viewer's own page: names, labels, contrast."""
    page, _, editor = opened
    alone = page.context.new_page()
    alone.goto(f"{page.url}{editor.url}")
    alone.get_by_role("button", name="Play").wait_for()
    alone.get_by_text("Preset").first.click()
    alone.get_by_role("slider", name="Frame").wait_for(state="attached")
    alone.wait_for_timeout(1000)
    found = Axe().run(alone).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    alone.close()


def test_closing_the_tab_closes_its_editor(page, app):
    editors, url = app
    before = set(editors._open)
    page.goto(url)
    page.get_by_role("button", name="Open the 3D editor").click()
    page.locator("#path-editor iframe").wait_for()
    (session,) = set(editors._open) - before
    editor = editors.find(session)
    page.close()
    until(lambda: editor.closed)
    assert editors.find(session) is None


def give(page, file):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Import a path").click()
    chooser.value.set_files(str(file))


def test_paths_in_and_out_and_what_is_refused(opened, tmp_path):
    page, _, editor = opened
    bad = tmp_path / "bad.csv"
    bad.write_text("x,y,z,yaw,pitch,roll\n0,0,0,0,0,90\n")
    give(page, bad)
    page.locator("#path-told [role=alert]").wait_for()
    assert "bad.csv, line 2" in page.locator("#path-told").inner_text()
    assert editor.waypoints == from_text(WALK)
    page.locator("#path-export").click()
    link = page.locator("#path-exported a").first
    link.wait_for()
    assert link.get_attribute("download") == "waypoints.csv"
    text = httpx.get(page.url + link.get_attribute("href")).text
    assert text.splitlines()[0] == "x,y,z,yaw,pitch,roll"
    assert len(text.splitlines()) == 4
    good = tmp_path / "good.json"
    point = dict(zip(NAMES, (0, 0, 1, 0, 0, 0), strict=True))
    good.write_text(json.dumps([point, point | {"z": 2}]))
    give(page, good)
    until(lambda: editor.waypoints == [Waypoint(z=1.0), Waypoint(z=2.0)])
    page.locator("#waypoints textarea").fill("0 0 0\n0 0 up")
    page.locator("#waypoints textarea").blur()
    page.locator("#path-told [role=alert]").wait_for()
    assert "row 1" in page.locator("#path-told").inner_text()


def test_an_editor_that_was_closed_takes_nothing_away(opened, app):
    page, _, editor = opened
    editors, _ = app
    (session,) = [key for key, found in editors._open.items() if found is editor]
    editors.end(session)
    page.locator("#path-undo").click()
    page.locator("#path-told [role=alert]").wait_for()
    assert "was closed" in page.locator("#path-told").inner_text()
    assert table(page) == WALK
    assert editors.find(session) is None


def test_a_login_is_not_bypassed(tmp_path):
    """The viewer's address, secret and all, is nothing without the app's login."""
    with served(tmp_path, auth=("someone", "a password")) as (editors, url):
        editor = editors.open("session", WALK)
        address = f"{url}{editor.url}"
        assert httpx.get(address).status_code == 404
        with httpx.Client() as visitor:
            assert (
                visitor.post(f"{url}login", data={"username": "someone", "password": "a password"}).status_code == 200
            )
            assert visitor.get(address).status_code == 200
        wrong = httpx.get(address, cookies={"access-token-unsecure": "guess"})
        assert wrong.status_code == 404


def test_one_editor_a_session_and_an_end(tmp_path):
    editors = Editors(Door(), LENS, 41, lambda session: tmp_path, most=2)
    first = editors.open("a", WALK)
    assert editors.open("a") is first
    assert editors.open("b") is not first
    with pytest.raises(InputError, match="2 path editors are open"):
        editors.open("c")
    with pytest.raises(InputError, match="which session"):
        editors.open(None)
    editors.end("a")
    editors.end("a")
    assert first.closed
    assert editors.find("a") is None
    with pytest.raises(InputError, match="row 0"):
        editors.open("c", "0 0 up")
    assert len(editors) == 1
    editors.close()
    assert len(editors) == 0
