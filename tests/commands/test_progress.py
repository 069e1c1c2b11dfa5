"""The bar for long videos."""

import io

from rich.console import Console

from video4spatial.commands.progress import LONG, encoding_progress


def shown(total: int) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with encoding_progress(console) as report:
        for done in range(1, total + 1, 4):
            report(done, total)
    return console.file.getvalue()


def test_long_videos_show_how_far_they_are():
    text = shown(LONG + 1)
    assert "encoding the context video" in text
    assert f"{LONG + 1}/{LONG + 1}" in text


def test_short_videos_show_nothing():
    assert shown(161) == ""
