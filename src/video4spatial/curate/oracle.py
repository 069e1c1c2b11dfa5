"""The oracle: it reads rooms' instance masks and answers in exactly the words and format of a VLM.

It makes labelling testable end to end, and labels rooms, where the truth is known, without a VLM.
"""

import json
import re
from collections.abc import Iterable

import numpy as np

from video4spatial.data.rooms import RoomScene, article
from video4spatial.geometry.boxes import iou
from video4spatial.rooms import object_box
from video4spatial.schema import Box, InputError
from video4spatial.vlm.question import FrameSource, Question, RawAnswer

_FEWEST = 0.002  # share of the frame's pixels from which an object counts as seen
_MARKED = re.compile(r'\{"bbox_2d".*?\}')
_FULL = 1000


class RoomOracle:
    """Knows the truth of these scenes. It lists the objects that a phrase tells from all others in their room, in
    relative coordinates 0 to 1000; ``question.source`` says which frame of which scene it is asked about."""

    concurrency = 1
    identity = "rooms oracle"

    def __init__(self, scenes: Iterable[RoomScene]) -> None:
        self._scenes = {scene.video_id: scene for scene in scenes}

    def ask(self, question: Question) -> RawAnswer:
        source = question.source
        if source is None or source.video_id not in self._scenes:
            raise InputError("the oracle knows rooms only: ask it about the scenes it was made for, or take a VLM")
        scene = self._scenes[source.video_id]
        seen = self._seen(scene, source)
        if question.answer.name == "objects":
            objects = [{"bbox_2d": _relative(box, question.size), "label": phrase} for phrase, box in seen]
            return RawAnswer(json.dumps({"objects": objects}))
        marked = _MARKED.search(question.prompt)
        if marked is None or not seen:
            return RawAnswer("I'm sorry, I cannot see a marked object in the last picture.")
        wanted = Box(*(float(v) for v in json.loads(marked[0])["bbox_2d"]))
        phrase, _ = max(seen, key=lambda entry: iou(wanted, Box(*map(float, _relative(entry[1], question.size)))))
        return RawAnswer(json.dumps({"scene": scene.room.describe(), "object": article(phrase)}))

    def _seen(self, scene: RoomScene, source: FrameSource) -> list[tuple[str, Box]]:
        """Phrases and boxes in the source's last frame, in the order of the room's objects."""
        mask = scene.instances(source.frames[-1:])[0]
        found = []
        for target in scene.room.targets():
            box = object_box(mask, target.object_id)
            if box is not None and np.mean(mask == target.object_id) >= _FEWEST:
                found.append((target.phrase, box))
        return found


def _relative(box: Box, size: tuple[int, int]) -> list[int]:
    width, height = size
    return [
        round(v * _FULL / side) for v, side in zip((box.x0, box.y0, box.x1, box.y1), (width, height) * 2, strict=True)
    ]
