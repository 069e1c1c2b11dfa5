"""Where one can walk in a room: a graph of floor cells that keep their distance from the furniture."""

import math

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from video4spatial.rooms.layout.occupancy import CELL, clearance_map

_CLEARANCE = 0.30  # metres from obstacles, less in a room that is too crowded for it
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


class Walkable:
    """The largest connected piece of walkable floor of an occupancy map ``taken [X, Y]``."""

    def __init__(self, taken: np.ndarray) -> None:
        self.clearance = clearance_map(taken)
        self.wanted_clearance = _CLEARANCE
        labels, count = ndimage.label(self.clearance > self.wanted_clearance)  # type: ignore[misc]
        while count == 0:
            self.wanted_clearance *= 0.8
            labels, count = ndimage.label(self.clearance > self.wanted_clearance)  # type: ignore[misc]
        piece = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
        self._cells = np.argwhere(piece)
        self.points = (self._cells + 0.5) * CELL
        slopes = np.gradient(np.asarray(ndimage.gaussian_filter(self.clearance, 2)), CELL)
        self._uphill = np.stack(list(slopes), -1)
        self._comfort, self._length = self._graphs(piece)

    def _graphs(self, piece: np.ndarray):
        """Two graphs over the cells: one whose edges cost more near furniture, one of plain lengths."""
        number = np.full(piece.shape, -1)
        number[piece] = np.arange(len(self._cells))
        here = self.clearance[piece]
        sources, ends, lengths = [], [], []
        for step in _NEIGHBOURS:
            beside = self._cells + step
            valid = np.nonzero((beside >= 0).all(1) & (beside < piece.shape).all(1))[0]
            other = number[beside[valid, 0], beside[valid, 1]]
            sources.append(valid[other >= 0])
            ends.append(other[other >= 0])
            lengths.append(np.full(len(ends[-1]), CELL * math.hypot(*step)))
        source, end, length = (np.concatenate(part) for part in (sources, ends, lengths))
        room = np.minimum(here[source], here[end]).clip(0.05, 0.6)
        shape = (len(self._cells),) * 2
        comfort = coo_matrix((length / room, (source, end)), shape).tocsr()
        return comfort, coo_matrix((length, (source, end)), shape).tocsr()

    def nearest(self, position: np.ndarray) -> int:
        """The number of the cell nearest to a position (metres, the first two coordinates count)."""
        return int(((self.points - np.asarray(position, float)[:2]) ** 2).sum(1).argmin())

    def route(self, start: int, goal: int) -> np.ndarray:
        """Positions ``[K, 2]`` along a comfortable way between two cells, both ends included."""
        _, towards = dijkstra(self._comfort, directed=False, indices=goal, return_predecessors=True)
        way = [start]
        while way[-1] != goal and towards[way[-1]] >= 0:
            way.append(int(towards[way[-1]]))
        return self.points[way]

    def distances(self, start: int) -> np.ndarray:
        """Metres to walk from a cell to every other one."""
        return dijkstra(self._length, directed=False, indices=start)

    def clearance_at(self, positions: np.ndarray) -> np.ndarray:
        """Metres from positions ``[N, 2]`` to the nearest obstacle; 0 outside the room."""
        cell = np.floor(positions / CELL).astype(int)
        inside = ((cell >= 0) & (cell < self.clearance.shape)).all(1)
        cell = np.clip(cell, 0, np.array(self.clearance.shape) - 1)
        return np.where(inside, self.clearance[cell[:, 0], cell[:, 1]], 0.0)

    def away_from_furniture(self, positions: np.ndarray) -> np.ndarray:
        """Directions ``[N, 2]`` in which the clearance grows."""
        cell = np.clip((positions / CELL).astype(int), 0, np.array(self.clearance.shape) - 1)
        return self._uphill[cell[:, 0], cell[:, 1]]
