"""Blocks as HTML."""

from itertools import groupby

from video4spatial.evaluate.report.blocks import (
    Block,
    Card,
    Cards,
    Cell,
    Clipped,
    Contents,
    Fold,
    Heading,
    Items,
    Plot,
    Plots,
    Table,
    Text,
)
from video4spatial.evaluate.report.plot import plot_svg
from video4spatial.storage.page import escaped

_MARKS = {"agrees": "✓", "disagrees": "✗", "undecided": "?", "not measured": "–"}


def html_of(blocks: list[Block]) -> str:
    """All blocks; those of a folder (from a heading of level 2 to the next) are a section."""
    parts, opened = [], False
    for tables, group in groupby(blocks, key=lambda block: isinstance(block, Table)):
        if tables:
            parts.append(f'<div class="tables">{"".join(map(_block, group))}</div>')
            continue
        for block in group:
            if isinstance(block, Heading) and block.level == 2:
                parts += ["</section>"] * opened + ["<section>"]
                opened = True
            parts.append(_block(block))
    return "\n".join(parts + ["</section>"] * opened)


def _block(block: Block) -> str:
    match block:
        case Heading():
            anchor = f' id="{escaped(block.anchor)}"' if block.anchor else ""
            return f"<h{block.level}{anchor}>{escaped(block.text)}</h{block.level}>"
        case Text():
            return f"<p{' class=soft' * block.soft}>{escaped(block.text)}</p>"
        case Items():
            return f'<ul class="plain">{"".join(f"<li>{escaped(line)}</li>" for line in block.lines)}</ul>'
        case Contents():
            links = "".join(f'<li><a href="#{escaped(of.anchor)}">{escaped(of.text)}</a></li>' for of in block.links)
            return f'<nav aria-label="Contents"><ul class="plain">{links}</ul></nav>'
        case Table():
            return _table(block)
        case Plots():
            return f'<div class="plots">{"".join(map(_plot, block.plots))}</div>'
        case Cards():
            return f'<div class="cards">{"".join(map(_card, block.cards))}</div>'
        case Fold():
            inside = "\n".join(map(_block, block.blocks))
            return f"<details><summary>{escaped(block.title)}</summary>{inside}</details>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in table.head)
    rows = "".join(
        f'<tr><th scope="row">{_cell(row[0])}</th>{"".join(f"<td>{_cell(cell)}</td>" for cell in row[1:])}</tr>'
        for row in table.rows
    )
    notes = "".join(f'<p class="under">{escaped(note)}</p>' for note in table.notes)
    caption = escaped(table.caption)
    return (
        f'<div class="table"><div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"{notes}</div>"
    )


def _cell(cell: Cell) -> str:
    parts = [escaped(cell.text)] if cell.text else []
    parts += [f"<small>{escaped(cell.beside)}</small>"] if cell.beside else []
    parts += [f"<small>{escaped(cell.test)}</small>"] if cell.test else []
    parts += [f'<small class="theirs">{escaped(cell.paper)}</small>'] if cell.paper else []
    if cell.verdict:
        kind, mark = cell.verdict.replace(" ", "-"), _MARKS.get(cell.verdict, "")
        parts.append(
            f'<small class="verdict {escaped(kind)}"><b aria-hidden="true">{mark}</b> {escaped(cell.verdict)}</small>'
        )
    return " ".join(parts)


def _plot(plot: Plot) -> str:
    theirs = any(point.paper is not None for point in plot.points)
    key = '<span class="key"><i></i> ours, with 95 % interval</span>'
    key += ' <span class="key"><i class="second"></i> the paper</span>' if theirs else ""
    caption = f"<figcaption><b>{escaped(plot.title)}</b> {key}</figcaption>"
    return f'<figure class="plot card">{caption}{plot_svg(plot)}</figure>'


def _card(card: Card) -> str:
    clips = "".join(map(_clip, card.clips))
    parts = [f"<h4>{escaped(card.title)}</h4>"]
    parts.append(f"<blockquote>{escaped(card.asked)}</blockquote>" if card.asked else "")
    parts += [f'<p class="missing">{escaped(line)}</p>' for line in card.missing]
    parts.append(f"<p>{escaped('; '.join(card.scores))}</p>" if card.scores else "")
    parts.append(f'<p class="id">{escaped(card.case_id)}</p>')
    return f'<article class="card"><div class="clips">{clips}</div><div>{"".join(parts)}</div></article>'


def _clip(clip: Clipped) -> str:
    size = f'width="{clip.width}" height="{clip.height}"'
    if clip.video:
        inside = (
            f'<video controls loop muted playsinline preload="metadata" {size} poster="{clip.poster}" '
            f'aria-label="{escaped(clip.alt)}" src="{clip.video}"></video>'
        )
    else:
        inside = f'<img {size} src="{clip.poster}" alt="{escaped(clip.alt)}, last frame">'
    return f"<figure>{inside}<figcaption>{escaped(clip.caption)}</figcaption></figure>"


STYLE = """
:root { --second: #c2571a; --good: #1f7a3d; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --second: #f0965a; --good: #74c98f; --bad: #f08a80; } }
h2 { font-size: 1.35rem; border-top: 1px solid var(--line); padding-top: 1.4rem; }
h3 { font-size: 1.08rem; margin: 2rem 0 .5rem; }
h4 { font-size: .98rem; margin: 0 0 .5rem; }
h4::first-letter { text-transform: uppercase; }
p { margin: .5rem 0; max-width: 62rem; }
.soft, .under, .missing { color: var(--soft); }
.under, .missing { font-size: .85rem; }
.plain { padding-left: 1.1rem; margin: .5rem 0; font-size: .92rem; max-width: 62rem; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; margin: 1rem 0; }
.table { min-width: 0; max-width: 100%; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); max-width: 100%; width: fit-content; }
.scroll:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
caption { text-align: left; padding: .55rem .8rem; font-weight: 600; }
@media (max-width: 40rem) { caption { position: sticky; left: 0; width: calc(100vw - 3rem); box-sizing: border-box; } }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem; border-top: 1px solid var(--line);
  overflow-wrap: normal; font-variant-numeric: tabular-nums; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; min-width: 6.5rem; }
tbody th { font-weight: 500; min-width: 8rem; }
tbody td { min-width: 5rem; }
td small, th small { display: block; font-weight: 400; line-height: 1.35; }
td small { white-space: nowrap; }
.theirs { color: var(--second); }
.verdict.agrees { color: var(--good); }
.verdict.disagrees { color: var(--bad); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
.plot figcaption { margin: 0 0 .5rem; font-size: .85rem; }
.plot figcaption b { color: var(--ink); margin-right: .6rem; }
.key { margin-right: .5rem; white-space: nowrap; }
.cards { display: grid; gap: 1rem; }
.cards .card { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); gap: .3rem 1.2rem; }
.card p { margin: .45rem 0 0; font-size: .88rem; }
.card .id { font-size: .8rem; font-family: ui-monospace, monospace; }
.clips { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; align-content: start; }
.clips video, .clips img { height: auto; }
blockquote { margin: .3rem 0; font-size: .95rem; line-height: 1.4; }
@media (max-width: 40rem) { .cards .card { grid-template-columns: 1fr; } }
details { margin: 1rem 0; }
summary { cursor: pointer; font-weight: 600; }
a { color: var(--bar); }
"""
