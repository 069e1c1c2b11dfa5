"""The rooms benchmark: 18 rooms never trained on, all of it made from seeds.

Each room has one walk-through, the context of all its cases, and

- 6 grounding cases (107 in all): an object that a phrase tells from all others, seen in the context; the truth is a
  walk that ends with it centred, and its box tail;
- 5 trajectories: other walks through the room;
- 2 absent objects: a phrase of another room whose kind of thing is not here.

Every clip starts where its own walk does; its first frame is given.
"""

import contextlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig, article, grounding_video
from video4spatial.evaluate.cases import Case, Task
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.rooms import COLOURS, NoViewpoint, Room, Target, tour
from video4spatial.schema import InputError, require_4k_plus_1

CHOSEN_AT = 96  # pixels wide: which objects were seen is decided at this width, so that cases do not depend on the size
_SEEN = 0.005  # share of a context frame's pixels that a target must cover once, to have been shown
_MOST_BARREN = 200  # rooms in a row without enough cases, before it is the settings that are wrong
_MOST_STARTS = 40  # poses of the context to set out from, that are tried for each target
Walk = tuple[int, Target, int | None]  # its number, where it ends, and the context frame it sets out from
_NAVIGATION, _GROUNDING, _ABSENT = 100, 200, 300  # numbers of walks, the context's being 0


@dataclass(frozen=True)
class RoomsSettings:
    """What the rooms benchmark is made with. Lengths are 4k + 1; ``frames`` includes the box tail.

    ``hidden_start``: grounding starts at a pose of the context from which the target is not seen, so that short clips,
    which would all begin in front of it, ask for what the context showed.
    """

    rooms: int = 18
    grounding: int = 107
    navigation: int = 90
    absent: int = 36
    width: int = 96
    height: int = 64
    context_frames: int = 161
    frames: int = 33
    tail_frames: int = 8
    navigation_frames: int = 33
    fps: float = 16.0
    speed: float = 0.8
    fov: float = 72.0
    difficulty: float = 0.3
    quality: float = 0.6
    rays: int = 12
    cloud_points: int = 200_000
    first_seed: int = HELD_OUT_SEED
    hidden_start: bool = False

    @property
    def config(self) -> RoomsConfig:
        names = {f.name for f in fields(RoomsConfig)} & {f.name for f in fields(self)} - {"frames"}
        return RoomsConfig(frames=self.context_frames, **{name: getattr(self, name) for name in names})

    def check(self) -> None:
        """Raise ``InputError`` for lengths or counts that cannot be."""
        for name in ("context_frames", "frames", "navigation_frames"):
            require_4k_plus_1(getattr(self, name), name.replace("_", "-"))
        if self.frames < self.tail_frames + 5 or self.navigation_frames < 5:
            raise InputError(f"clips of {self.frames} and {self.navigation_frames} frames are too short: give more")
        if self.first_seed < HELD_OUT_SEED:
            raise InputError(f"room seed {self.first_seed} may be trained on: cases are made from {HELD_OUT_SEED} on")
        if self.rooms < 1 or min(self.grounding, self.navigation, self.absent) < 0:
            raise InputError(f"{self.rooms} rooms cannot be a benchmark: give at least 1 room, and no negative counts")


TINY = RoomsSettings(
    rooms=2,
    grounding=4,
    navigation=4,
    absent=2,
    width=64,
    height=32,
    context_frames=41,
    frames=25,
    navigation_frames=17,
    difficulty=0.1,
    quality=0.3,
    rays=2,
    cloud_points=20_000,
)


def shared_out(count: int, rooms: int) -> list[int]:
    """``count`` cases over ``rooms`` rooms as evenly as can be, the first ones having one more: 107 over 18 is 17 x 6
    and 5."""
    return [count // rooms + (number < count % rooms) for number in range(rooms)]


def rooms_benchmark(name: str, settings: RoomsSettings) -> Benchmark:
    """Find rooms that offer enough, from ``first_seed`` on; the same settings give the same cases."""
    settings.check()
    chosen = replace(
        settings.config, width=CHOSEN_AT, height=max(1, round(CHOSEN_AT * settings.height / settings.width))
    )
    wanted = shared_out(settings.grounding, settings.rooms)
    found: list[tuple[Room, list[Walk]]] = []
    seed, barren = settings.first_seed, 0
    while len(found) < settings.rooms:
        room = chosen.room(seed)
        walks = _groundable(room, chosen, settings.frames, wanted[len(found)], settings.hidden_start)
        if walks is None:
            barren += 1
            if barren == _MOST_BARREN:
                raise InputError(f"{barren} rooms in a row offer too few cases: ask for fewer a room, or harder rooms")
        else:
            found.append((room, walks))
            barren = 0
        seed += 1
    phrases = sorted({target.phrase for room, _ in found for target in room.targets()})
    trajectories, absent = (shared_out(n, settings.rooms) for n in (settings.navigation, settings.absent))
    cases: list[Case] = []
    for number, (room, walks) in enumerate(found):
        cases += _grounding_cases(room, walks, settings)
        cases += _absent_cases(room, phrases, absent[number], settings)
        cases += _navigation_cases(room, trajectories[number], settings)
    cases = [replace(case, seed=place) for place, case in enumerate(cases)]
    return Benchmark(name, "rooms", settings.width, settings.height, settings.fps, asdict(settings), tuple(cases))


def _groundable(room: Room, config: RoomsConfig, frames: int, wanted: int, hidden_start: bool) -> list[Walk] | None:
    """``wanted`` targets that were seen in the context and can be walked to, each with its walk's number."""
    c2w = context_path(room, config)
    ids = room.instances(c2w, config.intrinsics)
    most = {made.id: (ids == made.id).mean(axis=(1, 2)).max() for made in room.objects}
    targets = [target for target in room.targets() if most[target.object_id] >= _SEEN]
    walks: list[Walk] = []
    rng = np.random.default_rng([room.seed, 29])
    for choice in rng.permutation(len(targets)):
        if len(walks) == wanted:
            break
        target, walk = targets[choice], _GROUNDING + int(choice)
        unseen = np.flatnonzero(~(ids == target.object_id).any(axis=(1, 2)))
        starts = rng.permutation(unseen)[:_MOST_STARTS].tolist() if hidden_start else [None]
        for start in starts:
            pose = None if start is None else c2w[start]
            with contextlib.suppress(NoViewpoint):
                grounding_video(room, target, config, seed=walk, start=pose, frames=frames)
                walks.append((walk, target, start))
                break
    return walks if len(walks) == wanted else None


def context_path(room: Room, config: RoomsConfig) -> np.ndarray:
    """The walk that all cases of a room have as their context."""
    return tour(room, config.frames, fps=config.fps, speed=config.speed)


def _grounding_cases(room: Room, walks: list[Walk], settings: RoomsSettings) -> list[Case]:
    return [
        _case(
            room,
            "grounding",
            number,
            settings,
            target=article(target.phrase),
            category=room.object(target.object_id).category,
            scene=room.describe(),
            facts={"walk": walk, "object_id": int(target.object_id), "phrase": target.phrase}
            | ({} if start is None else {"start": start}),
        )
        for number, (walk, target, start) in enumerate(walks)
    ]


def _absent_cases(room: Room, phrases: list[str], count: int, settings: RoomsSettings) -> list[Case]:
    here = {made.category for made in room.objects}
    offered: dict[str, str] = {}
    for choice in np.random.default_rng([room.seed, 31]).permutation(len(phrases)):
        kind = kind_of(phrases[choice])
        if not any(kind in other or other in kind for other in here):
            offered.setdefault(kind, phrases[choice])
    if len(offered) < count:
        raise InputError(f"room {room.seed} lacks only {len(offered)} kinds of things: ask for fewer absent objects")
    return [
        _case(
            room,
            "absent",
            number,
            settings,
            target=article(phrase),
            category=kind,
            scene=room.describe(),
            facts={"walk": _ABSENT + number},
        )
        for number, (kind, phrase) in enumerate(list(offered.items())[:count])
    ]


def kind_of(phrase: str) -> str:
    """The category in a phrase of rooms: "red floor lamp" names a floor lamp."""
    first, _, rest = phrase.partition(" ")
    return rest if rest and first in COLOURS else phrase


def _navigation_cases(room: Room, count: int, settings: RoomsSettings) -> list[Case]:
    return [_case(room, "navigation", n, settings, facts={"walk": _NAVIGATION + n}) for n in range(count)]


def _case(room: Room, task: Task, number: int, settings: RoomsSettings, **more: Any) -> Case:
    navigates = task == "navigation"
    facts = {"room": room.seed} | more.pop("facts")
    return Case(
        case_id=f"room{room.seed}-{task}-{number}",
        task=task,
        scene_id=f"room{room.seed}",
        frames=settings.navigation_frames if navigates else settings.frames,
        tail_frames=0 if navigates else settings.tail_frames,
        seed=0,
        facts=facts,
        **more,
    )
