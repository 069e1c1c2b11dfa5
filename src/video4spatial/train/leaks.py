"""The leak check: no run trains in an environment that it, or the benchmark, is judged by."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from video4spatial.data.rooms import HELD_OUT_SEED
from video4spatial.data.splits import read_split
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, read_json
from video4spatial.storage.latents import LatentStore
from video4spatial.train.config import StoreConfig


def require_no_leak(data: StoreConfig) -> None:
    """Raise ``InputError`` if an environment to train in is one for evaluation, or one of a store to validate by.

    For evaluation are: rooms from ``HELD_OUT_SEED`` on, always; the environments that ``data.evaluation`` names; where
    it is not given, those that a store was prepared of alone (``prepare --only``), since held-out ones are prepared so.
    Reads indexes only; a store that is not there yet is passed over (opening it says so).
    """
    validated = {name: root for root in data.validation or () for name in environments_of(root)}
    named = {name: path for path in data.evaluation or () for name in _named_by(path)}
    for root in data.roots:
        training = environments_of(root)
        held_out = sorted(name for name in training if is_held_out_room(name))
        if held_out:
            raise InputError(
                f"{root} holds {_told(held_out)}, held out for evaluation: rooms from seed {HELD_OUT_SEED} on are "
                "never trained on; prepare rooms of smaller seeds"
            )
        if leaked := sorted(training & named.keys()):
            raise InputError(
                f"{root} holds {_told(leaked)}, for evaluation ({named[leaked[0]]}, data.evaluation): prepare the "
                "store to train on anew without (--leave-out)"
            )
        if data.evaluation is None and (chosen := sorted(training & prepared_only(root))):
            raise InputError(
                f"{root} holds {_told(chosen)}, for evaluation as it seems: the store was prepared of them alone "
                f"(--only; {StoreLayout(Path(root)).origin}). Train on a store prepared with --leave-out; or, if these "
                "were chosen to train on, name the ones held out: data.evaluation=FILE"
            )
        if shared := sorted(training & validated.keys()):
            raise InputError(
                f"{root} holds {_told(shared)}, which data.validation ({validated[shared[0]]}) holds as well: a run "
                "is judged by environments it does not train in; prepare them apart (--leave-out, --only), or leave "
                "data.validation out and let data.held_out choose"
            )


def is_held_out_room(environment: str) -> bool:
    """Whether it is a room that evaluation is made in."""
    found = re.fullmatch(r"room([0-9]+)", environment)
    return found is not None and int(found.group(1)) >= HELD_OUT_SEED


def environments_of(root: str | Path) -> set[str]:
    """The environments of a store, by its index alone; none where there is no store yet."""
    return set(LatentStore(root).environments()) if StoreLayout(Path(root)).index.is_file() else set()


def prepared_only(root: str | Path) -> set[str]:
    """The environments that a store was prepared of alone; none where nothing of the kind is written in it."""
    path = StoreLayout(Path(root)).origin
    origin: Any = read_json(path) if path.is_file() else None
    only = origin.get("only") if isinstance(origin, dict) else None
    return {name for name in only if isinstance(name, str)} if isinstance(only, list) else set()


def _named_by(path: str) -> Iterable[str]:
    """The environments of a split file or of a store."""
    if not Path(path).is_dir():
        return read_split(path)
    if not StoreLayout(Path(path)).index.is_file():
        raise InputError(f"data.evaluation: {path} is a folder, but no store: give stores or files of environment ids")
    return environments_of(path)


def _told(names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    what = "environment" if len(names) == 1 else f"{len(names)} environments:"
    return f"{what} {shown}"
