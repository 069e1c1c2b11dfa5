"""Textures that fill one face once: book spines, rugs, paintings, skies, screens. sRGB ``[SIZE, SIZE, 3]`` each."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from video4spatial.rooms.textures.canvas import SIZE, Canvas, grey


def books(canvas: Canvas) -> np.ndarray:
    """A row of spines with a title band each."""
    rng = canvas.rng
    image = np.zeros((SIZE, SIZE, 3))
    left = 0
    while left < SIZE:
        width = rng.integers(7, 20)
        height = rng.integers(200, 256)
        image[:height, left : left + width] = canvas.colour() * rng.uniform(0.6, 1)
        image[:height, left : left + 1] *= 0.5
        band = rng.integers(20, 170)
        title = np.clip(canvas.colour() + 0.1, 0, 1)
        image[band : band + rng.integers(8, 40), left + 2 : left + width - 2] = title
        left += width
    return image


def rug(canvas: Canvas) -> np.ndarray:
    """Three colours in one of four patterns, with a border."""
    rng, x, y = canvas.rng, canvas.x, canvas.y
    first, second, third = canvas.colour(), canvas.colour(), canvas.colour()
    style = canvas.variant % 4
    if style == 0:
        wave = np.sin(2 * np.pi * rng.integers(3, 7) * (np.abs(x - 0.5) + np.abs(y - 0.5)))
    elif style == 1:
        wave = np.sin(2 * np.pi * 5 * y)
    elif style == 2:
        wave = np.sin(2 * np.pi * 4 * x) * np.sin(2 * np.pi * 4 * y)
    else:
        wave = np.cos(2 * np.pi * rng.integers(4, 8) * np.hypot(x - 0.5, y - 0.5))
    image = np.where((wave > 0.2)[..., None], first, np.where((wave < -0.5)[..., None], third, second))
    edge = canvas.edge_distance()[..., None]
    image = np.where((edge < 0.09) & (edge > 0.03), third, np.where(edge <= 0.03, first, image))
    return image * grey(0.9 + 0.09 * canvas.noise(0.15))


def art(canvas: Canvas) -> np.ndarray:
    """A landscape, a field of discs or a field of rectangles behind a mount."""
    rng, x, y = canvas.rng, canvas.x, canvas.y
    bottom, top = canvas.colour(), canvas.colour()
    image = bottom + (top - bottom) * grey(np.clip(y + 0.15 * canvas.noise(1.8), 0, 1))
    style = canvas.variant % 3
    if style == 0:
        for layer in range(4):
            ridge = 0.75 - 0.16 * layer + 0.08 * np.cumsum(rng.standard_normal(SIZE))[None] / 9
            image[y < ridge] = canvas.colour() * (1 - 0.12 * layer)
    elif style == 1:
        for _ in range(7):
            image[np.hypot(x - rng.random(), y - rng.random()) < rng.uniform(0.05, 0.22)] = canvas.colour()
    else:
        for _ in range(9):
            left, low = rng.uniform(0, 0.8, 2)
            inside = (x > left) & (x < left + rng.uniform(0.1, 0.4)) & (y > low) & (y < low + rng.uniform(0.1, 0.4))
            image[inside] = canvas.colour()
    image[canvas.edge_distance() < 0.1] = 0.93
    return image * grey(0.97 + 0.03 * canvas.noise(0.8))


def sky(canvas: Canvas) -> np.ndarray:
    """The view from a window: a cloudy sky over hills (odd variants) or roofs (even ones)."""
    image = haze(canvas) + grey(0.10 * np.clip(canvas.noise(1.7), -1, 2) * canvas.y)
    hills = canvas.variant % 2 == 1
    ground = np.array([0.30, 0.42, 0.24]) if hills else np.array([0.55, 0.52, 0.52])
    for layer in range(3):
        if hills:
            ridge = ndimage.gaussian_filter1d(canvas.rng.standard_normal(SIZE), 2, mode="wrap")
            height = 0.12 + 0.10 * (2 - layer) + 0.08 * ridge
        else:
            height = np.repeat(0.10 + 0.13 * (2 - layer) + 0.08 * canvas.rng.random(16), SIZE // 16)
        image[canvas.y < height[None]] = ground * (0.8 + 0.25 * (2 - layer))
    return image


def haze(canvas: Canvas) -> np.ndarray:
    """A clear sky and nothing else."""
    y = canvas.y
    return np.stack([0.62 - 0.30 * y, 0.80 - 0.22 * y, 0.98 - 0.06 * y], -1)


def tv(canvas: Canvas) -> np.ndarray:
    """A dark screen (even variants) or a picture on it (odd ones)."""
    if canvas.variant % 2 == 0:
        return grey(0.03 + 0.05 * np.clip(canvas.x + canvas.y - 0.9, 0, 1))
    shown = art(Canvas("art", canvas.variant + 1))
    inner = np.clip((0.1 + np.arange(SIZE) / SIZE * 0.8) * SIZE, 0, SIZE - 1).astype(int)
    return shown[inner[:, None], inner[None]]


def keys(canvas: Canvas) -> np.ndarray:
    """A computer keyboard."""
    return grey(np.where((canvas.x * 14 % 1 < 0.06) | (canvas.y * 5 % 1 < 0.1), 0.25, 0.9))


def piano(canvas: Canvas) -> np.ndarray:
    """Four octaves of white and black keys."""
    place = canvas.x * 28
    has_black = ~np.isin(place.astype(int) % 7, (0, 3))
    black = (canvas.y > 0.4) & (np.abs(place % 1 - 0.02) < 0.28) & has_black
    return grey(np.where(place % 1 < 0.06, 0.3, np.where(black, 0.05, 0.93)))


def door(canvas: Canvas) -> np.ndarray:
    """Two recessed panels."""
    x, y = canvas.x, canvas.y
    image = np.full((SIZE, SIZE), 0.93)
    for low, high in ((0.07, 0.45), (0.52, 0.93)):
        for inset, tone in ((0.0, 0.72), (0.02, 0.98)):
            rows = (y > low + inset) & (y < high - inset)
            image[rows & (x > 0.14 + inset * 2) & (x < 0.86 - inset * 2)] = tone
    return grey(image + 0.01 * canvas.noise(0.6, 8))


def leafy(canvas: Canvas) -> np.ndarray:
    """A leaf with a bright midrib."""
    return grey(0.75 + 0.2 * np.exp(-(((canvas.x - 0.5) / 0.08) ** 2)) + 0.06 * canvas.noise(1.0))


def clock(canvas: Canvas) -> np.ndarray:
    """A dial with twelve marks and two hands."""
    x, y = canvas.x - 0.5, canvas.y - 0.5
    radius = np.hypot(x, y)
    image = np.where(radius < 0.46, 0.96, 0.12)
    image[(radius > 0.36) & (radius < 0.43) & (np.abs(np.sin(6 * np.arctan2(y, x))) < 0.12)] = 0.1
    for length in (0.22, 0.34):
        angle = canvas.rng.uniform(0, 2 * np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        off = np.abs(y * np.cos(angle) - x * np.sin(angle))
        image[(off < 0.018) & (along > 0) & (radius < length)] = 0.1
    return grey(image)


PICTURES: dict[str, Callable[[Canvas], np.ndarray]] = {
    painter.__name__: painter for painter in (books, rug, art, sky, haze, tv, keys, piano, door, leafy, clock)
}
