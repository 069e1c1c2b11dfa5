"""The audit's HTML: one page without outside requests, light and dark, for a desktop and a phone.

Every text that comes from a store, a VLM or a file is escaped (``storage/page.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from video4spatial.curate.audit_style import STYLE
from video4spatial.curate.labels import Look, SceneLabels
from video4spatial.curate.report import Report
from video4spatial.data.origin import Origin
from video4spatial.storage.latent_index import StoredVideo
from video4spatial.storage.page import escaped as _e
from video4spatial.storage.page import page

_CATEGORIES = 24
_ROW = 26  # pixels of the histogram


@dataclass(frozen=True)
class Shown:
    """An example with its pictures ``(caption, data URI)`` and what decided about it."""

    row: StoredVideo
    labels: SceneLabels
    look: Look
    pictures: tuple[tuple[str, str], ...]
    why: str


def audit_page(
    name: str,
    origin: Origin,
    settings: Mapping[str, object],
    report: Report,
    kept: Sequence[Shown],
    dropped: Sequence[Shown],
    remark: str,
) -> str:
    """The whole page."""
    sections = [
        f"<section><h2>Funnel</h2>{_funnel(report)}</section>",
        f"<section><h2>Categories</h2>{_histogram(report.ranked())}</section>" if report.categories else "",
        _clips(kept, report.funnel.kept),
        _dropped(dropped, report),
        _left_out(report),
        f"<section><h2>Settings</h2>{_settings(origin, settings)}</section>",
    ]
    note = f'<p class="note">Some pictures could not be had: {_e(remark)}</p>' if remark else ""
    body = f"""<header><h1>Curation of {_e(name)}</h1>
<p class="lead">Grounding clips from {_e(origin.kind)}, labelled by {_e(settings.get("vlm", "nobody yet"))}.</p>
{_tiles(report)}{note}</header>
{"".join(sections)}
<footer>The store was prepared by video4spatial {_e(origin.version)}.</footer>"""
    return page(f"Curation of {name}", body, STYLE)


def _tiles(report: Report) -> str:
    frames, kept = report.funnel.frames, report.funnel.kept
    tiles = [
        (f"{report.labelled:,} / {report.videos:,}", "videos labelled"),
        (f"{frames:,}", "frames looked at"),
        (f"{kept:,}", "clips kept"),
        (f"{kept / frames:.0%}" if frames else "–", "of frames end a clip"),
        (f"{len(report.categories):,}", "categories"),
    ]
    return (
        '<div class="tiles">'
        + "".join(f"<div><b>{value}</b><span>{label}</span></div>" for value, label in tiles)
        + "</div>"
    )


def _funnel(report: Report) -> str:
    total = max(report.funnel.frames, 1)
    rows = []
    for what, count, depth in report.steps():
        share = count / total
        kind = "part" if depth else "step"
        rows.append(
            f'<li class="{kind}"><span>{_e(what)}</span>'
            f'<span class="bar"><i style="width:{100 * share:.2f}%"></i></span>'
            f"<b>{count:,}</b><em>{share:.0%}</em></li>"
        )
    return f'<ul class="funnel">{"".join(rows)}</ul>'


def _histogram(ranked: Sequence[tuple[str, int]]) -> str:
    """Bars in shares of the width, so that the text keeps its size on a narrow screen."""
    shown, rest = ranked[:_CATEGORIES], ranked[_CATEGORIES:]
    most = max(count for _, count in shown)
    bars = []
    for number, (name, count) in enumerate(shown):
        top = number * _ROW
        bars.append(
            f'<text y="{top + 17}">{_e(name if len(name) <= 17 else name[:16] + "…")}</text>'
            f'<rect x="34%" y="{top + 4}" width="{54 * count / most:.2f}%" height="{_ROW - 8}" rx="2"/>'
            f'<text class="n" x="{35 + 54 * count / most:.2f}%" y="{top + 17}">{count:,}</text>'
        )
    more = f"<p>and {len(rest)} more, with {sum(count for _, count in rest):,} clips</p>" if rest else ""
    label = f"clips by category: {', '.join(f'{name} {count}' for name, count in shown)}"
    return (
        f'<svg class="histogram" role="img" aria-label="{_e(label)}" width="100%" height="{len(shown) * _ROW}">'
        f"{''.join(bars)}</svg>{more}"
    )


def _figures(shown: Shown) -> str:
    if not shown.pictures:
        return '<div class="pictures one"><div class="missing">no picture</div></div>'
    figures = "".join(
        f'<figure><img src="{uri}" alt="{_e(caption)}" loading="lazy"><figcaption>{_e(caption)}</figcaption></figure>'
        for caption, uri in shown.pictures
    )
    return f'<div class="pictures n{len(shown.pictures)}">{figures}</div>'


def _clips(kept: Sequence[Shown], total: int) -> str:
    if not kept:
        return "<section><h2>Clips</h2><p>None was kept so far.</p></section>"
    cards = []
    for shown in kept:
        clip = shown.labels.clip(shown.look)
        cards.append(
            f'<article class="card">{_figures(shown)}<blockquote>{_e(clip.sentence)}</blockquote>'
            f"<p>Kept: {_e(shown.why)}.</p>"
            f'<p class="id">{_e(shown.row.video_id)} · frames {clip.frames[0]}–{clip.frames[-1]}</p></article>'
        )
    return (
        f"<section><h2>Clips</h2><p>{len(kept)} of {total:,}. In the last frame: the object in red, "
        f'the central region pale.</p><div class="cards">{"".join(cards)}</div></section>'
    )


def _dropped(dropped: Sequence[Shown], report: Report) -> str:
    if not dropped:
        return ""
    counts = dict(_fates(report))
    parts = []
    for fate, group in groupby(dropped, key=lambda shown: shown.look.fate):
        cards = "".join(
            f'<article class="card small">{_figures(shown)}<p>{_e(shown.why[:1].upper() + shown.why[1:])}.</p>'
            f'<p class="id">{_e(shown.row.video_id)}</p></article>'
            for shown in group
        )
        parts.append(f'<h3>{_e(fate)} <small>{counts.get(fate, 0):,}</small></h3><div class="cards few">{cards}</div>')
    return f"<section><h2>Dropped</h2><p>Some of each kind; the object in amber.</p>{''.join(parts)}</section>"


def _fates(report: Report) -> list[tuple[str, int]]:
    """Counts by ``Look.fate``."""
    funnel = report.funnel
    return [
        *((f"answer: {name}", count) for name, count in funnel.objects.items()),
        *((str(name), count) for name, count in funnel.drops.items()),
        *((f"description: {name}", count) for name, count in funnel.descriptions.items()),
    ]


def _left_out(report: Report) -> str:
    lines = [f"<li><code>{_e(one.video_id)}</code> {_e(one.reason)}</li>" for one in report.skipped]
    lines += [f"<li>not imported: {_e(line)}</li>" for line in report.unplaced]
    if report.waiting > 0:
        lines.append(f"<li>{report.waiting:,} videos are not curated yet</li>")
    return f'<section><h2>Left out</h2><ul class="plain">{"".join(lines)}</ul></section>' if lines else ""


def _settings(origin: Origin, settings: Mapping[str, object]) -> str:
    size = f"{origin.size[0]}x{origin.size[1]}"
    source = {"source": origin.kind, "every": origin.every, "stored size": size, "VAE": origin.vae}
    rows = "".join(
        f"<tr><th>{_e(name.replace('_', ' '))}</th><td>{_e(value)}</td></tr>"
        for name, value in {**source, **settings}.items()
    )
    return f"<table>{rows}</table>"
