"""An experiment beside the paper: its rows with the paper's values, directions, curves, and what was not run."""

from dataclasses import replace

from video4spatial.evaluate.directions import Direction, tally
from video4spatial.evaluate.report.blocks import Block, Cell, Heading, Items, Plot, Plots, Point, Table, Text
from video4spatial.evaluate.report.figures import (
    NONE,
    against_full,
    difference_cell,
    mean_cell,
    number,
)
from video4spatial.evaluate.report.folder import Curve, Experiment, Figure, Measured, Series
from video4spatial.evaluate.report.tables import stand_ins

_PAPER_DIGITS = 4


def beside_paper(measured: Measured, experiment: Experiment) -> list[Block]:
    """All blocks of an experiment but its raw scores."""
    found: list[Block] = [_rows(measured, experiment)]
    if experiment.directions:
        found += [_directions(measured, experiment), Text(tally_text(experiment.directions))]
    if experiment.says:
        found.append(Text(f"The paper: {experiment.says}"))
    not_run = [f"{row.label}: {row.not_run}" for row in experiment.rows if row.not_run]
    if not_run:
        found += [Heading("Not run"), Items(not_run)]
    noted = [f"{row.label}: {row.note}" for row in experiment.rows if row.note]
    noted += [f"{row.label}: the paper ran it at {row.setting}" for row in experiment.rows if row.setting]
    if noted:
        found += [Heading("Notes on rows"), Items(noted)]
    for curve in experiment.curves:
        found += _curve(measured, curve)
    return found


def tally_text(directions: tuple[Direction, ...]) -> str:
    """ "Directions of the paper: 3 agrees, ..."; they add up."""
    counts = tally(directions)
    return f"Directions: {len(directions)} = " + " + ".join(f"{count} {what}" for what, count in counts.items()) + "."


def _rows(measured: Measured, experiment: Experiment) -> Table:
    columns = [measured.shown(key) for key in experiment.columns]
    rows = []
    for row in experiment.rows:
        name = Cell(row.label, row.method or ("not run" if row.not_run else ""))
        cells = []
        for column in columns:
            ours = mean_cell(measured.of(column.key, row.method), column)
            paper = row.paper.get(column.key)
            told = "" if paper is None else f"paper {number(paper, _PAPER_DIGITS)}"
            cells.append(Cell(ours.text, ours.beside, paper=told))
        rows.append([name, *cells])
    return Table(
        f"{experiment.title}: ours, and the paper's value in {experiment.source}",
        ["row", *(column.head for column in columns)],
        rows,
        stand_ins(measured, experiment.columns),
    )


def _directions(measured: Measured, experiment: Experiment) -> Table:
    by_row: dict[str, dict[str, Direction]] = {}
    for direction in experiment.directions:
        by_row.setdefault(direction.label, {})[direction.key] = direction
    keys = [key for key in experiment.columns if any(key in of for of in by_row.values())]
    rows = [
        [Cell(label), *(_direction(measured, of[key]) if key in of else Cell(NONE) for key in keys)]
        for label, of in by_row.items()
    ]
    return Table(
        f"{experiment.title}: each row minus full, here and in the paper",
        ["row", *(measured.shown(key).head for key in keys)],
        rows,
    )


def _direction(measured: Measured, direction: Direction) -> Cell:
    column = measured.shown(direction.key)
    way = {1: "higher", -1: "lower", 0: "equal"}[direction.paper]
    amount = direction.difference
    paper = f"paper: {way}" if amount is None else f"paper {number(amount, _PAPER_DIGITS, signed=True)}"
    if direction.ours is None:
        return Cell(NONE, "", direction.reason, paper, direction.agreement.value)
    tests = (against_full(task, str(direction.method), direction.key) for task in measured.tasks)
    p = next((test.p for test in tests if test is not None), None)
    ours = Figure(direction.ours.mean, direction.ours.low, direction.ours.high, direction.of, 0, {}, p)
    cell = difference_cell(ours, column)
    test = f"{cell.test}, {direction.of} cases"
    return Cell(cell.text, cell.beside, test, paper, direction.agreement.value)


def _curve(measured: Measured, curve: Curve) -> list[Block]:
    """A plot a series, and the same figures as a table."""
    plots, rows = [], [[Cell(_x(x))] for x in curve.values]
    for series in curve.series:
        column = measured.shown(series.key)
        figures = [_figure(measured, series, place, x) for place, x in enumerate(curve.values)]
        points = [_point(*of) for of in zip(curve.values, figures, series.paper, strict=True)]
        plots.append(Plot(column.head, curve.label, points, column.digits, column.rate))
        for cells, point, figure in zip(rows, points, figures, strict=True):
            paper = "" if point.paper is None else f"paper {number(point.paper, _PAPER_DIGITS)}"
            cells.append(replace(mean_cell(figure, column), paper=paper))
    heads = [_series_head(measured, series) for series in curve.series]
    table = Table(f"The figures of the plots, by {curve.label}", [curve.label, *heads], rows)
    return [Plots(plots), table]


def _series_head(measured: Measured, series: Series) -> str:
    head = measured.shown(series.key).head
    return f"{head} (any of n)" if series.any_of else head


def _figure(measured: Measured, series: Series, place: int, x: float) -> Figure | None:
    figure = measured.of(series.key, series.methods[place])
    if series.any_of and figure is not None:
        return figure.any_of.get(int(x)) or (figure if x == 1 and not figure.any_of else None)
    return figure


def _point(x: float, figure: Figure | None, paper: float | None) -> Point:
    if figure is None:
        return Point(x, paper=paper)
    return Point(x, figure.mean, figure.low, figure.high, paper)


def _x(x: float) -> str:
    return f"{x:g}"
