"""Imaging Quality, Dynamic Degree and LPIPS as metrics of an evaluation (the measures: ``quality``, ``perceptual``).

Each is not computed until it is given what it needs (``--set``), and says so. What is in a weight file, not its name,
decides whether a kept figure is still good.
"""

from pathlib import Path
from typing import Any

import numpy as np

from video4spatial.evaluate.cases import CaseContent, Task
from video4spatial.evaluate.generated import Video
from video4spatial.evaluate.metric import Column, Score
from video4spatial.evaluate.musiq import open_musiq
from video4spatial.evaluate.optical_flow import DISFlow, open_raft
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.perceptual import lpips, open_lpips
from video4spatial.evaluate.quality import dynamic_degree, imaging_quality
from video4spatial.schema import InputError
from video4spatial.storage.digest import content_digest

_VIDEOS: tuple[Task, ...] = ("grounding", "navigation")


def _weights(file: str | None) -> dict[str, Any]:
    """What the settings say of a weight file; nothing of none."""
    return {} if file is None else {"weights": content_digest(Path(file))}


def _size(frames: np.ndarray) -> str:
    return f"{frames.shape[2]}x{frames.shape[1]}"


class ImagingQualityMetric:
    """VBench's Imaging Quality of the frames ahead of the box tail, at the system's own size: its pixels are
    scored, not what resizing them to the benchmark's would leave. ``musiq``: MUSIQ's weight file."""

    name = "imaging-quality"
    version = 2
    tasks: tuple[Task, ...] = _VIDEOS
    columns = (Column("iq", "IQ", digits=4),)

    def __init__(self, musiq: str | None = None, device: str = "cpu") -> None:
        self.scorer = open_musiq(None if musiq is None else Path(musiq), device)
        self.weights = _weights(musiq)

    @property
    def settings(self) -> dict[str, Any]:
        return {"scorer": "none" if isinstance(self.scorer, NotComputed) else self.scorer.name} | self.weights

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        found = imaging_quality(video.own_moving, self.scorer)
        return (
            found if isinstance(found, NotComputed) else Score({"iq": found.value}, {"size": _size(video.own_moving)})
        )


class DynamicDegreeMetric:
    """VBench's Dynamic Degree of the frames ahead of the box tail, at the rate they are shown at.

    ``raft``: RAFT's weight file; or ``flow`` "dis", OpenCV's DIS as a stand-in, named as such in every table.
    """

    name = "dynamic-degree"
    version = 1
    tasks: tuple[Task, ...] = _VIDEOS
    columns = (Column("dd", "DD", rate=True, digits=4),)

    def __init__(self, raft: str | None = None, flow: str = "raft", device: str = "cpu") -> None:
        if flow not in ("raft", "dis"):
            raise InputError(f"dynamic-degree.flow is {flow!r}: use raft or dis")
        self.flow = DISFlow() if flow == "dis" else open_raft(None if raft is None else Path(raft), device)
        self.weights = _weights(None if flow == "dis" else raft)

    @property
    def settings(self) -> dict[str, Any]:
        return {"flow": "none" if isinstance(self.flow, NotComputed) else self.flow.name} | self.weights

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        found = dynamic_degree(video.moving, video.fps, self.flow)
        if isinstance(found, NotComputed):
            return found
        return Score({"dd": found.dynamic}, {"moving": found.moving, "needed": found.needed, "fps": found.fps})


class LPIPSMetric:
    """LPIPS against the true clip, as much of it as the video has. ``weights``: the trunk's file."""

    name = "lpips"
    version = 1
    tasks: tuple[Task, ...] = ("navigation",)
    columns = (Column("lpips", "LPIPS", "lower", digits=4),)

    def __init__(self, weights: str | None = None, trunk: str = "alex", device: str = "cpu") -> None:
        self.measure = open_lpips(trunk, None if weights is None else Path(weights), device=device)
        self.weights = _weights(weights)

    @property
    def settings(self) -> dict[str, Any]:
        return {"measure": "none" if isinstance(self.measure, NotComputed) else self.measure.name} | self.weights

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        if content.truth is None:
            return NotComputed("the case has no true clip")
        value = lpips(video.moving, content.truth.frames[: len(video.moving)], self.measure)
        return value if isinstance(value, NotComputed) else Score({"lpips": value})
