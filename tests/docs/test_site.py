"""The site is built strictly, and asks nothing of other machines."""

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from page_blocks import ROOT, verbs

pytest.importorskip("mkdocs", reason="the documentation site needs the extra docs")


def build(config: Path, into: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config), "--site-dir", str(into)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_make_docs_builds_the_same():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^docs: .*\n(\t.*\n)*?\t.*mkdocs build --strict", makefile, re.M)


def test_nothing_is_fetched_from_elsewhere(site):
    files = list(site.rglob("*.html"))
    assert len(files) > 30
    assert (site / "styles" / "site.css").is_file()
    fetched = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=\"?(https?:)?//[^\" ]+")
    for file in files:
        found = fetched.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.relative_to(site)}: {found[0]}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", style.read_text(encoding="utf-8")), style


def test_every_command_is_told_with_its_options(site):
    page = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for verb in verbs():
        assert f'<h2 id="{verb}">' in page
    for option in ("--best-of N", "--sequential", "--reconstructor WAY"):
        assert f"<code>{option}</code>" in page
    assert "every command" not in page


@pytest.fixture(scope="module")
def served(site) -> Iterator[str]:
    """The site's address, as `python -m http.server` serves it."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_pages_fit_a_phone_and_ask_nobody_else(served, page):
    elsewhere: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url) if served not in request.url else None)
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("index", "method", "cost", "choices", "how-to/ground", "reference/commands", "reference/geometry"):
        page.goto(f"{served}/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, name
    assert not elsewhere


def test_the_search_finds_a_page(served, page):
    page.goto(f"{served}/index.html")
    page.fill("input.md-search__input", "spatial distance")
    page.wait_for_selector(".md-search-result__item")
    assert "spatial" in page.inner_text(".md-search-result__list").lower()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_used_by_everybody(served, chromium, scheme):
    """axe-core finds nothing serious."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for name in ("index", "method", "extending", "reference/geometry"):
        page.goto(f"{served}/{name}.html")
        page.wait_for_load_state("networkidle")
        found = [v for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        assert not found, [(name, v["id"], v["nodes"][0]["html"][:200]) for v in found]
    context.close()


def test_pictures_stay_small():
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 200_000, picture.name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[there](nowhere.md)", "nowhere.md"),
        ("[there](index.md#nothing)", "#nothing"),
        ("::: video4spatial.schema.Nothing", "Nothing"),
    ],
)
def test_a_broken_page_fails(tmp_path, text, told):
    """The site's own settings, over a page with a broken link."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n{text}\n")
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    del settings["nav"], settings["hooks"], settings["extra_css"]
    settings["theme"] = {"name": "mkdocs"}
    for plugin in settings["plugins"]:
        if isinstance(plugin, dict):
            plugin["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT / "src")]
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0
    assert told in done.stderr
