"""Bake the light of a room: area lights and sun with soft shadows, then one bounce gathered at every patch."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from video4spatial.rooms.bvh import Hierarchy, build_hierarchy, trace
from video4spatial.rooms.compiled import (
    ALBEDO,
    CASTS_SHADOW,
    DOUBLE_SIDED,
    LIGHTMAP_HEIGHT,
    LIGHTMAP_START,
    LIGHTMAP_WIDTH,
    Scene,
)
from video4spatial.rooms.shading import hash01, inside, sample_lightmap, shell_hit, tangents

_LIFT = 0.004  # metres a shadow ray starts above its surface
_MULLION = 0.04  # part of a pane's width that its frame covers
_STEP_A, _STEP_B = 0.7548776662, 0.5698402910  # the R2 low-discrepancy sequence
_COARSE_SIDE = 64  # largest side of the coarse grid on which bounced light is gathered


class AreaLight(NamedTuple):
    """A parallelogram of light ``centre +- u +- v`` that shines along ``normal`` (all directions if it is zero)."""

    centre: np.ndarray
    u: np.ndarray
    v: np.ndarray
    normal: np.ndarray
    power: np.ndarray
    samples: int


class WindowOpening(NamedTuple):
    """A window in the shell: the wall's patch (2..5), its rectangle in the wall's chart, and its panes."""

    wall: int
    s0: float
    t0: float
    s1: float
    t1: float
    panes_s: int
    panes_t: int


class Sun(NamedTuple):
    """Unit direction towards the sun, and its linear colour (zero: overcast)."""

    direction: np.ndarray
    power: np.ndarray


@njit(cache=True, nogil=True, fastmath=True)
def _through_window(windows, wall, s, t):
    """Whether a point of the shell is glass: inside a window and not on its mullions."""
    clear = False
    for k in range(windows.shape[0]):
        window = windows[k]
        if wall == int(window[0]) and window[1] < s < window[3] and window[2] < t < window[4]:
            a = (s - window[1]) / (window[3] - window[1]) * window[5] % 1.0
            b = (t - window[2]) / (window[4] - window[2]) * window[6] % 1.0
            clear = min(a, 1 - a) > _MULLION and min(b, 1 - b) > _MULLION
    return clear


@njit(cache=True, nogil=True, fastmath=True)
def _area_light(light, bvh, x, y, z, nx, ny, nz, two_sided, noise_a, noise_b):
    """Mean over the light's samples of cos cos / r^2, unoccluded ones only."""
    samples = int(light[15])
    everywhere = light[9] == 0 and light[10] == 0 and light[11] == 0
    total = 0.0
    for k in range(samples):
        a = (noise_a + (k + 0.5) * _STEP_A) % 1.0 * 2 - 1
        b = (noise_b + (k + 0.5) * _STEP_B) % 1.0 * 2 - 1
        dx = light[0] + a * light[3] + b * light[6] - x
        dy = light[1] + a * light[4] + b * light[7] - y
        dz = light[2] + a * light[5] + b * light[8] - z
        squared = dx * dx + dy * dy + dz * dz + 1e-4
        r = math.sqrt(squared)
        received = (nx * dx + ny * dy + nz * dz) / r
        if two_sided:
            received = abs(received)
        sent = 1.0 if everywhere else -(light[9] * dx + light[10] * dy + light[11] * dz) / r
        if received <= 0 or sent <= 0:
            continue
        if trace(bvh, x, y, z, dx / r, dy / r, dz / r, r - 0.02, True)[0] < 0:
            total += received * sent / max(squared, 0.04)
    return total / samples


@njit(cache=True, nogil=True, fastmath=True)
def _sunlight(sun, windows, size, bvh, x, y, z, noise_a, noise_b):
    """Share of four jittered rays to the sun that leave through a window unhindered."""
    share = 0.0
    for k in range(4):
        a = (noise_a + k * 0.25) % 1.0 - 0.5
        b = (noise_b + k * 0.618) % 1.0 - 0.5
        dx, dy, dz = sun[0] + a * 0.03, sun[1] + b * 0.03, sun[2] + (a - b) * 0.02
        wall, s, t, distance = shell_hit(size, x, y, z, dx, dy, dz)
        if _through_window(windows, wall, s, t) and trace(bvh, x, y, z, dx, dy, dz, distance, True)[0] < 0:
            share += 0.25
    return share


@njit(cache=True, nogil=True, fastmath=True)
def _bake_direct(points, normals, texel_patch, patch_int, size, lights, windows, sun, bvh, lightmap, seed):
    """Add the light of lamps, windows and sun to every texel of ``lightmap``."""
    for i in range(points.shape[0]):
        nx, ny, nz = normals[i]
        x, y, z = points[i, 0] + nx * _LIFT, points[i, 1] + ny * _LIFT, points[i, 2] + nz * _LIFT
        noise_a, noise_b = hash01(i, seed), hash01(i, seed + 77)
        two_sided = patch_int[texel_patch[i], DOUBLE_SIDED] == 1
        for k in range(lights.shape[0]):
            light = _area_light(lights[k], bvh, x, y, z, nx, ny, nz, two_sided, noise_a, noise_b)
            for c in range(3):
                lightmap[i, c] += light * lights[k, 12 + c]
        received = nx * sun[0] + ny * sun[1] + nz * sun[2]
        if two_sided:
            received = abs(received)
        if received > 0 and sun[3] > 0:
            share = _sunlight(sun, windows, size, bvh, x, y, z, noise_a, noise_b)
            for c in range(3):
                lightmap[i, c] += share * received * sun[3 + c]


@njit(cache=True, nogil=True)
def _coarse_size(side, other):
    """Texels along a side of the coarse grid: all of a small patch, a quarter of a large one."""
    if side <= 9 and other <= 9:
        return side
    return min(max(2, (side + 6) // 4), _COARSE_SIDE)


@njit(cache=True, nogil=True, fastmath=True)
def _gather(i, points, normals, patch_int, patch_float, size, bvh, triangles, triangle_patch, charts, lightmap,
            ambient, rays, seed):  # fmt: skip
    """Mean light that reaches texel ``i`` from the surfaces around it, over cosine-distributed rays."""
    nx, ny, nz = normals[i]
    x, y, z = points[i, 0] + nx * _LIFT, points[i, 1] + ny * _LIFT, points[i, 2] + nz * _LIFT
    ux, uy, uz, vx, vy, vz = tangents(nx, ny, nz)
    noise_a, noise_b = hash01(i, seed + 3), hash01(i, seed + 5)
    red, green, blue = 0.0, 0.0, 0.0
    for k in range(rays):
        squared = (noise_a + k * _STEP_A) % 1.0
        angle = (noise_b + k * _STEP_B) % 1.0 * 2 * math.pi
        radius, up = math.sqrt(squared), math.sqrt(1 - squared)
        a, b = radius * math.cos(angle), radius * math.sin(angle)
        dx, dy, dz = ux * a + vx * b + nx * up, uy * a + vy * b + ny * up, uz * a + vz * b + nz * up
        patch, s, t, distance = shell_hit(size, inside(x, size[0]), inside(y, size[1]), inside(z, size[2]), dx, dy, dz)
        hit, _, w1, w2 = trace(bvh, x, y, z, dx, dy, dz, distance, False)
        if hit >= 0:
            triangle = bvh.source[hit]
            patch = triangle_patch[triangle]
            v0, v1, v2 = triangles[triangle]
            s = charts[v0, 0] * (1 - w1 - w2) + charts[v1, 0] * w1 + charts[v2, 0] * w2
            t = charts[v0, 1] * (1 - w1 - w2) + charts[v1, 1] * w1 + charts[v2, 1] * w2
        light_r, light_g, light_b = sample_lightmap(lightmap, patch_int, patch, s, t)
        red += (light_r + ambient[0]) * patch_float[patch, ALBEDO]
        green += (light_g + ambient[1]) * patch_float[patch, ALBEDO + 1]
        blue += (light_b + ambient[2]) * patch_float[patch, ALBEDO + 2]
    return red / rays, green / rays, blue / rays


@njit(cache=True, nogil=True, fastmath=True)
def _bake_bounce(points, normals, patch_int, patch_float, size, bvh, triangles, triangle_patch, charts, lightmap,
                 lit, ambient, rays, seed):  # fmt: skip
    """Write ``lightmap`` plus one diffuse bounce to ``lit``; the bounce is gathered on a grid four times coarser."""
    coarse = np.zeros((_COARSE_SIDE * _COARSE_SIDE, 3))
    for patch in range(patch_int.shape[0]):
        start = patch_int[patch, LIGHTMAP_START]
        width, height = patch_int[patch, LIGHTMAP_WIDTH], patch_int[patch, LIGHTMAP_HEIGHT]
        coarse_w, coarse_h = _coarse_size(width, height), _coarse_size(height, width)
        for a in range(coarse_w):
            for b in range(coarse_h):
                row = round(a * (width - 1) / (coarse_w - 1))
                column = round(b * (height - 1) / (coarse_h - 1))
                red, green, blue = _gather(
                    start + row * height + column, points, normals, patch_int, patch_float, size, bvh, triangles,
                    triangle_patch, charts, lightmap, ambient, rays, seed,
                )  # fmt: skip
                k = a * coarse_h + b
                coarse[k, 0], coarse[k, 1], coarse[k, 2] = red, green, blue
        for a in range(width):
            for b in range(height):
                x, y = a / (width - 1) * (coarse_w - 1), b / (height - 1) * (coarse_h - 1)
                i, j = min(int(x), coarse_w - 2), min(int(y), coarse_h - 2)
                x -= i
                y -= j
                k = i * coarse_h + j
                texel = start + a * height + b
                for c in range(3):
                    low = coarse[k, c] * (1 - y) + coarse[k + 1, c] * y
                    high = coarse[k + coarse_h, c] * (1 - y) + coarse[k + coarse_h + 1, c] * y
                    lit[texel, c] = lightmap[texel, c] + low * (1 - x) + high * x


def _smooth_shell(scene: Scene, lightmap: np.ndarray) -> None:
    """Blur the floor, ceiling and walls by a 3x3 binomial: the sampling grain shows most there."""
    for patch in range(6):
        start, width, height = scene.patch_int[patch, LIGHTMAP_START : LIGHTMAP_HEIGHT + 1]
        block = lightmap[start : start + width * height].reshape(width, height, 3)
        padded = np.pad(block, ((1, 1), (1, 1), (0, 0)), "edge")
        padded = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
        padded = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
        lightmap[start : start + width * height] = padded.reshape(-1, 3)


def casters(scene: Scene) -> Hierarchy:
    """The hierarchy over everything that casts a shadow."""
    source = np.nonzero(scene.patch_int[scene.triangle_patch, CASTS_SHADOW])[0]
    return build_hierarchy(scene.vertices, scene.triangles, source)


def bake(
    scene: Scene, lights: list[AreaLight], windows: list[WindowOpening], sun: Sun, seed: int, rays: int = 32
) -> None:
    """Light a scene in place: fills ``lightmap`` and ``windows``; ``rays`` are gathered a texel for the bounce."""
    bvh = casters(scene)
    noise_seed = seed % 2**31
    light_rows = np.array([np.concatenate([*light[:5], [light.samples]]) for light in lights], np.float64)
    window_rows = np.array(windows, np.float64).reshape(-1, 7)
    sun_row = np.concatenate(sun).astype(np.float64)
    lightmap = np.zeros((len(scene.texel_points), 3), np.float32)
    _bake_direct(
        scene.texel_points, scene.texel_normals, scene.texel_patch, scene.patch_int, scene.room_size,
        light_rows.reshape(-1, 16), window_rows, sun_row, bvh, lightmap, noise_seed,
    )  # fmt: skip
    _smooth_shell(scene, lightmap)
    # what further bounces would add, taken as even: a geometric series in the shell's mean albedo
    albedo = scene.patch_float[:6, ALBEDO : ALBEDO + 3].mean()
    ambient = lightmap[scene.texel_patch < 6].mean(0).astype(np.float64) * albedo / (1 - albedo)
    lit = np.empty_like(lightmap)
    _bake_bounce(
        scene.texel_points, scene.texel_normals, scene.patch_int, scene.patch_float, scene.room_size, bvh,
        scene.triangles, scene.triangle_patch, scene.charts, lightmap, lit, ambient, rays, noise_seed,
    )  # fmt: skip
    scene.lightmap = lit
    scene.windows = window_rows
