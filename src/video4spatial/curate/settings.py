"""What curation was done with: whatever changes its results, written down with the store."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from video4spatial.curate.prompts import DESCRIBE_CLIP, LIST_OBJECTS, Coordinates
from video4spatial.curate.select import SelectionConfig
from video4spatial.geometry.boxes import TAIL_FRAMES
from video4spatial.schema import TIME_STRIDE, InputError
from video4spatial.storage.artifacts import read_json, write_json


@dataclass(frozen=True)
class CurationSettings:
    """Everything that the labels and clips of a store depend on, beside the source and the VAE (``origin.json``).

    Attributes:
        vlm: identity of the model that answers; for imported labels, of the file.
        look_size: the most pixels along the longer side of what the VLM sees.
        look_every: one stored frame in so many is looked at.
        clip_frames, centre_ratio, spacing: ``SelectionConfig``, in stored frames.
        tail_frames: length of the box tail.
        coordinates: how the VLM gives boxes.
        described_frames: frames of a clip that its description is made of.
        prompts: fingerprint of the prompts.
    """

    vlm: str
    look_size: int = 1024
    look_every: int = 1
    clip_frames: int = SelectionConfig.clip_frames
    centre_ratio: float = SelectionConfig.centre_ratio
    spacing: int = SelectionConfig.spacing
    tail_frames: int = TAIL_FRAMES
    coordinates: Coordinates = "relative-1000"
    described_frames: int = 8
    prompts: str = hashlib.sha256((LIST_OBJECTS + DESCRIBE_CLIP).encode()).hexdigest()[:12]

    def __post_init__(self) -> None:
        _ = self.selection  # checks its own
        if self.tail_frames < TIME_STRIDE or self.tail_frames % TIME_STRIDE:
            low = max(TIME_STRIDE, self.tail_frames // TIME_STRIDE * TIME_STRIDE)
            raise InputError(
                f"tail_frames is {self.tail_frames}, but a latent holds {TIME_STRIDE} frames: use {low} or "
                f"{low + TIME_STRIDE}"
            )
        for name in ("look_size", "described_frames"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give at least 1")
        if self.coordinates not in get_args(Coordinates):
            raise InputError(f"coordinates is {self.coordinates!r}: choose one of {', '.join(get_args(Coordinates))}")

    @property
    def selection(self) -> SelectionConfig:
        """Stored frames are sampled already, so every one counts."""
        return SelectionConfig(1, self.clip_frames, self.centre_ratio, self.look_every, self.spacing)

    @property
    def tail_latents(self) -> int:
        return self.tail_frames // TIME_STRIDE

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def keep_settings(path: Path, settings: CurationSettings) -> None:
    """Write the settings down in ``path``, or check that the store was curated with the same.

    Raises:
        InputError: with others; says which and the remedy.
    """
    wanted = asdict(settings)
    if not path.exists():
        write_json(path, wanted)
        return
    found = stored_settings(path)
    other = [f"{name} {found.get(name)!r}, not {wanted[name]!r}" for name in wanted if found.get(name) != wanted[name]]
    if other:
        raise InputError(
            f"{path.parent} was curated with {'; '.join(other)}: ask for the same, or discard its labels and clips "
            "with --redo (answers are kept)"
        )


def stored_settings(path: Path) -> dict[str, Any]:
    """What ``keep_settings`` wrote."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no settings: curate with --redo (answers are kept)")
    return content
