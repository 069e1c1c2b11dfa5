"""Prepared stores to curate."""

import shutil
from pathlib import Path

from video4spatial.data.origin import Origin
from video4spatial.data.source import Source, open_source
from video4spatial.model.frozen import vae_fingerprint
from video4spatial.model.latents import LatentCodec
from video4spatial.prepare.runners import Runner
from video4spatial.prepare.store import choose, prepare_store
from video4spatial.prepare.work import Work

ROOMS = {"tours": 1, "frames": 25, "width": 64, "height": 32, "difficulty": 0.1, "quality": 0.3, "rays": 2}


def prepared(
    root: Path,
    source: Source,
    codec: LatentCodec,
    model: Path | str,
    every: int = 1,
    size: tuple[int, int] = (64, 32),
    clip: int = 9,
) -> Path:
    """A store of every unit of ``source``."""
    where = source.root if source.kind == "rooms" else str(Path(source.root).resolve())
    origin = Origin(source.kind, where, dict(source.options), every, size, clip, str(model), vae_fingerprint(codec))
    prepare_store(Work(str(root), origin), choose(source), Runner(None, None))
    return root


def rooms_source(seeds: str = "0:3", **options) -> Source:
    return open_source("rooms", seeds, ROOMS | options)


def copied(store: Path, to: Path) -> Path:
    shutil.copytree(store, to)
    return to


def contents(root: Path, leave_out: tuple[str, ...] = ("answers.jsonl",)) -> dict[str, bytes]:
    """Every file of a store, but for locks and what is named."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in (".lock", *leave_out)
    }
