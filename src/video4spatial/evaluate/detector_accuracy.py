"""How good the rooms detector is, on frames whose objects are known: recall, precision, false finds, centre error."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from video4spatial.evaluate.detector import Candidate, Phrase, RoomsDetector
from video4spatial.evaluate.labelled_frames import FEWEST_PIXELS, NAMED, UNCLEAR, LabelledFrames
from video4spatial.geometry.boxes import centre_rule, iou
from video4spatial.rooms import COLOURS
from video4spatial.schema import Box, InputError

Kind = Literal["present", "other kind", "other colour"]

_RIGHT = 0.5  # intersection over union from which a box is right
_BATCH = 256
_CENTRAL = 0.3  # of the frame: where targets are at the end of a clip


class Query(NamedTuple):
    """A question about one frame: its phrase, and the box of the only object that answers to it (None: there is none).

    ``kind`` is ``other kind`` where the frame has nothing of that category, ``other colour`` where it has, but in
    other colours only.
    """

    frame: int
    phrase: Phrase
    kind: Kind
    box: Box | None = None


@dataclass(frozen=True)
class Accuracy:
    """Shares of queries. ``precision``: of all finds, those whose box is right (IoU 0.5). ``recall``: of what is there,
    what is found with a right box. ``found``: of what is there, what is found at all. Centre errors in pixels of 96x64.
    """

    queries: dict[Kind, int]
    recall: float
    found: float
    precision: float
    false_kind: float
    false_colour: float
    centre_error_median: float
    centre_error_95: float


def queries(data: LabelledFrames, seed: int = 0) -> Iterator[Query]:
    """For each object of a clear colour that shows alone under its phrase, one that asks for it and, where the truth is
    clear, one for another kind and one for another colour of its kind."""
    rng = np.random.default_rng(seed)
    for number in range(len(data.frames)):
        rows = data.labels[data.labels[:, 0] == number]
        for row in rows[(rows[:, 7] >= FEWEST_PIXELS) & (rows[:, 2] != UNCLEAR)]:
            kin = rows[rows[:, 1] == row[1]]
            if (kin[:, 2] == row[2]).sum() > 1 or (kin[:, 2] == UNCLEAR).any():
                continue
            category, colour = NAMED[row[1]], COLOURS[row[2]]
            yield Query(number, Phrase(category, colour), "present", Box(*(float(v) for v in row[3:7])))
            others = [word for k, word in enumerate(COLOURS) if k not in kin[:, 2]]
            yield Query(number, Phrase(category, others[rng.integers(len(others))]), "other colour")
            absent = [name for k, name in enumerate(NAMED) if k not in rows[:, 1]]
            yield Query(number, Phrase(absent[rng.integers(len(absent))], colour), "other kind")


def answers(detector: RoomsDetector, data: LabelledFrames, asked: list[Query]) -> list[Candidate]:
    """The detector's best place for each query, however unlikely."""
    found: list[Candidate] = []
    for start in range(0, len(asked), _BATCH):
        part = asked[start : start + _BATCH]
        found += detector.best(data.frames[[query.frame for query in part]], [query.phrase for query in part])
    return found


def accuracy(detector: RoomsDetector, data: LabelledFrames, seed: int = 0) -> Accuracy:
    """Raises ``InputError`` where the frames show nothing to ask for."""
    asked = list(queries(data, seed))
    if not asked:
        raise InputError("the frames show no object of a clear colour: give frames of other rooms")
    pairs = list(zip(asked, answers(detector, data, asked), strict=True))
    finds = [(query, best) for query, best in pairs if best.score >= detector.config.least]
    right = [(query.box, best.box) for query, best in finds if query.box and iou(query.box, best.box) >= _RIGHT]
    here = [(query.box, best.box) for query, best in finds if query.box]
    away = [np.hypot(*np.subtract(true.centre, given.centre)) for true, given in here] or [np.nan]
    count: dict[Kind, int] = {
        kind: sum(query.kind == kind for query in asked) for kind in ("present", "other kind", "other colour")
    }

    def share(kind: Kind) -> float:
        return sum(query.kind == kind for query, _ in finds) / max(count[kind], 1)

    return Accuracy(
        queries=count,
        recall=len(right) / max(count["present"], 1),
        found=share("present"),
        precision=len(right) / max(len(finds), 1),
        false_kind=share("other kind"),
        false_colour=share("other colour"),
        centre_error_median=float(np.median(away)),
        centre_error_95=float(np.quantile(away, 0.95)),
    )


def choose_least(detector: RoomsDetector, data: LabelledFrames, seed: int = 0) -> float:
    """The threshold at which as large a share of what is centred is found as of what is absent is not (the smaller of
    the two is as large as can be)."""
    height, width = data.frames.shape[1:3]
    asked = list(queries(data, seed))
    scores = np.array([best.score for best in answers(detector, data, asked)])
    central = np.array([bool(q.box) and centre_rule(q.box, width, height, _CENTRAL) for q in asked])
    absent = np.array([q.kind != "present" for q in asked])
    if not central.any() or not absent.any():
        raise InputError("the frames show nothing in their centre: give frames of other rooms")
    tried = np.linspace(0.02, 0.8, 157)
    worst = [min((scores[central] >= least).mean(), (scores[absent] < least).mean()) for least in tried]
    return float(round(tried[int(np.argmax(worst))], 3))
