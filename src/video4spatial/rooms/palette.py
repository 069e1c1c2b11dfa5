"""The colour words of the rooms, and the woods their furniture is made of."""

import numpy as np

Colour = tuple[float, float, float]

PALETTE: dict[str, Colour] = {
    "red": (0.78, 0.13, 0.11),
    "blue": (0.15, 0.32, 0.70),
    "green": (0.20, 0.50, 0.24),
    "yellow": (0.93, 0.75, 0.16),
    "orange": (0.92, 0.45, 0.12),
    "purple": (0.45, 0.24, 0.58),
    "pink": (0.92, 0.55, 0.64),
    "white": (0.93, 0.92, 0.89),
    "black": (0.09, 0.09, 0.10),
    "gray": (0.47, 0.48, 0.50),
    "brown": (0.45, 0.28, 0.16),
    "beige": (0.82, 0.73, 0.58),
    "teal": (0.12, 0.52, 0.52),
}
"""Colour word -> sRGB in [0, 1]."""

COLOURS: tuple[str, ...] = tuple(PALETTE)

WOODS: dict[str, Colour] = {
    "oak": (0.74, 0.55, 0.36),
    "walnut": (0.42, 0.27, 0.18),
    "pine": (0.88, 0.70, 0.46),
    "white": (0.92, 0.90, 0.86),
    "black": (0.20, 0.19, 0.18),
    "cherry": (0.60, 0.33, 0.20),
}

WALL_PAINTS: tuple[Colour, ...] = (
    (0.93, 0.92, 0.89),
    (0.86, 0.80, 0.70),
    (0.72, 0.80, 0.84),
    (0.76, 0.83, 0.72),
    (0.90, 0.78, 0.72),
    (0.82, 0.82, 0.84),
    (0.92, 0.86, 0.68),
)


def to_linear(colour: Colour) -> Colour:
    """sRGB in [0, 1] to linear light (gamma 2.2)."""
    red, green, blue = colour
    return float(red) ** 2.2, float(green) ** 2.2, float(blue) ** 2.2


_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = _XYZ.sum(1)


def to_lab(linear: np.ndarray) -> np.ndarray:
    """Linear sRGB ``[N, 3]`` to CIELAB ``[N, 3]`` (D65)."""
    relative = np.clip(linear, 0, 1) @ _XYZ.T / _WHITE
    root = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def nearest_colour(linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index into ``COLOURS`` of the word nearest to each linear colour ``[N, 3]``, and its CIELAB distance ``[N]``."""
    words = to_lab(np.array([to_linear(colour) for colour in PALETTE.values()]))
    distance = np.linalg.norm(to_lab(linear)[:, None] - words, axis=-1)
    return distance.argmin(1), distance.min(1)
