"""Boxes: the centre rule, overlap, and the box tail that marks the target at the end of a grounding clip."""

import numpy as np
from einops import rearrange, reduce, repeat
from jaxtyping import Float32, Int, UInt8

from video4spatial.schema import Box, InputError

TAIL_FRAMES = 20  # paper section 3.3
RED = (255, 0, 0)

_FULL_CONTRAST = 0.35  # redness of a line above its surroundings that counts as fully drawn; more adds nothing
_MIN_CONTRAST = 0.07  # of the weakest of the four lines
_MIN_COVERAGE = 0.6  # share of the weakest line's length that is redder than both its sides
_MIN_CONFIDENCE = 0.35
_CELLS = 64  # the longer side of the coarse search grid


def centre_rule(box: Box, width: int, height: int, ratio: float = 0.3) -> bool:
    """Whether the box's centre lies in the central ``ratio * width`` x ``ratio * height`` of the image.

    Curation keeps such objects (paper section 3.3); the ratio is our choice.
    """
    x, y = box.centre
    return abs(x - width / 2) <= ratio * width / 2 and abs(y - height / 2) <= ratio * height / 2


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1; 0 where both are empty."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    overlap = max(width, 0.0) * max(height, 0.0)
    union = a.area + b.area - overlap
    return float(overlap / union) if union > 0 else 0.0


def line_thickness(height: int) -> int:
    """The thickness in pixels of a box drawn on an image of that height."""
    return max(2, round(height / 48))


def draw_box(
    frame: UInt8[np.ndarray, "H W 3"], box: Box, colour: tuple[int, int, int] = RED, thickness: int | None = None
) -> UInt8[np.ndarray, "H W 3"]:
    """A copy of ``frame`` with the outline of ``box``, ``thickness`` pixels wide, drawn inwards from its edges.

    A box that reaches out of the frame is drawn up to the frame's edge, so that all four lines show. Raises
    ``InputError`` for a box that is empty or wholly outside.
    """
    height, width = frame.shape[:2]
    if not np.isfinite([box.x0, box.y0, box.x1, box.y1]).all():
        raise InputError(f"{box} holds NaN or infinity: give finite corners")
    x0, x1 = (round(min(max(x, 0), width)) for x in (box.x0, box.x1))
    y0, y1 = (round(min(max(y, 0), height)) for y in (box.y0, box.y1))
    if x1 <= x0 or y1 <= y0:
        raise InputError(f"{box} shows nothing in a {width}x{height} frame: give a box that overlaps it")
    line = line_thickness(height) if thickness is None else thickness
    if line < 1:
        raise InputError(f"the line's thickness is {line}: give at least 1 pixel")
    drawn = frame.copy()
    inner = frame[y0 + line : max(y1 - line, y0 + line), x0 + line : max(x1 - line, x0 + line)]
    drawn[y0:y1, x0:x1] = colour
    drawn[y0 + line : y0 + line + inner.shape[0], x0 + line : x0 + line + inner.shape[1]] = inner
    return drawn


def box_tail(
    frame: UInt8[np.ndarray, "H W 3"], box: Box, frames: int = TAIL_FRAMES
) -> UInt8[np.ndarray, "{frames} H W 3"]:
    """The last frame held for ``frames`` frames with the red box drawn (paper section 3.3; that it is held is ours)."""
    if frames < 1:
        raise InputError(f"the box tail has {frames} frames: give at least 1")
    return repeat(draw_box(frame, box), "H W c -> frames H W c", frames=frames)


def read_red_box(
    frames: UInt8[np.ndarray, "T H W 3"], before: UInt8[np.ndarray, "T2 H W 3"] | None = None
) -> tuple[Box, float] | None:
    """The red box drawn on the box tail ``frames``: ``(box, confidence)``, or None where there is none.

    The frames may be blurred, noisy, generated and compressed: they are averaged. ``before``, the frames just ahead of
    the tail, of the same view, takes away what was red already. A line is a band as thick as ``draw_box`` draws it that
    is redder than the bands on both its sides, so a filled red area has none; the box is the rectangle whose four lines
    are reddest, found on a coarse grid and then moved pixel by pixel. Boxes narrower than about four lines are missed.

    A line that runs over something red for more than 0.4 of its length is not seen, with ``before`` or without.

    The confidence, 0 to 1, is the share of the weakest line's length that shows, times the mean contrast of the four
    lines (1 where they stand out by 0.35 of full red or more). Less than 0.35 is reported as None. The method is ours:
    the paper reads the box with a VLM.
    """
    redness = _redness(frames)
    if before is not None and len(before):
        redness = redness - _redness(before)
    height, width = redness.shape
    line = line_thickness(height)
    across = _ridge(redness, line)
    down = _ridge(np.ascontiguousarray(redness.T), line)
    smallest = 3 * line + 2
    if min(height, width) < smallest + 2:
        return None
    score = _RectangleScore(across, down, line)
    edges = _refine(score, _coarse(across, down, line, smallest), smallest)
    contrast, coverage = score.lines(edges), score.coverage(edges)
    confidence = float(coverage.min() * contrast.mean())
    weak = contrast.min() < _MIN_CONTRAST / _FULL_CONTRAST or coverage.min() < _MIN_COVERAGE
    if weak or confidence < _MIN_CONFIDENCE:
        return None
    x0, y0, x1, y1 = (float(edge) for edge in edges)
    return Box(x0, y0, x1, y1), min(confidence, 1.0)


def read_box_tail(clip: UInt8[np.ndarray, "T H W 3"], tail_frames: int) -> tuple[Box, float] | None:
    """``read_red_box`` on the last ``tail_frames`` of a grounding clip; None where it has no tail.

    The tail's first quarter may still be changing and is left out; the two frames ahead of the tail count as before.
    """
    if not tail_frames:
        return None
    moving, held = clip[:-tail_frames], clip[-tail_frames:]
    return read_red_box(held[tail_frames // 4 :], before=moving[-2:])


def _redness(frames: UInt8[np.ndarray, "T H W 3"]) -> Float32[np.ndarray, "H W"]:
    """How red, 0 to 1, averaged over frames. ``|G - B|`` is taken off: wood and skin lean to orange, the box not."""
    total = np.zeros(frames.shape[1:3], np.float32)
    for frame in frames:
        r, g, b = rearrange(frame.astype(np.int16), "H W c -> c H W")
        total += np.maximum(r - np.maximum(g, b) - np.abs(g - b), 0)
    return total / np.float32(255 * len(frames))


def _ridge(redness: Float32[np.ndarray, "H W"], line: int) -> Float32[np.ndarray, "P W"]:
    """For each band of ``line`` rows (named by its first): how much redder it is than both sides, as share of full."""
    sums = np.concatenate([np.zeros_like(redness[:1]), np.cumsum(redness, axis=0)])
    band = (sums[line:] - sums[:-line]) / line
    away = line + max(2, line // 2)  # leaves room for blur and half-resolution colour
    sides = np.full((2, *band.shape), -1.0, np.float32)
    sides[0, away:] = band[:-away]
    sides[1, :-away] = band[away:]
    return np.clip((band - sides.max(axis=0)) / _FULL_CONTRAST, -0.5, 1.0).astype(np.float32)


class _RectangleScore:
    """Mean ridge along the four lines of a rectangle ``(x0, y0, x1, y1)``, edges in whole pixels."""

    def __init__(self, across: Float32[np.ndarray, "P W"], down: Float32[np.ndarray, "Q H"], line: int) -> None:
        self.across, self.down, self.line = across, down, line

    def profiles(self, edges: Int[np.ndarray, "4"]) -> list[np.ndarray]:
        x0, y0, x1, y1 = edges
        line = self.line
        inner_x, inner_y = slice(x0 + line, x1 - line), slice(y0 + line, y1 - line)  # at corners a line meets another
        return [
            self.across[y0, inner_x],
            self.across[y1 - line, inner_x],
            self.down[x0, inner_y],
            self.down[x1 - line, inner_y],
        ]

    def lines(self, edges: Int[np.ndarray, "4"]) -> np.ndarray:
        return np.array([profile.mean() for profile in self.profiles(edges)])

    def coverage(self, edges: Int[np.ndarray, "4"]) -> np.ndarray:
        threshold = 0.5 * _MIN_CONTRAST / _FULL_CONTRAST
        return np.array([(profile > threshold).mean() for profile in self.profiles(edges)])

    def __call__(self, edges: Int[np.ndarray, "4"]) -> float:
        lines = self.lines(edges)
        return float(lines.mean() + lines.min())  # the weakest line counts double: a rectangle needs all four


def _coarse(
    across: Float32[np.ndarray, "P W"], down: Float32[np.ndarray, "Q H"], line: int, smallest: int
) -> Int[np.ndarray, "4"]:
    """The best rectangle on a grid of cells, by trying every pair of columns with every pair of rows."""
    height, width = down.shape[1], across.shape[1]
    cell = -(-max(height, width) // _CELLS)
    rows, columns = _pool(across, cell), _pool(down, cell)
    apart = max(1, (smallest - line) // cell)
    left, right = np.triu_indices(min(columns.shape[0], rows.shape[1]), apart)
    top, bottom = np.triu_indices(min(rows.shape[0], columns.shape[1]), apart)
    along_x = _means(rows, left, right)  # [rows, column pairs]
    along_y = _means(columns, top, bottom)  # [columns, row pairs]
    lines = (along_x[top], along_x[bottom], along_y[left].T, along_y[right].T)
    total = lines[0] + lines[1] + lines[2] + lines[3]
    weakest = np.minimum(np.minimum(lines[0], lines[1]), np.minimum(lines[2], lines[3]))
    of_rows, of_columns = np.unravel_index(np.argmax(total / 4 + weakest), total.shape)
    x0, y0 = left[of_columns] * cell, top[of_rows] * cell
    x1, y1 = right[of_columns] * cell + line, bottom[of_rows] * cell + line
    return np.array([x0, y0, max(min(x1, width), x0 + smallest), max(min(y1, height), y0 + smallest)])


def _pool(ridge: Float32[np.ndarray, "P W"], cell: int) -> Float32[np.ndarray, "p w"]:
    """Cells: the mean along the line, then the best line within the cell."""
    bands, length = (size // cell * cell for size in ridge.shape)
    along = reduce(ridge[:, :length], "P (w cell) -> P w", "mean", cell=cell)
    return reduce(along[:bands], "(p cell) w -> p w", "max", cell=cell)


def _means(cells: Float32[np.ndarray, "p w"], first: Int[np.ndarray, "K"], last: Int[np.ndarray, "K"]) -> np.ndarray:
    """The mean over cells ``first`` to ``last`` inclusive of every row."""
    sums = np.concatenate([np.zeros_like(cells[:, :1]), np.cumsum(cells, axis=1)], axis=1)
    return (sums[:, last + 1] - sums[:, first]) / (last + 1 - first)


def _refine(score: _RectangleScore, edges: Int[np.ndarray, "4"], smallest: int) -> Int[np.ndarray, "4"]:
    """Move one edge at a time to its best place near by, until none moves."""
    height, width = score.down.shape[1], score.across.shape[1]
    reach = -(-max(height, width) // _CELLS) + score.line
    best, value = edges, score(edges)
    for _ in range(8):
        start = best
        for edge in range(4):
            base = best
            for shift in range(-reach, reach + 1):
                moved = base.copy()
                moved[edge] += shift
                x0, y0, x1, y1 = moved
                if min(x0, y0) < 0 or x1 > width or y1 > height or min(x1 - x0, y1 - y0) < smallest:
                    continue
                if (at := score(moved)) > value:
                    best, value = moved, at
        if best is start:
            break
    return best
