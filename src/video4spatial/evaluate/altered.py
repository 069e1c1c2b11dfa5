"""Rooms with something wrong in them: what the self-checks of Spatial Distance show, and what the depth network learns.

Only geometry changes: baked light and shadows stay where they were, as they may in a generated video.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from video4spatial.rooms import Room, RoomObject
from video4spatial.rooms.compiled import LIGHTMAP_START, OBJECT, TEXTURE
from video4spatial.rooms.furniture import FIXTURES
from video4spatial.schema import InputError

_HEADINGS = 16
_FROM_PATH = 0.35  # metres that a moved piece keeps from the camera, seen from above


def furniture(room: Room) -> list[RoomObject]:
    """The objects that are not the room's own fixtures."""
    return [made for made in room.objects if made.category not in FIXTURES]


def moved(room: Room, shifts: Mapping[int, Float[np.ndarray, "3"]]) -> Room:
    """The room with each object of an id in ``shifts`` displaced by that many metres."""
    owner = _vertex_owner(room)
    vertices = room.scene.vertices.copy()
    for object_id, shift in shifts.items():
        vertices[owner == room.object(object_id).id] += np.asarray(shift, np.float32)
    return replace(room, scene=replace(room.scene, vertices=vertices))


def headings(
    room: Room, positions: Float[np.ndarray, "T 3"], farthest: float, seed: int = 0
) -> dict[int, Float[np.ndarray, "3"]]:
    """For each piece of furniture that can be moved by up to ``farthest`` metres, the unit vector to move it along.

    A heading counts if the piece stays in the room and off the camera's path all the way; other pieces may be met.
    """
    rng = np.random.default_rng([room.seed, seed, 41])
    chosen = {}
    for made in furniture(room):
        low, high = made.corners.min(0)[:2], made.corners.max(0)[:2]
        for angle in rng.permutation(_HEADINGS) * 2 * np.pi / _HEADINGS:
            heading = np.array([np.cos(angle), np.sin(angle), 0.0])
            steps = np.linspace(0, farthest, 8)[:, None] * heading[:2]
            inside = ((low + steps >= 0) & (high + steps <= room.size[:2])).all()
            gap = np.maximum(low + steps[:, None] - positions[:, :2], positions[:, :2] - high - steps[:, None])
            if inside and np.linalg.norm(np.maximum(gap, 0), axis=-1).min() > _FROM_PATH:
                chosen[made.id] = heading
                break
    return chosen


def with_guest(room: Room, other: Room, object_id: int, at: Float[np.ndarray, "3"]) -> Room:
    """The room with one object of another room in it, its centre at ``at``; it carries no object id (0)."""
    scene, source = room.scene, other.scene
    patches = np.flatnonzero(source.patch_int[:, OBJECT] == other.object(object_id).id)
    triangles = np.flatnonzero(np.isin(source.triangle_patch, patches))
    if not len(triangles):
        raise InputError(f"object {object_id} of room {other.seed} has no surface")
    numbers, values = source.patch_int[patches].copy(), source.patch_float[patches].copy()
    numbers[:, OBJECT] = 0
    numbers[:, TEXTURE] += len(scene.textures)
    numbers[:, LIGHTMAP_START] += len(scene.lightmap)
    place = np.zeros(len(source.patch_int), np.int32)
    place[patches] = np.arange(len(patches), dtype=np.int32) + len(scene.patch_int)
    shift = np.asarray(at - other.object(object_id).centre, np.float32)
    lit = source.lightmap * np.float32(source.exposure / scene.exposure)
    merged = replace(
        scene,
        vertices=np.concatenate([scene.vertices, source.vertices + shift]),
        charts=np.concatenate([scene.charts, source.charts]),
        triangles=np.concatenate([scene.triangles, source.triangles[triangles] + np.int32(len(scene.vertices))]),
        triangle_patch=np.concatenate([scene.triangle_patch, place[source.triangle_patch[triangles]]]),
        triangle_normal=np.concatenate([scene.triangle_normal, source.triangle_normal[triangles]]),
        triangle_area=np.concatenate([scene.triangle_area, source.triangle_area[triangles]]),
        patch_float=np.concatenate([scene.patch_float, values]),
        patch_int=np.concatenate([scene.patch_int, numbers]),
        textures=np.concatenate([scene.textures, source.textures]),
        lightmap=np.concatenate([scene.lightmap, lit.astype(np.float32)]),
    )
    return replace(room, scene=merged)


def stretched(room: Room, factors: Float[np.ndarray, "3"]) -> Room:
    """The room scaled about its floor's middle by a factor an axis (walls, furniture and all)."""
    middle = np.array([room.size[0] / 2, room.size[1] / 2, 0.0])
    vertices = ((room.scene.vertices - middle) * factors + middle).astype(np.float32)
    normals = room.scene.triangle_normal / np.asarray(factors, np.float32)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    size = room.scene.room_size * factors
    scene = replace(room.scene, vertices=vertices, triangle_normal=normals.astype(np.float32), room_size=size)
    width, depth, height = (float(side) for side in size)
    return replace(room, scene=scene, size=(width, depth, height))


def _vertex_owner(room: Room) -> np.ndarray:
    """The object id of every vertex (a patch has vertices of its own)."""
    owner = np.zeros(len(room.scene.vertices), np.int64)
    owner[room.scene.triangles] = room.scene.patch_int[room.scene.triangle_patch, OBJECT][:, None]
    return owner


def in_view_places(
    room: Room, c2w: Float[np.ndarray, "T 4 4"], count: int, radius: float, seed: int = 0
) -> list[Float[np.ndarray, "3"]]:
    """Up to ``count`` places on the floor (z = 0), 1 to 2.5 m ahead of some camera of the path, for guests of a
    ``radius``: inside the room, off the whole path, apart from one another."""
    rng = np.random.default_rng([room.seed, seed, 47])
    places: list[np.ndarray] = []
    for _ in range(400):
        pose = c2w[rng.integers(len(c2w))]
        ahead = pose[:2, 2] / max(float(np.linalg.norm(pose[:2, 2])), 1e-9)
        place = np.array([*(pose[:2, 3] + rng.uniform(1.0, 2.5) * ahead), 0.0])
        inside = (place[:2] > radius).all() and (place[:2] < np.array(room.size[:2]) - radius).all()
        apart = all(np.linalg.norm(place - other) > 2 * radius for other in places)
        clear = np.linalg.norm(c2w[:, :2, 3] - place[:2], axis=1).min() > radius + _FROM_PATH
        if inside and apart and clear:
            places.append(place)
        if len(places) == count:
            break
    return places


def with_guests(room: Room, other: Room, places: list[Float[np.ndarray, "3"]], radius: float) -> Room:
    """A piece of another room's furniture, none wider than ``radius``, standing at each place; the same for the same
    rooms."""
    pieces = [made for made in furniture(other) if np.linalg.norm(made.size[:2]) / 2 <= radius and made.size[2] > 0.4]
    if not pieces and places:
        raise InputError(f"room {other.seed} has no furniture within {radius} m of radius: take another room")
    for number, place in enumerate(places):
        piece = pieces[number % len(pieces)]
        room = with_guest(room, other, piece.id, np.array([*place[:2], piece.centre[2]]))
    return room
