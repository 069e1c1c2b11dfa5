"""The held-out benchmark in rooms: one case a room, from room seeds that are never trained on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig, article, grounding_video
from video4spatial.rooms import NoViewpoint, Room, tour
from video4spatial.schema import Box, CameraPath, Clip, InputError, Intrinsics, require_4k_plus_1

_SEEN = 0.005  # share of a context frame's pixels that the target must cover once, to have been shown
_MOST_BARREN = 200  # rooms in a row that offer no case, before it is the settings that are wrong

CaseT = TypeVar("CaseT")


@dataclass(frozen=True)
class NavigationCase:
    """A walk cut in two: the context, and the way it goes on.

    Attributes:
        context: the covering tour up to the cut.
        path: poses from the cut on; the first is the context's last. World frame of the room, metres.
        truth: the frames rendered along ``path``; the first is the context's last frame, bit for bit.
    """

    case_id: str
    room_seed: int
    context: Clip
    path: CameraPath
    truth: Clip

    def to_manifest(self) -> dict[str, Any]:
        """What names the case, ready for JSON."""
        return {
            "case_id": self.case_id,
            "task": "navigation",
            "room_seed": self.room_seed,
            "context_frames": len(self.context),
            "target_frames": len(self.truth),
        }


@dataclass(frozen=True)
class GroundingCase:
    """A walk, and an object seen on it that is to be found again from where the walk ended.

    Attributes:
        context: the covering tour; ``context_c2w`` its poses (for judging: the model is never given them).
        target: the phrase with its article, "the red armchair"; no other object of the room answers to it.
        scene: the room's description for the instruction's sentence.
        truth: an approach from the context's last pose, with the box tail; ``truth_c2w`` its poses.
        box: what the truth's tail marks.
    """

    case_id: str
    room_seed: int
    room: Room
    intrinsics: Intrinsics
    context: Clip
    context_c2w: Float[np.ndarray, "T 4 4"]
    target: str
    scene: str
    object_id: int
    truth: Clip
    truth_c2w: Float[np.ndarray, "T2 4 4"]
    box: Box
    tail_frames: int

    def to_manifest(self) -> dict[str, Any]:
        """What names the case, ready for JSON."""
        made = self.room.object(self.object_id)
        return {
            "case_id": self.case_id,
            "task": "grounding",
            "room_seed": self.room_seed,
            "target": self.target,
            "scene": self.scene,
            "object_id": self.object_id,
            "category": made.category,
            "colour": made.colour,
            "context_frames": len(self.context),
            "target_frames": len(self.truth),
        }


def navigation_cases(
    count: int, config: RoomsConfig, target_frames: int, first_seed: int = HELD_OUT_SEED
) -> Iterator[NavigationCase]:
    """``count`` cases, one a room from ``first_seed`` on; the same arguments give the same cases.

    The context has ``config.frames`` frames, the target ``target_frames``, both 4k + 1. Raises ``InputError`` for other
    lengths, ``count < 1``, or a seed that may be trained on.
    """
    require_4k_plus_1(config.frames, "the context's length, config.frames,")
    require_4k_plus_1(target_frames, "target_frames")
    if target_frames < 5:
        raise InputError(f"target_frames is {target_frames}: give at least 5, the first is given")
    return _collect(count, first_seed, lambda seed: _navigation_case(seed, config, target_frames))


def grounding_cases(
    count: int, config: RoomsConfig, target_frames: int | None = None, first_seed: int = HELD_OUT_SEED
) -> Iterator[GroundingCase]:
    """``count`` cases, one a room from ``first_seed`` on; the same arguments give the same cases.

    The target was seen in the context (0.5 % of some frame) and can be reached from its end within ``target_frames``
    (box tail included; ``config.frames`` unless given). Rooms without one are passed over. Raises as
    ``navigation_cases``.
    """
    require_4k_plus_1(config.frames, "the context's length, config.frames,")
    frames = require_4k_plus_1(config.frames if target_frames is None else target_frames, "target_frames")
    if frames < config.tail_frames + 5:
        raise InputError(f"target_frames is {frames}: with a box tail of {config.tail_frames} it must be longer")
    return _collect(count, first_seed, lambda seed: _grounding_case(seed, config, frames))


def _collect(count: int, first_seed: int, make: Callable[[int], CaseT | None]) -> Iterator[CaseT]:
    if count < 1:
        raise InputError(f"the number of cases is {count}: give at least 1")
    if first_seed < HELD_OUT_SEED:
        raise InputError(f"room seed {first_seed} may be trained on: cases are made from {HELD_OUT_SEED} on")
    return _rooms_with_a_case(count, first_seed, make)


def _rooms_with_a_case(count: int, first_seed: int, make: Callable[[int], CaseT | None]) -> Iterator[CaseT]:
    seed, made, barren = first_seed, 0, 0
    while made < count:
        case = make(seed)
        seed += 1
        if case is None:
            barren += 1
            if barren == _MOST_BARREN:
                raise InputError(f"{barren} rooms in a row offer no case: give longer targets or easier rooms")
            continue
        made, barren = made + 1, 0
        yield case


def _navigation_case(seed: int, config: RoomsConfig, target_frames: int) -> NavigationCase:
    room = config.room(seed)
    c2w = tour(room, config.frames + target_frames - 1, fps=config.fps, speed=config.speed)
    frames = room.render(c2w, config.intrinsics).rgb
    cut = config.frames - 1
    return NavigationCase(
        case_id=f"navigation-{seed}",
        room_seed=seed,
        context=Clip(frames[: cut + 1], config.fps),
        path=CameraPath(c2w[cut:], config.intrinsics),
        truth=Clip(frames[cut:], config.fps),
    )


def _grounding_case(seed: int, config: RoomsConfig, target_frames: int) -> GroundingCase | None:
    room = config.room(seed)
    c2w = tour(room, config.frames, fps=config.fps, speed=config.speed)
    context = room.render(c2w, config.intrinsics)
    most_seen = [(context.instance == made.id).mean(axis=(1, 2)).max() for made in room.objects]
    targets = [target for target in room.targets() if most_seen[target.object_id - 1] >= _SEEN]
    for choice in np.random.default_rng([seed, 29]).permutation(len(targets)):
        target = targets[choice]
        try:
            approach = grounding_video(room, target, config, start=c2w[-1], frames=target_frames)
        except NoViewpoint:
            continue
        assert approach.c2w is not None
        return GroundingCase(
            case_id=f"grounding-{seed}",
            room_seed=seed,
            room=room,
            intrinsics=config.intrinsics,
            context=Clip(context.rgb, config.fps),
            context_c2w=c2w,
            target=article(target.phrase),
            scene=room.describe(),
            object_id=int(target.object_id),
            truth=approach.clip,
            truth_c2w=approach.c2w,
            box=Box(*approach.meta["box"]),
            tail_frames=config.tail_frames,
        )
    return None
