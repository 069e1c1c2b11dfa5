"""``video4spatial report``: one page, and its Markdown twin, of folders that ``evaluate`` or ``experiment`` left."""

from collections.abc import Sequence
from pathlib import Path

from video4spatial.evaluate.report.document import make_report
from video4spatial.evaluate.report.folder import Measured
from video4spatial.storage.artifacts import atomic_path


def write_report(
    folders: Sequence[str | Path],
    out: str | Path,
    markdown: str | Path | None = None,
    metric: str | None = None,
    method: str | None = None,
) -> str:
    """Write the page ``out`` and, if asked, its twin; a line about them. Raises ``InputError`` as ``Measured.load`` and
    ``make_report`` do."""
    report = make_report([Measured.load(folder) for folder in folders], metric, method)
    with atomic_path(out) as temporary:
        temporary.write_text(report.html, encoding="utf-8")
    if markdown is not None:
        with atomic_path(markdown) as temporary:
            temporary.write_text(report.markdown, encoding="utf-8")
    size = len(report.html.encode()) / 1e6
    return f"{out}: {size:.1f} MB, {report.media.playable} clips to play, {report.media.left_out} left out for room"
