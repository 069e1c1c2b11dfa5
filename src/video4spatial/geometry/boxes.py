"""Boxes: the centre rule, overlap, and the box tail that marks the target at the end of a grounding clip."""

import numpy as np
from einops import repeat
from jaxtyping import UInt8

from video4spatial.schema import Box, InputError

TAIL_FRAMES = 20  # paper section 3.3
RED = (255, 0, 0)


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
