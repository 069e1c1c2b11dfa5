"""The plan of a room while it is being laid out: its walls, what hangs on them, what has been put down."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from video4spatial.rooms.compiled import Item
from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.lighting import AreaLight, Sun, WindowOpening
from video4spatial.rooms.parts import Part, frame


@dataclass(frozen=True)
class RoomObject:
    """One object of a room and its oriented 3D box: ``centre``, ``size`` (along its own axes), ``yaw`` (radians about
    z) and ``corners [8, 3]``, metres. ``colour`` is a palette word, or empty if no colour is clearly its own."""

    id: int
    category: str
    colour: str
    centre: np.ndarray
    size: np.ndarray
    yaw: float
    corners: np.ndarray


class Wall(NamedTuple):
    """A wall's frame (x along it, +y into the room), its length and its shell patch (2..5)."""

    pose: np.ndarray
    length: float
    patch: int


class Span(NamedTuple):
    """A rectangle of a wall that is taken, in the wall's frame."""

    x0: float
    x1: float
    z0: float
    z1: float

    def meets(self, other: "Span") -> bool:
        return self.x0 < other.x1 and self.x1 > other.x0 and self.z0 < other.z1 and self.z1 > other.z0


def box_corners(centre: np.ndarray, size: np.ndarray, yaw: float) -> np.ndarray:
    """The corners ``[8, 3]`` of a box turned by ``yaw`` about z."""
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
    return signs * size / 2 @ frame(yaw)[:3, :3].T + centre


@dataclass
class Plan:
    """Everything that is known of a room before it is compiled."""

    rng: np.random.Generator
    finish: Finishes
    size: tuple[float, float, float]
    theme: str
    walls: list[Wall] = field(init=False)
    taken: list[list[Span]] = field(init=False)
    items: list[Item] = field(default_factory=list)
    objects: list[RoomObject] = field(default_factory=list)
    lights: list[AreaLight] = field(default_factory=list)
    windows: list[WindowOpening] = field(default_factory=list)
    sun: Sun = field(default_factory=lambda: Sun(np.array([0.0, 0.0, 1.0]), np.zeros(3)))
    doorway: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def __post_init__(self) -> None:
        width, depth, _ = self.size
        self.walls = [
            Wall(frame(0.0, 0, 0), width, 2),
            Wall(frame(math.pi, width, depth), width, 3),
            Wall(frame(-math.pi / 2, 0, depth), depth, 4),
            Wall(frame(math.pi / 2, width, 0), depth, 5),
        ]
        self.taken = [[] for _ in self.walls]

    @property
    def difficulty(self) -> float:
        return self.finish.difficulty

    def add(self, part: Part, category: str, pose: np.ndarray, casts_shadow: bool = True) -> RoomObject:
        """Put a part down at ``pose`` (4x4) as an object of its own. Its colour is measured later."""
        low, high = part.bounds()
        centre = pose[:3, :3] @ ((low + high) / 2) + pose[:3, 3]
        size = high - low
        yaw = math.atan2(pose[1, 0], pose[0, 0])
        made = RoomObject(len(self.objects) + 1, category, "", centre, size, yaw, box_corners(centre, size, yaw))
        self.objects.append(made)
        self.items.append(Item(part, pose, made.id, casts_shadow))
        return made

    def is_free(self, wall: int, span: Span) -> bool:
        """Whether nothing on a wall meets a span."""
        return not any(span.meets(other) for other in self.taken[wall])
