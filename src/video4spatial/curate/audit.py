"""The audit of a store: what was kept and dropped, a seeded sample of both with pictures, as one page."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from video4spatial.curate.audit_page import Shown, audit_page
from video4spatial.curate.audit_words import why
from video4spatial.curate.framing import Framing
from video4spatial.curate.labels import Look, SceneLabels
from video4spatial.curate.looking import StoredLook
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.records import all_labels
from video4spatial.curate.report import Report, skipped_before
from video4spatial.curate.settings import stored_settings
from video4spatial.data.scene import BadScene
from video4spatial.geometry.boxes import RED, draw_box
from video4spatial.schema import Box, InputError
from video4spatial.storage.artifacts import atomic_path
from video4spatial.storage.latent_index import StoredVideo
from video4spatial.storage.page import picture_uri

_PICTURE = 320  # pixels of the longer side
_DROPPED_EACH = 4  # examples of every reason
_AMBER, _PALE = (255, 176, 0), (235, 235, 235)


@dataclass(frozen=True)
class _Example:
    row: StoredVideo
    labels: SceneLabels
    look: Look


def write_audit(store: PreparedStore, path: str | Path, samples: int = 24, seed: int = 0) -> str:
    """Write the page ``path``; a line about it. Nothing is asked, and a store that is half curated will do.

    The same store, ``samples`` (clips shown) and ``seed`` (which) give the same bytes.
    """
    if samples < 1:
        raise InputError(f"samples is {samples}: give at least 1")
    labels = all_labels(store.layout, (row.video_id for row in store.rows))
    settings = stored_settings(store.layout.curation) if store.layout.curation.exists() else {}
    report = Report.of(store, labels, *skipped_before(store.layout.curation_report, labels))
    kept, dropped = _sampled(store, labels, samples, seed)
    shown, remark = _shown(store, [*kept, *dropped], settings)
    text = audit_page(
        store.layout.root.resolve().name, store.origin, settings, report, shown[: len(kept)], shown[len(kept) :], remark
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return f"{path}: {len(kept)} of {report.funnel.kept} clips and {len(dropped)} dropped ones shown"


def _sampled(
    store: PreparedStore, labels: Mapping[str, SceneLabels], samples: int, seed: int
) -> tuple[list[_Example], list[_Example]]:
    """A sample of the clips, in order, and of the dropped frames of each fate."""
    by_fate: dict[str, list[_Example]] = {}
    for row in store.rows:
        if row.video_id in labels:
            found = labels[row.video_id]
            for look in found.looks:
                by_fate.setdefault(look.fate, []).append(_Example(row, found, look))

    def some(fate: str, count: int) -> list[_Example]:
        """By chance, but a second of one video and label only when there is one of each: neighbours look alike."""
        there = by_fate[fate]
        drawn = random.Random(f"{seed} {fate}").sample(range(len(there)), len(there))
        before: Counter[tuple[str, str]] = Counter()
        turns = []
        for order, place in enumerate(drawn):
            target = there[place].look.target
            alike = there[place].row.video_id, "" if target is None else target.label
            turns.append((before[alike], order, place))
            before[alike] += 1
        return [there[place] for place in sorted(place for _, _, place in sorted(turns)[:count])]

    kept = some("kept", samples) if "kept" in by_fate else []
    ranked = sorted((fate for fate in by_fate if fate != "kept"), key=lambda fate: (-len(by_fate[fate]), fate))
    return kept, [one for fate in ranked for one in some(fate, _DROPPED_EACH)]


def _shown(
    store: PreparedStore, examples: Sequence[_Example], settings: Mapping[str, object]
) -> tuple[list[Shown], str]:
    """The examples with their pictures, and a remark where pictures could not be had."""
    shown: dict[int, Shown] = {}
    remarks: dict[str, None] = {}
    numbered = sorted(enumerate(examples), key=lambda entry: (entry[1].row.meta["source"], entry[1].row.video_id))
    for _, group in groupby(numbered, key=lambda entry: entry[1].row.video_id):
        of_video = list(group)
        look: StoredLook | None = None
        try:
            row = of_video[0][1].row
            look = StoredLook(store.source.open(row.meta["source"]), row, _PICTURE)
        except InputError as error:
            remarks.setdefault(str(error))
        for number, example in of_video:
            try:
                pictures = () if look is None else _pictures(look, example, settings)
            except BadScene as error:
                pictures = ()
                remarks.setdefault(str(error))
            shown[number] = Shown(
                example.row, example.labels, example.look, pictures, why(example.labels, example.look, settings)
            )
    return [shown[number] for number in range(len(examples))], "; ".join(remarks)


def _pictures(look: StoredLook, example: _Example, settings: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """``(caption, data URI)``: first, middle and last frame of a clip, or the one frame of a dropped one; on the last
    the central region (pale) and the object's box (red if kept, else amber)."""
    end = example.look.frame
    if example.look.kept:
        frames = example.labels.clip(example.look).frames
        numbers = [frames[0], frames[len(frames) // 2], end]
        captions = [f"first, frame {numbers[0]}", f"middle, {numbers[1]}", f"last, {numbers[2]}"]
    else:
        numbers, captions = [end], [f"frame {end}"]
    pictures = [_enlarged(frame) for frame in look.frames(numbers)]
    pictures[-1] = _drawn(pictures[-1], example, float(str(settings.get("centre_ratio", 0.3))))
    return tuple(zip(captions, map(picture_uri, pictures), strict=True))


def _drawn(picture: UInt8[np.ndarray, "H W 3"], example: _Example, ratio: float) -> UInt8[np.ndarray, "H W 3"]:
    height, width = picture.shape[:2]
    across, down = ratio * width / 2, ratio * height / 2
    region = Box(width / 2 - across, height / 2 - down, width / 2 + across, height / 2 + down)
    picture = draw_box(picture, region, _PALE, 1)
    target = example.look.target
    if target is None:
        return picture
    framing = example.labels.framing or Framing.whole(example.labels.size)
    box, (wide, high) = target.box, framing.look
    scaled = Box(box.x0 * width / wide, box.y0 * height / high, box.x1 * width / wide, box.y1 * height / high)
    return draw_box(picture, scaled, RED if example.look.kept else _AMBER, 3)


def _enlarged(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Small frames are enlarged, so that lines drawn on them stay thin."""
    height, width = frame.shape[:2]
    scale = _PICTURE / max(height, width)
    if scale <= 1:
        return frame
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
