"""A video's folders of files, each named ``<video_id>_<seconds>.<suffix>``: found by time, read one by one.

Source: ARKitScenes DATA.md, raw/README.md, tenFpsDataLoader.py. Times have three decimals; streams of one camera share
them, up to the last decimal.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int, Integer
from PIL import Image, UnidentifiedImageError

from video4spatial.data.scene import BadScene
from video4spatial.schema import Intrinsics


class TimedFiles:
    """The files of a folder in the order of their times (``times`` float64 ``[N]``, seconds); none if it is missing."""

    def __init__(self, folder: Path, video_id: str, suffix: str) -> None:
        self.folder = folder
        found = []
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.suffix != suffix or path.name.startswith("."):
                continue
            name, _, seconds = path.stem.rpartition("_")
            try:
                found.append((float(seconds), path))
            except ValueError:
                name = ""
            if name != video_id:
                raise BadScene(f"{path} is not named {video_id}_SECONDS{suffix}: move it elsewhere")
        found.sort()
        self.times: Float64[np.ndarray, " N"] = np.array([seconds for seconds, _ in found], dtype=np.float64)
        self.paths = [path for _, path in found]

    def __len__(self) -> int:
        return len(self.paths)

    def nearest(self, times: Float64[np.ndarray, " T"], within: float) -> Int[np.ndarray, " T"]:
        """The number of the file nearest to each time; -1 where none lies ``within`` that many seconds."""
        if not len(self):
            return np.full(len(times), -1)
        right = np.clip(np.searchsorted(self.times, times), 0, len(self) - 1)
        left = np.clip(right - 1, 0, None)
        nearest = np.where(np.abs(times - self.times[left]) <= np.abs(times - self.times[right]), left, right)
        return np.where(np.abs(times - self.times[nearest]) <= within + 1e-6, nearest, -1)

    def size(self) -> tuple[int, int]:
        """``(width, height)`` of the first image, by its header."""
        try:
            with Image.open(self.paths[0]) as image:
                return image.size
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise BadScene(f"{self.paths[0]} cannot be read as an image ({error}): fetch it again") from None


def read_measured(path: Path, size: tuple[int, int], sixteen_bits: bool) -> Integer[np.ndarray, "H W"]:
    """A PNG of one channel, ``size`` (width, height): depth in millimetres (16 bits) or confidence 0 to 2 (8 bits)."""
    try:
        with Image.open(path) as image:
            mode, values = image.mode, np.array(image)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadScene(f"{path} cannot be read as an image ({error}): fetch it again") from None
    if mode not in (("I;16", "I;16B", "I") if sixteen_bits else ("L", "P", "1")):
        raise BadScene(f"{path} is an image of mode {mode}, not {16 if sixteen_bits else 8} bits in one channel")
    if values.shape != size[::-1]:
        raise BadScene(f"{path} is {values.shape[1]}x{values.shape[0]}, but others are {size[0]}x{size[1]}")
    return values


def read_pincam(path: Path) -> Intrinsics:
    """``width height fx fy cx cy`` on one line. The principal point is measured from the image's corner [I]."""
    try:
        width, height, *lens = [float(word) for word in path.read_text(encoding="ascii").split()]
        fx, fy, cx, cy = lens
    except OSError as error:
        raise BadScene(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise BadScene(f"{path} does not hold six numbers (width height fx fy cx cy): fetch it again") from None
    if not np.isfinite([width, height, *lens]).all() or min(width, height, fx, fy) <= 0:
        raise BadScene(f"{path} holds a lens that cannot be: fetch it again")
    return Intrinsics(fx, fy, cx, cy, int(width), int(height))
