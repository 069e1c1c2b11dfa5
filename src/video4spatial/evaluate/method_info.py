"""``method.json``: how all videos of a method are to be taken."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json

_METHOD_KEYS = {"title", "tail_frames", "size", "length", "notes", "settings"}


@dataclass(frozen=True)
class MethodInfo:
    """``method.json``: how a method's videos are to be taken.

    Attributes:
        title: shown in tables; the folder's name unless given.
        tail_frames: of the box tail at the end of its grounding videos; None: as the case asks.
        size: "exact", or "fit": other sizes are cropped to the benchmark's shape, centred, and resized.
        length: "exact"; "resample": the whole video, its nearest frames at the case's number of even steps;
            "prefix": a shorter video is compared with as much of the truth, a longer one is cut.
    """

    title: str
    tail_frames: int | None = None
    size: str = "exact"
    length: str = "exact"
    notes: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "MethodInfo":
        """Read ``folder/method.json`` if there is one; ``InputError`` for an unknown key or value."""
        path = folder / "method.json"
        content = read_json(path) if path.exists() else {}
        if not isinstance(content, dict) or not content.keys() <= _METHOD_KEYS:
            raise InputError(f"{path}: give an object with any of {', '.join(sorted(_METHOD_KEYS))}")
        said = {"title": folder.name, "tail_frames": None, "size": "exact", "length": "exact", **content}
        if said["size"] not in ("exact", "fit") or said["length"] not in ("exact", "resample", "prefix"):
            raise InputError(f'{path}: size is "exact" or "fit"; length is "exact", "resample" or "prefix"')
        tail, words = said["tail_frames"], (said["title"], said.get("notes", ""))
        if not (tail is None or (type(tail) is int and tail >= 0)) or not isinstance(said.get("settings", {}), dict):
            raise InputError(f"{path}: tail_frames is a number of frames from 0 up, settings an object")
        if not all(isinstance(word, str) for word in words):
            raise InputError(f"{path}: title and notes are texts")
        return cls(**said)


def at_length(frames: np.ndarray, wanted: int, length: str) -> np.ndarray | None:
    """The frames as ``method.json`` wants their number taken; None if it is wrong."""
    if length == "resample" and len(frames) > 1:
        return frames[np.round(np.linspace(0, len(frames) - 1, wanted)).astype(int)]
    if length == "prefix":
        return frames[:wanted]
    return frames if len(frames) == wanted else None
