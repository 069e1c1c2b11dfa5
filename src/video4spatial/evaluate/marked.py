"""What the red box of a grounding clip marks, decided by the room's own labels.

A generated clip has no poses. So the frame that the box is drawn on is looked for among the room's own views
(``views.py``); if one resembles it enough, that view's object ids say what is in the box, else nothing is decided.
"""

from enum import Enum
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, UInt8

from video4spatial.evaluate.cases import CaseContent
from video4spatial.evaluate.views import SHELL, RoomViews
from video4spatial.geometry.boxes import iou
from video4spatial.rooms import COLOURS, Room, object_box
from video4spatial.rooms.palette import nearest_colour
from video4spatial.schema import Box, InputError

LEAST_LIKENESS = 5.5  # dB; see RoomLabels
_LEAST_OVERLAP = 0.2  # intersection over union below which a box marks no object


class BoxMark(Enum):
    """What a box turned out to mark."""

    RIGHT = "right"
    WRONG_COLOUR = "wrong_colour"
    WRONG_CATEGORY = "wrong_category"
    NOTHING = "nothing"
    UNDECIDED = "undecided"


class Marking(NamedTuple):
    """The outcome, the id of the object marked (0: none, or undecided), and the view's likeness in dB."""

    outcome: BoxMark
    object_id: int
    likeness: float


class RoomLabels:
    """Decides what boxes mark in one case, whoever drew them.

    A view is believed from a likeness of 5.5 dB on (``LEAST_LIKENESS``). Chosen on 24 rooms, and measured on 40 others
    (96x64, difficulty 0.3), the true approach's poses kept from the candidates: it accepts 0.4 % of 240 frames of other
    rooms and none of 40 mixtures of two views of the same room; 97.5 % of true last frames, as many at a quarter of
    their resolution, and 95 % of those as JPEG at quality 8. In 20 crowded rooms (difficulty 1) it accepts 0.8 % of 120
    frames of other rooms and 85 to 90 % of the true ones.

    What this cannot see: an object drawn in another colour or shape than the room's, where all around it is right
    (``box_colour`` tells of the first).
    """

    def __init__(self, content: CaseContent) -> None:
        if content.room is None or content.truth_path is None:
            raise InputError(f"case {content.case.case_id} is no grounding case in a room: only those have labels")
        self.content, self.room = content, content.room
        self.target, self.lens = int(content.case.facts["object_id"]), content.intrinsics
        moving = content.truth_path.c2w[: content.case.moving]
        self.views = RoomViews(self.room, np.concatenate([content.context_c2w[::2], moving]), self.lens)

    def __call__(self, frame: UInt8[np.ndarray, "H W 3"], box: Box) -> Marking:
        """What ``box`` marks on ``frame``, the last one ahead of the box tail.

        Raises ``InputError`` if the frame has another size than the case.
        """
        lens = self.lens
        if frame.shape[:2] != (lens.height, lens.width):
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise InputError(f"the frame is {size}, the case {lens.width}x{lens.height}: give the case's size")
        view = self.views.find(frame)
        if view.likeness < LEAST_LIKENESS:
            return Marking(BoxMark.UNDECIDED, 0, view.likeness)
        ids = self.room.instances(view.c2w[None], lens)[0]
        object_id = object_in_box(self.room, ids, box)
        return Marking(compare(self.room, object_id, self.target), object_id, view.likeness)


def object_in_box(room: Room, ids: Integer[np.ndarray, "H W"], box: Box) -> int:
    """The object, shell excluded, whose visible pixels span most nearly this box; 0 if none overlaps it by 0.2 (IoU).

    By overlap, not by share of the box's pixels: a lamp's pole fills little of its box, the curtain behind it more.
    """
    best, most = 0, _LEAST_OVERLAP
    for object_id in np.unique(ids[ids > 0]):
        visible = object_box(ids, object_id)
        if visible is None or room.object(int(object_id)).category in SHELL:
            continue
        if (overlap := iou(visible, box)) >= most:
            best, most = int(object_id), overlap
    return best


def compare(room: Room, marked: int, target: int) -> BoxMark:
    """How the object marked (an id, 0: none) answers to the target's phrase: its category first, then its colour."""
    if marked == 0:
        return BoxMark.NOTHING
    found, wanted = room.object(marked), room.object(target)
    if found.category != wanted.category:
        return BoxMark.WRONG_CATEGORY
    if wanted.colour and found.colour != wanted.colour:
        return BoxMark.WRONG_COLOUR
    return BoxMark.RIGHT


def box_colour(frame: UInt8[np.ndarray, "H W 3"], box: Box) -> str:
    """The colour word nearest to the median pixel of the box's central half (half its width, half its height).

    A weaker check that needs no view: light and shade shift colours, and a thin object lets its background through. On
    ground truth it agrees with the room's colour word in 77 % of 30 cases: read a model's rate against that.
    Raises ``InputError`` for a box outside the frame.
    """
    height, width = frame.shape[:2]
    (x, y), half_x, half_y = box.centre, (box.x1 - box.x0) / 4, (box.y1 - box.y0) / 4
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"{box} has its centre outside a {width}x{height} frame: give a box of this frame")
    left, top = max(int(x - half_x), 0), max(int(y - half_y), 0)
    inner = frame[top : max(int(np.ceil(y + half_y)), top + 1), left : max(int(np.ceil(x + half_x)), left + 1)]
    median = np.median(inner.reshape(-1, 3), axis=0) / 255
    word, _ = nearest_colour(median[None] ** 2.2)
    return COLOURS[int(word[0])]
