"""Figures as text: a mean with its interval, a difference with its p-value."""

from video4spatial.evaluate.report.blocks import Cell
from video4spatial.evaluate.report.folder import Figure, OfTask, Shown

NONE = "–"


def number(value: float, digits: int, signed: bool = False) -> str:
    """ "0.123", or "+0.123"; never "-0.000"."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if signed else f"{rounded:.{digits}f}"


def interval(low: float, high: float, digits: int, signed: bool = False) -> str:
    return f"[{number(low, digits, signed)}, {number(high, digits, signed)}]"


def mean_cell(figure: Figure | None, column: Shown, cases: int | None = None) -> Cell:
    """A mean, its interval, and of how many cases it is where not of all (``cases``, or all it was asked of)."""
    if figure is None or figure.mean is None or figure.low is None or figure.high is None:
        return Cell(NONE)
    of = measured_of(figure.of, figure.of + figure.missing if cases is None else cases)
    return Cell(number(figure.mean, column.digits), interval(figure.low, figure.high, column.digits) + of)


def measured_of(count: int, cases: int) -> str:
    """ ", 9 of 18" where a figure is of ``count`` cases only; nothing where it is of all."""
    return "" if count == cases else f", {count} of {cases}"


def against_full(task: OfTask, method: str, key: str) -> Figure | None:
    """A method minus full, case by case: ``results.json`` keeps full minus it."""
    found = task.differences.get(method, {}).get(key)
    if found is None or found.mean is None or found.low is None or found.high is None:
        return None
    return Figure(-found.mean, -found.high, -found.low, found.of, found.missing, {}, found.p)


def difference_cell(figure: Figure | None, column: Shown, cases: int | None = None) -> Cell:
    """A difference, its interval and its p-value."""
    if figure is None or figure.mean is None or figure.low is None or figure.high is None:
        return Cell(NONE)
    of = "" if cases is None else measured_of(figure.of, cases)
    told = interval(figure.low, figure.high, column.digits, signed=True) + of
    return Cell(number(figure.mean, column.digits, signed=True), told, p_value(figure.p))


def p_value(p: float | None) -> str:
    if p is None:
        return "p not computed"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def value_text(value: float | bool, column: Shown) -> str:
    """One case's value."""
    if column.rate and value in (0, 1):
        return "yes" if value else "no"
    return number(float(value), column.digits)
