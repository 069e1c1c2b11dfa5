"""Texts inside Markdown: names and reasons that others wrote are shown, and mark nothing up."""

import re

_SPECIAL = re.compile(r"([\\`*|~]|\](?=[(\[:])|(?<!\w)_|_(?!\w)|!(?=\[))")


def plain(text: str) -> str:
    """A text in which nothing is markup, on one line; fit for a table's cell."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _SPECIAL.sub(r"\\\1", line)
    return f"\\{line}" if line[:1] in ("#", "-", "+", "=") and line[1:2] in ("", " ", "#", "-", "=") else line
