"""The records of a store: what became of each unit, one file a unit."""

import json
from pathlib import Path
from typing import Any

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, read_json


def source_of(row: dict) -> str:
    """The unit that a row of the index came from."""
    return json.loads(row["meta"]).get("source", "")


def read_record(path: Path) -> dict[str, Any]:
    """What a unit's record says. Raises ``InputError`` if it is not one."""
    record: Any = read_json(path)
    kept = isinstance(record, dict) and record.get("outcome") in ("done", "bad") and isinstance(record.get("unit"), str)
    if not kept:
        raise InputError(f"{path} is not what prepare writes: remove it and run again, which makes it anew")
    return record


def is_done(layout: StoreLayout, unit_id: str) -> bool:
    """Whether a unit is in the store whole: its record says so, and its shards are there."""
    path = layout.scene(unit_id)
    record: dict[str, Any] = read_record(path) if path.exists() else {"outcome": "none"}
    return record["outcome"] == "done" and all(
        layout.scene_shard(video["video_id"]).is_file() for video in record["videos"]
    )
