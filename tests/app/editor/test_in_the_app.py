"""The editor where people meet it: in the app's own page, beside its waypoints."""

import time

import pytest

from video4spatial.app.editor.exchange import from_text


def until(page, true, seconds=60):
    """Wait while the browser goes on."""
    for _ in range(10 * seconds):
        if true():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not happen")


def test_the_page_and_the_editor_follow_one_another(page, served_app):
    editors = served_app.studio.editors
    page.goto(served_app.url)
    page.get_by_role("tab", name="Navigate").click()
    page.get_by_label("Waypoints", exact=True).first.check()
    written = page.get_by_role("button", name="Write this path as waypoints")
    until(page, lambda: not written.is_visible())  # they are waypoints already
    page.get_by_role("button", name="Open the 3D editor").click()
    viewer = page.frame_locator("#path-editor iframe")
    viewer.get_by_role("button", name="Play").wait_for(timeout=60_000)
    (editor,) = editors._open.values()
    table = page.locator("#waypoints textarea")
    before = editor.waypoints
    assert from_text(table.input_value()) == before
    viewer.get_by_role("button", name="Add after the last").click()
    until(page, lambda: len(from_text(table.input_value())) == len(before) + 1)
    page.get_by_label("Preset", exact=True).first.check()  # turn-left: its start and its end
    written.click()
    until(
        page,
        lambda: len(editor.waypoints) == 2 and from_text(table.input_value(), editor.waypoints) == editor.waypoints,
    )
    page.close()
    end = time.monotonic() + 60
    while not editor.closed:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert len(editors) == 0
