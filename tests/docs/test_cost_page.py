"""The Cost page is what its script makes of the formulas and of the benchmarks' results."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
REMEDY = "run: python docs/draw_cost.py"


def test_the_cost_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("draw_cost", DOCS / "draw_cost.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (DOCS / "cost.md").read_text(encoding="utf-8")
    assert script.filled(page) == page, REMEDY
    assert script.drawing() == (DOCS / "images" / "context_growth.svg").read_text(encoding="utf-8"), REMEDY
    assert script.filled(page.replace("| H100 |", "| H101 |")) == page
