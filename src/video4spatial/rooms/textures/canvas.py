"""What every texture is painted with: a grid of coordinates, a generator of its own, and periodic noise."""

import zlib
from dataclasses import dataclass, field

import numpy as np

from video4spatial.rooms.palette import PALETTE

SIZE = 256
"""Side of every texture in texels."""


def fractal_noise(rng: np.random.Generator, slope: float = 1.0, stretch: float = 1.0) -> np.ndarray:
    """Periodic 1/f^slope noise ``[SIZE, SIZE]`` of unit deviation; ``stretch`` > 1 draws it out along u."""
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)[None] * stretch) * SIZE
    frequency[0, 0] = 1e9
    spectrum = np.fft.fft2(rng.standard_normal((SIZE, SIZE))) / np.maximum(frequency, 1) ** slope
    values = np.fft.ifft2(spectrum).real
    return values / values.std()


def grey(values: np.ndarray) -> np.ndarray:
    """Repeat a ``[H, W]`` image into three channels."""
    return np.repeat(np.asarray(values, float)[..., None], 3, -1)


@dataclass
class Canvas:
    """Coordinates ``x``, ``y`` in [0, 1) (row 0 is the bottom) and the random generator of one texture."""

    kind: str
    variant: int
    rng: np.random.Generator = field(init=False)
    x: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.variant, zlib.crc32(self.kind.encode())])
        self.y, self.x = np.mgrid[0:SIZE, 0:SIZE] / SIZE

    def noise(self, slope: float = 1.0, stretch: float = 1.0) -> np.ndarray:
        return fractal_noise(self.rng, slope, stretch)

    def colour(self) -> np.ndarray:
        """A random palette colour ``[3]``."""
        return np.array(list(PALETTE.values())[self.rng.integers(len(PALETTE))])

    def edge_distance(self) -> np.ndarray:
        """Distance to the nearest border of the texture."""
        across = np.minimum(self.x, 1 - self.x)
        return np.minimum(across, np.minimum(self.y, 1 - self.y))
