"""What lighting and drawing share: the room's box seen from inside, lightmap look-ups, and hashed noise."""

import math

import numpy as np
from numba import njit

from video4spatial.rooms.compiled import LIGHTMAP_HEIGHT, LIGHTMAP_START, LIGHTMAP_WIDTH

WHITE_POINT_GAIN = 0.12
SHOULDER = 0.72


@njit(cache=True, nogil=True)
def hash01(index, salt):
    """A number in [0, 1) from two integers (PCG's output permutation)."""
    state = (index * 747796405 + salt * 2891336453 + 12345) & 0xFFFFFFFF
    state = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) & 0xFFFFFFFF
    state = ((state >> 22) ^ state) * 2654435769 & 0xFFFFFFFF
    return ((state >> 9) ^ (state >> 3) & 0x7FFFFF) / 8388608.0 % 1.0


@njit(cache=True, nogil=True, fastmath=True)
def shell_hit(size, x, y, z, dx, dy, dz):
    """Where a ray from inside the room leaves it: shell patch 0..5, its chart (s, t), the distance."""
    far = 1e9
    to_x = (size[0] - x) / dx if dx > 1e-9 else (-x / dx if dx < -1e-9 else far)
    to_y = (size[1] - y) / dy if dy > 1e-9 else (-y / dy if dy < -1e-9 else far)
    to_z = (size[2] - z) / dz if dz > 1e-9 else (-z / dz if dz < -1e-9 else far)
    distance = min(to_x, to_y, to_z)
    a = (x + distance * dx) / size[0]
    b = (y + distance * dy) / size[1]
    c = (z + distance * dz) / size[2]
    if distance == to_z:
        return (0, a, b, distance) if dz < 0 else (1, 1 - a, b, distance)
    if distance == to_y:
        return (2, 1 - a, c, distance) if dy < 0 else (3, a, c, distance)
    return (4, b, c, distance) if dx < 0 else (5, 1 - b, c, distance)


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def inside(value, limit):
    """Clamp a coordinate to the inside of [0, limit], a millimetre from the walls."""
    return min(max(value, 0.001), limit - 0.001)


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def sample_lightmap(lightmap, patch_int, patch, s, t):
    """Bilinear light (r, g, b) of a patch at the chart position (s, t)."""
    width, height = patch_int[patch, LIGHTMAP_WIDTH], patch_int[patch, LIGHTMAP_HEIGHT]
    x = min(max(s, 0.0), 1.0) * (width - 1)
    y = min(max(t, 0.0), 1.0) * (height - 1)
    i, j = min(int(x), width - 2), min(int(y), height - 2)
    x -= i
    y -= j
    # unsigned indices spare numba the test for negative ones
    k0 = np.uint64(patch_int[patch, LIGHTMAP_START] + i * height + j)
    k1 = k0 + np.uint64(1)
    k2 = k0 + np.uint64(height)
    k3 = k2 + np.uint64(1)
    w0, w1, w2, w3 = (1 - x) * (1 - y), (1 - x) * y, x * (1 - y), x * y
    return (
        lightmap[k0, 0] * w0 + lightmap[k1, 0] * w1 + lightmap[k2, 0] * w2 + lightmap[k3, 0] * w3,
        lightmap[k0, 1] * w0 + lightmap[k1, 1] * w1 + lightmap[k2, 1] * w2 + lightmap[k3, 1] * w3,
        lightmap[k0, 2] * w0 + lightmap[k1, 2] * w1 + lightmap[k2, 2] * w2 + lightmap[k3, 2] * w3,
    )


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def tangents(nx, ny, nz):
    """Two unit vectors that complete a normal to a frame."""
    if abs(nz) < 0.9:
        ux, uy, uz = -ny, nx, 0.0
    else:
        ux, uy, uz = 0.0, -nz, ny
    scale = 1 / math.sqrt(ux * ux + uy * uy + uz * uz)
    ux, uy, uz = ux * scale, uy * scale, uz * scale
    return ux, uy, uz, ny * uz - nz * uy, nz * ux - nx * uz, nx * uy - ny * ux


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def tone_map(light):
    """Exposed linear light to [0, 1], with a shoulder that keeps windows from clipping hard."""
    return min(light * (1 + light * WHITE_POINT_GAIN) / (1 + light * SHOULDER), 1.0)
