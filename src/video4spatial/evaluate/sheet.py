"""Contact sheets: a row of frames a video, for a person to look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path

_FRAME_WIDTH = 192  # pixels that small frames are brought up to, at least
_LABEL = 20
_GAP = 2


def spread(frames: UInt8[np.ndarray, "T H W 3"], count: int) -> UInt8[np.ndarray, "N H W 3"]:
    """``count`` frames spread evenly from the first to the last; all of them if there are fewer."""
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]


def contact_sheet(rows: Mapping[str, Sequence[np.ndarray] | np.ndarray], path: str | Path) -> None:
    """Write a PNG: each row a label and its uint8 ``[H, W, 3]`` frames side by side, enlarged by a whole factor.

    Raises ``InputError`` if there are no rows, a row has no frames, frames differ in size, or ``path`` is no place for
    a PNG.
    """
    path = Path(path)
    sizes = {frame.shape for frames in rows.values() for frame in frames}
    if len(sizes) != 1 or not all(len(frames) for frames in rows.values()):
        raise InputError(f"{path}: a sheet needs rows of frames of one size, not of {sorted(sizes)}")
    if path.suffix != ".png":
        raise InputError(f"{path}: sheets are written as .png: choose such a name")
    height, width, _ = next(iter(sizes))
    scale = max(1, -(-_FRAME_WIDTH // width))
    cell_x, cell_y = width * scale + _GAP, height * scale + _LABEL
    columns = max(len(frames) for frames in rows.values())
    sheet = Image.new("RGB", (columns * cell_x + _GAP, len(rows) * cell_y + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for row, (label, frames) in enumerate(rows.items()):
        pen.text((_GAP + 2, row * cell_y + 2), label, fill="black", font=font)
        for column, frame in enumerate(frames):
            large = Image.fromarray(frame).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
            sheet.paste(large, (_GAP + column * cell_x, row * cell_y + _LABEL))
    with atomic_path(path) as temporary:
        sheet.save(temporary)
