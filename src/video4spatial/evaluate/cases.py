"""A benchmark's cases: what each asks for, and what it offers to those who generate and to those who measure.

A ``Case`` is a row of the manifest: light, JSON. Its ``CaseContent`` is the pixels, poses and points behind it, made or
read when they are first asked for.
"""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from video4spatial.evaluate.reconstruct import Anchors, anchor_indices
from video4spatial.rooms import Room
from video4spatial.schema import Box, CameraPath, Clip, InputError, Intrinsics, grounding_sentence

Task = Literal["grounding", "absent", "navigation"]
TASKS: tuple[Task, ...] = ("grounding", "absent", "navigation")


@dataclass(frozen=True)
class Case:
    """One question of a benchmark.

    Attributes:
        task: "grounding"; "absent" (of an object that is not there: the right answer is no box); "navigation".
        scene_id: cases of one scene share its point cloud; in rooms also the context and its anchors.
        frames: length of the clip, box tail included, 4k + 1.
        tail_frames: of the box tail; 0 for navigation.
        seed: the case's own; ``generate`` adds to it by run and repeat.
        target, category, scene: grounding: the phrase with its article, what kind of thing that is, and the place's
            description.
        facts: what the benchmark's maker needs to find the content again (a room's seed, a source's frames, ...).
    """

    case_id: str
    task: Task
    scene_id: str
    frames: int
    tail_frames: int
    seed: int
    target: str = ""
    category: str = ""
    scene: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def moving(self) -> int:
        """Frames ahead of the box tail."""
        return self.frames - self.tail_frames

    @property
    def sentence(self) -> str:
        """The paper's instruction sentence; empty for navigation."""
        if self.task == "navigation":
            return ""
        return grounding_sentence(self.target, self.scene) if self.scene else grounding_sentence(self.target)

    def to_json(self) -> dict[str, Any]:
        """What is set, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in ("", {})}

    @classmethod
    def from_json(cls, row: Any, where: str) -> "Case":
        """Raises ``InputError`` naming ``where`` for a row that is no case."""
        try:
            case = cls(**row)
        except TypeError as error:
            raise InputError(f"{where}: not a case ({error}); see docs/evaluation-benchmarks.md") from None
        whole = all(isinstance(n, int) for n in (case.frames, case.tail_frames, case.seed))
        if case.task not in TASKS or not whole or case.moving < 2 or case.tail_frames < 0 or case.frames % 4 != 1:
            raise InputError(f"{where}: task {case.task!r}, {case.frames} frames, tail {case.tail_frames} is no case")
        if not isinstance(case.case_id, str) or not _plain(case.case_id) or not _plain(str(case.scene_id)):
            raise InputError(f"{where}: case_id {case.case_id!r} cannot name a file: use letters, digits, - _ @ .")
        return case


def _plain(name: str) -> bool:
    return bool(name) and name[0] != "." and all(letter.isalnum() or letter in "-_@." for letter in name)


class CaseContent:
    """What a case offers. A benchmark's maker fills in the five methods that raise; all else follows.

    The world frame is the scene's own (z up in rooms), metres; ``path`` is in it too, its first pose the first frame's.
    """

    def __init__(self, case: Case, fps: float) -> None:
        self.case, self.fps = case, fps

    @property
    def context_id(self) -> str:
        """Names the context: cases of one name have the same."""
        return self.case.scene_id

    @cached_property
    def context(self) -> Clip:
        """The walk-through: all that a model is given beside the first frame and the instruction."""
        raise NotImplementedError

    @property
    def context_c2w(self) -> Float[np.ndarray, "T 4 4"]:
        """The context's poses: for measuring and for oracles, never for a model."""
        raise NotImplementedError

    @cached_property
    def first_frame(self) -> UInt8[np.ndarray, "H W 3"]:
        """Where the clip starts: given to every method."""
        raise NotImplementedError

    @cached_property
    def truth(self) -> Clip | None:
        """The true clip, box tail included; None for an absent object."""
        raise NotImplementedError

    @cached_property
    def truth_path(self) -> CameraPath | None:
        """The true clip's poses; in navigation they are the instruction."""
        raise NotImplementedError

    @property
    def cloud(self) -> Float[np.ndarray, "N 3"]:
        """The scene's ground-truth points."""
        raise NotImplementedError

    @property
    def room(self) -> Room | None:
        """The room itself, where the benchmark is made of rooms: labels, views, depth."""
        return None

    @property
    def box(self) -> Box | None:
        """What the truth's tail marks, in pixels, where that is known."""
        return None

    @property
    def intrinsics(self) -> Intrinsics:
        """The lens of context and truth."""
        raise NotImplementedError

    @property
    def path(self) -> CameraPath | None:
        """Navigation: the camera path asked for."""
        return self.truth_path if self.case.task == "navigation" else None

    @cached_property
    def anchors(self) -> Anchors:
        """40 frames spread evenly over the context, with their poses in the world frame."""
        index = anchor_indices(len(self.context))
        return Anchors(self.context.frames[index], self.context_c2w[index], self.intrinsics)
