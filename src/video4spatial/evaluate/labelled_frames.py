"""Frames of rooms with the boxes of what they show: what the rooms detector learns from, and is measured on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int, UInt8

from video4spatial.data.rooms import RoomsConfig
from video4spatial.rooms import CATEGORIES, COLOURS, NoViewpoint, Room, object_box
from video4spatial.rooms.motion import gaze_angles, poses_from_gaze
from video4spatial.rooms.phrases import is_target_category
from video4spatial.rooms.viewpoint import find_viewpoint
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path

NAMED = tuple(category for category in CATEGORIES if is_target_category(category))
"""The categories that phrases name, in the order of the detector's channels."""

UNCLEAR = -1  # colour of an object that no colour word describes
FEWEST_PIXELS = 20  # of a 96x64 frame from which an object counts as shown; fewer, and it is neither shown nor absent

_TRIES = 3  # gazes at each target: at its centre, nearly so, and anywhere near


@dataclass(frozen=True)
class LabelledFrames:
    """Frames, and a row ``(frame, category, colour, x0, y0, x1, y1, pixels)`` for each named object seen in one.

    ``category`` counts in ``NAMED``, ``colour`` in ``COLOURS`` (``UNCLEAR``: none); boxes and pixels are of the visible
    part.
    """

    frames: UInt8[np.ndarray, "N H W 3"]
    labels: Int[np.ndarray, "M 8"]

    def save(self, path: str | Path) -> None:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, frames=self.frames, labels=self.labels)

    @classmethod
    def load(cls, path: str | Path) -> "LabelledFrames":
        with np.load(path, allow_pickle=False) as stored:
            if set(stored.files) != {"frames", "labels"}:
                raise InputError(f"{path} holds {stored.files}, not labelled frames: give a file that `save` wrote")
            return cls(stored["frames"], stored["labels"])

    @classmethod
    def joined(cls, parts: Iterable["LabelledFrames"]) -> "LabelledFrames":
        """All frames in one, the labels counted on."""
        frames, labels, start = [], [], 0
        for part in parts:
            moved = part.labels.copy()
            moved[:, 0] += start
            frames.append(part.frames)
            labels.append(moved)
            start += len(part.frames)
        return cls(np.concatenate(frames), np.concatenate(labels))


def render_labelled(room: Room, poses: Float64[np.ndarray, "N 4 4"], config: RoomsConfig) -> LabelledFrames:
    """The room seen from ``poses``, with what is seen."""
    rendered = room.render(poses, config.intrinsics)
    return LabelledFrames(rendered.rgb, labels_of(room, rendered.instance))


def labels_of(room: Room, instances: np.ndarray) -> Int[np.ndarray, "M 8"]:
    """The rows of ``LabelledFrames`` for frames of object ids ``[N, H, W]``."""
    rows = []
    for number, ids in enumerate(instances):
        counts = np.bincount(ids.ravel(), minlength=len(room.objects) + 1)
        for object_id in np.flatnonzero(counts[1:]) + 1:
            made = room.object(int(object_id))
            box = object_box(ids, int(object_id))
            if made.category not in NAMED or box is None:
                continue
            colour = COLOURS.index(made.colour) if made.colour else UNCLEAR
            corners = (int(box.x0), int(box.y0), int(box.x1), int(box.y1))
            rows.append((number, NAMED.index(made.category), colour, *corners, int(counts[object_id])))
    return np.array(rows, np.int64).reshape(-1, 8)


def training_frames(seed: int, config: RoomsConfig, count: int = 32) -> LabelledFrames:
    """``count`` views of room ``seed``: every target from where it is seen well, at the centre and away from it, and
    other objects from where a visitor may stand. Half of the rooms have another difficulty than ``config``'s."""
    rng = np.random.default_rng([seed, 41])
    difficulty = config.difficulty if rng.random() < 0.5 else float(rng.uniform(0, 1))
    room = replace(config, difficulty=difficulty).room(seed)
    gazes = _at_targets(room, rng)[:count]
    gazes = np.concatenate([gazes, _about(room, rng, count - len(gazes))])
    return render_labelled(room, poses_from_gaze(gazes[:, :3], gazes[:, 3], gazes[:, 4], gazes[:, 5]), config)


def collect_frames(
    seeds: Iterable[int], config: RoomsConfig, count: int = 32, on_room: Callable[[int], None] | None = None
) -> LabelledFrames:
    """``training_frames`` of many rooms; ``on_room`` is told how many are done."""
    parts = []
    for number, seed in enumerate(seeds):
        parts.append(training_frames(seed, config, count))
        if on_room is not None:
            on_room(number + 1)
    return LabelledFrames.joined(parts)


def _at_targets(room: Room, rng: np.random.Generator) -> Float64[np.ndarray, "N 6"]:
    """Position, yaw, pitch, roll: for each target its viewpoint, and gazes that leave the target off the centre."""
    gazes = []
    for target in room.targets():
        try:
            view = find_viewpoint(room, target.object_id, rng, float(rng.uniform(1.35, 1.6)))
        except NoViewpoint:
            continue
        for spread in (0.0, 0.08, 0.3)[:_TRIES]:
            yaw, pitch = view.yaw + spread * rng.normal(), view.pitch + 0.6 * spread * rng.normal()
            gazes.append([*view.position, yaw, float(np.clip(pitch, -1.0, 0.5)), 0.01 * rng.normal()])
    return np.array(gazes, np.float64).reshape(-1, 6)


def _about(room: Room, rng: np.random.Generator, count: int) -> Float64[np.ndarray, "N 6"]:
    """``count`` gazes from anywhere one can stand, at objects or past them."""
    shown = [made for made in room.objects if made.category in NAMED] or room.objects
    stands = room.walkable.points[rng.integers(len(room.walkable.points), size=count)]
    positions = np.column_stack([stands, rng.uniform(1.3, 1.65, count)])
    looked_at = np.array([shown[int(rng.integers(len(shown)))].centre for _ in range(count)]).reshape(-1, 3)
    yaw, pitch = gaze_angles(looked_at - positions)
    yaw = yaw + 0.3 * rng.normal(size=count)
    pitch = np.clip(pitch + 0.12 * rng.normal(size=count), -1.0, 0.5)
    return np.column_stack([positions, yaw, pitch, 0.01 * rng.normal(size=count)])
