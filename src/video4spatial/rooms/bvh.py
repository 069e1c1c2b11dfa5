"""A bounding volume hierarchy over the shadow casters, and rays traced through it."""

from typing import NamedTuple

import numpy as np
from numba import njit

_LEAF = 4
_EPSILON = 1e-4  # metres: nearer hits are the surface the ray starts from


class Hierarchy(NamedTuple):
    """Nodes ``[N]``: boxes ``low``, ``high``; inner nodes hold their children's indices in ``left``, ``right``;
    leaves hold the first triangle in ``left`` and minus their count in ``right``. ``triangles [K, 9]`` are
    ``(corner, edge 1, edge 2)`` in leaf order, ``source [K]`` their indices in the scene."""

    low: np.ndarray
    high: np.ndarray
    left: np.ndarray
    right: np.ndarray
    triangles: np.ndarray
    source: np.ndarray


@njit(cache=True, nogil=True)
def _partition(order, key, first, last, middle):
    """Reorder ``order[first:last]`` so that ``order[middle]`` is where sorting by key would put it."""
    low, high = first, last - 1
    while low < high:
        pivot = key[order[(low + high) // 2]]
        i, j = low, high
        while i <= j:
            while key[order[i]] < pivot:
                i += 1
            while key[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@njit(cache=True, nogil=True)
def _build(low, high, order, node_low, node_high, left, right):
    """Split the triangles at the median of the longest axis, depth first; returns the number of nodes."""
    centre = (low + high) / 2
    stack = np.empty((64, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, len(order), 0
    depth, count = 1, 1
    while depth > 0:
        depth -= 1
        first, last, node = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        centre_low, centre_high = centre[order[first]].copy(), centre[order[first]].copy()
        node_low[node], node_high[node] = low[order[first]], high[order[first]]
        for k in range(first, last):
            for axis in range(3):
                triangle = order[k]
                node_low[node, axis] = min(node_low[node, axis], low[triangle, axis])
                node_high[node, axis] = max(node_high[node, axis], high[triangle, axis])
                centre_low[axis] = min(centre_low[axis], centre[triangle, axis])
                centre_high[axis] = max(centre_high[axis], centre[triangle, axis])
        if last - first <= _LEAF:
            left[node], right[node] = first, first - last
            continue
        middle = (first + last) // 2
        _partition(order, centre[:, np.argmax(centre_high - centre_low)], first, last, middle)
        left[node], right[node] = count, count + 1
        stack[depth, 0], stack[depth, 1], stack[depth, 2] = middle, last, count + 1
        stack[depth + 1, 0], stack[depth + 1, 1], stack[depth + 1, 2] = first, middle, count
        depth += 2
        count += 2
    return count


def build_hierarchy(vertices: np.ndarray, triangles: np.ndarray, source: np.ndarray) -> Hierarchy:
    """The hierarchy over ``triangles[source]`` (int indices ``[K]``, may be empty)."""
    corners = vertices[triangles[source]].astype(np.float64)
    count = len(source)
    order = np.arange(count)
    nodes = max(2 * count, 1)
    node_low, node_high = np.full((nodes, 3), 9.0), np.full((nodes, 3), -9.0)
    left, right = np.zeros(nodes, np.int32), np.zeros(nodes, np.int32)
    used = 1
    if count:
        used = _build(corners.min(1), corners.max(1), order, node_low, node_high, left, right)
    a, b, c = (corners[order, k] for k in range(3))
    return Hierarchy(
        low=node_low[:used].astype(np.float32),
        high=node_high[:used].astype(np.float32),
        left=left[:used],
        right=right[:used],
        triangles=np.ascontiguousarray(np.concatenate([a, b - a, c - a], 1), np.float32),
        source=source[order].astype(np.int32),
    )


@njit(cache=True, nogil=True, fastmath=True)
def trace(bvh, ox, oy, oz, dx, dy, dz, reach, any_hit):
    """The nearest (or any) triangle hit within ``reach`` metres by the ray from o along d.

    Returns its index in leaf order (-1: none), the distance, and the barycentric weights of corners 1 and 2.
    """
    low, high, left, right, triangles = bvh.low, bvh.high, bvh.left, bvh.right, bvh.triangles
    inverse_x = 1 / dx if abs(dx) > 1e-9 else 1e9
    inverse_y = 1 / dy if abs(dy) > 1e-9 else 1e9
    inverse_z = 1 / dz if abs(dz) > 1e-9 else 1e9
    stack = np.empty(48, np.int32)
    stack[0] = 0
    depth = 1
    best, distance, best_u, best_v = -1, reach, 0.0, 0.0
    while depth > 0:
        depth -= 1
        node = stack[depth]
        a, b = (low[node, 0] - ox) * inverse_x, (high[node, 0] - ox) * inverse_x
        near, far = min(a, b), max(a, b)
        a, b = (low[node, 1] - oy) * inverse_y, (high[node, 1] - oy) * inverse_y
        near, far = max(near, min(a, b)), min(far, max(a, b))
        a, b = (low[node, 2] - oz) * inverse_z, (high[node, 2] - oz) * inverse_z
        near, far = max(near, min(a, b)), min(far, max(a, b))
        if far < max(near, 0.0) or near > distance:
            continue
        if right[node] > 0:
            stack[depth] = left[node]
            stack[depth + 1] = right[node]
            depth += 2
            continue
        for k in range(left[node], left[node] - right[node]):
            # Moeller and Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection", 1997
            q = triangles[k]
            px, py, pz = dy * q[8] - dz * q[7], dz * q[6] - dx * q[8], dx * q[7] - dy * q[6]
            determinant = q[3] * px + q[4] * py + q[5] * pz
            if abs(determinant) < 1e-12:
                continue
            inverse = 1 / determinant
            tx, ty, tz = ox - q[0], oy - q[1], oz - q[2]
            u = (tx * px + ty * py + tz * pz) * inverse
            if u < 0 or u > 1:
                continue
            qx, qy, qz = ty * q[5] - tz * q[4], tz * q[3] - tx * q[5], tx * q[4] - ty * q[3]
            v = (dx * qx + dy * qy + dz * qz) * inverse
            if v < 0 or u + v > 1:
                continue
            t = (q[6] * qx + q[7] * qy + q[8] * qz) * inverse
            if _EPSILON < t < distance:
                best, distance, best_u, best_v = k, t, u, v
                if any_hit:
                    return best, distance, best_u, best_v
    return best, distance, best_u, best_v
