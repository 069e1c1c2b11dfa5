"""A run's configuration: typed, complete, and strict about names it does not know.

A recipe is a Python function that returns one of these; ``--set key=value`` overrides a field by its dotted name.
"""

import dataclasses
import difflib
import json
import sys
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from video4spatial.data.dataset import WindowConfig
from video4spatial.data.rooms import RoomsConfig
from video4spatial.schema import InputError

ConfigType = TypeVar("ConfigType")


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser. "muon" treats matrices with Muon and everything else with AdamW.

    ``lr`` rises over ``warmup`` steps, stays, and falls to ``final`` times itself over the last ``decay`` share of the
    run (of its steps or of its minutes, whichever has gone further).
    """

    name: Literal["adamw", "muon"] = "adamw"
    lr: float = 1e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    warmup: int = 100
    decay: float = 0.3
    final: float = 0.05
    clip: float = 1.0
    ema: float = 0.999


@dataclass(frozen=True)
class RunConfig:
    """What every run has: its length, its batch, when it reports and saves."""

    seed: int = 0
    steps: int = 20000
    minutes: float | None = None
    batch: int = 16
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    threads: int | None = None
    log_every: int = 20
    validate_every: int = 200
    checkpoint_every: int = 200
    keep_checkpoints: int = 2
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        for name in ("batch", "log_every", "validate_every", "checkpoint_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise InputError(f"config key {name!r} is {getattr(self, name)}: give at least 1")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise InputError(f"config key 'minutes' is {self.minutes}: give a number above 0, or leave it out")


@dataclass(frozen=True)
class StreamConfig:
    """Rooms rendered while training goes on. At step ``s`` the pool holds ``pool`` rooms, from number
    ``floor(s * rooms_per_step)`` on, so that the data of a step depends on nothing but the step.

    ``store``: a folder in which latents are kept; a room found there is not rendered again.
    """

    rooms: RoomsConfig = field(default_factory=RoomsConfig)
    first_seed: int = 0
    pool: int = 256
    rooms_per_step: float = 0.0
    workers: int = 1
    store: str | None = None


@dataclass(frozen=True)
class VaeRun(RunConfig):
    """Train the small VAE: first on single frames, then on clips.

    ``image_share``: the share of the run spent on single frames. ``clips``: clip lengths (4k + 1) of the second part.
    ``start``: a pipeline or VAE folder to go on from.
    """

    kind: Literal["vae"] = "vae"
    width: int = 48
    start: str | None = None
    image_share: float = 0.5
    image_batch: int = 16
    clips: tuple[int, ...] = (9, 17)
    clip_batch: int = 2
    kl: float = 1e-3
    clips_a_room: int = 5
    stream: StreamConfig = field(default_factory=StreamConfig)
    validation_rooms: int = 2


@dataclass(frozen=True)
class TransformerRun(RunConfig):
    """Train the transformer on both tasks (paper, Section 4.1; the paper's values are recipes of their own).

    Attributes:
        vae: a pipeline folder (or shipped name) whose VAE, tokenizer and text encoder are used.
        start: a pipeline folder (or shipped name) whose transformer is the start; None trains from scratch.
        train: which parameters train: "all", or "attention" layers and the camera embedding (the paper).
        drop: chance that instruction and context are dropped together (for joint guidance).
        gap: RoPE indices between context and target (paper: 50).
        shift: of the noise levels towards noise (Wan2.2: 5).
        export: precision of the pipeline's weights on disk.
    """

    kind: Literal["transformer"] = "transformer"
    vae: str = "rooms-small"
    start: str | None = None
    width: int = 192
    layers: int = 6
    head_dim: int = 32
    train: Literal["all", "attention"] = "all"
    drop: float = 0.1
    gap: int = 50
    vanilla_rope: bool = False
    shift: float = 5.0
    window: WindowConfig = field(default_factory=WindowConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    validation_rooms: int = 16
    validation_batches: int = 2
    previews: bool = True
    export: Literal["fp32", "fp16", "bf16"] = "fp32"


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as JSON-able nested dictionaries."""
    return dataclasses.asdict(config)


def from_dict(kind: type[ConfigType], values: Any, where: str = "") -> ConfigType:
    """Build ``kind`` from nested dictionaries; unknown keys and wrong types are errors that name the key.

    Raises:
        InputError: naming the key, and what was expected.
    """
    if not isinstance(values, dict):
        raise InputError(f"config {where or kind.__name__} must be an object with keys, not {_show(values)}")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    hints = typing.get_type_hints(kind)
    given = {}
    for key, value in values.items():
        name = f"{where}{key}"
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {where}{close[0]}?" if close else f"known: {', '.join(fields)}"
            raise InputError(f"unknown config key {name!r}: {hint}")
        given[key] = _convert(hints[key], value, name)
    return kind(**given)


def override(config: ConfigType, settings: list[str]) -> ConfigType:
    """``config`` with ``key=value`` settings applied; keys are dotted, values are JSON or plain words.

    Raises:
        InputError: a setting without "=", an unknown key, or a value of the wrong type.
    """
    values = to_dict(config)
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign or not path:
            raise InputError(f"--set {setting!r}: write it as key=value, for example optim.lr=3e-4")
        node, parts = values, path.strip().split(".")
        for i, part in enumerate(parts[:-1]):
            inner = node.get(part) if isinstance(node, dict) else None
            if not isinstance(inner, dict):
                raise InputError(f"unknown config key {'.'.join(parts[: i + 1])!r} in --set {setting!r}")
            node = inner
        node[parts[-1]] = _parse(text)
    return from_dict(type(config), values)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # not JSON; more digits than Python converts; nested too deeply
        return text.strip()


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def _convert(hint: Any, value: Any, name: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where=f"{name}.")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, name)
    if origin is Literal:
        if value not in args:
            raise InputError(f"config key {name!r} is {_show(value)}: use one of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            value = [value]
        inner = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(inner) != len(value) or not value:
            raise InputError(f"config key {name!r} is {_show(value)}: give a list of {len(inner) or 'some'} values")
        return tuple(_convert(a, v, name) for a, v in zip(inner, value, strict=True))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and number and abs(value) <= sys.float_info.max:  # no NaN, no infinity
        return float(value)
    if hint is int and number and (isinstance(value, int) or value.is_integer()):
        return int(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    raise InputError(f"config key {name!r} is {_show(value)}: a {getattr(hint, '__name__', hint)} is needed")
