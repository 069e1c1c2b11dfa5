"""Names inside the folder of a held-out evaluation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image

from video4spatial.storage.artifacts import atomic_path


@dataclass(frozen=True)
class EvaluationLayout:
    """Every path of one evaluation."""

    root: Path

    @property
    def settings(self) -> Path:
        """What all its cases were computed with."""
        return self.root / "settings.json"

    def case(self, task: str, number: int) -> Path:
        """A case's manifest and its rows so far, one a method."""
        return self.root / "cases" / f"{task}-{number:04d}.json"

    def strip(self, task: str, number: int, row: str) -> Path:
        """Some frames side by side, for the sheet."""
        return self.root / "strips" / f"{task}-{number:04d}-{row}.png"

    @property
    def table_json(self) -> Path:
        return self.root / "table.json"

    @property
    def table_markdown(self) -> Path:
        return self.root / "table.md"

    def sheet(self, task: str) -> Path:
        return self.root / f"sheet_{task}.png"


def write_strip(path: Path, frames: UInt8[np.ndarray, "N H W 3"]) -> None:
    """Write frames side by side, losslessly and atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(rearrange(frames, "N H W c -> H (N W) c")).save(temporary)


def read_strip(path: Path, width: int) -> UInt8[np.ndarray, "N H {width} 3"]:
    """The frames of a strip, each ``width`` pixels wide."""
    with Image.open(path) as image:
        return rearrange(np.array(image.convert("RGB")), "H (N W) c -> N H W c", W=width)
