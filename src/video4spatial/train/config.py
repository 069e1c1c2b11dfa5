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
    """The optimiser. "muon" treats matrices with Muon and everything else with AdamW; "adamw8bit" keeps AdamW's two
    states in 8 bits (torchao, extra ``scale``).

    ``lr`` rises over ``warmup`` steps, stays, and falls to ``final`` times itself over the last ``decay`` share of the
    run (of its steps or of its minutes, whichever has gone further). ``ema``: decay of the moving average of the
    weights; 0 keeps none.
    """

    name: Literal["adamw", "adamw8bit", "muon"] = "adamw"
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
    """What every run has: its length, its batch, when it reports and saves.

    Attributes:
        batch: examples a process holds at once, the micro-batch.
        accumulate: micro-batches a process works through before the optimiser moves.
        global_batch: examples an optimiser step sees over all processes; ``accumulate`` then follows from their number
            (see ``micro_batches``), so that a run keeps its batch on any number of GPUs.
        wandb: project of Weights & Biases to report to as well; None: TensorBoard only.
    """

    seed: int = 0
    steps: int = 20000
    minutes: float | None = None
    batch: int = 16
    accumulate: int = 1
    global_batch: int | None = None
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    threads: int | None = None
    log_every: int = 20
    validate_every: int = 200
    checkpoint_every: int = 200
    keep_checkpoints: int = 2
    wandb: str | None = None
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        at_least_one = ("batch", "accumulate", "log_every", "validate_every", "checkpoint_every", "keep_checkpoints")
        for name in (*at_least_one, "global_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"config key {name!r} is {value}: give at least 1")
        if self.global_batch is not None and self.accumulate != 1:
            raise InputError("config keys 'accumulate' and 'global_batch' are both set: the second fixes the first")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise InputError(f"config key 'minutes' is {self.minutes}: give a number above 0, or leave it out")

    def _sharing(self) -> str:
        """How many data-parallel processes could share the global batch."""
        whole, left = divmod(self.global_batch or 0, self.batch)
        counts = [count for count in range(1, whole + 1) if whole % count == 0]
        return f"use {', '.join(map(str, counts))} of them" if not left else "global_batch must be a multiple of batch"

    def micro_batches(self, replicas: int) -> int:
        """Micro-batches a process works through a step, on ``replicas`` data-parallel processes (those that hold
        different examples: processes over ``context_parallel``).

        Raises:
            InputError: ``global_batch`` cannot be shared out evenly.
        """
        if self.global_batch is None:
            return self.accumulate
        count, left = divmod(self.global_batch, self.batch * replicas)
        if left or not count:
            raise InputError(
                f"config key 'global_batch' is {self.global_batch}, which {replicas} data-parallel processes with a "
                f"batch of {self.batch} each cannot share evenly: {self._sharing()}"
            )
        return count


@dataclass(frozen=True)
class StoreConfig:
    """Latents encoded beforehand (``video4spatial prepare``, ``precompute``), read while training goes on.

    Attributes:
        roots: folders of latent stores; an example's context and target come from the same one.
        preload: read every latent into memory at the start.
        validation: stores that judge the run; None: ``held_out`` of the environments of ``roots``, never trained on.
        evaluation: what is held out for evaluation: files of environment ids (``video4spatial split``), or stores. A
            run on any of them is refused (``train/leaks.py``).
        readers: threads that read examples ahead of the step.
        ahead: micro-batches kept ready.
    """

    roots: tuple[str, ...]
    preload: bool = False
    validation: tuple[str, ...] | None = None
    evaluation: tuple[str, ...] | None = None
    held_out: float = 0.02
    readers: int = 2
    ahead: int = 4

    def __post_init__(self) -> None:
        for name in ("readers", "ahead"):
            if getattr(self, name) < 1:
                raise InputError(f"config key 'data.{name}' is {getattr(self, name)}: give at least 1")
        if not 0 <= self.held_out < 1:
            raise InputError(f"config key 'data.held_out' is {self.held_out}: give a share from 0 to below 1")


@dataclass(frozen=True)
class LoraConfig:
    """Train low-rank additions to the attention projections, and the camera embedding, instead of the weights."""

    rank: int = 64
    alpha: float = 64.0

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise InputError(f"config key 'lora' is rank {self.rank}, alpha {self.alpha}: both must be above 0")


@dataclass(frozen=True)
class SamplingDefaults:
    """What the saved pipeline does unless it is asked otherwise. ``context_latents`` None: the longest trained on."""

    steps: int = 16
    guidance: float = 3.0
    navigation_guidance: float | None = 1.5
    context_latents: int | None = None


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
        vae: a pipeline folder (or shipped name) whose VAE, tokenizer and text encoder are used; None: those of
            ``base``, or else rooms-small.
        start: a pipeline folder (or shipped name) whose transformer is the start; None trains from scratch.
        base: a stock Wan folder in diffusers' layout (or its name on the hub) whose transformer is the start, with a
            camera embedding of zeros.
        pretrained: off: of ``start`` or ``base`` only the sizes are taken, the weights are drawn anew (the paper's
            ablation).
        train: which parameters train: "all", or "attention" layers and the camera embedding (the paper).
        lora: train low-rank additions and the camera embedding instead of what ``train`` names.
        weights_dtype: precision that frozen weights are held in; what trains is always held in fp32.
        checkpointing: keep only each block's input for the backward pass, and compute the rest again.
        context_parallel: processes that share one sequence (Ulysses).
        data: stores of latents encoded beforehand to train on, instead of ``stream``.
        drop: chance that instruction and context are dropped together (for joint guidance).
        gap: RoPE indices between context and target (paper: 50).
        context_attention: "joint" (paper): all attends to all; "causal": context attends to context only, so that
            sampling can compute it once a clip.
        null_context: what a dropped example has in its context's place: "noise", or "none" (no tokens).
        shift: of the noise levels towards noise (Wan2.2: 5).
        export: precision of the pipeline's weights on disk.
        defaults: the saved pipeline's sampling defaults.
    """

    kind: Literal["transformer"] = "transformer"
    vae: str | None = None
    start: str | None = None
    base: str | None = None
    pretrained: bool = True
    width: int = 192
    layers: int = 6
    head_dim: int = 32
    train: Literal["all", "attention"] = "all"
    lora: LoraConfig | None = None
    weights_dtype: Literal["fp32", "bf16"] = "fp32"
    checkpointing: bool = False
    context_parallel: int = 1
    drop: float = 0.1
    gap: int = 50
    vanilla_rope: bool = False
    context_attention: Literal["joint", "causal"] = "joint"
    null_context: Literal["noise", "none"] = "noise"
    shift: float = 5.0
    window: WindowConfig = field(default_factory=WindowConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    data: StoreConfig | None = None
    validation_rooms: int = 16
    validation_batches: int = 2
    previews: bool = True
    export: Literal["fp32", "fp16", "bf16"] = "fp32"
    defaults: SamplingDefaults = field(default_factory=SamplingDefaults)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context_parallel < 1:
            raise InputError(f"config key 'context_parallel' is {self.context_parallel}: give at least 1")
        if self.context_parallel > 1 and self.context_attention == "causal":
            raise InputError(
                "config key 'context_attention' must be joint where 'context_parallel' splits the sequence"
            )
        if self.start is not None and self.base is not None:
            raise InputError("config keys 'start' and 'base' are both set: start from one of them")
        if not self.pretrained and self.start is self.base is None:
            raise InputError("config key 'pretrained' is false: give 'start' or 'base', whose sizes are to be taken")
        if not self.pretrained and (self.train != "all" or self.lora is not None):
            raise InputError("config key 'pretrained' is false: all weights must train, so set train=all and no lora")
        if self.weights_dtype == "bf16" and self.precision != "bf16":
            raise InputError("weights_dtype is bf16, but precision is fp32: frozen bf16 weights need precision=bf16")
        if self.data is not None and self.previews:
            raise InputError("previews are sampled in rooms, and a run with 'data' renders none: set previews=false")

    @property
    def frozen_parts(self) -> str:
        """Where the VAE, the tokenizer and the text encoder come from."""
        return self.vae or self.base or "rooms-small"


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
    needed = [f.name for f in fields.values() if f.default is f.default_factory is dataclasses.MISSING]
    missing = [f"{where}{name}" for name in needed if name not in given]
    if missing:
        raise InputError(f"config key {missing[0]!r} is missing: give it")
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
            if part in node and node[part] is None:
                node[part] = {}  # data.roots=STORE gives a run stores, lora.rank=8 makes it train LoRA
            inner = node.get(part)
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
