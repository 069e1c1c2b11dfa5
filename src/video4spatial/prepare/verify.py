"""Reading a prepared store back: every byte against its checksum, every unit's record against the shards."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from video4spatial.data.origin import read_origin
from video4spatial.prepare.records import read_record
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latent_index import checksum, read_index
from video4spatial.storage.lock import locked_store
from video4spatial.storage.scene_shards import SceneShards, read_rows


@dataclass(frozen=True)
class Damage:
    """A file that is missing or not what was written; ``unit_id`` is the unit to make anew, None where none is lost.
    ``of_clips``: it is of the grounding clips, which curation makes anew."""

    path: Path
    problem: str
    unit_id: str | None = None
    of_clips: bool = False


@dataclass(frozen=True)
class Verified:
    """What was read: ``videos``, ``clips`` and ``bytes`` that are sound, and what is not. ``unfinished`` shards are of
    units that a run has begun and not ended: the next run goes on with them."""

    videos: int
    clips: int
    bytes: int
    unfinished: int
    damage: tuple[Damage, ...]


def verify_store(root: str | Path, on_bytes: Callable[[int], None] = lambda count: None) -> Verified:
    """Read everything back, grounding clips too. ``on_bytes`` is called with the bytes of each shard read.

    Raises:
        InputError: it is no prepared store, or is being written.
    """
    layout = StoreLayout(Path(root))
    read_origin(root)
    with locked_store(layout):
        return _verified(layout, on_bytes)


def repair_store(root: str | Path, found: Verified) -> int:
    """Remove what is damaged, and the records of its units, so that the next run makes just those anew; how many units.

    Raises:
        InputError: the store is being written, or a file cannot be removed.
    """
    layout, shards = StoreLayout(Path(root)), SceneShards(root)
    with locked_store(layout):
        for damage in found.damage:
            for path in (damage.path, *((layout.scene(damage.unit_id),) if damage.unit_id else ())):
                path.unlink(missing_ok=True)
        shards.sweep()
        shards.reindex()
        if any(damage.of_clips for damage in found.damage):
            SceneShards(layout.clips).reindex()
    return len({damage.unit_id for damage in found.damage} - {None})


def _verified(layout: StoreLayout, on_bytes: Callable[[int], None]) -> Verified:
    damage: list[Damage] = []
    owners: dict[str, str] = {}  # the unit of each shard, as the records have it
    for path in sorted(layout.scenes.glob("[!.]*.json")):
        try:
            record = read_record(path)
        except InputError:
            damage.append(Damage(path, "is not what prepare writes", path.stem))
            continue
        owners |= {video["video_id"]: record["unit"] for video in record.get("videos", ())}
    there = {path.stem for path in _shards(layout)}
    damage += [
        Damage(layout.scene_shard(name), "is missing", owners[name]) for name in sorted(owners) if name not in there
    ]
    rows, spoilt, sound = _read(layout, on_bytes)
    damage += [replace(entry, unit_id=owners.get(entry.path.stem)) for entry in spoilt]
    if not any(entry.path.parent == layout.shards for entry in damage):
        damage += _index_damage(layout, rows)
    clips = StoreLayout(layout.clips)
    clip_rows, spoilt, clip_bytes = _read(clips, on_bytes)
    if not spoilt and clips.index.exists():  # a curation that was stopped has none yet
        spoilt = _index_damage(clips, clip_rows)
    damage += [replace(entry, of_clips=True) for entry in spoilt]
    return Verified(len(rows), len(clip_rows), sound + clip_bytes, len(there - owners.keys()), tuple(damage))


def _shards(layout: StoreLayout) -> list[Path]:
    return sorted(layout.shards.glob("[!.]*.safetensors"))


def _read(layout: StoreLayout, on_bytes: Callable[[int], None]) -> tuple[list[dict], list[Damage], int]:
    """The rows of the sound shards in the index's order, what is wrong with the others, and the bytes of the sound."""
    rows, damage, sound = list[dict](), list[Damage](), 0
    for path in _shards(layout):
        size = path.stat().st_size
        try:
            rows += [row | {"shard": path.name} for row in _checked(path)]
            sound += size
        except InputError as error:
            damage.append(Damage(path, str(error)))
        on_bytes(size)
    return sorted(rows, key=lambda row: row["video_id"]), damage, sound


def _checked(path: Path) -> list[dict]:
    """The rows of a shard all of whose tensors are what was written."""
    try:
        rows = read_rows(path)
    except InputError:
        raise InputError("is cut off, or its header is damaged") from None
    try:
        with safe_open(path, framework="pt") as shard:
            names = sorted(shard.keys())
            for row in rows:
                mine = [name for name in names if name.rpartition("/")[0] == row["video_id"]]
                stored: dict[str, torch.Tensor] = {name.rpartition("/")[2]: shard.get_tensor(name) for name in mine}
                if checksum(stored) != row["sha256"]:
                    raise InputError(f"holds other bytes than were written of video {row['video_id']}")
    except (SafetensorError, OSError) as error:
        raise InputError(f"cannot be read ({error})") from None
    return rows


def _index_damage(layout: StoreLayout, rows: list[dict]) -> list[Damage]:
    try:
        listed = read_index(layout.index).to_pylist() if layout.index.exists() else None
    except InputError:
        return [Damage(layout.index, "is damaged")]
    if listed == rows:
        return []
    return [Damage(layout.index, "is missing" if listed is None else "does not list what the shards hold")]
