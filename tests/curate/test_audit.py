"""The audit page: self-contained, whatever a VLM said, of whatever a store holds so far."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from curate.conftest import TINY_CLIPS
from curate.stores import copied
from PIL import Image

from video4spatial.cli import main
from video4spatial.storage.artifacts import StoreLayout


def audit(store: Path, out: Path, *options: str) -> str:
    assert main(["curate", str(store), "--audit", str(out), *options]) == 0
    return out.read_text(encoding="utf-8")


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(curated_store, tmp_path_factory) -> str:
    return audit(curated_store, tmp_path_factory.mktemp("audit") / "a.html", "--samples", "5")


def test_it_shows_what_was_kept_and_dropped(page, curated_store):
    report = json.loads(StoreLayout(curated_store).curation_report.read_text())
    for said in ("frames looked at", "nothing centred", "too early", "clips kept", "rooms oracle", "Settings"):
        assert said in page
    assert f"<b>{report['clips']}</b>" in page
    assert page.count("<blockquote>") == 5
    assert page.count("Kept: ") == 5
    assert all(name in page for name in report["categories"])
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert Tags(page).open == []


def test_pictures_are_inside_and_nothing_is_requested(page):
    tags = Tags(page).found
    assert not any(tag in ("script", "link", "iframe", "object", "a", "base", "form") for tag, _ in tags)
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    sources = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert len(sources) >= 5 * 3 + 2
    for source in sources:
        kind, _, content = source.partition(";base64,")
        assert kind == "data:image/webp"
        assert Image.open(io.BytesIO(base64.b64decode(content))).size == (320, 160)
    assert not re.search(r"url\(|@import|https?://", page)
    assert "default-src 'none'" in page


def test_the_same_store_and_seed_the_same_page(page, curated_store, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in curated_store.rglob("*")}
    assert audit(curated_store, tmp_path / "b.html", "--samples", "5") == page
    assert audit(curated_store, tmp_path / "b.html", "--samples", "5", "--seed", "1") != page
    assert {path: path.stat().st_mtime_ns for path in curated_store.rglob("*")} == before


def test_a_vlm_that_writes_html_is_shown_as_text(curated_store, tmp_path):
    store = copied(curated_store, tmp_path / "s")
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    path = next(StoreLayout(store).labels.iterdir())
    record = json.loads(path.read_text())
    for look in record["looks"]:
        if "target" in look:
            look["target"]["label"] = attack
        for name in ("scene", "phrase", "reason"):
            if name in look:
                look[name] = f'"{attack}'
    path.write_text(json.dumps(record))
    settings = StoreLayout(store).curation
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"vlm": attack}))
    page = audit(store, tmp_path / "a.html", "--samples", "100")
    assert "&lt;script&gt;alert(1)" in page
    tags = Tags(page)
    assert tags.open == []
    assert not any(tag == "script" for tag, _ in tags.found)
    assert all(attributes["src"].startswith("data:") for tag, attributes in tags.found if tag == "img")
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)


def test_a_store_half_curated_or_not_at_all(room_store, curated_store, tmp_path):
    assert "3 videos are not curated yet" in audit(room_store, tmp_path / "none.html")
    store = copied(curated_store, tmp_path / "s")
    layout = StoreLayout(store)
    for path in sorted(layout.labels.iterdir())[1:]:
        path.unlink()
    layout.curation_report.unlink()
    layout.answers.unlink()
    page = audit(store, tmp_path / "half.html")
    assert "1 / 3" in page
    assert "2 videos are not curated yet" in page
    assert not layout.answers.exists()


def test_without_its_source_the_page_says_so(curated_store, tmp_path):
    out = tmp_path / "a.html"
    assert main(["curate", str(curated_store), "--root", "100:101", "--audit", str(out)]) == 0
    page = out.read_text()
    assert "Some pictures could not be had" in page
    assert "no picture" in page
    assert "<blockquote>" in page


def test_mistakes_are_named(curated_store, tmp_path, capfd):
    assert main(["curate", str(curated_store), "--audit", str(tmp_path)]) == 2
    assert "choose a file name in it" in capfd.readouterr().err
    assert main(["curate", str(curated_store), "--audit", str(tmp_path / "a.html"), "--samples", "0"]) == 2
    assert "samples is 0" in capfd.readouterr().err
    assert main(["curate", str(tmp_path / "nothing"), *TINY_CLIPS]) == 2
    assert "no prepared store" in capfd.readouterr().err
