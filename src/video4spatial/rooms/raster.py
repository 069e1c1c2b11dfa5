"""The z-buffer renderer: homogeneous edge functions, so that triangles need no clipping (Olano and Greer, "Triangle
Scan Conversion using 2D Homogeneous Coordinates", 1997), and shading once a patch and pixel."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from video4spatial.rooms.compiled import (
    ALBEDO,
    DOUBLE_SIDED,
    EMISSION,
    GLOSS,
    OBJECT,
    TEXELS_PER_METRE,
    TEXTURE,
    TINT,
    Scene,
)
from video4spatial.rooms.shading import inside, sample_lightmap, shell_hit, tone_map
from video4spatial.rooms.textures import LEVEL_START, LEVELS, SIZE
from video4spatial.schema import InputError, Intrinsics

_NEAR = 0.02  # metres
_MOST_INVERSE_DEPTH = 1 / _NEAR
_COARSEST = LEVELS - 1
_BLUR = 1.4  # texels a pixel may span before the next mip level is taken
_GAMMA_STEPS = 4096
_GAMMA = (255 * (np.arange(_GAMMA_STEPS) / (_GAMMA_STEPS - 1)) ** (1 / 2.2) + 0.5).astype(np.uint8)


class Drawn(NamedTuple):
    """The arrays of a scene that drawing needs (see ``Scene``)."""

    vertices: np.ndarray
    charts: np.ndarray
    triangles: np.ndarray
    triangle_patch: np.ndarray
    triangle_normal: np.ndarray
    patch_float: np.ndarray
    patch_int: np.ndarray
    textures: np.ndarray
    lightmap: np.ndarray
    room_size: np.ndarray
    windows: np.ndarray
    window_light: np.ndarray
    exposure: float


class Lens(NamedTuple):
    """Pinhole intrinsics in supersampled pixels, and the supersampling factor."""

    fx: float
    fy: float
    cx: float
    cy: float
    supersample: int


@njit(cache=True, nogil=True, fastmath=True)
def _to_camera(vertices, pose, in_camera):
    """Vertices in camera axes."""
    ex, ey, ez = pose[0, 3], pose[1, 3], pose[2, 3]
    for i in range(vertices.shape[0]):
        x, y, z = vertices[i, 0] - ex, vertices[i, 1] - ey, vertices[i, 2] - ez
        for k in range(3):
            in_camera[i, k] = pose[0, k] * x + pose[1, k] * y + pose[2, k] * z


@njit(cache=True, nogil=True, fastmath=True)
def _rasterise(scene, lens, in_camera, edges, inverse_depth, nearest):
    """Find the nearest triangle of every sample.

    ``edges [K, 9]`` receives three functions ``a x + b y + c`` a triangle: barycentric weights divided by depth, whose
    sum is the inverse depth.
    """
    height, width = nearest.shape
    fx, fy, cx, cy = lens.fx, lens.fy, lens.cx, lens.cy
    for i in range(scene.triangles.shape[0]):
        v0, v1, v2 = scene.triangles[i]
        x0, y0, z0 = in_camera[v0, 0], in_camera[v0, 1], in_camera[v0, 2]
        x1, y1, z1 = in_camera[v1, 0], in_camera[v1, 1], in_camera[v1, 2]
        x2, y2, z2 = in_camera[v2, 0], in_camera[v2, 1], in_camera[v2, 2]
        if max(z0, z1, z2) < _NEAR:
            continue
        n0x, n0y, n0z = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
        determinant = x0 * n0x + y0 * n0y + z0 * n0z
        if abs(determinant) < 1e-12:
            continue
        if determinant > 0 and scene.patch_int[scene.triangle_patch[i], DOUBLE_SIDED] == 0:
            continue
        left, right, top, bottom = 0, width - 1, 0, height - 1
        if min(z0, z1, z2) > _NEAR:
            u0, u1, u2 = fx * x0 / z0, fx * x1 / z1, fx * x2 / z2
            w0, w1, w2 = fy * y0 / z0, fy * y1 / z1, fy * y2 / z2
            low_u, high_u = min(u0, u1, u2) + cx - 0.5, max(u0, u1, u2) + cx - 0.5
            low_v, high_v = min(w0, w1, w2) + cy - 0.5, max(w0, w1, w2) + cy - 0.5
            if high_u < 0 or low_u > width - 1 or high_v < 0 or low_v > height - 1:
                continue
            left, right = max(0, math.ceil(low_u)), min(width - 1, int(high_u))
            top, bottom = max(0, math.ceil(low_v)), min(height - 1, int(high_v))
            if left > right or top > bottom:
                continue
        inverse = 1 / determinant
        n1x, n1y, n1z = y2 * z0 - z2 * y0, z2 * x0 - x2 * z0, x2 * y0 - y2 * x0
        n2x, n2y, n2z = y0 * z1 - z0 * y1, z0 * x1 - x0 * z1, x0 * y1 - y0 * x1
        a0, b0 = n0x * inverse / fx, n0y * inverse / fy
        a1, b1 = n1x * inverse / fx, n1y * inverse / fy
        a2, b2 = n2x * inverse / fx, n2y * inverse / fy
        c0 = n0z * inverse + a0 * (0.5 - cx) + b0 * (0.5 - cy)
        c1 = n1z * inverse + a1 * (0.5 - cx) + b1 * (0.5 - cy)
        c2 = n2z * inverse + a2 * (0.5 - cx) + b2 * (0.5 - cy)
        edge = edges[i]
        edge[0], edge[1], edge[2] = a0, b0, c0
        edge[3], edge[4], edge[5] = a1, b1, c1
        edge[6], edge[7], edge[8] = a2, b2, c2
        slope = a0 + a1 + a2
        for y in range(top, bottom + 1):
            e0, e1, e2 = b0 * y + c0, b1 * y + c1, b2 * y + c2
            # the span of the row where all three functions are positive
            first, last = float(left), float(right)
            if a0 > 0:
                first = max(first, -e0 / a0)
            elif a0 < 0:
                last = min(last, -e0 / a0)
            elif e0 < 0:
                continue
            if a1 > 0:
                first = max(first, -e1 / a1)
            elif a1 < 0:
                last = min(last, -e1 / a1)
            elif e1 < 0:
                continue
            if a2 > 0:
                first = max(first, -e2 / a2)
            elif a2 < 0:
                last = min(last, -e2 / a2)
            elif e2 < 0:
                continue
            start = math.ceil(first)
            value = e0 + e1 + e2 + slope * start
            for x in range(start, math.floor(last) + 1):
                if value > inverse_depth[y, x] and value < _MOST_INVERSE_DEPTH:
                    inverse_depth[y, x] = value
                    nearest[y, x] = i
                value += slope


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _blend(textures, number, channel, k0, k1, k2, k3, w0, w1, w2, w3):
    """Weighted sum of four texels in one channel."""
    low = textures[number, k0, channel] * w0 + textures[number, k1, channel] * w1
    return low + textures[number, k2, channel] * w2 + textures[number, k3, channel] * w3


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _sample_texture(textures, number, u, v, footprint):
    """Bilinear linear-light colour of a repeating mip-mapped texture; ``footprint`` is in texels a pixel."""
    level = 0
    while footprint > _BLUR and level < _COARSEST:
        footprint *= 0.5
        level += 1
    side = SIZE >> level
    start = LEVEL_START[level]
    u = u * side - 0.5
    v = v * side - 0.5
    column, row = math.floor(u), math.floor(v)
    u -= column
    v -= row
    wrap = side - 1
    row_0, row_1 = start + (row & wrap) * side, start + ((row + 1) & wrap) * side
    column_0, column_1 = column & wrap, (column + 1) & wrap
    k0, k1 = np.uint64(row_0 + column_0), np.uint64(row_0 + column_1)
    k2, k3 = np.uint64(row_1 + column_0), np.uint64(row_1 + column_1)
    w0, w1 = (1 - u) * (1 - v) / 255.0, u * (1 - v) / 255.0
    w2, w3 = (1 - u) * v / 255.0, u * v / 255.0
    red = _blend(textures, number, 0, k0, k1, k2, k3, w0, w1, w2, w3)
    green = _blend(textures, number, 1, k0, k1, k2, k3, w0, w1, w2, w3)
    blue = _blend(textures, number, 2, k0, k1, k2, k3, w0, w1, w2, w3)
    return red * red, green * green, blue * blue


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _reflection(patch_float, patch_int, lightmap, size, windows, window_light, x, y, z, dx, dy, dz):
    """What a mirror at a point shows in a direction: the bare shell with its windows."""
    patch, s, t, _ = shell_hit(size, inside(x, size[0]), inside(y, size[1]), inside(z, size[2]), dx, dy, dz)
    red, green, blue = sample_lightmap(lightmap, patch_int, patch, s, t)
    red *= patch_float[patch, ALBEDO]
    green *= patch_float[patch, ALBEDO + 1]
    blue *= patch_float[patch, ALBEDO + 2]
    for k in range(windows.shape[0]):
        window = windows[k]
        if patch == int(window[0]) and window[1] < s < window[3] and window[2] < t < window[4]:
            red, green, blue = window_light[0], window_light[1], window_light[2]
    return red, green, blue


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _shade(charts, triangles, triangle_patch, triangle_normal, patch_float, patch_int, textures, lightmap, size,
           windows, window_light, exposure, lens, pose, edges, triangle, x, y):  # fmt: skip
    """Tone-mapped colour of a triangle at the sample position (x, y)."""
    patch = triangle_patch[triangle]
    e0 = edges[triangle, 0] * x + edges[triangle, 1] * y + edges[triangle, 2]
    e1 = edges[triangle, 3] * x + edges[triangle, 4] * y + edges[triangle, 5]
    e2 = edges[triangle, 6] * x + edges[triangle, 7] * y + edges[triangle, 8]
    z = 1 / (e0 + e1 + e2)
    e0, e1, e2 = e0 * z, e1 * z, e2 * z
    v0, v1, v2 = triangles[triangle, 0], triangles[triangle, 1], triangles[triangle, 2]
    s = e0 * charts[v0, 0] + e1 * charts[v1, 0] + e2 * charts[v2, 0]
    t = e0 * charts[v0, 1] + e1 * charts[v1, 1] + e2 * charts[v2, 1]
    u = e0 * charts[v0, 2] + e1 * charts[v1, 2] + e2 * charts[v2, 2]
    v = e0 * charts[v0, 3] + e1 * charts[v1, 3] + e2 * charts[v2, 3]

    right, down = (x + 0.5 - lens.cx) / lens.fx, (y + 0.5 - lens.cy) / lens.fy
    unit = 1 / math.sqrt(right * right + down * down + 1)
    dx = (pose[0, 0] * right + pose[0, 1] * down + pose[0, 2]) * unit
    dy = (pose[1, 0] * right + pose[1, 1] * down + pose[1, 2]) * unit
    dz = (pose[2, 0] * right + pose[2, 1] * down + pose[2, 2]) * unit
    nx, ny, nz = triangle_normal[triangle, 0], triangle_normal[triangle, 1], triangle_normal[triangle, 2]
    facing = nx * dx + ny * dy + nz * dz

    samples = 0.5 + 0.5 * lens.supersample
    footprint = patch_float[patch, TEXELS_PER_METRE] * z * samples / lens.fx / math.sqrt(max(abs(facing), 0.05))
    red, green, blue = _sample_texture(textures, patch_int[patch, TEXTURE], u, v, footprint)
    if patch_float[patch, EMISSION] > 0:
        light_r = light_g = light_b = patch_float[patch, EMISSION]
    else:
        light_r, light_g, light_b = sample_lightmap(lightmap, patch_int, patch, s, t)
    red *= patch_float[patch, TINT] * light_r
    green *= patch_float[patch, TINT + 1] * light_g
    blue *= patch_float[patch, TINT + 2] * light_b
    if patch_float[patch, GLOSS] > 0 and facing < 0:
        grazing = 1 + facing
        mirror = patch_float[patch, GLOSS] * (0.06 + 0.94 * grazing * grazing * grazing * grazing * grazing)  # Schlick
        far = z / unit
        shown_r, shown_g, shown_b = _reflection(
            patch_float, patch_int, lightmap, size, windows, window_light,
            pose[0, 3] + dx * far, pose[1, 3] + dy * far, pose[2, 3] + dz * far,
            dx - 2 * facing * nx, dy - 2 * facing * ny, dz - 2 * facing * nz,
        )  # fmt: skip
        red += mirror * shown_r
        green += mirror * shown_g
        blue += mirror * shown_b
    return tone_map(red * exposure), tone_map(green * exposure), tone_map(blue * exposure)


@njit(cache=True, nogil=True, fastmath=True)
def _resolve(scene, lens, pose, edges, nearest, gamma, rgb):
    """Average the samples of every pixel, shading each patch once at the mean position of its samples."""
    # every look-up of an array in the tuple counts its references: once a frame is enough
    charts, triangles, triangle_patch = scene.charts, scene.triangles, scene.triangle_patch
    triangle_normal, patch_float, patch_int = scene.triangle_normal, scene.patch_float, scene.patch_int
    textures, lightmap, size, windows = scene.textures, scene.lightmap, scene.room_size, scene.windows
    window_light, exposure = scene.window_light, scene.exposure
    factor = lens.supersample
    samples = factor * factor
    scale = (_GAMMA_STEPS - 0.01) / samples
    for row in range(rgb.shape[0]):
        for column in range(rgb.shape[1]):
            red, green, blue = 0.0, 0.0, 0.0
            done = 0
            for first in range(samples):
                if done >> first & 1:
                    continue
                triangle = nearest[row * factor + first // factor, column * factor + first % factor]
                if triangle < 0:
                    continue
                patch = triangle_patch[triangle]
                weight, y, x = 1.0, float(first // factor), float(first % factor)
                for other in range(first + 1, samples):
                    if done >> other & 1:
                        continue
                    rival = nearest[row * factor + other // factor, column * factor + other % factor]
                    if rival >= 0 and triangle_patch[rival] == patch:
                        done |= 1 << other
                        weight += 1
                        y += other // factor
                        x += other % factor
                x, y = column * factor + x / weight, row * factor + y / weight
                sample_r, sample_g, sample_b = _shade(
                    charts, triangles, triangle_patch, triangle_normal, patch_float, patch_int, textures, lightmap,
                    size, windows, window_light, exposure, lens, pose, edges, triangle, x, y,
                )  # fmt: skip
                red += weight * sample_r
                green += weight * sample_g
                blue += weight * sample_b
            rgb[row, column, 0] = gamma[int(red * scale)]
            rgb[row, column, 1] = gamma[int(green * scale)]
            rgb[row, column, 2] = gamma[int(blue * scale)]


@njit(cache=True, nogil=True, fastmath=True)
def _read_geometry(scene, lens, edges, inverse_depth, nearest, depth, instance):
    """Depth and object id at the centre of every pixel."""
    factor = lens.supersample
    middle, centre = factor // 2, 0.5 * (factor - 1)
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            depth[row, column] = 0.0
            instance[row, column] = 0
            triangle = nearest[row * factor + middle, column * factor + middle]
            if triangle < 0:
                continue
            edge = edges[triangle]
            x, y = column * factor + centre, row * factor + centre
            slope_x, slope_y = edge[0] + edge[3] + edge[6], edge[1] + edge[4] + edge[7]
            z = 1 / (slope_x * x + slope_y * y + edge[2] + edge[5] + edge[8])
            if not 0 < z < 50:  # the sample is on the triangle but the pixel's centre is not
                z = 1 / inverse_depth[row * factor + middle, column * factor + middle]
            depth[row, column] = z
            instance[row, column] = scene.patch_int[scene.triangle_patch[triangle], OBJECT]


@njit(cache=True, nogil=True)
def _draw(scene, lens, poses, gamma, with_colour, rgb, depth, instance):
    """Draw one frame a pose into ``rgb``, ``depth`` and ``instance`` (``rgb`` untouched unless ``with_colour``)."""
    factor = lens.supersample
    height, width = depth.shape[1] * factor, depth.shape[2] * factor
    in_camera = np.empty((scene.vertices.shape[0], 3), np.float32)
    edges = np.empty((scene.triangles.shape[0], 9), np.float32)
    inverse_depth = np.empty((height, width), np.float32)
    nearest = np.empty((height, width), np.int32)
    for frame in range(poses.shape[0]):
        inverse_depth[:] = 0
        nearest[:] = -1
        _to_camera(scene.vertices, poses[frame], in_camera)
        _rasterise(scene, lens, in_camera, edges, inverse_depth, nearest)
        if with_colour:
            _resolve(scene, lens, poses[frame], edges, nearest, gamma, rgb[frame])
        _read_geometry(scene, lens, edges, inverse_depth, nearest, depth[frame], instance[frame])


def draw(
    scene: Scene, c2w: np.ndarray, intrinsics: Intrinsics, supersample: int = 2, colour: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour uint8 ``[T, H, W, 3]``, z-depth in metres float32 and object ids uint16 ``[T, H, W]`` of poses
    ``[T, 4, 4]``. Without ``colour`` the first has no frames. Raises ``InputError`` for poses of another shape."""
    poses = np.ascontiguousarray(c2w, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.isfinite(poses).all():
        raise InputError(f"camera poses must be finite [T, 4, 4] matrices, not {poses.shape}")
    if not 1 <= supersample <= 7:
        raise InputError(f"supersample is {supersample}: give a number from 1 to 7")
    drawn = Drawn(
        scene.vertices,
        scene.charts,
        scene.triangles,
        scene.triangle_patch,
        scene.triangle_normal,
        scene.patch_float,
        scene.patch_int,
        scene.textures,
        scene.lightmap,
        scene.room_size,
        scene.windows,
        scene.window_light,
        scene.exposure,
    )
    fx, fy, cx, cy = (float(value) * supersample for value in intrinsics.vector)
    count, height, width = len(poses), intrinsics.height, intrinsics.width
    rgb = np.empty((count if colour else 0, height, width, 3), np.uint8)
    depth = np.empty((count, height, width), np.float32)
    instance = np.empty((count, height, width), np.uint16)
    _draw(drawn, Lens(fx, fy, cx, cy, supersample), poses, _GAMMA, colour, rgb, depth, instance)
    return rgb, depth, instance
