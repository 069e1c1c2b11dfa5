"""Texts inside Markdown: names and reasons that others wrote are shown, and mark nothing up."""

import re

_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # any other opens nothing: "IF (SD<0.2)" is read in a terminal as well
_SPECIAL = re.compile(r"([\\`*|~]|\](?=[(\[:])|(?<!\w)_|_(?!\w)|!(?=\[))")


def plain(text: str) -> str:
    """A text in which nothing is markup, on one line; fit for a table's cell."""
    line = _TAG.sub("&lt;", " ".join(text.split()).replace("&", "&amp;")).replace(">", "&gt;")
    line = _SPECIAL.sub(r"\\\1", line)
    return f"\\{line}" if line[:1] in ("#", "-", "+", "=") and line[1:2] in ("", " ", "#", "-", "=") else line
