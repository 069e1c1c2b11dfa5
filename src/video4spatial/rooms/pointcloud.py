"""Sample a point cloud from the surfaces of a room."""

from dataclasses import dataclass

import numpy as np

from video4spatial.rooms.compiled import (
    EMISSION,
    LIGHTMAP_HEIGHT,
    LIGHTMAP_START,
    LIGHTMAP_WIDTH,
    OBJECT,
    TEXTURE,
    TINT,
    Scene,
)
from video4spatial.rooms.shading import SHOULDER, WHITE_POINT_GAIN
from video4spatial.rooms.textures import SIZE
from video4spatial.schema import InputError


@dataclass(frozen=True)
class PointCloud:
    """``points [n, 3]`` float64 in metres, ``colours [n, 3]`` uint8, ``object_ids [n]`` uint16."""

    points: np.ndarray
    colours: np.ndarray
    object_ids: np.ndarray


def sample_points(scene: Scene, n: int, seed: int = 0) -> PointCloud:
    """``n`` points spread evenly over all surfaces, coloured as the renderer would. Raises ``InputError`` if n < 1."""
    if n < 1:
        raise InputError(f"a point cloud of {n} points: ask for one or more")
    rng = np.random.default_rng(seed)
    triangle = rng.choice(len(scene.triangles), n, p=scene.triangle_area / scene.triangle_area.sum())
    a, b = rng.random((2, n))
    folded = a + b > 1
    a[folded], b[folded] = 1 - a[folded], 1 - b[folded]
    weights = np.stack([1 - a - b, a, b], 1)[..., None]
    corners = scene.triangles[triangle]
    patch = scene.triangle_patch[triangle]
    points = (scene.vertices[corners] * weights).sum(1)
    chart = (scene.charts[corners] * weights).sum(1)
    numbers, row = scene.patch_int[patch], scene.patch_float[patch]

    texel = np.floor(chart[:, 2:] * SIZE).astype(int) % SIZE
    albedo = (scene.textures[numbers[:, TEXTURE], texel[:, 1] * SIZE + texel[:, 0]] / 255.0) ** 2
    across = (chart[:, 0] * (numbers[:, LIGHTMAP_WIDTH] - 1)).astype(int)
    along = (chart[:, 1] * (numbers[:, LIGHTMAP_HEIGHT] - 1)).astype(int)
    light = scene.lightmap[numbers[:, LIGHTMAP_START] + across * numbers[:, LIGHTMAP_HEIGHT] + along]
    emission = row[:, EMISSION : EMISSION + 1]
    light = np.where(emission > 0, emission, light)
    exposed = albedo * row[:, TINT : TINT + 3] * light * scene.exposure
    shown = np.clip(exposed * (1 + exposed * WHITE_POINT_GAIN) / (1 + exposed * SHOULDER), 0, 1)
    colours = (255 * shown ** (1 / 2.2)).astype(np.uint8)
    return PointCloud(points.astype(np.float64), colours, numbers[:, OBJECT].astype(np.uint16))
