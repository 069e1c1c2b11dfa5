"""Reading a prepared store back: every byte against its checksum, every unit's record against the shards."""

from collections.abc import Callable
from dataclasses import dataclass
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
    """A file that is missing or not what was written; ``unit_id`` is the unit to make anew, None where none is lost."""

    path: Path
    problem: str
    unit_id: str | None = None


@dataclass(frozen=True)
class Verified:
    """What was read: ``videos`` and ``bytes`` that are sound, and what is not. ``unfinished`` shards are of units that
    a run has begun and not ended: the next run goes on with them."""

    videos: int
    bytes: int
    unfinished: int
    damage: tuple[Damage, ...]


def verify_store(root: str | Path, on_bytes: Callable[[int], None] = lambda count: None) -> Verified:
    """Read everything back. ``on_bytes`` is called with the bytes of each shard read.

    Raises:
        InputError: it is no prepared store, or is being written.
    """
    layout = StoreLayout(Path(root))
    read_origin(root)
    with locked_store(layout):
        return _verified(layout, on_bytes)


def repair_store(root: str | Path, found: Verified) -> int:
    """Remove what is damaged, and the records of its units, so that the next run makes just those anew; how many.

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
    there = {path.stem: path for path in sorted(layout.shards.glob("[!.]*.safetensors"))}
    damage += [
        Damage(layout.scene_shard(name), "is missing", owners[name]) for name in sorted(owners) if name not in there
    ]
    rows: list[dict] = []
    sound = 0
    for name, path in there.items():
        size = path.stat().st_size
        try:
            found = _checked(path)
        except InputError as error:
            damage.append(Damage(path, str(error), owners.get(name)))
            continue
        finally:
            on_bytes(size)
        rows += [row | {"shard": path.name} for row in found]
        sound += size
    if not any(entry.path.parent == layout.shards for entry in damage):
        damage += _index_damage(layout, sorted(rows, key=lambda row: row["video_id"]))
    return Verified(len(rows), sound, len([name for name in there if name not in owners]), tuple(damage))


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
