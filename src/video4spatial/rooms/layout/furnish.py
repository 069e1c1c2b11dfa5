"""Put furniture down: what a theme asks for, where each piece may stand, and what belongs beside it."""

import math
from typing import NamedTuple

import numpy as np

from video4spatial.rooms.furniture import EDGE_PIECES, WALL_PIECES, make_piece
from video4spatial.rooms.layout.occupancy import FloorMap
from video4spatial.rooms.layout.plan import Plan, Span
from video4spatial.rooms.palette import Colour
from video4spatial.rooms.parts import Part, frame

THEMES: dict[str, tuple[str, ...]] = {
    "living": (
        "sofa",
        "tv",
        "armchair",
        "bookshelf",
        "floor lamp",
        "plant",
        "pouf",
        "dresser",
        "round table",
    ),
    "bedroom": ("bed", "wardrobe", "dresser", "desk", "plant", "chair", "basket", "armchair", "floor lamp"),
    "office": ("desk", "bookshelf", "desk", "bookshelf", "armchair", "plant", "trash can", "box", "round table"),
    "dining": ("dining table", "dresser", "bookshelf", "piano", "plant", "armchair", "plant", "floor lamp"),
    "kitchen": (
        "counter",
        "fridge",
        "counter",
        "dining table",
        "round table",
        "trash can",
        "stool",
        "plant",
        "basket",
    ),
    "studio": ("bed", "sofa", "desk", "tv", "bookshelf", "round table", "plant", "guitar", "wardrobe"),
    "music": (
        "piano",
        "guitar",
        "sofa",
        "guitar",
        "bookshelf",
        "armchair",
        "stool",
        "plant",
        "floor lamp",
        "pouf",
    ),
}
"""Theme -> what such a room holds; the first three come first."""

_EXTRAS = (
    "plant",
    "plant",
    "floor lamp",
    "guitar",
    "pouf",
    "ball",
    "stool",
    "trash can",
    "basket",
    "box",
    "armchair",
    "chair",
    "bookshelf",
    "dresser",
    "round table",
)
_FEWEST = (3, 9)  # pieces at difficulty 0 and 1 ...
_MOST = (5, 14)  # ... and the most of them
_WALL_TRIES = 24
_FLOOR_TRIES = 20


class Placed(NamedTuple):
    """Where a piece stands (4x4) and its bounds in its own frame."""

    pose: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _footprint(pose: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axis-aligned rectangle that bounds ``low``..``high`` at ``pose``, seen from above."""
    corners = np.array([[low[0], high[0], low[0], high[0]], [low[1], low[1], high[1], high[1]]])
    turned = (pose[:2, :2] @ corners).T + pose[:2, 3]
    return turned.min(0), turned.max(0)


class Furnisher:
    """Places pieces on the floor of a plan."""

    def __init__(self, plan: Plan, floor: FloorMap) -> None:
        self.plan = plan
        self.floor = floor
        self.count = 0
        self.rug_poses: list[np.ndarray] = []
        share = plan.difficulty
        low = round(_FEWEST[0] + (_FEWEST[1] - _FEWEST[0]) * share)
        high = round(_MOST[0] + (_MOST[1] - _MOST[0]) * share)
        self.wanted = int(plan.rng.integers(low, high + 1))
        self.companions = round(6 * share)

    def _make(self, category: str, colour: Colour | None = None) -> Part:
        return make_piece(category, self.plan.finish, colour or self.plan.finish.named_colour())

    def put(self, category: str, part: Part, pose: np.ndarray, margin: float = 0.02) -> Placed | None:
        """Put a piece down at ``pose`` if it fits there."""
        low, high = part.bounds()
        if not self.floor.try_to_take(*_footprint(pose, low, high), margin):
            return None
        self.plan.add(part, category, pose)
        self.count += 1
        return Placed(pose, low, high)

    def put_beside(
        self, category: str, pose: np.ndarray, margin: float = 0.02, colour: Colour | None = None
    ) -> Placed | None:
        """Put a piece that accompanies another, unless the room is meant to be emptier."""
        if self.count >= self.wanted + self.companions:
            return None
        return self.put(category, self._make(category, colour), pose, margin)

    def put_against_wall(self, category: str) -> Placed | None:
        """Put a piece with its back to a random wall, often in a corner."""
        rng, plan = self.plan.rng, self.plan
        part = self._make(category)
        low, high = part.bounds()
        for _ in range(_WALL_TRIES):
            index = int(rng.integers(4))
            wall = plan.walls[index]
            if high[0] - low[0] > wall.length - 0.1:
                continue
            left, right = 0.05 - low[0], wall.length - high[0] - 0.05
            x = rng.uniform(left, right)
            if rng.random() < 0.4:
                x = left if rng.random() < 0.5 else right
            span = Span(x + low[0], x + high[0], 0, high[2])
            if not plan.is_free(index, span):
                continue
            placed = self.put(category, part, wall.pose @ frame(0, x, 0.03 - low[1]))
            if placed:
                plan.taken[index].append(span)
                return placed
        return None

    def put_on_floor(self, category: str) -> Placed | None:
        """Put a piece somewhere on the floor; small ones near a wall or in a corner."""
        rng, plan = self.plan.rng, self.plan
        width, depth, _ = plan.size
        part = self._make(category)
        margin = -0.12 if category == "plant" else 0.04
        for _ in range(_FLOOR_TRIES):
            x, y = rng.uniform(0.5, width - 0.5), rng.uniform(0.5, depth - 0.5)
            if category in EDGE_PIECES:
                wall = plan.walls[rng.integers(4)]
                edge = 0.6 if category == "plant" else 0.33
                along = rng.choice([edge, wall.length - edge, rng.uniform(edge, wall.length - edge)])
                x, y = (wall.pose @ [along, rng.uniform(edge, edge + 0.15), 0, 1])[:2]
            yaw = rng.integers(2) * math.pi / 2 if category == "dining table" else rng.uniform(-math.pi, math.pi)
            placed = self.put(category, part, frame(yaw, x, y), margin)
            if placed:
                return placed
        return None

    def _accompany(self, category: str, placed: Placed) -> None:
        """Put down what belongs beside a piece that stands against a wall, and mark where its rug goes."""
        rng = self.plan.rng
        pose, low, high = placed
        if category == "desk":
            yaw = math.pi + rng.uniform(-0.4, 0.4)
            beside = pose @ frame(yaw, rng.uniform(-0.15, 0.05), high[1] + 0.38)
            self.put_beside("office chair", beside, margin=-0.04)
        elif category == "bed":
            for side in (-1, 1):
                self.put_beside("nightstand", pose @ frame(0, side * (high[0] + 0.26), low[1] + 0.22))
        elif category == "sofa" and rng.random() < 0.7:
            self.put_beside("coffee table", pose @ frame(0, rng.uniform(-0.1, 0.1), high[1] + 0.72))
        elif category == "piano" and rng.random() < 0.3:
            self.put_beside("plant", pose @ frame(0, high[0] + 0.4, 0))
        if category in ("bed", "sofa") and rng.random() < 0.75:
            self.rug_poses.append(pose @ frame(0, 0, high[1] + (0.3 if category == "sofa" else -0.3)))

    def _add_chairs(self, placed: Placed) -> None:
        """Two to four chairs of one colour around a table, at times a rug under it."""
        rng = self.plan.rng
        colour = self.plan.finish.named_colour()
        for side in rng.permutation(4)[: rng.integers(2, 5)]:
            yaw = side * math.pi / 2 + rng.uniform(-0.15, 0.15)
            away = (placed.high[1] if side % 2 == 0 else placed.high[0]) + 0.2
            beside = placed.pose @ frame(yaw + math.pi, -math.sin(yaw) * away, math.cos(yaw) * away)
            self.put_beside("chair", beside, margin=-0.12, colour=colour)
        if rng.random() < 0.6:
            self.rug_poses.append(placed.pose)

    def furnish(self) -> None:
        """Work through what the theme asks for, then through extras, until the room has enough."""
        rng = self.plan.rng
        theme = THEMES[self.plan.theme]
        rest = [theme[3:][k] for k in rng.permutation(len(theme) - 3)]
        extras = [_EXTRAS[k] for k in rng.integers(len(_EXTRAS), size=10)]
        for category in (*theme[:3], *rest, *extras):
            if self.count >= self.wanted:
                break
            loose_armchair = category == "armchair" and rng.random() < 0.3
            if category in WALL_PIECES and not loose_armchair:
                placed = self.put_against_wall(category)
                if placed:
                    self._accompany(category, placed)
                continue
            placed = self.put_on_floor(category)
            if placed and category in ("dining table", "round table"):
                self._add_chairs(placed)
