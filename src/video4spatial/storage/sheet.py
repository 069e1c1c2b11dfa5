"""Contact sheets: rows of frames with a label each, large enough to be looked at."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path, require_writable

_LABEL = 22
_PAPER, _INK = (250, 250, 248), (40, 40, 44)


def evenly(count: int, shown: int) -> list[int]:
    """``shown`` frame numbers spread over ``count`` frames, first and last among them."""
    return np.round(np.linspace(0, count - 1, min(shown, count))).astype(int).tolist()


def contact_sheet(
    rows: dict[str, UInt8[np.ndarray, "_ _ _ 3"]], columns: int = 8, frame_width: int = 192
) -> UInt8[np.ndarray, "H W 3"]:
    """One labelled row a clip, ``columns`` frames spread over it, scaled to ``frame_width`` pixels."""
    if not rows or not all(len(frames) for frames in rows.values()):
        raise InputError("a contact sheet needs at least one clip, and a frame in each")
    strips = []
    for frames in rows.values():
        height = round(frame_width * frames.shape[1] / frames.shape[2])
        chosen = [Image.fromarray(frames[i]) for i in evenly(len(frames), columns)]
        strips.append([image.resize((frame_width, height), Image.Resampling.BICUBIC) for image in chosen])
    width = columns * (frame_width + 4) + 4
    height = sum(_LABEL + strip[0].height + 6 for strip in strips) + 4
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    top = 2
    for label, strip in zip(rows, strips, strict=True):
        pen.text((6, top + 2), label, fill=_INK, font=font)
        for number, image in enumerate(strip):
            sheet.paste(image, (4 + number * (frame_width + 4), top + _LABEL))
        top += _LABEL + strip[0].height + 6
    return np.asarray(sheet)


def require_image_name(path: str | Path) -> None:
    """Raise ``InputError`` now if ``write_image`` could not write ``path`` later; nothing is made."""
    if Path(path).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{path}: images are written as .png or .jpg: choose such a name")
    require_writable(path)


def write_image(path: str | Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write a PNG or JPEG; the whole file or none."""
    path = Path(path)
    require_image_name(path)
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary)
