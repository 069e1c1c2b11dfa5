"""The browser that page tests run in is real: it runs scripts and draws WebGL."""

import browser
import pytest


def test_scripts_run_and_webgl_draws(page):
    page.set_content("<h1>one</h1><script>document.querySelector('h1').textContent += ' two'</script>")
    assert page.inner_text("h1") == "one two"
    assert page.evaluate("Boolean(document.createElement('canvas').getContext('webgl2'))")


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_browser_only_ci_fails(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(outcome, match=r"apt-get install chromium|playwright is not installed"):
        browser.browser_or_skip()
