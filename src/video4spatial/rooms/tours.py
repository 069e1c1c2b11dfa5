"""Tours: a handheld camera that walks about a room, looks at things, and can end in front of one of them."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from video4spatial.rooms.motion import (
    gaze_angles,
    gaze_of_pose,
    limit_rate,
    poses_from_gaze,
    shake,
    smooth,
    smooth_pinned,
    smoothstep,
    wrap_angle,
)
from video4spatial.rooms.room import Room
from video4spatial.rooms.viewpoint import Reach, Viewpoint, find_viewpoint
from video4spatial.rooms.walkable import Walkable
from video4spatial.schema import InputError

_TURN = math.radians(60)  # of gaze a second; with the shake and the tilt it stays below 75 degrees
_TILT = math.radians(24)
_APPROACH = 1.6  # seconds before the end at which the gaze goes to the target
_HASTE = 1.3  # how much faster one may walk to reach a target from a given start
_LEAST_CLEARANCE = 0.12  # metres from the camera to furniture, at the least
_UNSEEN = frozenset(("floor", "ceiling", "wall", "skirting board", "rug", "ceiling lamp", "curtain"))


def _covering_route(walkable: Walkable, rng: np.random.Generator, length: float, first: int) -> list[np.ndarray]:
    """Legs of a walk of at least ``length`` metres that goes where it has not been lately."""
    stops = [first]
    legs, walked = [walkable.points[[first]]], 0.0
    while walked < length and len(stops) < 400:
        candidates = rng.integers(len(walkable.points), size=12)
        recent = walkable.points[stops[-4:]]
        apart = np.linalg.norm(walkable.points[candidates][:, None] - recent[None], axis=-1).min(1)
        stop = int(candidates[apart.argmax()])
        leg = walkable.route(stops[-1], stop)
        walked += float(np.linalg.norm(np.diff(leg, axis=0), axis=1).sum())
        legs.append(leg[1:])
        stops.append(stop)
        if len(walkable.points) == 1:
            break
    return legs


def _route(
    walkable: Walkable,
    rng: np.random.Generator,
    length: float,
    goal: Viewpoint | None,
    waypoints: Sequence[Sequence[float]] | None,
    start: np.ndarray | None,
) -> np.ndarray:
    """The polyline ``[K, 2]`` to walk, at most ``length`` metres of it unless start or waypoints ask for more."""
    if waypoints is not None:
        stops = [walkable.nearest(np.asarray(waypoint)) for waypoint in waypoints]
        if goal is not None:
            stops.append(goal.cell)
        legs = [walkable.points[[stops[0]]]]
        legs += [walkable.route(a, b)[1:] for a, b in pairwise(stops)]
        if start is not None:
            legs = [start[None, :2], walkable.route(walkable.nearest(start), stops[0]), *legs[1:]]
        return np.concatenate(legs)
    if start is not None:
        first = walkable.nearest(start)
        if goal is not None:
            return np.concatenate([start[None, :2], walkable.route(first, goal.cell)])
        way = np.concatenate([start[None, :2], *_covering_route(walkable, rng, length, first)])
        return way[: _cut(way, length)]
    first = int(rng.integers(len(walkable.points)))
    if goal is None:
        way = np.concatenate(_covering_route(walkable, rng, length, first))
        return way[: _cut(way, length)]
    # the walk is planned backwards, so that a short clip is just its last leg
    backwards = np.concatenate(_covering_route(walkable, rng, length, goal.cell))
    return backwards[: _cut(backwards, length)][::-1]


def _cut(way: np.ndarray, length: float) -> int:
    """How many points of a polyline make up ``length`` metres."""
    walked = np.linalg.norm(np.diff(way, axis=0), axis=1).cumsum()
    return int(np.searchsorted(walked, length)) + 2


def _walk_along(way: np.ndarray, frames: int, fps: float, walkable: Walkable) -> np.ndarray:
    """Positions ``[T, 2]``: even pace with soft start and stop, corners cut as far as the furniture allows."""
    if len(way) == 1:
        return np.repeat(way, frames, 0)
    along = np.r_[0, np.linalg.norm(np.diff(way, axis=0), axis=1).cumsum()]
    u = np.linspace(0, 1, frames)
    pace = np.minimum(1, np.minimum(u, 1 - u) * 12) + 0.15
    place = np.r_[0, np.cumsum((pace[1:] + pace[:-1]) / 2)]
    place = place / max(place[-1], 1e-9) * along[-1]
    straight = np.stack([np.interp(place, along, way[:, k]) for k in (0, 1)], 1)
    time = np.arange(frames) / fps
    held = smoothstep(np.minimum(time, time[-1] - time) / 0.5)[:, None]  # the ends stay where they are
    positions = straight
    for seconds in (0.45, 0.3, 0.15, 0.05):
        positions = smooth_pinned(straight, seconds * fps)
        for _ in range(12):
            lack = np.maximum(0.85 * walkable.wanted_clearance - walkable.clearance_at(positions), 0)[:, None]
            push = smooth(lack * walkable.away_from_furniture(positions), 0.15 * fps) * 1.5
            positions = positions + push * held
        positions = smooth_pinned(positions, 0.2 * fps * min(1, seconds / 0.3))
        tight = np.minimum(walkable.clearance_at(straight), _LEAST_CLEARANCE)
        if (walkable.clearance_at(positions) >= tight).all():
            return positions
    return straight


def _glances(
    room: Room, positions: np.ndarray, fps: float, rng: np.random.Generator, first: np.ndarray | None
) -> np.ndarray:
    """Points ``[T, 3]`` to look at: for some seconds each an object ahead, now and then just the way ahead."""
    frames = len(positions)
    objects = [made for made in room.objects if made.category not in _UNSEEN]
    centres = np.array([made.centre for made in objects]).reshape(-1, 3)
    heading = smooth(np.gradient(positions, axis=0), 0.5 * fps)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-9
    seen = np.zeros(len(objects))
    looked_at = np.empty((frames, 3))
    t = 0
    if first is not None:
        t = min(int(0.4 * fps), frames)
        looked_at[:t] = first
    while t < frames:
        hold = max(int(fps * rng.uniform(1.6, 3.2)), 1)
        here, ahead = positions[t], heading[min(t + hold // 2, frames - 1)]
        away = centres[:, :2] - here
        distance = np.linalg.norm(away, axis=1)
        liking = away @ ahead / (distance + 0.01) - 1.2 * seen + 0.5 * rng.random(len(objects)) - 0.8 * (distance < 0.8)
        if len(objects) and rng.random() < 0.85:
            choice = int(liking.argmax())
            seen[choice] += 1
            looked_at[t : t + hold] = centres[choice] * [1, 1, 0.7] + [0, 0, 0.3]
        else:
            looked_at[t : t + hold] = [*(here + 2.5 * ahead), 1.0]
        t += hold
    return looked_at


def _find_goal(
    room: Room,
    target: int,
    rng: np.random.Generator,
    eye: float,
    start: np.ndarray | None,
    seconds: float,
    speed: float,
) -> Viewpoint:
    """The viewpoint to end at; within reach of ``start`` if there is one."""
    if start is None:
        return find_viewpoint(room, target, rng, eye)
    distances = room.walkable.distances(room.walkable.nearest(start[:3, 3]))
    reach = Reach(distances, _HASTE * speed * seconds, gaze_of_pose(start)[0], _TURN * max(seconds - 0.3, 0.0))
    return find_viewpoint(room, target, rng, eye, reach)


def _check(frames: int, fps: float, speed: float, waypoints, start: np.ndarray | None) -> None:
    if frames < 1:
        raise InputError(f"frames is {frames}: a tour has one or more")
    if fps <= 0 or speed <= 0:
        raise InputError(f"fps is {fps}, speed is {speed}: both must be positive")
    if waypoints is not None and len(waypoints) == 0:
        raise InputError("waypoints is empty: give one or more (x, y), or None for a covering tour")
    if start is not None and np.shape(start) != (4, 4):
        raise InputError(f"start is a pose of shape (4, 4), not {np.shape(start)}")


def tour(
    room: Room,
    frames: int,
    seed: int = 0,
    fps: float = 16.0,
    speed: float = 0.8,
    target: int | None = None,
    waypoints: Sequence[Sequence[float]] | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """A handheld walk through a room: camera-to-world float64 ``[frames, 4, 4]`` (OpenCV axes), the same for the same
    room and seed.

    ``speed`` in metres a second is what it walks on average (it is slower where the way is shorter). With ``target``
    (an object id) the last 1.6 seconds bring that object into the centre, and the walk ends in front of it. With
    ``waypoints`` [(x, y), ...] it visits these instead of covering the room. ``start``, a pose ``[4, 4]``, is where it
    begins. Gaze turns by less than 75 degrees a second.

    Raises ``NoViewpoint`` if the target cannot be seen, or not reached in time from ``start``; ``InputError`` for
    arguments out of range.
    """
    _check(frames, fps, speed, waypoints, start)
    if frames == 1:
        if start is not None:
            return np.array(start, np.float64)[None]
        pair = tour(room, 2, seed, fps, speed, target, waypoints)
        return pair[:1] if target is None else pair[1:]
    rng = np.random.default_rng([room.seed, seed, 3])
    seconds = frames / fps
    eye = rng.uniform(1.35, 1.6) if start is None else float(np.clip(start[2, 3], 1.0, 1.8))
    goal = None if target is None else _find_goal(room, target, rng, eye, start, seconds, speed)
    begin = None if start is None else start[:3, 3]
    way = _route(room.walkable, rng, seconds * speed, goal, waypoints, begin)
    ground = _walk_along(way, frames, fps, room.walkable)

    time = np.arange(frames) / fps
    steady = np.ones(frames)
    if start is not None:
        steady *= smoothstep(time / 1.0)
    if goal is not None:
        steady *= smoothstep((time[-1] - time) / 1.0)
    bob = 0.02 * np.sin(2 * np.pi * 1.6 * time) * min(speed / 0.5, 1)
    drift = shake(rng, frames, 0.024, 1.5 * fps) + shake(rng, frames, 0.004, 0.2 * fps)
    height = eye + (bob + drift) * steady
    if begin is not None:
        height += (begin[2] - eye) * (1 - smoothstep(time / min(1.5, max(time[-1], 0.1))))
    positions = np.column_stack([ground, height])

    yaw, pitch, roll = _gaze(room, positions, fps, rng, goal, start)
    yaw += steady * (shake(rng, frames, 0.006, 0.13 * fps) + shake(rng, frames, 0.012, 0.5 * fps))
    pitch += steady * (shake(rng, frames, 0.005, 0.13 * fps) + shake(rng, frames, 0.010, 0.5 * fps))
    roll += steady * shake(rng, frames, 0.008, 0.33 * fps)
    return poses_from_gaze(positions, yaw, pitch, roll)


def _gaze(
    room: Room,
    positions: np.ndarray,
    fps: float,
    rng: np.random.Generator,
    goal: Viewpoint | None,
    start: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Yaw, pitch and roll ``[T]``, without shake: glances, then the target, as fast as the neck turns."""
    frames = len(positions)
    time = np.arange(frames) / fps
    roll = np.zeros(frames)
    first = None
    begin_yaw = begin_pitch = end_yaw = end_pitch = None
    if start is not None:
        begin_yaw, begin_pitch, begin_roll = gaze_of_pose(start)
        roll = begin_roll * (1 - smoothstep(time / min(1.0, max(time[-1], 0.1))))
        first = start[:3, 3] + 2.5 * start[:3, 2]
    looked_at = _glances(room, positions[:, :2], fps, rng, first)
    if goal is not None:
        forward = np.array([math.cos(goal.yaw), math.sin(goal.yaw), math.tan(goal.pitch)])
        looked_at[time >= time[-1] - _APPROACH] = goal.position + 2.0 * forward
    yaw, pitch = gaze_angles(looked_at - positions)
    yaw, pitch = smooth(yaw, 0.35 * fps), smooth(np.clip(pitch, -0.9, 0.5), 0.35 * fps)
    if begin_yaw is not None:
        yaw += begin_yaw + wrap_angle(float(yaw[0]) - begin_yaw) - yaw[0]
    if goal is not None:
        end_yaw, end_pitch = float(yaw[-1]) + wrap_angle(goal.yaw - float(yaw[-1])), goal.pitch
        if begin_yaw is not None and abs(end_yaw - begin_yaw) > _TURN * (time[-1] - 0.2):
            end_yaw = begin_yaw + wrap_angle(goal.yaw - begin_yaw)  # the short way round
            yaw[:] = end_yaw
    yaw = limit_rate(yaw, _TURN / fps, begin_yaw, end_yaw)
    pitch = limit_rate(pitch, _TILT / fps, begin_pitch, end_pitch)
    return smooth_pinned(yaw, 0.15 * fps), smooth_pinned(pitch, 0.15 * fps), roll
