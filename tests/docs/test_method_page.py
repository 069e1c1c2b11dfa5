"""The method's pictures are those that the code draws today, and the page of the layout has the contract's floors."""

import tomllib

import numpy as np
import pytest
from page_blocks import ROOT, docs_script
from PIL import Image


@pytest.fixture(scope="module")
def script():
    return docs_script("draw_method")


@pytest.mark.parametrize("name", ["indices", "guidance"])
def test_a_picture_is_up_to_date(script, name):
    """Those without a rendered room; a changed sequence or branch shows. Fonts may differ by versions of Pillow."""
    drawn = np.asarray(script.PICTURES[name]().convert("RGB"), float)
    kept = np.asarray(Image.open(ROOT / "docs" / "images" / f"method-{name}.png").convert("RGB"), float)
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 1.5, "run: python docs/draw_method.py"


def test_a_changed_sequence_would_show(script, monkeypatch):
    before = np.asarray(script.draw_indices().convert("RGB"), float)
    monkeypatch.setattr(script, "CONTEXT", script.NOISY)
    assert np.abs(np.asarray(script.draw_indices().convert("RGB"), float) - before).mean() > 1.5


def test_every_picture_is_shown(script):
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    for name in script.PICTURES:
        assert f"images/method-{name}.png" in page


def test_the_layout_page_has_the_floors():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    page = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
    shown = page.split("```text\n")[1].split("```")[0].splitlines()
    assert [line.split("   ")[0].strip() for line in shown] == contracts[0]["layers"]
