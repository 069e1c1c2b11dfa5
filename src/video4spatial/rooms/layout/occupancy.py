"""The floor seen from above, in cells: what is taken, what must stay free, and whether one can still walk about."""

import numpy as np
from scipy import ndimage

CELL = 0.05
"""Side of a cell in metres."""

_BODY = 0.28  # metres from the nearest obstacle at which a person can stand
_CONNECTED = 0.93  # share of the walkable floor that must hang together
_WALKABLE = 0.17  # share of the floor that must stay walkable


def clearance_map(taken: np.ndarray) -> np.ndarray:
    """Metres to the nearest taken cell or wall, for every cell ``[X, Y]``."""
    return ndimage.distance_transform_edt(np.pad(~taken, 1))[1:-1, 1:-1] * CELL  # type: ignore[index]


class FloorMap:
    """An occupancy map of a floor of ``width`` x ``depth`` metres."""

    def __init__(self, width: float, depth: float) -> None:
        self.width = width
        self.depth = depth
        self.taken = np.zeros((int(width / CELL), int(depth / CELL)), bool)
        self.kept_free = np.zeros_like(self.taken)

    def _cells(self, low: np.ndarray, high: np.ndarray, margin: float) -> tuple[slice, slice]:
        first = np.maximum(np.floor((low - margin) / CELL).astype(int), 0)
        last = np.maximum(np.ceil((high + margin) / CELL).astype(int), 0)
        return slice(first[0], last[0]), slice(first[1], last[1])

    def keep_free(self, centre: np.ndarray, margin: float) -> None:
        """Never let anything stand within ``margin`` metres of a point (the doorway)."""
        self.kept_free[self._cells(centre, centre, margin)] = True

    def _is_walkable(self, taken: np.ndarray) -> bool:
        labels, count = ndimage.label(clearance_map(taken) > _BODY)  # type: ignore[misc]
        if count == 0:
            return False
        sizes = np.bincount(labels.ravel())[1:]
        largest, total = sizes.max(), sizes.sum()
        return bool(largest >= _CONNECTED * total and largest * CELL**2 >= _WALKABLE * self.width * self.depth)

    def try_to_take(self, low: np.ndarray, high: np.ndarray, margin: float) -> bool:
        """Take the rectangle from ``low`` to ``high`` (metres ``[2]``) if it and ``margin`` around it are free, it is
        in the room, and the floor stays walkable; says whether it did."""
        if (low < -0.01).any() or high[0] > self.width + 0.01 or high[1] > self.depth + 0.01:
            return False
        wide = self._cells(low, high, margin)
        if self.taken[wide].any() or self.kept_free[wide].any():
            return False
        trial = self.taken.copy()
        trial[self._cells(low, high, 0)] = True
        if not self._is_walkable(trial):
            return False
        self.taken = trial
        return True
