"""What a prepared store was made of, written down in it: it must stay made of that, and can be looked at again."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video4spatial.data.source import Source, open_source
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, read_json, write_json

_FREE = ("version", "vae")  # may differ as long as the rest agrees: the VAE is told by its fingerprint


@dataclass(frozen=True)
class Origin:
    """All that decides what is in a prepared store.

    Attributes:
        kind, root, options: the source, as ``open_source`` takes it. ``root`` is absolute where it is a folder.
        every: the interval of source frames that are stored.
        size: (width, height) in pixels of what was encoded.
        clip: stored frames that an unbroken run must have.
        vae, fingerprint: the name of the model whose VAE encoded, and what tells it from others.
        only, leave_out: environments that were chosen (None: all) or left out.
        version: of the package that began the store; another may go on with it.
    """

    kind: str
    root: str
    options: dict[str, Any]
    every: int
    size: tuple[int, int]
    clip: int
    vae: str
    fingerprint: str
    only: tuple[str, ...] | None = None
    leave_out: tuple[str, ...] = ()
    version: str = ""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"every is {self.every}: give at least 1, 3 for every third frame")

    def source(self, frames_only: bool = False) -> Source:
        """The source, as ``open_source`` gives it."""
        return open_source(self.kind, self.root, self.options, frames_only)

    @classmethod
    def from_json(cls, content: Any) -> "Origin":
        """The inverse of ``to_json``; whatever Python raises for other content."""
        told: dict[str, Any] = dict(content) | content["source"]
        del told["source"]
        told["size"] = (int(told["size"][0]), int(told["size"][1]))
        told["only"] = None if told["only"] is None else tuple(told["only"])
        told["leave_out"] = tuple(told["leave_out"])
        return cls(**told)

    def to_json(self) -> dict[str, Any]:
        """As it is written to ``origin.json``."""
        source = {"kind": self.kind, "root": self.root, "options": self.options}
        rest = {name: value for name, value in dataclasses.asdict(self).items() if name not in source}
        return {"source": source, **rest}


def read_origin(root: str | Path) -> Origin:
    """The origin of the store at ``root``.

    Raises:
        InputError: it has none, or one that ``prepare`` did not write.
    """
    path = StoreLayout(Path(root)).origin
    if not path.exists():
        raise InputError(f"{root} is no prepared store (no {path.name}): make one with `video4spatial prepare`")
    try:
        return Origin.from_json(read_json(path))
    except (KeyError, TypeError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not of a store that `video4spatial prepare` made: choose one that is") from None


def encoded_by(root: str | Path) -> str | None:
    """The fingerprint of the VAE that encoded the store at ``root``; None where that is not written in it."""
    path = StoreLayout(Path(root)).origin
    content: Any = read_json(path) if path.is_file() else None
    found = content.get("fingerprint") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def keep_origin(root: str | Path, origin: Origin) -> None:
    """Write the origin into a new store, or see that a store is of the same.

    Raises:
        InputError: the store is made of something else (the message says what differs), or of nobody knows what.
    """
    layout = StoreLayout(Path(root))
    if not layout.origin.exists():
        if layout.index.exists() or any(layout.shards.glob("[!.]*")):
            raise InputError(f"{root} holds a store that prepare did not make: choose another folder")
        write_json(layout.origin, origin.to_json())
        return
    there, asked = _flat(read_origin(root).to_json()), _flat(origin.to_json())
    for name in [*there, *(name for name in asked if name not in there)]:
        old, new = there.get(name), asked.get(name)
        if name not in _FREE and old != new:
            raise InputError(
                f"{root} was made with {name} {_said(old, new)}, not {_said(new, old)} ({layout.origin}): ask for the "
                "same, or choose another folder"
            )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as one, joined by dots; JSON's types throughout."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def _said(value: object, other: object) -> str:
    """A long list by what the other lacks of it."""
    if isinstance(value, list) and len(value) > 4:
        own = [entry for entry in value if not isinstance(other, list) or entry not in other]
        return f"{len(value)} entries" + (f" ({own[0]} among them)" if own else "")
    return "none" if value in (None, []) else str(value)
