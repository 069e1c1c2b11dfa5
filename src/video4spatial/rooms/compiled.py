"""Compile patches into flat arrays: triangles to draw, lightmap texels to light, one row of attributes a patch."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from video4spatial.rooms.parts import Part, Patch
from video4spatial.rooms.textures import SIZE, TextureAtlas

# Columns of `patch_float` ...
TINT = 0
ALBEDO = 3
GLOSS = 6
EMISSION = 7
TEXELS_PER_METRE = 8
# ... and of `patch_int`.
TEXTURE = 0
OBJECT = 1
LIGHTMAP_START = 2
LIGHTMAP_WIDTH = 3
LIGHTMAP_HEIGHT = 4
DOUBLE_SIDED = 5
CASTS_SHADOW = 6

_MAX_TEXELS = 240
_BORDER = 0.02  # metres a border texel is moved inwards, so that it does not start inside a neighbouring face


class Item(NamedTuple):
    """A part, where it stands (4x4), the object id its pixels carry, and whether it casts shadows."""

    part: Part
    pose: np.ndarray
    object_id: int
    casts_shadow: bool


@dataclass
class Scene:
    """A room as flat arrays, V vertices, K triangles, P patches, X lightmap texels.

    The first six patches are the shell: floor, ceiling, and the walls y = 0, y = D, x = 0, x = W.
    """

    vertices: np.ndarray  # [V, 3] float32, metres
    charts: np.ndarray  # [V, 4] float32: lightmap (s, t), texture (u, v)
    triangles: np.ndarray  # [K, 3] int32
    triangle_patch: np.ndarray  # [K] int32
    triangle_normal: np.ndarray  # [K, 3] float32
    triangle_area: np.ndarray  # [K] square metres
    patch_float: np.ndarray  # [P, 9] float32, columns above
    patch_int: np.ndarray  # [P, 7] int64, columns above
    texel_points: np.ndarray  # [X, 3] float32
    texel_normals: np.ndarray  # [X, 3] float32
    texel_patch: np.ndarray  # [X] int32
    textures: np.ndarray  # [textures, texels, 3] uint8
    room_size: np.ndarray  # [3] float64: width, depth, height
    lightmap: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))  # [X, 3] irradiance / pi
    windows: np.ndarray = field(default_factory=lambda: np.zeros((0, 7)))  # see lighting.WindowOpening
    window_light: np.ndarray = field(default_factory=lambda: np.zeros(3))  # [3] linear, seen in reflections
    exposure: float = 1.0


def _lightmap_positions(segments: int, length: float, texel: float) -> np.ndarray:
    """Where along a chart axis the texels lie: the grid's own lines, or evenly spread over a flat side."""
    if segments > 1:
        return np.linspace(0, 1, segments + 1)
    count = int(min(max(math.ceil(length / texel), 1), _MAX_TEXELS)) + 1
    margin = min(_BORDER / max(length, 1e-9), 0.3)
    return np.clip(np.linspace(0, 1, count), margin, 1 - margin)


def _resample(grid: np.ndarray, along_s: np.ndarray, along_t: np.ndarray) -> np.ndarray:
    """Bilinear samples ``[len(s) * len(t), 3]`` of a grid ``[S, T, 3]`` at chart positions in [0, 1]."""
    rows, columns = grid.shape[0] - 1, grid.shape[1] - 1
    place_s, place_t = along_s * rows, along_t * columns
    row = np.minimum(place_s.astype(int), rows - 1)
    column = np.minimum(place_t.astype(int), columns - 1)
    weight_s = (place_s - row)[:, None, None]
    weight_t = (place_t - column)[None, :, None]
    low, high = grid[row], grid[row + 1]
    low = low[:, column] * (1 - weight_t) + low[:, column + 1] * weight_t
    high = high[:, column] * (1 - weight_t) + high[:, column + 1] * weight_t
    return (low * (1 - weight_s) + high * weight_s).reshape(-1, 3)


class _Compiler:
    """Collects the arrays of one patch after the other."""

    def __init__(self, texture_means: np.ndarray, quality: float) -> None:
        self.texture_means = texture_means
        self.quality = quality
        self.vertices: list[np.ndarray] = []
        self.charts: list[np.ndarray] = []
        self.triangles: list[np.ndarray] = []
        self.triangle_patch: list[np.ndarray] = []
        self.texel_points: list[np.ndarray] = []
        self.texel_normals: list[np.ndarray] = []
        self.texel_patch: list[np.ndarray] = []
        self.patch_float: list[tuple[float, ...]] = []
        self.patch_int: list[tuple[int, ...]] = []
        self.vertex_count = 0
        self.texel_count = 0

    def add(self, patch: Patch, item: Item) -> None:
        rotation = item.pose[:3, :3].T
        points = patch.points @ rotation + item.pose[:3, 3]
        normals = patch.normals @ rotation
        rows, columns = points.shape[0] - 1, points.shape[1] - 1
        length_s = float(np.linalg.norm(np.diff(points, axis=0), axis=-1).sum(0).max())
        length_t = float(np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(1).max())
        index = len(self.patch_int)
        self._add_triangles(rows, columns, index)

        material = patch.material
        repeat_s, repeat_t = (length_s / material.scale, length_t / material.scale) if material.scale else (1.0, 1.0)
        s = np.repeat(np.linspace(0, 1, rows + 1), columns + 1)
        t = np.tile(np.linspace(0, 1, columns + 1), rows + 1)
        self.vertices.append(points.reshape(-1, 3))
        self.charts.append(np.stack([s, t, s * repeat_s, t * repeat_t], -1))
        self.vertex_count += points.shape[0] * points.shape[1]

        along_s = _lightmap_positions(rows, length_s, patch.texel / self.quality)
        along_t = _lightmap_positions(columns, length_t, patch.texel / self.quality)
        texels = len(along_s) * len(along_t)
        self.texel_points.append(_resample(points, along_s, along_t))
        self.texel_normals.append(_resample(normals, along_s, along_t))
        self.texel_patch.append(np.full(texels, index))

        density = SIZE * max(repeat_s / max(length_s, 1e-9), repeat_t / max(length_t, 1e-9))
        red, green, blue = self.texture_means[material.texture] * material.tint
        self.patch_float.append((*material.tint, red, green, blue, material.gloss, material.emission, density))
        casts = int(item.casts_shadow and material.emission == 0)
        block = (self.texel_count, len(along_s), len(along_t))
        self.patch_int.append((material.texture, item.object_id, *block, int(material.double_sided), casts))
        self.texel_count += texels

    def _add_triangles(self, rows: int, columns: int, patch_index: int) -> None:
        """Two triangles a cell of the grid."""
        corner = np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1) + self.vertex_count
        first, second = corner[:-1, :-1].ravel(), corner[1:, :-1].ravel()
        third, fourth = corner[1:, 1:].ravel(), corner[:-1, 1:].ravel()
        halves = (np.stack([first, second, third], 1), np.stack([first, third, fourth], 1))
        self.triangles.append(np.concatenate(halves))
        self.triangle_patch.append(np.full(2 * rows * columns, patch_index))


def _float32(blocks: list[np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(np.concatenate(blocks), np.float32)


def compile_scene(
    items: list[Item], atlas: TextureAtlas, size: tuple[float, float, float], quality: float = 1.0
) -> Scene:
    """Flatten ``items`` (the first six of them the shell's quads) into a scene that is not lit yet."""
    compiler = _Compiler(atlas.means, quality)
    for item in items:
        for patch in item.part.patches:
            compiler.add(patch, item)
    vertices = _float32(compiler.vertices)
    triangles = np.concatenate(compiler.triangles).astype(np.int32)
    corner = vertices[triangles]
    doubled = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    area = np.linalg.norm(doubled, axis=1) / 2
    keep = area > 1e-9  # the poles of turned shapes have degenerate triangles
    normals = _float32(compiler.texel_normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    return Scene(
        vertices=vertices,
        charts=_float32(compiler.charts),
        triangles=np.ascontiguousarray(triangles[keep]),
        triangle_patch=np.concatenate(compiler.triangle_patch).astype(np.int32)[keep],
        triangle_normal=np.ascontiguousarray(doubled[keep] / (2 * area[keep, None]), np.float32),
        triangle_area=area[keep],
        patch_float=np.array(compiler.patch_float, np.float32),
        patch_int=np.array(compiler.patch_int, np.int64),
        texel_points=_float32(compiler.texel_points),
        texel_normals=normals,
        texel_patch=np.concatenate(compiler.texel_patch).astype(np.int32),
        textures=atlas.chains,
        room_size=np.array(size, np.float64),
    )
