"""The centre rule (paper section 6.2): which object a frame is centred on, and the clip that ends there."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from video4spatial.curate.answers import Detection
from video4spatial.geometry.boxes import centre_rule
from video4spatial.schema import InputError, require_4k_plus_1


@dataclass(frozen=True)
class SelectionConfig:
    """``every``: one source frame in so many is sampled; ``clip_frames`` sampled frames make a target clip;
    ``centre_ratio`` of width and height is the central region (the paper names no ratio).

    ``look_every``: of the sampled frames one in so many is looked at, and may end a clip. ``spacing``: sampled frames
    that must lie between the ends of two clips on the same label; 1, as in the paper: neighbours may both end one."""

    every: int = 3
    clip_frames: int = 161
    centre_ratio: float = 0.3
    look_every: int = 1
    spacing: int = 1

    def __post_init__(self) -> None:
        require_4k_plus_1(self.clip_frames, "clip_frames")
        for name in ("every", "look_every", "spacing"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give at least 1")
        if not 0 < self.centre_ratio <= 1:
            raise InputError(f"centre_ratio is {self.centre_ratio}: give one above 0, up to 1")


class Drop(StrEnum):
    """Why a frame in which objects were found, by a VLM or by whoever made an imported file, ends no clip."""

    NOTHING_CENTRED = "nothing centred"
    TOO_EARLY = "too early"  # fewer frames before it than a clip has
    TOO_CLOSE = "too close"  # a clip on the same label ends less than ``spacing`` frames before
    OUTSIDE = "outside the crop"  # imported, and not in the picture that this store has
    OFF_CENTRE = "off centre in the crop"  # imported, and not central in the picture that this store has


@dataclass(frozen=True)
class Selection:
    """A target clip: its frames' numbers in the source video, ``clip_frames`` of them; the last is centred on
    ``target``."""

    frames: range
    target: Detection


def sampled_frames(length: int, config: SelectionConfig) -> range:
    """The source frames that are looked at: 0, 3, 6, ... A target clip is made of these."""
    return range(0, length, config.every)


def centred_target(objects: Sequence[Detection], width: int, height: int, ratio: float) -> Detection | None:
    """Of the objects whose box is centred in the central region, the one nearest to the frame's centre, in pixels.

    Equally near: the smaller box (what stands on a table before the table), then the higher, the more left, the label;
    the order in which the VLM listed them never matters.
    """
    central = [found for found in objects if centre_rule(found.box, width, height, ratio)]

    def rank(found: Detection) -> tuple:
        (x, y), box = found.box.centre, found.box
        away = (x - width / 2) ** 2 + (y - height / 2) ** 2
        return round(away, 6), round(box.area, 6), box.y0, box.x0, box.y1, box.x1, found.label

    return min(central, key=rank, default=None)


def select_clip(
    end: int, objects: Sequence[Detection], size: tuple[int, int], config: SelectionConfig
) -> Selection | Drop:
    """The clip that ends with source frame ``end``, a sampled one, in which ``objects`` were found."""
    target = centred_target(objects, *size, config.centre_ratio)
    if target is None:
        return Drop.NOTHING_CENTRED
    start = end - (config.clip_frames - 1) * config.every
    if start < 0:
        return Drop.TOO_EARLY
    return Selection(range(start, end + 1, config.every), target)
