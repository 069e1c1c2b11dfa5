"""Both tasks in a real browser against the real small model: by mouse, by keyboard alone, on a phone, and abused."""

import re
import time

import pytest

pytest.importorskip("gradio")
pytest.importorskip("playwright")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

SERIOUS = {"serious", "critical"}


@pytest.fixture
def opened(served_app, page: Page):
    return open_page(page, served_app.url)


def open_page(page: Page, url: str) -> Page:
    page.set_default_timeout(120_000)
    expect.set_options(timeout=120_000)
    page.goto(url)
    page.get_by_label("What to go to").wait_for()
    return page


def give(page: Page, walk_file) -> None:
    page.locator("#context input[type=file]").first.set_input_files(str(walk_file))
    page.get_by_text("The walk-through is encoded").wait_for()


def set_steps(page: Page, steps: int) -> None:
    field = page.get_by_label("Steps")
    if not field.is_visible():
        page.get_by_role("button", name="More settings").click()
    field.fill(str(steps))


def ask(page: Page, sentence: str) -> None:
    page.get_by_label("What to go to").fill(sentence)
    page.get_by_role("button", name="Go there").click()


def result(page: Page, words: str | re.Pattern[str]):
    found = page.locator("#result").get_by_text(words).first
    found.wait_for()
    return found


def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in SERIOUS]


def test_from_upload_to_a_played_result(opened: Page, walk_file):
    hosts = set()
    opened.on("request", lambda request: hosts.add(re.sub(r"^(\w+:)(//[^/]*)?.*", r"\1\2", request.url)))
    give(opened, walk_file)
    assert opened.locator("#status img").count() == 11, "the context frames are shown"
    set_steps(opened, 120)  # some seconds, so that the previews are seen
    opened.get_by_label("What to go to").fill("the yellow piano")
    opened.get_by_role("button", name="Go there").click()
    opened.locator("#progress progress").wait_for()
    opened.locator("#progress img").first.wait_for()
    result(opened, re.compile("^(Found|Not found):"))
    video = opened.get_by_label("Generated video of ask 1")
    opened.get_by_role("button", name="Play both").click()
    for _ in range(300):
        if video.evaluate("video => video.currentTime > 0.1 && video.videoWidth == 96"):
            break
        time.sleep(0.1)
    assert video.evaluate("video => video.currentTime") > 0.1, "it plays"
    with opened.expect_download() as download:
        opened.get_by_role("link", name="Answer (JSON)").click()
    assert '"task": "ground"' in download.value.path().read_text()
    expect(opened.get_by_text("at the pace of the asks so far")).to_be_visible()
    opened.get_by_role("button", name="Same with another seed").click()
    result(opened, "seed 1,")
    assert opened.locator("#asks article").count() == 1
    assert faults(opened) == []
    assert {host for host in hosts if not host.startswith(("data:", "blob:"))} == {f"http://{opened.url.split('/')[2]}"}


def test_cancel_and_not_found_and_scripts_in_the_sentence(opened: Page, walk_file):
    give(opened, walk_file)
    set_steps(opened, 900)
    ask(opened, "the red bed")
    opened.locator("#progress progress").wait_for()
    opened.get_by_role("button", name="Cancel").click()
    result(opened, re.compile(r"^Cancelled at step \d+ of 900"))
    set_steps(opened, 4)
    for seed in range(6):  # which seeds draw no box is the model's to say
        opened.get_by_label("Seed").fill(str(seed))
        ask(opened, "the red bed")
        opened.locator("#result").get_by_text(f"seed {seed},").wait_for()
        if opened.locator("#result").get_by_text("Not found").count():
            break
    result(opened, re.compile("^Not found: no box was drawn"))
    attack = "<script>window.hurt=1</script><img src=x onerror='window.hurt=1'> red bed"
    ask(opened, attack)
    result(opened, re.compile("window.hurt=1"))
    assert opened.evaluate("window.hurt") is None
    assert opened.locator("#result script, #result img[src=x]").count() == 0


def test_navigate_by_the_keyboard_alone(opened: Page, walk_file):
    give(opened, walk_file)
    set_steps(opened, 2)
    keys = opened.keyboard
    reach(opened, "Navigate")
    keys.press("Enter")
    opened.get_by_label("Degrees").wait_for()
    reach(opened, "Degrees")
    keys.press("Control+A")
    keys.type("20")
    reach(opened, "Follow the path")
    keys.press("Enter")
    result(opened, "The camera follows turn-left 20 degrees")
    assert faults(opened) == []


def reach(page: Page, name: str) -> None:
    """Press Tab until the field or button of that name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(
            "() => { const e = document.activeElement; return (e.innerText || '') + (e.labels?.[0]?.innerText || '') "
            "+ (e.getAttribute('aria-label') || ''); }"
        ).startswith(name):
            return
    raise AssertionError(f"{name!r} cannot be reached with the keyboard")


def test_ground_by_the_keyboard_alone(opened: Page, walk_file):
    give(opened, walk_file)
    set_steps(opened, 1)
    opened.get_by_role("tab", name="Ground").focus()
    reach(opened, "What to go to")
    opened.keyboard.type("the bed")
    opened.keyboard.press("Enter")
    result(opened, re.compile("^(Found|Not found):"))
    reach(opened, "Play both")


def test_two_asks_wait_for_one_another_and_stand_side_by_side(opened: Page, walk_file):
    give(opened, walk_file)
    set_steps(opened, 150)  # still at work when the second comes
    ask(opened, "the bed")
    opened.locator("#progress progress").wait_for()
    set_steps(opened, 1)
    ask(opened, "the yellow piano")
    opened.locator("#progress").get_by_text("1 ask ahead").wait_for()
    result(opened, "2. Ground: the yellow piano")
    left, right = opened.get_by_label("Left ask"), opened.get_by_label("Right ask")
    expect(left).to_have_value("1")
    expect(right).to_have_value("2")
    first, second = (opened.locator("#compare video").nth(i) for i in range(2))
    expect(second).to_have_attribute("aria-label", "right video: ask 2. the yellow piano, seed 0")
    assert first.get_attribute("src") != second.get_attribute("src")
    opened.get_by_role("button", name="Play both asks").focus()
    opened.keyboard.press("Enter")
    for video in (first, second):
        for _ in range(300):
            if video.evaluate("video => !video.paused && video.currentTime > 0.1"):
                break
            time.sleep(0.1)
        assert video.evaluate("video => video.currentTime") > 0.1
    right.focus()
    opened.keyboard.press("ArrowDown")
    expect(right).to_have_value("1")
    expect(second).to_have_attribute("src", first.get_attribute("src") or "")
    opened.get_by_role("button", name="Same with another seed").first.click()
    expect(left.locator("option")).to_have_count(3)
    expect(right).to_have_value("1")  # what was chosen stays
    assert faults(opened) == []


def test_files_that_are_no_videos(opened: Page, tmp_path):
    (tmp_path / "walk.mp4").write_text("I am a text file\n" * 100)
    opened.locator("#context input[type=file]").first.set_input_files(str(tmp_path / "walk.mp4"))
    opened.get_by_text("walk.mp4 cannot be read as a video").wait_for()
    ask(opened, "the bed")
    opened.get_by_text("there is no walk-through yet").wait_for()


def test_a_second_tab_and_a_closed_one(served_app, opened: Page, walk_file):
    give(opened, walk_file)
    other = open_page(opened.context.new_page(), served_app.url)
    ask(other, "the bed")
    other.get_by_text("there is no walk-through yet").wait_for()
    set_steps(opened, 900)
    ask(opened, "the bed")
    opened.locator("#progress progress").wait_for()
    sessions = {key: s for key, s in served_app.studio.sessions.items() if s.context is not None and s.alive()}
    assert len(sessions) == 1
    ((key, session),) = sessions.items()
    opened.close()
    for _ in range(600):
        if key not in served_app.studio.sessions and not session.folder.exists():
            break
        time.sleep(0.1)
    assert key not in served_app.studio.sessions
    assert not session.folder.exists()
    assert served_app.studio.turn.acquire(timeout=60), "what the closed tab asked for was stopped"
    served_app.studio.turn.release()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(served_app, chromium, walk_file, scheme):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    phone = open_page(context.new_page(), served_app.url)
    give(phone, walk_file)
    set_steps(phone, 1)
    ask(phone, "the bed")
    result(phone, re.compile("^(Found|Not found):"))
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(phone) == []
    phone.get_by_role("tab", name="Navigate").click()
    phone.get_by_label("Degrees").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(phone) == []
    context.close()
