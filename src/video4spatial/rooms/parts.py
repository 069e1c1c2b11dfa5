"""Parts: bags of parametric patches in a local frame (z up, the front faces +y, the origin is under the centre).

A patch is a grid of points with normals. Its chart (s, t) in [0, 1]^2 serves the texture and a lightmap block of its
own, so that a pixel needs to know no more than the patch and (s, t).
"""

import math
from typing import NamedTuple

import numpy as np

from video4spatial.rooms.palette import Colour


class Material(NamedTuple):
    """How a patch looks: texture id, linear tint, gloss 0..1, emission (display-referred), metres a texture repeat
    (0: the texture fills the patch once), and whether both sides are seen."""

    texture: int
    tint: Colour = (1.0, 1.0, 1.0)
    gloss: float = 0.0
    emission: float = 0.0
    scale: float = 1.0
    double_sided: bool = False


class Patch(NamedTuple):
    """``points`` and unit ``normals`` ``[S, T, 3]``, the material, and the size of a lightmap texel in metres."""

    points: np.ndarray
    normals: np.ndarray
    material: Material
    texel: float


Profile = list[tuple[float, float]]
"""``(radius, height)`` pairs of a turned shape, bottom to top."""


def frame(yaw: float = 0.0, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """The 4x4 matrix that turns by ``yaw`` (radians, counter-clockwise from above) and moves to ``(x, y, z)``."""
    matrix = np.eye(4)
    cos, sin = math.cos(yaw), math.sin(yaw)
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    matrix[:3, 3] = x, y, z
    return matrix


def _signed_power(value: np.ndarray, exponent: float) -> np.ndarray:
    return np.sign(value) * np.abs(value) ** exponent


class Part:
    """A bag of patches. Every method adds patches in the current frame (see ``move_to``)."""

    def __init__(self) -> None:
        self.patches: list[Patch] = []
        self.current = np.eye(4)

    def move_to(
        self, x: float = 0, y: float = 0, z: float = 0, yaw: float = 0, pitch: float = 0, roll: float = 0
    ) -> None:
        """Set the frame of what is added next; without arguments, back to the part's own frame."""
        about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
        about_y = np.array([[math.cos(roll), 0, math.sin(roll)], [0, 1, 0], [-math.sin(roll), 0, math.cos(roll)]])
        self.current = frame(yaw, x, y, z)
        self.current[:3, :3] = self.current[:3, :3] @ about_x @ about_y

    def grid(
        self, points: np.ndarray, material: Material, normals: np.ndarray | None = None, texel: float = 0.07
    ) -> None:
        """Add a patch from ``points [S, T, 3]``; its normals are ds x dt unless given."""
        points = np.asarray(points, float)
        if normals is None:
            normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
        unit = np.asarray(normals) / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        rotation = self.current[:3, :3].T
        self.patches.append(Patch(points @ rotation + self.current[:3, 3], unit @ rotation, material, texel))

    def quad(self, origin, u, v, material: Material, texel: float = 0.07) -> None:
        """Add the parallelogram ``origin + s u + t v``; its normal is u x v."""
        (ox, oy, oz), (ux, uy, uz), (vx, vy, vz) = origin, u, v
        points = np.array(
            [
                [[ox, oy, oz], [ox + vx, oy + vy, oz + vz]],
                [[ox + ux, oy + uy, oz + uz], [ox + ux + vx, oy + uy + vy, oz + uz + vz]],
            ],
            float,
        )
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        normal = np.array([nx, ny, nz]) / math.sqrt(nx * nx + ny * ny + nz * nz)
        rotation = self.current[:3, :3].T
        normals = np.broadcast_to(normal @ rotation, (2, 2, 3))
        self.patches.append(Patch(points @ rotation + self.current[:3, 3], normals, material, texel))

    def box(
        self,
        x: float,
        y: float,
        z: float,
        width: float,
        depth: float,
        height: float,
        material: Material,
        front: Material | None = None,
        texel: float = 0.07,
        bottom: bool = True,
    ) -> None:
        """Add a box centred on ``(x, y)`` that stands at ``z``; ``front`` is the material of its +y face."""
        x0, y0, x1, y1, z1 = x - width / 2, y - depth / 2, x + width / 2, y + depth / 2, z + height
        along_x, along_y, up = (width, 0, 0), (0, depth, 0), (0, 0, height)
        back_x, back_y = (-width, 0, 0), (0, -depth, 0)
        self.quad((x1, y1, z), back_x, up, front or material, texel)
        self.quad((x0, y0, z), along_x, up, material, texel)
        self.quad((x1, y0, z), along_y, up, material, texel)
        self.quad((x0, y1, z), back_y, up, material, texel)
        self.quad((x0, y0, z1), along_x, along_y, material, texel)
        if bottom:
            self.quad((x1, y0, z), back_x, along_y, material, texel)

    def lathe(self, x: float, y: float, z: float, profile: Profile, material: Material, sides: int = 10) -> None:
        """Turn a profile about the vertical through ``(x, y)``."""
        angle = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
        radius, height = np.array(profile, float).T
        points = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle), z + height + 0 * angle], -1)
        widening, rising = np.gradient(radius), np.gradient(height)
        normals = np.stack([rising * np.cos(angle), rising * np.sin(angle), -widening + 0 * angle], -1)
        self.grid(points, material, normals, 0.12)

    def cylinder(
        self, x: float, y: float, z: float, radius: float, height: float, material: Material, sides: int = 8
    ) -> None:
        """Add an upright cylinder with a lid and no bottom."""
        self.lathe(x, y, z, [(radius, 0), (radius, height)], material, sides)
        self.lathe(x, y, z, [(radius, height), (1e-4, height)], material, sides)

    def soft(
        self,
        x: float,
        y: float,
        z: float,
        width: float,
        depth: float,
        height: float,
        material: Material,
        roundness: float = 0.35,
        sides: int = 12,
        rings: int = 7,
    ) -> None:
        """Add a cushion (a superellipsoid: ``roundness`` 1 is an ellipsoid, 0 a box) that lies at ``z``."""
        around = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
        upward = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)[None]
        cos_a, sin_a, cos_u, sin_u = np.cos(around), np.sin(around), np.cos(upward), np.sin(upward)

        def surface(exponent: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            ring = _signed_power(cos_u, exponent)
            along = ring * _signed_power(cos_a, exponent)
            across = ring * _signed_power(sin_a, exponent)
            return along, across, _signed_power(sin_u, exponent) + 0 * around

        px, py, pz = surface(roundness)
        nx, ny, nz = surface(2 - roundness)
        points = np.stack([x + width / 2 * px, y + depth / 2 * py, z + height / 2 * (1 + pz)], -1)
        self.grid(points, material, np.stack([nx / width, ny / depth, nz / height], -1), 0.1)

    def leaf(
        self,
        base: tuple[float, float, float],
        yaw: float,
        rise: float,
        length: float,
        width: float,
        material: Material,
        droop: float = 1.2,
    ) -> None:
        """Add an arching blade that leaves ``base`` at the angle ``rise`` above the horizon."""
        along = np.linspace(0, 1, 4)
        out, up = length * along, length * (math.tan(rise) * along - droop * along * along)
        half = width * np.sin(np.pi * (0.12 + 0.86 * along)) / 2
        cos, sin = math.cos(yaw), math.sin(yaw)
        edges = [
            np.stack(
                [base[0] + cos * out - sin * side, base[1] + sin * out + cos * side, base[2] + up + 0.3 * half], -1
            )
            for side in (-half, half)
        ]
        self.grid(np.stack(edges), material)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner ``[3]`` of all points."""
        points = np.concatenate([patch.points.reshape(-1, 3) for patch in self.patches])
        return points.min(0), points.max(0)
