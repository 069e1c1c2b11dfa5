"""The page, given what nobody means well, and both tasks from start to end without a mouse, in every state checked by
axe-core, light and dark."""

import re
import time

import pytest

pytest.importorskip("gradio")
pytest.importorskip("playwright")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Dialog, Page, TimeoutError, expect

from video4spatial.schema import Clip
from video4spatial.storage.video import read_video, write_video

ATTACKS = (
    "<script>window.hurt=1;alert(1)</script>",
    "<img src=x onerror='window.hurt=1;alert(1)'>",
    '"><svg onload=alert(1)>',
    "{{constructor.constructor('alert(1)')()}} ${alert(1)}",
    "[bed](javascript:alert(1)) </textarea></pre><iframe src='javascript:alert(1)'>",
)


@pytest.fixture
def opened(served_app, page: Page):
    """The page, where a dialog or a fault of a script fails the test."""
    heard: list[str] = []

    def close(dialog: Dialog) -> None:
        heard.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", close)
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.goto(served_app.url)
    page.get_by_label("What to go to").wait_for()
    yield page
    assert heard == []


def give(page: Page, file) -> None:
    page.locator("#context input[type=file]").first.set_input_files(str(file))


def steps_of(page: Page, steps: int) -> None:
    if not page.get_by_label("Steps").is_visible():
        page.get_by_role("button", name="More settings").click()
    page.get_by_label("Steps").fill(str(steps))


def unharmed(page: Page) -> None:
    assert page.evaluate("window.hurt") is None
    selector = "#result :is(script, iframe, svg, img:not([src^='data:'])), #asks :is(script, iframe, svg)"
    assert page.locator(selector).count() == 0


def test_files_that_are_traps(served_app, opened: Page, walk_file, tmp_path):
    """2 GB, nothing, one frame, and a name that is HTML: each is refused in words, and the app goes on."""
    large, empty, short = tmp_path / "large.mp4", tmp_path / "empty.mp4", tmp_path / "<img src=x onerror=alert(1)>.mp4"
    with large.open("wb") as sparse:
        sparse.truncate(2_000_000_000)
    give(opened, large)
    expect(opened.get_by_text(re.compile("exceed|larger|too large", re.I)).first).to_be_visible()
    assert not list(served_app.files.uploads.rglob("large.mp4"))
    opened.reload()
    opened.get_by_label("What to go to").wait_for()
    empty.touch()
    give(opened, empty)
    opened.get_by_text("empty.mp4 cannot be read as a video").wait_for()
    opened.reload()
    opened.get_by_label("What to go to").wait_for()
    walk = read_video(walk_file, max_frames=1)
    write_video(short, Clip(walk.frames, walk.fps))
    give(opened, short)
    opened.get_by_text("has 1 frame: give a video of at least 5 frames").wait_for()
    unharmed(opened)
    opened.reload()
    give(opened, walk_file)
    opened.get_by_text("The walk-through is encoded").wait_for()


def test_sentences_that_are_code(opened: Page, walk_file):
    """Escaped wherever they are shown: in the result, the answer, the gallery, the messages."""
    give(opened, walk_file)
    opened.get_by_text("The walk-through is encoded").wait_for()
    steps_of(opened, 1)
    sentence, go = opened.get_by_label("What to go to"), opened.get_by_role("button", name="Go there")
    for number, attack in enumerate(ATTACKS, 1):
        opened.get_by_label("What the place is").fill(attack)
        sentence.fill(f"{attack} red bed")
        go.click()
        opened.locator("#result h3").get_by_text(f"{number}. Ground: {attack} red bed").wait_for()
        unharmed(opened)
    opened.locator("#asks article").nth(len(ATTACKS) - 2).wait_for()
    sentence.evaluate("field => field.removeAttribute('maxlength')")
    sentence.fill("<b>bed</b> " * 1000)
    go.click()
    expect(opened.get_by_text(re.compile(r"letters: give at most 300|No more than|max"))).to_be_visible()
    unharmed(opened)


def test_two_tabs_share_nothing(served_app, opened: Page, walk_file):
    """Context, gallery, path and editor are each tab's own."""
    other = opened.context.new_page()
    other.goto(served_app.url)
    other.get_by_label("What to go to").wait_for()
    give(opened, walk_file)
    opened.get_by_text("The walk-through is encoded").wait_for()
    steps_of(opened, 1)
    opened.get_by_label("What to go to").fill("the bed")
    opened.get_by_role("button", name="Go there").click()
    opened.locator("#result article").wait_for()
    addresses = []
    for tab, path in ((opened, "0, 0, 1, 0, 0, 0"), (other, "0, 0, 2, 0, 0, 0")):
        tab.get_by_role("tab", name="Navigate").click()
        tab.get_by_label("Waypoints", exact=True).first.check()
        tab.locator("#waypoints textarea").fill(path)
        tab.get_by_role("button", name="Open the 3D editor").click()
        addresses.append(tab.locator("#path-editor iframe").get_attribute("src"))
    assert addresses[0] != addresses[1]
    editors = served_app.studio.editors._open.values()
    assert sorted(editor.waypoints[0].z for editor in editors) == [1.0, 2.0]
    assert other.locator("article").count() == 0
    other.get_by_role("button", name="Follow the path").click()
    other.get_by_text("there is no walk-through yet").wait_for()
    assert other.locator("#status img").count() == 0
    other.close()


def press_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press a key until what has that name has the focus."""
    script = """() => { const e = document.activeElement; return [e.innerText, e.labels?.[0]?.innerText,
        e.getAttribute('aria-label'), e.labels?.[0]?.title].filter(Boolean).join('|'); }"""
    passed = []
    for _ in range(80):
        page.keyboard.press(key)
        passed.append(page.evaluate(script))
        if any(part.strip().startswith(name) for part in passed[-1].split("|")):
            return
    raise AssertionError(f"{key} does not reach {name!r}: {passed}")


def test_both_tasks_without_a_mouse(opened: Page, walk_file):
    """From the upload to the played result, with Tab, Enter, Space, arrows and letters."""
    keys = opened.keyboard
    opened.wait_for_timeout(1000)  # the page is still being put together, and would lose the focus
    for _ in range(6):  # a part that is drawn anew meanwhile loses the key
        press_to(opened, "Drop a video file here")
        try:
            with opened.expect_file_chooser(timeout=10_000) as chooser:
                keys.press("Enter")
        except TimeoutError:
            continue
        chooser.value.set_files(str(walk_file))
        break
    opened.get_by_text("The walk-through is encoded").wait_for()
    press_to(opened, "More settings")
    keys.press("Enter")
    press_to(opened, "Steps")
    keys.press("Control+A")
    keys.type("2")
    press_to(opened, "What to go to", "Shift+Tab")
    keys.type("the bed")
    press_to(opened, "Go there")
    keys.press("Enter")
    opened.locator("#result article").wait_for()
    press_to(opened, "Play both")
    keys.press("Enter")
    video = opened.get_by_label("Generated video of ask 1")
    for _ in range(300):
        if video.evaluate("video => video.currentTime > 0"):
            break
        time.sleep(0.1)
    assert video.evaluate("video => video.currentTime > 0")
    press_to(opened, "Navigate", "Shift+Tab")
    keys.press("Enter")
    expect(opened.get_by_role("tab", name="Navigate")).to_have_attribute("aria-selected", "true")
    press_to(opened, "Preset")
    keys.press("Tab")
    press_to(opened, "Degrees")
    keys.press("Control+A")
    keys.type("20")
    press_to(opened, "Follow the path")
    keys.press("Space")
    opened.locator("#result h3").get_by_text("2. Navigate: turn-left 20 degrees").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_state(served_app, chromium, walk_file, scheme):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(served_app.url)
    page.get_by_label("What to go to").wait_for()
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        page.wait_for_timeout(300)  # what fades in has no contrast yet
        violations = Axe().run(page).response["violations"]
        serious = [v for v in violations if v["impact"] in ("serious", "critical")]
        found[state] = [f"{v['id']}: {node['html'][:200]}" for v in serious for node in v["nodes"]]

    look("start")
    give(page, walk_file)
    page.get_by_text("The walk-through is encoded").wait_for()
    look("encoded")
    steps_of(page, 1)
    page.get_by_label("What to go to").fill("the bed")
    page.get_by_role("button", name="Go there").click()
    page.locator("#result article").wait_for()
    page.locator("#result summary").click()
    look("after ground")
    page.get_by_role("tab", name="Navigate").click()
    page.get_by_role("button", name="Follow the path").click()
    page.locator("#result h3").get_by_text("2. Navigate").wait_for()
    look("after navigate")
    page.get_by_label("Waypoints", exact=True).first.check()
    page.get_by_role("button", name="Open the 3D editor").click()
    page.frame_locator("#path-editor iframe").get_by_role("button", name="Play").wait_for()
    look("editor")
    context.close()
    assert {state: faults for state, faults in found.items() if faults} == {}
