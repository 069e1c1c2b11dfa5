"""From a store's labels to annotations without pixels, and from such annotations to labels of one's own store."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from video4spatial.curate.annotations import ClipAnnotation, read_annotations
from video4spatial.curate.answers import Detection, Outcome
from video4spatial.curate.framing import Framing
from video4spatial.curate.labels import Look, SceneLabels
from video4spatial.curate.looking import StoredLook
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.select import Drop
from video4spatial.data.scene import BadScene
from video4spatial.geometry.boxes import centre_rule
from video4spatial.schema import InputError
from video4spatial.storage.latent_index import StoredVideo


class Unplaced(StrEnum):
    """Why a row of an imported file belongs to no stored video."""

    UNKNOWN = "its video is not in this store"
    OTHER_FRAMES = "its frames are not among the stored ones"


def exported(store: PreparedStore, labels: Mapping[str, SceneLabels], vlm: str) -> Iterator[ClipAnnotation]:
    """The clips of a store, in order of video and end, frames and boxes as the source has them."""
    for row in store.rows:
        found = labels.get(row.video_id)
        if found is None:
            continue
        framing = found.framing or Framing.whole(found.size)
        first, every = row.meta["frames"][0], row.meta["every"]
        for clip in found.clips:
            box = framing.to_source(clip.target.box)
            width, height = framing.source
            yield ClipAnnotation(
                store.origin.kind,
                row.meta["source"],
                row.video_id,
                row.environment_id,
                first + clip.frames[0] * every,
                first + clip.frames[-1] * every + 1,
                every,
                max(box.x0, 0.0),
                max(box.y0, 0.0),
                min(box.x1, float(width)),
                min(box.y1, float(height)),
                width,
                height,
                clip.target.label,
                clip.phrase,
                clip.scene,
                clip.sentence,
                vlm,
            )


@dataclass(frozen=True)
class Imported:
    """Annotations of a file, placed in a store: ``placed`` by stored video, ``unplaced`` by unit, why and how many.

    ``identity`` names the file's content; ``clip_frames`` is the length of its clips.
    """

    placed: dict[str, list[ClipAnnotation]]
    unplaced: Counter[tuple[str, Unplaced]]
    identity: str
    clip_frames: int

    def label(self, look: StoredLook, centre_ratio: float) -> SceneLabels:
        """The labels that the file gives a stored video. A box is cut to this store's crop; one that is outside, or no
        longer centred, ends no clip, and is counted so."""
        looks = [
            _look(look, one, centre_ratio)
            for one in sorted(self.placed.get(look.video_id, ()), key=lambda one: one.stop)
        ]
        named = {f"{known.colour} {known.category}".strip() for known in look.objects}
        labels = frozenset(named | {seen.target.label for seen in looks if seen.target is not None})
        return SceneLabels(
            look.video_id, look.environment_id, self.clip_frames, 1, look.framing.look, tuple(looks), labels
        )

    def lines(self) -> list[str]:
        """What could not be placed, by unit."""
        return [f"{count} clips of {unit}: {why}" for (unit, why), count in sorted(self.unplaced.items())]


def imported(path: str | Path, store: PreparedStore) -> Imported:
    """Read a file of annotations and place each row in the store.

    Raises:
        InputError: as ``read_annotations``; or it is of another dataset, is empty, or mixes lengths of clips.
    """
    annotations = read_annotations(path)
    kinds = {one.dataset for one in annotations}
    if kinds != {store.origin.kind}:
        named = ", ".join(sorted(kinds)) or "nothing: it is empty"
        raise InputError(f"{path} annotates {named}, but {store.layout.root} was made of {store.origin.kind}")
    lengths = {len(one.frames) for one in annotations}
    if len(lengths) > 1:
        raise InputError(f"{path} holds clips of {sorted(lengths)} frames: import one length alone")
    rows: dict[str, list[StoredVideo]] = {}
    for row in store.rows:
        rows.setdefault(row.meta["source"], []).append(row)
    placed: dict[str, list[ClipAnnotation]] = {}
    unplaced: Counter[tuple[str, Unplaced]] = Counter()
    for one in annotations:
        home = next((row for row in rows.get(one.unit, ()) if _holds(row, one)), None)
        if home is not None:
            placed.setdefault(home.video_id, []).append(one)
        else:
            unplaced[one.unit, Unplaced.OTHER_FRAMES if one.unit in rows else Unplaced.UNKNOWN] += 1
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
    models = ", ".join(sorted({one.vlm for one in annotations}))
    return Imported(placed, unplaced, f"imported {digest} ({models})", next(iter(lengths)))


def _holds(row: StoredVideo, one: ClipAnnotation) -> bool:
    """Whether all frames of a clip are stored in this video."""
    first, every = row.meta["frames"][0], row.meta["every"]
    last = first + (row.frames - 1) * every
    return one.every == every and (one.start - first) % every == 0 and first <= one.start and one.stop - 1 <= last


def _look(look: StoredLook, one: ClipAnnotation, centre_ratio: float) -> Look:
    row, framing = look.row, look.framing
    frame = (one.stop - 1 - row.meta["frames"][0]) // row.meta["every"]
    if (one.width, one.height) != framing.source:
        width, height = framing.source
        raise BadScene(
            f"the box of {one.video} frame {one.stop - 1} is of a {one.width}x{one.height} picture, the source's are "
            f"{width}x{height}: import onto the same stream of the dataset"
        )
    box = framing.from_source(one.box)
    if box is None:
        return Look(frame, Outcome.FOUND, 1, drop=Drop.OUTSIDE, reason=one.label)
    target = Detection(one.label, box, (box.x0, box.y0, box.x1, box.y1))
    if not centre_rule(box, *framing.look, centre_ratio):
        return Look(frame, Outcome.FOUND, 1, target, Drop.OFF_CENTRE)
    return Look(frame, Outcome.FOUND, 1, target, None, Outcome.FOUND, one.scene, one.phrase)
