"""Textures that tile: cloth, wood, walls and floors. Each takes a canvas and returns sRGB ``[SIZE, SIZE, 3]``."""

from collections.abc import Callable

import numpy as np

from video4spatial.rooms.textures.canvas import SIZE, Canvas, grey


def plain(canvas: Canvas) -> np.ndarray:
    return grey(0.95 + 0.012 * canvas.noise(0.6))


def plaster(canvas: Canvas) -> np.ndarray:
    return grey(0.95 + 0.008 * canvas.noise(1.2) + 0.010 * canvas.noise(0.2))


def wood(canvas: Canvas) -> np.ndarray:
    grain = canvas.noise(1.2, 14)
    rings = np.sin(2 * np.pi * (9 * canvas.y + 0.25 * canvas.noise(1.6, 5)))
    return grey(0.86 + 0.06 * grain + 0.03 * rings)


def fabric(canvas: Canvas) -> np.ndarray:
    weave = np.sin(canvas.x * SIZE * np.pi / 2) * np.sin(canvas.y * SIZE * np.pi / 2)
    return grey(0.88 + 0.05 * weave + 0.05 * canvas.noise(0.4))


def plaid(canvas: Canvas) -> np.ndarray:
    def bands(along: np.ndarray) -> np.ndarray:
        broad = np.abs((along * 4) % 1 - 0.5) < 0.14
        narrow = np.abs((along * 4 + 0.35) % 1 - 0.5) < 0.03
        return broad * 0.22 + narrow * 0.2

    return grey(0.97 - bands(canvas.x) - bands(canvas.y) + 0.03 * canvas.noise(0.3))


def stripes(canvas: Canvas) -> np.ndarray:
    count = canvas.rng.integers(3, 8)
    dark = np.sin(2 * np.pi * count * canvas.x) > canvas.rng.uniform(-0.5, 0.5)
    return grey(0.95 - 0.16 * dark + 0.015 * canvas.noise(0.5))


def dots(canvas: Canvas) -> np.ndarray:
    column = (canvas.x * 8).astype(int)
    radius = np.hypot((canvas.x * 8) % 1 - 0.5, (canvas.y * 8 + 0.5 * (column % 2)) % 1 - 0.5)
    return grey(0.95 - 0.25 * (radius < 0.22) + 0.01 * canvas.noise(0.5))


def damask(canvas: Canvas) -> np.ndarray:
    x, y = 2 * np.pi * canvas.x, 2 * np.pi * canvas.y
    ornament = np.sin(3 * x) * np.sin(2 * y) + 0.6 * np.cos(6 * x) * np.cos(4 * y)
    return grey(0.93 - 0.11 * (np.abs(ornament) > 0.45) + 0.012 * canvas.noise(0.5))


def carpet(canvas: Canvas) -> np.ndarray:
    return grey(0.80 + 0.10 * canvas.noise(0.15) + 0.05 * canvas.noise(1.2))


def leather(canvas: Canvas) -> np.ndarray:
    return grey(0.9 + 0.04 * canvas.noise(0.7) + 0.04 * canvas.noise(1.6))


def concrete(canvas: Canvas) -> np.ndarray:
    return grey(0.78 + 0.06 * canvas.noise(1.5) + 0.03 * canvas.noise(0.3))


def marble(canvas: Canvas) -> np.ndarray:
    veins = np.exp(-np.abs(canvas.noise(1.7)) * 9)
    return grey(0.97 - 0.16 * veins - 0.03 * np.abs(canvas.noise(1.2)))


def metal(canvas: Canvas) -> np.ndarray:
    return grey(0.85 + 0.05 * canvas.noise(0.8, 0.05))


def curtain(canvas: Canvas) -> np.ndarray:
    return grey(0.80 + 0.17 * np.sin(2 * np.pi * (10 * canvas.x + 0.05 * canvas.noise(2))))


def basket(canvas: Canvas) -> np.ndarray:
    column = (canvas.x * 48).astype(int)
    return grey(0.80 + 0.18 * np.sin(canvas.x * 48 * np.pi) * np.sin(canvas.y * 24 * np.pi + np.pi * (column % 2)))


def planks(canvas: Canvas) -> np.ndarray:
    rows = (8, 12, 16)[canvas.variant % 3]
    row = (canvas.y * rows).astype(int)
    shift = canvas.rng.random(rows)[row]
    board = ((canvas.x + shift) * 2 % 2).astype(int)
    tone = canvas.rng.normal(0.82, 0.075, (rows, 2))[row, board]
    texel = np.arange(SIZE)
    grain = canvas.noise(1.15, 16)
    grain = grain[(texel[:, None] + 37 * board) % SIZE, (texel[None] + (shift * 999).astype(int)) % SIZE]
    joint = (canvas.y * rows % 1 < 0.035 * rows / 8) | (((canvas.x + shift) * 2 % 1) < 0.008)
    return grey((tone + 0.05 * grain) * np.where(joint, 0.62, 1))


def parquet(canvas: Canvas) -> np.ndarray:
    blocks, staves = 4, 5
    column = (canvas.x * blocks).astype(int)
    row = (canvas.y * blocks).astype(int)
    upright = (column + row) % 2
    across = np.where(upright, canvas.x, canvas.y) * blocks % 1 * staves
    tone = canvas.rng.normal(0.82, 0.07, (blocks, blocks, staves))[row, column, across.astype(int)]
    grain = np.where(upright, canvas.noise(1.15, 12).T, canvas.noise(1.15, 12))
    joint = (across % 1 < 0.07) | (canvas.x * blocks % 1 < 0.015) | (canvas.y * blocks % 1 < 0.015)
    return grey((tone + 0.04 * grain) * np.where(joint, 0.6, 1))


def tiles(canvas: Canvas) -> np.ndarray:
    count = (4, 4, 3)[canvas.variant % 3]
    column = (canvas.x * count).astype(int)
    row = (canvas.y * count).astype(int)
    tone = 0.92 + 0.03 * canvas.rng.standard_normal((count, count))[row, column] + 0.03 * canvas.noise(1.6)
    if canvas.variant % 4 == 1:  # a checkerboard
        tone = np.where((column + row) % 2, tone, 0.35 + 0.03 * canvas.noise(1.6))
    joint = (canvas.x * count % 1 < 0.03) | (canvas.y * count % 1 < 0.03)
    return grey(np.where(joint, 0.55, tone))


def brick(canvas: Canvas) -> np.ndarray:
    rows = 12
    row = (canvas.y * rows).astype(int)
    along = canvas.x * 5 + 0.5 * (row % 2)
    tone = canvas.rng.normal(0.82, 0.08, (rows, 6))[row, along.astype(int) % 5]
    mortar = (along % 1 < 0.05) | (canvas.y * rows % 1 < 0.12)
    bricks = np.stack([tone, tone * 0.62, tone * 0.52], -1) + 0.04 * grey(canvas.noise(0.8))
    return np.where(mortar[..., None], 0.8, bricks)


SURFACES: dict[str, Callable[[Canvas], np.ndarray]] = {
    painter.__name__: painter
    for painter in (
        plain,
        plaster,
        wood,
        fabric,
        plaid,
        stripes,
        dots,
        damask,
        carpet,
        leather,
        concrete,
        marble,
        metal,
        curtain,
        basket,
        planks,
        parquet,
        tiles,
        brick,
    )
}
