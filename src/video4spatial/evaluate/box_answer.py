"""The red box as an answer: read back from the tail of a grounding clip, and what it marks (``marked.py``)."""

from typing import Any

from video4spatial.evaluate.cases import CaseContent, Task
from video4spatial.evaluate.generated import Video
from video4spatial.evaluate.judge import centred
from video4spatial.evaluate.marked import BoxMark, RoomLabels, box_colour
from video4spatial.evaluate.metric import Column, Score, Value
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.geometry.boxes import read_box_tail

_GROUNDING: tuple[Task, ...] = ("grounding",)


class BoxAnswer:
    """Whether a box was drawn; in rooms whether it marks the target, by the room's own labels; for an absent object
    whether one was drawn nevertheless.

    ``right`` counts over all cases: no box, or one that cannot be decided, is not right. The other figures count over
    boxes; they have no value where there is none.
    """

    name = "box"
    version = 1
    tasks: tuple[Task, ...] = ("grounding", "absent")
    columns = (
        Column("box_found", "box read back", rate=True, without_video=False, digits=2, tasks=_GROUNDING),
        Column("box_right", "right, of all", rate=True, without_video=False, digits=2, tasks=_GROUNDING),
        Column("box_right_of_decided", "right, of decided", rate=True, digits=2, tasks=_GROUNDING),
        Column("box_decided", "decided, of boxes", rate=True, digits=2, tasks=_GROUNDING),
        Column("box_colour", "colour agrees", rate=True, digits=2, tasks=_GROUNDING),
        Column("box_centred", "centred, of boxes", rate=True, digits=2, tasks=_GROUNDING),
        Column("false_find", "false finds", "lower", rate=True, digits=2, tasks=("absent",)),
    )
    settings: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self._labels: RoomLabels | None = None

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        values: dict[str, Value] = {column.key: None for column in self.columns}
        if not video.tail_frames:
            return NotComputed("the video has no box tail")
        read = read_box_tail(video.frames, video.tail_frames)
        box, confidence = read or (None, 0.0)
        notes: dict[str, Any] = {"read": "no box"}
        if box is not None:
            corners = [round(v, 2) for v in (box.x0, box.y0, box.x1, box.y1)]
            notes = {"read": corners, "confidence": round(confidence, 4)}
        if content.case.task == "absent":
            return Score(values | {"false_find": box is not None}, notes)
        values |= {"box_found": box is not None}
        if content.room is not None:
            values |= {"box_right": False}
        if box is None:
            return Score(values, notes)
        held = video.moving[-1]
        values["box_centred"] = centred(box, held.shape[1], held.shape[0])
        if content.room is None:
            return Score(values, notes | {"right": "not computed: only rooms have labels for every view"})
        if self._labels is None or self._labels.content is not content:
            self._labels = RoomLabels(content)
        marking = self._labels(held, box)
        decided = marking.outcome is not BoxMark.UNDECIDED
        right = marking.outcome is BoxMark.RIGHT
        values |= {"box_right": right, "box_decided": decided, "box_right_of_decided": right if decided else None}
        if colour := content.room.object(content.case.facts["object_id"]).colour:
            values["box_colour"] = box_colour(held, box) == colour
        made = content.room.object(marking.object_id) if marking.object_id else None
        notes |= {"marks": marking.outcome.value, "likeness": round(marking.likeness, 3)}
        return Score(values, notes | ({"marked": f"{made.colour} {made.category}".strip()} if made else {}))
