"""Which environments train and which are held out: whole environments, never clips or videos of one.

Paper, Section 4.1: 18 held-out scenes. A split is a text file with one environment id a line; ``#`` begins a comment.
"""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path


def held_out(environments: Iterable[str], count: int, seed: int = 0) -> tuple[str, ...]:
    """``count`` of ``environments``, sorted; which ones depends on their names and ``seed`` alone, not on their order.

    Those with the smallest SHA-256 of seed and name: a collection that grows exchanges few.

    Raises:
        InputError: fewer than one, or none would be left to train on.
    """
    names = sorted(set(environments))
    if not 1 <= count < len(names):
        raise InputError(
            f"{count} environments cannot be held out of {len(names)}: give at least 1, and leave some to train on"
        )
    by_digest = sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    return tuple(sorted(by_digest[:count]))


def write_split(path: str | Path, environments: Iterable[str], comment: str) -> None:
    """Write a split: ``comment`` (one line or several) above, then one id a line.

    Raises:
        InputError: an id that would be read as another one (it holds a "#", say), or a place that cannot be written.
    """
    environments = list(environments)
    for name in environments:
        if _written(name) != name or len(name.splitlines()) != 1:
            raise InputError(
                f"environment {name!r} cannot stand in {path}, one id a line and # for comments: rename it"
            )
    header = [f"# {line}" for line in comment.splitlines()]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join([*header, *environments, ""]), encoding="utf-8")


def read_split(path: str | Path, known: Collection[str] | None = None) -> tuple[str, ...]:
    """The environment ids of a split, in its order; the file may be written by hand.

    Raises:
        InputError: it is missing, not UTF-8 text, or empty; an id comes twice, or is not among ``known`` (where that is
            given). The message names the file and the line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give a text file of environment ids, one a line") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = _written(line)
        if not name:
            continue
        if name in found:
            raise InputError(f"{path}, line {number}: {name!r} is on line {found[name]} already: remove one of them")
        found[name] = number
    if not found:
        raise InputError(f"{path} lists no environments: give one id a line")
    unknown = [name for name in found if known is not None and name not in known]
    if unknown:
        raise InputError(
            f"{path}, line {found[unknown[0]]}: {len(unknown)} of {len(found)} ids belong to no environment here: "
            f"{', '.join(unknown[:5])}{' ...' if len(unknown) > 5 else ''}: correct or remove them"
        )
    return tuple(found)


def _written(line: str) -> str:
    """The id in a line; ids may hold spaces, as names of videos do."""
    return line.partition("#")[0].strip()
