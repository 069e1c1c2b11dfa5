"""Smooth motion: filters that leave end points where they are, a rate limit, handheld shake, and gaze angles.

Gaze angles are yaw (counter-clockwise from +x, seen from above), pitch (up) and roll (the right side dips), radians.
"""

import math

import numpy as np
from scipy import ndimage


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter along time, ``sigma`` in frames."""
    return ndimage.gaussian_filter1d(values, max(sigma, 1e-3), axis=0, mode="nearest")


def smooth_pinned(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter along time that keeps the first and last value: the signal goes on point-symmetrically."""
    if len(values) < 3 or sigma < 0.05:
        return values
    pad = min(math.ceil(4 * sigma), len(values) - 1)
    widths = [(pad, pad)] + [(0, 0)] * (values.ndim - 1)
    extended = np.pad(values, widths, "reflect", reflect_type="odd")
    return ndimage.gaussian_filter1d(extended, sigma, axis=0, truncate=pad / sigma)[pad:-pad]


def limit_rate(wanted: np.ndarray, step: float, start: float | None, end: float | None) -> np.ndarray:
    """Follow ``wanted [T]`` with at most ``step`` a frame, beginning at ``start`` and ending at ``end`` if given.

    If both are given and too far apart for the time, the step is widened to what is needed.
    """
    count = len(wanted)
    if start is None and end is not None:
        return limit_rate(wanted[::-1], step, end, None)[::-1]
    if start is not None and end is not None:
        step = max(step, abs(end - start) / max(count - 1, 1))
    followed = np.empty(count)
    value = wanted[0] if start is None else start
    for t in range(count):
        if t:
            value = min(max(wanted[t], value - step), value + step)
        if end is not None:
            reach = step * (count - 1 - t)
            value = min(max(value, end - reach), end + reach)
        followed[t] = value
    return followed


def shake(rng: np.random.Generator, count: int, amplitude: float, sigma: float) -> np.ndarray:
    """Smooth noise ``[count]`` of standard deviation ``amplitude``, correlated over ``sigma`` frames."""
    gain = amplitude * math.sqrt(2 * sigma * math.sqrt(math.pi))
    return smooth(rng.standard_normal(count), sigma) * gain


def smoothstep(values: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, level at both."""
    clipped = np.clip(values, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def wrap_angle(angle: float) -> float:
    """An angle brought to [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def gaze_angles(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Yaw and pitch ``[T]`` of directions ``[T, 3]``; yaw is continuous."""
    unit = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    yaw = np.unwrap(np.arctan2(unit[:, 1], unit[:, 0]))
    return yaw, np.arcsin(np.clip(unit[:, 2], -1, 1))


def poses_from_gaze(positions: np.ndarray, yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Camera-to-world ``[T, 4, 4]`` (OpenCV axes) of positions ``[T, 3]`` and gaze angles ``[T]``."""
    forward = np.stack([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], 1)
    right = np.stack([np.sin(yaw), -np.cos(yaw), np.zeros_like(yaw)], 1)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, 0] = cos * right + sin * down
    poses[:, :3, 1] = cos * down - sin * right
    poses[:, :3, 2] = forward
    poses[:, :3, 3] = positions
    return poses


def gaze_of_pose(pose: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll of one camera-to-world pose: what ``poses_from_gaze`` undoes."""
    right, forward = pose[:3, 0], pose[:3, 2]
    pitch = math.asin(float(np.clip(forward[2], -1, 1)))
    yaw = math.atan2(forward[1], forward[0])
    level = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    return yaw, pitch, math.atan2(float(right @ np.cross(forward, level)), float(right @ level))
