"""Blocks as Markdown: the same texts and figures; plots are their tables, clips are left to the page."""

from video4spatial.evaluate.report.blocks import (
    Block,
    Card,
    Cards,
    Cell,
    Contents,
    Fold,
    Heading,
    Items,
    Plots,
    Table,
    Text,
)
from video4spatial.storage.markdown import plain


def markdown_of(title: str, blocks: list[Block]) -> str:
    """The whole document."""
    return "\n\n".join(filter(None, [f"# {plain(title)}", *map(_block, blocks)])) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {plain(block.text)}"
        case Text():
            return plain(block.text)
        case Items():
            return "\n".join(f"- {plain(line)}" for line in block.lines)
        case Contents() | Plots():
            return ""
        case Table():
            return _table(block)
        case Cards():
            return "\n".join(_card(card) for card in block.cards)
        case Fold():
            return "\n\n".join([f"**{plain(block.title)}**", *filter(None, map(_block, block.blocks))])


def _table(table: Table) -> str:
    lines = [f"**{plain(table.caption)}**", "", _row([plain(name) for name in table.head])]
    lines.append("|---" * len(table.head) + "|")
    lines += [_row([_cell(cell) for cell in row]) for row in table.rows]
    for note in table.notes:
        lines += ["", plain(note)]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell) -> str:
    return "; ".join(plain(line) for line in cell.lines())


def _card(card: Card) -> str:
    told = [card.asked, *card.missing, "; ".join(card.scores)]
    return f"- {plain(card.title)} ({plain(card.case_id)}). " + " ".join(plain(text) for text in told if text)
