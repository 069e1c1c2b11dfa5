"""Texts of others inside Markdown mark nothing up."""

import pytest

from video4spatial.storage.markdown import plain


def test_markdown_has_no_accidental_markup():
    assert plain("a|b\nc <i> *d* `e` [f](g) snake_case _g_") == (
        r"a\|b c &lt;i&gt; \*d\* \`e\` [f\](g) snake_case \_g\_"
    )
    assert plain("# head").startswith("\\")
    assert plain("-0.5") == "-0.5"


@pytest.mark.parametrize("tag", ["<b>", "</b>", "<!-- -->", "<?php", "<https://elsewhere>"])
def test_no_tag_is_left(tag):
    assert "<" not in plain(f"x {tag}")


def test_less_than_is_read_as_it_is():
    assert plain("IF (SD<0.2)") == "IF (SD<0.2)"
    assert plain("a < b") == "a < b"
