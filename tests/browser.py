"""A real Chromium for tests of pages: Debian's, since Playwright's own download is not to be had everywhere.

Use the fixture ``page`` (1280 x 900, light) or open contexts of your own in ``chromium``, which ends with its module:
Playwright keeps an event loop running in its thread, and what calls ``asyncio.run`` later would find it.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # drawn by the CPU
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


def missing_browser() -> str | None:
    """Why there is no browser to test with; None where there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install 'video4spatial[dev]'"
    if not any(shutil.which(name) for name in NAMES):
        return f"none of {', '.join(NAMES)} is in PATH (Debian: apt-get install chromium)"
    return None


def browser_or_skip() -> str:
    """The browser's path. Without one the test is skipped, but never on CI, where nobody would see it."""
    reason = missing_browser()
    if reason is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no browser: {reason}")
    return next(path for path in map(shutil.which, NAMES) if path)


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    path = browser_or_skip()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, *WEBGL])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: "Browser") -> "Iterator[Page]":
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
