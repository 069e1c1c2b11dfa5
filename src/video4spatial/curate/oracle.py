"""Oracles: they answer from the truth in exactly the words and format of a VLM.

They make labelling testable end to end, and label rooms and annotated datasets without a VLM.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from video4spatial.data.rooms import RoomScene, article
from video4spatial.data.runs import Run
from video4spatial.data.sampled import Sampled
from video4spatial.data.scene import Scene
from video4spatial.geometry.boxes import iou
from video4spatial.rooms import object_box
from video4spatial.schema import Box, InputError
from video4spatial.storage.resize import centre_crop
from video4spatial.vlm.question import Question, RawAnswer

FEWEST = 0.002  # share of the frame's pixels from which an object counts as seen
_MARKED = re.compile(r'\{"bbox_2d".*?\}')
_FULL = 1000


@runtime_checkable
class Truth(Protocol):
    """What is known of a scene: which objects a frame shows and where, each by a phrase that means no other."""

    @property
    def description(self) -> str:
        """The scene, as a noun phrase."""
        ...

    def seen(self, frame: int) -> Sequence[tuple[str, Box]]:
        """Phrases and boxes; the boxes as shares of width and height, 0 to 1."""
        ...


class Oracle:
    """Answers from ``truths``, by video id, in relative coordinates 0 to 1000; ``question.source`` says which frame of
    which video it is asked about."""

    concurrency = 1

    def __init__(self, truths: Mapping[str, Truth], identity: str, knows: str) -> None:
        self._truths, self._knows = truths, knows
        self.identity = identity

    def ask(self, question: Question) -> RawAnswer:
        source = question.source
        if source is None or source.video_id not in self._truths:
            raise InputError(
                f"the oracle knows {self._knows} only: ask it about the scenes it was made for, or take a VLM"
            )
        truth = self._truths[source.video_id]
        seen = [(phrase, _relative(box)) for phrase, box in truth.seen(source.frames[-1])]
        if question.answer.name == "objects":
            return RawAnswer(json.dumps({"objects": [{"bbox_2d": box, "label": phrase} for phrase, box in seen]}))
        marked = _MARKED.search(question.prompt)
        if marked is None or not seen:
            return RawAnswer("I'm sorry, I cannot see a marked object in the last picture.")
        wanted = Box(*(float(v) for v in json.loads(marked[0])["bbox_2d"]))
        phrase, _ = max(seen, key=lambda entry: iou(wanted, Box(*map(float, entry[1]))))
        return RawAnswer(json.dumps({"scene": truth.description, "object": article(phrase)}))


class RoomOracle(Oracle):
    """Knows the truth of these rooms from their instance masks (tours, or ``Sampled`` ones). It lists the objects that
    a phrase tells from all others in their room."""

    def __init__(self, scenes: Iterable[Scene]) -> None:
        super().__init__({scene.video_id: _RoomTruth(scene) for scene in scenes}, "rooms oracle", "rooms")


class _RoomTruth:
    def __init__(self, scene: Scene) -> None:
        self._room_scene, self._scene = _room_of(scene), scene

    @property
    def description(self) -> str:
        return self._room_scene.room.describe()

    def seen(self, frame: int) -> list[tuple[str, Box]]:
        """In the order of the room's objects."""
        mask = self._mask(frame)
        height, width = mask.shape
        found = []
        for target in self._room_scene.room.targets():
            box = object_box(mask, target.object_id)
            if box is not None and np.mean(mask == target.object_id) >= FEWEST:
                found.append((target.phrase, Box(box.x0 / width, box.y0 / height, box.x1 / width, box.y1 / height)))
        return found

    def _mask(self, frame: int) -> np.ndarray:
        """Object ids of a frame of the scene, cropped as it is."""
        scene, frames, size = self._scene, [frame], None
        while isinstance(scene, Sampled | Run):
            if isinstance(scene, Sampled):
                frames, size = scene.source_indices(frames), scene.size
            else:
                frames = [scene.start + index for index in frames]
            scene = scene.scene
        mask = self._room_scene.instances(frames)[0]
        if size is None:
            return mask
        left, top, width, height = centre_crop(mask.shape[1], mask.shape[0], *size)
        return mask[top : top + height, left : left + width]


def _room_of(scene: Scene) -> RoomScene:
    while isinstance(scene, Sampled | Run):
        scene = scene.scene
    if not isinstance(scene, RoomScene):
        raise InputError(f"{scene.video_id} is no room: the rooms oracle knows rooms only")
    return scene


def _relative(box: Box) -> list[int]:
    return [round(_FULL * v) for v in (box.x0, box.y0, box.x1, box.y1)]
