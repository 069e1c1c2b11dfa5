"""One series over an axis as inline SVG: our line with intervals, the paper's points beside it."""

import math
from collections.abc import Callable, Sequence

from video4spatial.evaluate.report.blocks import Plot, Point
from video4spatial.evaluate.report.figures import number
from video4spatial.storage.page import escaped

_WIDTH, _HEIGHT = 340, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 42
_LABEL_SPACE = 26  # pixels between labels of the x axis

STYLE = """
.plot { max-width: 34rem; }
.plot svg { display: block; width: 100%; height: auto; }
.plot text { fill: var(--soft); font-size: 11px; }
.plot .axis { stroke: var(--line); stroke-width: 1; }
.plot .ours { stroke: var(--bar); fill: none; stroke-width: 2; }
.plot .spread { stroke: var(--bar); stroke-width: 1.5; opacity: .6; }
.plot .dot { fill: var(--bar); }
.plot .paper { stroke: var(--second); fill: none; stroke-width: 1.5; stroke-dasharray: 5 4; }
.plot .mark { stroke: var(--second); fill: var(--card); stroke-width: 1.7; }
.key i { display: inline-block; width: .75em; height: .75em; border-radius: 50%; background: var(--bar);
  vertical-align: -.05em; }
.key i.second { background: none; border: 2px solid var(--second); border-radius: 0; }
"""


def plot_svg(plot: Plot) -> str:
    """The picture, with the same figures as its description for those who do not see it."""
    across = _scale([point.x for point in plot.points], _LEFT + 8, _WIDTH - _RIGHT - 8)
    bottom, top, ticks = _range(plot)

    def x(point: Point) -> float:
        return across(point.x)

    def y(value: float) -> float:
        share = (value - bottom) / (top - bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    parts = []
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else plot.digits
    for tick in ticks:
        parts.append(f'<path class="axis" d="M{_LEFT} {y(tick):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{number(tick, digits)}</text>')
    last = -math.inf
    for point in plot.points:
        if x(point) - last >= _LABEL_SPACE:
            last = x(point)
            parts.append(f'<text x="{last:.1f}" y="{_HEIGHT - 24}" text-anchor="middle">{point.x:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{escaped(_short(plot.x_label))}</text>'
    )
    theirs = [(x(point), y(point.paper)) for point in plot.points if point.paper is not None]
    parts += [_line(theirs, "paper")]
    parts += [f'<rect class="mark" x="{a - 4:.1f}" y="{b - 4:.1f}" width="8" height="8"/>' for a, b in theirs]
    for run in _runs(plot.points):
        parts.append(_line([(x(point), y(mean)) for point, mean, _, _ in run], "ours"))
        for point, mean, low, high in run:
            parts.append(f'<path class="spread" d="M{x(point):.1f} {y(low):.1f}V{y(high):.1f}"/>')
            parts.append(f'<circle class="dot" cx="{x(point):.1f}" cy="{y(mean):.1f}" r="3.5"/>')
    said = f"{plot.title} over {plot.x_label}. " + "; ".join(_said(point, plot.digits) for point in plot.points)
    return (
        f'<svg role="img" aria-label="{escaped(said)}" viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(filter(None, parts))}'
        "</svg>"
    )


def _runs(points: Sequence[Point]) -> list[list[tuple[Point, float, float, float]]]:
    """Neighbours that were measured: the line has a gap where one was not."""
    runs: list[list[tuple[Point, float, float, float]]] = [[]]
    for point in points:
        if point.mean is None or point.low is None or point.high is None:
            runs.append([])
        else:
            runs[-1].append((point, point.mean, point.low, point.high))
    return [run for run in runs if run]


def _line(places: Sequence[tuple[float, float]], kind: str) -> str:
    if len(places) < 2:
        return ""
    return f'<path class="{kind}" d="M' + "L".join(f"{a:.1f} {b:.1f}" for a, b in places) + '"/>'


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """From values to pixels; a single value stands in the middle."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high == low:
        return lambda value: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _range(plot: Plot) -> tuple[float, float, list[float]]:
    """The y axis' ends and its ticks: round steps that hold every mark."""
    values = [v for point in plot.points for v in (point.mean, point.low, point.high, point.paper) if v is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if plot.share:
        first, last = max(first, 0) if low >= 0 else first, min(last, round(1 / step)) if high <= 1 else last
    ticks = [n * step for n in range(first, last + 1)]
    return min(ticks[0], low), max(ticks[-1], high), ticks


def _said(point: Point, digits: int) -> str:
    paper = "" if point.paper is None else f", the paper {point.paper:g}"
    if point.mean is None or point.low is None or point.high is None:
        return f"{point.x:g}: not measured{paper}"
    return (
        f"{point.x:g}: {number(point.mean, digits)}, {number(point.low, digits)} to {number(point.high, digits)}{paper}"
    )


def _short(label: str) -> str:
    return label if len(label) <= 52 else label[:51] + "…"
