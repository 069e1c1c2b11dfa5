"""What a report is made of, before it is HTML or Markdown: both show the same texts and figures."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        text: the figure.
        beside: shown smaller: its interval, how many cases it is of.
        test: its p-value, and what else decides about it.
        paper: what the paper says, shown apart.
        verdict: "agrees", "disagrees", "undecided", "not measured" or nothing.
    """

    text: str = ""
    beside: str = ""
    test: str = ""
    paper: str = ""
    verdict: str = ""

    def lines(self) -> list[str]:
        """Its texts in the order in which they are read."""
        return [line for line in (self.text, self.beside, self.test, self.paper, self.verdict) if line]


@dataclass(frozen=True)
class Table:
    """A caption, the columns' heads, and rows whose first cell is the row's head. ``notes`` stand below it."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Heading:
    """``level`` 2 (a folder) or 3; ``anchor`` to link to."""

    text: str
    level: int = 3
    anchor: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    soft: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Link:
    """One entry of the list of contents."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Contents:
    links: Sequence[Link]


@dataclass(frozen=True)
class Point:
    """A place on the x axis with our figure and the paper's, where there are any."""

    x: float
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    paper: float | None = None


@dataclass(frozen=True)
class Plot:
    """One series over an axis."""

    title: str
    x_label: str
    points: Sequence[Point]
    digits: int = 3
    share: bool = False


@dataclass(frozen=True)
class Plots:
    """Plots side by side."""

    plots: Sequence[Plot]


@dataclass(frozen=True)
class Clipped:
    """A playable clip, as data: URIs; ``video`` is empty where the page had no more room, and only the poster shows."""

    caption: str
    alt: str
    poster: str
    video: str
    width: int
    height: int


@dataclass(frozen=True)
class Card:
    """An example: which one, what was asked, its clips, its scores; ``missing`` says which clips there are not."""

    title: str
    case_id: str
    asked: str
    clips: Sequence[Clipped]
    scores: Sequence[str]
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Cards:
    cards: Sequence[Card]


@dataclass(frozen=True)
class Fold:
    """Opened by a click."""

    title: str
    blocks: Sequence["Block"]


Block = Heading | Text | Items | Contents | Table | Plots | Cards | Fold
