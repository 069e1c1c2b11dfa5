"""Sources of scenes: a dataset on disk, rooms of a range of seeds, or a folder of videos, all opened in one way."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from beartype.door import is_bearable

from video4spatial.data.arkitscenes import FOLDS, ARKitOptions, ARKitScenes
from video4spatial.data.rooms import RoomScene, RoomsConfig
from video4spatial.data.scannetpp import ScanNetPP, ScanNetPPOptions
from video4spatial.data.scene import BadScene, Scene
from video4spatial.data.videos import find_videos
from video4spatial.rooms import Room, tour
from video4spatial.schema import InputError

KINDS = ("scannetpp", "arkitscenes", "rooms", "videos")
EVERY = {"scannetpp": 3, "arkitscenes": 3, "rooms": 1, "videos": 3}  # the paper's interval; rooms are made sampled

Options = TypeVar("Options", ScanNetPPOptions, ARKitOptions, "RoomOptions", "VideoOptions")


@dataclass(frozen=True)
class RoomOptions:
    """How rooms are walked through as a source: ``tours`` videos a room of ``frames`` frames each, at this size."""

    tours: int = 2
    frames: int = 321
    width: int = RoomsConfig.width
    height: int = RoomsConfig.height
    fps: float = RoomsConfig.fps
    speed: float = RoomsConfig.speed
    fov: float = RoomsConfig.fov
    difficulty: float = RoomsConfig.difficulty
    quality: float = RoomsConfig.quality
    rays: int = RoomsConfig.rays

    @property
    def config(self) -> RoomsConfig:
        """The same as the settings that rooms are rendered by."""
        shared = {field.name for field in dataclasses.fields(RoomsConfig)}
        given = {name: value for name, value in dataclasses.asdict(self).items() if name in shared}
        return RoomsConfig(**given, tail_frames=0, videos=self.tours)


@dataclass(frozen=True)
class VideoOptions:
    """``fps``: show the videos at this rate (None: at their own)."""

    fps: float | None = None


@dataclass(frozen=True)
class SourceUnit:
    """What is opened at once, one video: its name in the source, and the environment it shows."""

    unit_id: str
    environment_id: str


@dataclass(frozen=True)
class AbsentUnit:
    """A unit that the source lists but that is not on disk (or the other way round), and what to do about it."""

    unit_id: str
    environment_id: str
    reason: str


class Source:
    """Scenes of one kind. Nothing is read of a scene before it is opened.

    Attributes:
        kind, root, options: what ``open_source`` makes it of again; ``options`` are JSON-able and complete.
        every: the interval of frames to take unless another is asked for.
        units: what is on disk, in order. ``absent``: what is listed but is not, or on disk without being listed.
    """

    def __init__(
        self,
        kind: str,
        root: str,
        options: Mapping[str, Any],
        units: Sequence[SourceUnit],
        open_unit: Callable[[str], Any],  # a Scene; pyright does not let cached objects and narrower fields be one
        absent: Sequence[AbsentUnit] = (),
    ) -> None:
        self.kind, self.root, self.every = kind, root, EVERY[kind]
        self.options = dict(options)
        self.units, self.absent = tuple(units), tuple(absent)
        self._open = open_unit

    def __len__(self) -> int:
        return len(self.units)

    def open(self, unit_id: str) -> Scene:
        """The scene of a unit. Raises ``BadScene`` if it is not on disk or cannot be used."""
        return self._open(unit_id)


def open_source(
    kind: str, root: str | Path, options: Mapping[str, Any] | None = None, frames_only: bool = False
) -> Source:
    """The source of a kind ("scannetpp", "arkitscenes", "rooms", "videos") at ``root``.

    ``root`` is the folder of the dataset or of the videos; for rooms a range of seeds, "0:16". ``options`` are those of
    the kind's reader (``ScanNetPPOptions``, ``ARKitOptions``, ``RoomOptions``, ``VideoOptions``), and for the two
    datasets "split": a split file's name, or a fold. ``frames_only`` opens scenes without what only frames and poses do
    not need, depth and objects: faster, and scenes in which just that is damaged are not bad.

    Raises:
        InputError: an unknown kind, option or split, or nothing of the kind is at ``root``.
    """
    if kind not in KINDS:
        raise InputError(f"there is no source {kind!r}: choose one of {', '.join(KINDS)}")
    makers = {"scannetpp": _scannetpp, "arkitscenes": _arkitscenes, "rooms": _rooms, "videos": _videos}
    return makers[kind](str(root), dict(options or {}), frames_only)


def _scannetpp(root: str, options: dict[str, Any], frames_only: bool) -> Source:
    split = options.pop("split", None)
    chosen = _options(ScanNetPPOptions, options, "scannetpp")
    release = ScanNetPP(root, dataclasses.replace(chosen, depth=False, objects=False) if frames_only else chosen)
    ids = release.scene_ids if split is None else release.split(split)
    absent = () if split is None else release.absent(split)
    reason = f"listed in splits/{split}.txt but not in {release.root / 'data'}: fetch it, or leave it out"
    return Source(
        "scannetpp",
        root,
        {"split": split, **dataclasses.asdict(chosen)},
        [SourceUnit(name, f"scannetpp-{name}") for name in ids if name not in set(absent)],
        release.open,
        [AbsentUnit(name, f"scannetpp-{name}", reason) for name in absent],
    )


def _arkitscenes(root: str, options: dict[str, Any], frames_only: bool) -> Source:
    fold = options.pop("split", None)
    chosen = _options(ARKitOptions, options, "arkitscenes")
    dataset = ARKitScenes(root, dataclasses.replace(chosen, objects=False) if frames_only else chosen)
    if fold is not None and fold not in FOLDS:
        raise InputError(f"there is no fold {fold!r} in ARKitScenes: choose {' or '.join(FOLDS)}")
    videos = dataset.videos if fold is None else dataset.of_fold(fold)
    missing = [dataset.rows[name] for name in dataset.absent]
    held_out = {row.environment_id for row in dataset.rows.values() if row.fold == "Validation"}
    if fold is not None:
        missing = [row for row in missing if (row.environment_id in held_out) == (fold == "Validation")]
    reason = f"listed in metadata.csv but not in {dataset.root}: fetch it by download_data.py, or leave it out"
    stray = f"in {dataset.root} but not listed in metadata.csv, so that its visit is unknown: fetch metadata.csv again"
    return Source(
        "arkitscenes",
        root,
        {"split": fold, **dataclasses.asdict(chosen)},
        [SourceUnit(row.video_id, row.environment_id) for row in videos],
        dataset.open,
        [
            *(AbsentUnit(row.video_id, row.environment_id, reason) for row in missing),
            *(AbsentUnit(name, f"arkit-video-{name}", stray) for name in dataset.unlisted),
        ],
    )


def _rooms(root: str, options: dict[str, Any], frames_only: bool) -> Source:
    found = re.fullmatch(r"(\d+):(\d+)", root)
    if found is None or int(found[1]) >= int(found[2]):
        raise InputError(f"rooms {root!r}: give a range of seeds, for example 0:16 for the rooms 0 to 15")
    chosen = _options(RoomOptions, options, "rooms")
    if chosen.tours < 1 or chosen.frames < 1:
        raise InputError(f"tours is {chosen.tours} and frames {chosen.frames}: give at least 1 of each")
    config = chosen.config
    walks = {
        f"room{seed}-{number}": (seed, number)
        for seed in range(int(found[1]), int(found[2]))
        for number in range(chosen.tours)
    }

    @lru_cache(maxsize=1)  # the tours of a room come one after the other
    def room_of(seed: int) -> Room:
        return config.room(seed)

    def open_walk(unit_id: str) -> RoomScene:
        if unit_id not in walks:
            raise BadScene(f"{unit_id} is not among the tours of rooms {root}: check the name")
        seed, number = walks[unit_id]
        room = room_of(seed)
        c2w = tour(room, config.frames, seed=number, fps=config.fps, speed=config.speed)
        return RoomScene(room, c2w, config, str(number))

    units = [SourceUnit(name, f"room{seed}") for name, (seed, _) in walks.items()]
    return Source("rooms", root, dataclasses.asdict(chosen), units, open_walk)


def _videos(root: str, options: dict[str, Any], frames_only: bool) -> Source:
    chosen = _options(VideoOptions, options, "videos")
    found = {video.path.name if video.path.is_dir() else video.path.stem: video for video in find_videos(root)}

    def open_video(unit_id: str) -> Scene:
        if unit_id not in found:
            raise BadScene(f"{root} has no video {unit_id}: check the name")
        return found[unit_id].open(fps=chosen.fps)

    units = [SourceUnit(name, video.environment_id) for name, video in found.items()]
    return Source("videos", root, dataclasses.asdict(chosen), units, open_video)


def _options(kind: type[Options], given: Mapping[str, Any], name: str) -> Options:
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = [key for key in given if key not in known]
    if unknown:
        raise InputError(f"{name} has no option {unknown[0]!r}: its options are {', '.join(known)}")
    kinds = get_type_hints(kind)
    for key, value in given.items():
        wanted = kinds[key]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_bearable(value, wanted) and not (whole and is_bearable(float(value), wanted)):
            told = getattr(wanted, "__name__", str(wanted)).replace("typing.", "")
            raise InputError(f"option {key} of {name} is {value!r}: give {told}")
    return kind(**given)
