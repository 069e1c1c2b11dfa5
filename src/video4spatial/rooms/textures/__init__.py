"""Procedural textures: painted once a process, mip-mapped, collected in an atlas a room."""

from functools import lru_cache

import numpy as np

from video4spatial.rooms.textures.canvas import SIZE, Canvas
from video4spatial.rooms.textures.pictures import PICTURES
from video4spatial.rooms.textures.surfaces import SURFACES

LEVELS = 6
"""Mip levels: 256, 128, ... 8 texels."""

LEVEL_START = np.cumsum([0] + [(SIZE >> level) ** 2 for level in range(LEVELS)]).astype(np.int64)
"""Where each level starts in a flattened mip chain."""

SOFT = "soft "
"""Prefix of a kind whose contrast is turned down to a third."""

KINDS: tuple[str, ...] = (*SURFACES, *PICTURES)


def paint(kind: str, variant: int) -> np.ndarray:
    """The sRGB texture ``[SIZE, SIZE, 3]`` in [0, 1] of a kind (with or without ``SOFT``); row 0 is the bottom."""
    base = kind.removeprefix(SOFT)
    painter = SURFACES.get(base) or PICTURES[base]
    image = np.clip(painter(Canvas(base, variant)), 0, 1)
    if kind.startswith(SOFT):
        mean = image.mean((0, 1))
        image = mean + (image - mean) / 3
    return image


def mip_chain(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sRGB ``[SIZE, SIZE, 3]`` to its flattened mip chain, uint8 ``[texels, 3]``, and its mean linear colour ``[3]``.

    Texels are stored as the square root of linear light, so that a shader gets linear light by squaring.
    """
    linear = np.clip(image, 0, 1).astype(np.float32) ** 2.2
    mean = linear.mean((0, 1))
    levels = []
    for _ in range(LEVELS):
        levels.append((linear**0.5 * 255 + 0.5).astype(np.uint8).reshape(-1, 3))
        linear = (linear[::2, ::2] + linear[1::2, ::2] + linear[::2, 1::2] + linear[1::2, 1::2]) / 4
    return np.concatenate(levels), mean


@lru_cache(maxsize=300)
def _painted_chain(kind: str, variant: int) -> tuple[np.ndarray, np.ndarray]:
    return mip_chain(paint(kind, variant))


class TextureAtlas:
    """The textures of one room; the mean linear colour of each feeds the bounced light."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, int], int] = {}
        self._chains: list[np.ndarray] = []
        self._means: list[np.ndarray] = []

    def index(self, kind: str, variant: int) -> int:
        """The id of a texture in this atlas, painting it if it is new."""
        key = (kind, variant)
        if key not in self._ids:
            chain, mean = _painted_chain(kind, variant)
            self._ids[key] = len(self._chains)
            self._chains.append(chain)
            self._means.append(mean)
        return self._ids[key]

    @property
    def chains(self) -> np.ndarray:
        """All mip chains, uint8 ``[textures, texels, 3]``."""
        return np.stack(self._chains)

    @property
    def means(self) -> np.ndarray:
        """Mean linear colours ``[textures, 3]``."""
        return np.array(self._means)
