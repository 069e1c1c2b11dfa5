"""The whole report: folders in the order given, each with its tables, plots and examples."""

from collections.abc import Sequence
from dataclasses import dataclass

from video4spatial.evaluate.directions import FEWEST
from video4spatial.evaluate.report.beside_paper import beside_paper, tally_text
from video4spatial.evaluate.report.blocks import Block, Contents, Fold, Heading, Items, Link, Text
from video4spatial.evaluate.report.examples import Examples
from video4spatial.evaluate.report.folder import Measured
from video4spatial.evaluate.report.html import STYLE, html_of
from video4spatial.evaluate.report.markdown import markdown_of
from video4spatial.evaluate.report.media import ROOM, Media
from video4spatial.evaluate.report.plot import STYLE as PLOT_STYLE
from video4spatial.evaluate.report.tables import methods_table, metrics_table, outcomes, reasons, scores
from video4spatial.schema import InputError
from video4spatial.storage.page import escaped, page

PAPER_LINK = "https://arxiv.org/abs/2512.03040"
TITLE = "Evaluation report"

_READING = (
    "A figure is a mean over cases, repeats of one case averaged first. In brackets its 95 % bootstrap interval: the "
    "cases are drawn again with replacement, 10,000 times. Where all cases agree on a rate, the exact bound is given. "
    '"of n" is how many cases have a value, where those are not all.',
    "Differences are taken case by case against full, so that what makes a case hard cancels out. Their p-value says "
    "how often a mean as far from 0 comes up if a coin decides each difference's sign: exact up to 16 differing cases "
    "and for rates, else from 10,000 drawn patterns. It is not corrected for the number of comparisons on this "
    "page: of 20 comparisons between equals, one is expected below 0.05.",
    "A direction of the paper agrees if ours goes the same way and its paired interval leaves out 0, disagrees if it "
    "goes the other way and leaves out 0, and is undecided if the interval includes 0 or there are fewer than "
    f"{FEWEST} cases. Not measured: one of the two has no value.",
    "The paper's values were measured on other scenes, with another model and at another size. Set directions beside "
    "them, not values.",
    "An arrow says which way is better. A metric that could not be computed is listed with its reason, and a stand-in "
    "is named under every table that uses it.",
)


@dataclass(frozen=True)
class Report:
    """Both documents; ``media`` says how many clips play."""

    html: str
    markdown: str
    media: Media


def make_report(
    folders: Sequence[Measured], metric: str | None = None, method: str | None = None, room: int = ROOM
) -> Report:
    """The page and its twin. The same folders give the same bytes.

    Args:
        metric: column by which examples are chosen, where a task has it.
        method: whose examples are shown; full where there is one, unless given.
        room: characters that all clips may take together.

    Raises:
        InputError: no folder has that column or method.
    """
    _check(folders, metric, method)
    media = Media(room)
    titles = [title_of(measured) for measured in folders]
    links = [Link(title, f"part-{number + 1}") for number, title in enumerate(titles)]
    sections: list[Block] = []
    for measured, title, link in zip(folders, titles, links, strict=True):
        sections += [Heading(title, 2, link.anchor), *_section(measured, media, metric, method)]
    clips = f"{media.playable} clips on this page can be played"
    clips += f"; {media.repeated} appear again as their last frame" if media.repeated else ""
    clips += f"; {media.left_out} show only their last frame, since the page would become too large"
    top: list[Block] = [Contents(links)] if len(links) > 1 else []
    verdicts = tuple(d for measured in folders if measured.experiment for d in measured.experiment.directions)
    if verdicts:
        top.append(Text(tally_text(verdicts)))
    top.append(Fold("How to read this", [Items(_READING)]))
    blocks = [*top, *sections]
    lead = (
        f'<header><h1>{escaped(TITLE)}</h1><p class="lead">Videos measured by video4spatial, an open implementation of '
        f'<a href="{PAPER_LINK}">Video4Spatial</a>. {escaped(clips if media.left_out else clips.rpartition("; ")[0])}.'
        "</p></header>"
    )
    text = page(f"{TITLE}: {', '.join(titles)}", f"{lead}\n{html_of(blocks)}", STYLE + PLOT_STYLE)
    about = Text(f"Videos measured by video4spatial, an open implementation of Video4Spatial, {PAPER_LINK}.")
    return Report(text, markdown_of(TITLE, [about, *blocks]), media)


def title_of(measured: Measured) -> str:
    """ "Table 1, Video-based object grounding", or the benchmark's name; then the folder's."""
    experiment = measured.experiment
    what = f"Benchmark {measured.benchmark.get('name', '')}"
    if experiment is not None:
        what = f"{experiment.source}, {experiment.title}"
    return f"{what}: {measured.name}"


def _check(folders: Sequence[Measured], metric: str | None, method: str | None) -> None:
    if not folders:
        raise InputError("a report needs at least one folder")
    known = sorted({key for measured in folders for key in measured.columns})
    if metric is not None and metric not in known:
        raise InputError(f"--metric is {metric!r}: no folder has that column; they have {', '.join(known)}")
    names = sorted({name for measured in folders for name in measured.methods})
    if method is not None and method not in names:
        raise InputError(f"--method is {method!r}: no folder has that method; they have {', '.join(names)}")


def _section(measured: Measured, media: Media, metric: str | None, method: str | None) -> list[Block]:
    about = measured.benchmark
    size = f"{about.get('width')}x{about.get('height')} at {about.get('fps')} fps"
    cases = ", ".join(f"{task.cases} {task.task}" for task in measured.tasks)
    found: list[Block] = [Text(f"Benchmark {about.get('name')}, {size}; cases: {cases or 'none'}.")]
    made = [f"{key} {value}" for key, value in measured.made_with.items() if value]
    if measured.experiment is not None:
        found += beside_paper(measured, measured.experiment)
        made.append(f"seeds {', '.join(map(str, measured.experiment.seeds))}")
    found += [Heading("All that was measured")]
    examples = Examples(measured, media)
    for task in measured.tasks:
        found += scores(measured, task)
    found.append(Heading("Videos"))
    for task in measured.tasks:
        found += [outcomes(measured, task), *reasons(measured, task)]
    for task in measured.tasks:
        found += examples.of(task, metric, method if method in task.methods else None)
    found += [Heading("How it was made"), Items(made)]
    return [*found, metrics_table(measured), methods_table(measured)]
