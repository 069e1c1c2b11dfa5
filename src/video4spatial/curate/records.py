"""``labels/<video_id>.json``: what was found in a stored video, whole, as JSON that is read back strictly."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from video4spatial.curate.answers import Detection, Outcome
from video4spatial.curate.framing import Framing
from video4spatial.curate.labels import Look, SceneLabels
from video4spatial.curate.select import Drop
from video4spatial.schema import Box, InputError
from video4spatial.storage.artifacts import StoreLayout, read_json, write_json

_AGAIN = "remove it and curate again (answers are kept)"


def write_labels(layout: StoreLayout, labels: SceneLabels, settings: str) -> None:
    """Keep ``labels``; ``settings`` is the fingerprint of what they were made with. The same labels, the same bytes."""
    write_json(layout.label(labels.video_id), {"settings": settings} | to_record(labels))


def read_labels(path: Path, settings: str | None = None) -> SceneLabels:
    """The labels in a file.

    Raises:
        InputError: it is damaged, or was made with other settings than ``settings`` (None: with whatever); names it.
    """
    content = read_json(path)
    try:
        if settings is not None and content["settings"] != settings:  # type: ignore[index]
            raise InputError(f"{path} was made with other settings: curate with --redo (answers are kept)")
        return from_record(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} holds something else than labels ({error}): {_AGAIN}") from None


def all_labels(layout: StoreLayout, video_ids: Iterable[str], settings: str | None = None) -> dict[str, SceneLabels]:
    """The labels of those videos that have some."""
    paths = {name: layout.label(name) for name in video_ids}
    return {name: read_labels(path, settings) for name, path in paths.items() if path.exists()}


def to_record(labels: SceneLabels) -> dict[str, Any]:
    funnel = labels.funnel
    return {
        "video_id": labels.video_id,
        "environment_id": labels.environment_id,
        "clip_frames": labels.clip_frames,
        "every": labels.every,
        "size": list(labels.size),
        "framing": None if labels.framing is None else labels.framing.record(),
        "labels": sorted(labels.labels),
        "counts": funnel.record(),
        "clips": [look.frame for look in labels.looks if look.kept],
        "looks": [_look_record(look) for look in labels.looks],
    }


def from_record(record: Any) -> SceneLabels:
    width, height = record["size"]
    framing = record["framing"]
    return SceneLabels(
        str(record["video_id"]),
        str(record["environment_id"]),
        int(record["clip_frames"]),
        int(record["every"]),
        (int(width), int(height)),
        tuple(_look(look) for look in record["looks"]),
        frozenset(map(str, record["labels"])),
        None if framing is None else Framing.from_record(framing),
    )


def _look_record(look: Look) -> dict[str, Any]:
    """Empty fields are left out."""
    record: dict[str, Any] = {"frame": look.frame, "objects": str(look.objects)}
    if look.listed:
        record["listed"] = look.listed
    if look.target is not None:
        box = look.target.box
        record["target"] = {
            "label": look.target.label,
            "box": [box.x0, box.y0, box.x1, box.y1],
            "given": list(look.target.given),
        }
    for name in ("drop", "description", "scene", "phrase", "reason"):
        if value := getattr(look, name):
            record[name] = str(value)
    return record


def _look(record: Any) -> Look:
    target = record.get("target")
    drop, description = record.get("drop"), record.get("description")
    return Look(
        int(record["frame"]),
        Outcome(record["objects"]),
        int(record.get("listed", 0)),
        None if target is None else _detection(target),
        None if drop is None else Drop(drop),
        None if description is None else Outcome(description),
        str(record.get("scene", "")),
        str(record.get("phrase", "")),
        str(record.get("reason", "")),
    )


def _detection(record: Any) -> Detection:
    a, b, c, d = (float(value) for value in record["given"])
    return Detection(str(record["label"]), Box(*(float(value) for value in record["box"])), (a, b, c, d))
