"""How a clip is sampled: exact by default, and the named modes that make it faster, each with what it changes.

Exact is the paper's computation: joint attention over the whole sequence and guidance over instruction and context at
every step. A ``Sampling`` says otherwise for one request; ``MODES`` names what users may ask for (``--faster NAME``).
Nothing here needs torch, so that the table can be printed at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from video4spatial.schema import InputError

Accuracy = Literal["rounding only", "approximate", "must be trained for"]


@dataclass(frozen=True)
class Sampling:
    """How one request is sampled; the default is exact, for the model as it was trained.

    Attributes:
        branches: both guidance branches in one batch, or one after the other, with half the activation memory. Branches
            of different lengths (``null_context="none"``) always go one after the other.
        guidance_interval: the noise levels (sigma, lowest and highest) at which guidance runs; elsewhere only the
            conditional branch does. None: everywhere.
        block_cache: threshold of first-block caching (``model/block_cache.py``). None: every block, every step.
        context_attention: "joint" (the paper) or "causal": context attends to itself alone and goes through the
            transformer once a clip. None: as the model was trained.
        null_context: in the null branch of joint guidance the context's slots hold "noise", or there is "none". None:
            as the model was trained.
    """

    branches: Literal["batched", "sequential"] = "batched"
    guidance_interval: tuple[float, float] | None = None
    block_cache: float | None = None
    context_attention: Literal["joint", "causal"] | None = None
    null_context: Literal["noise", "none"] | None = None

    def __post_init__(self) -> None:
        _one_of("branches", self.branches, "batched", "sequential")
        _one_of("context_attention", self.context_attention, "joint", "causal", None)
        _one_of("null_context", self.null_context, "noise", "none", None)
        if self.guidance_interval is not None:
            low, high = self.guidance_interval
            if not 0 <= low < high <= 1:
                raise InputError(f"guidance-interval is {low:g}:{high:g}: give noise levels LOW:HIGH from 0 up to 1")
        if self.block_cache is not None and not 0 <= self.block_cache < float("inf"):
            raise InputError(f"block-cache is {self.block_cache}: give a threshold of 0 (exact) or more, such as 0.1")

    def resolve(self, guides: bool, guidance_mode: str, trained: "Sampling | None" = None) -> "Sampling":
        """With the model's own context attention and null context where none are asked for.

        Raises:
            InputError: what is asked for concerns a null branch that there is not.
        """
        own = Sampling() if trained is None else trained
        if not guides and self.guidance_interval is not None:
            raise InputError("guidance-interval limits guidance, but guidance is off: leave one of them out")
        drops_context = guides and guidance_mode == "joint"
        if not drops_context and self.null_context == "none":
            why = "guidance is off" if not guides else f"{guidance_mode} guidance keeps the context"
            raise InputError(f"no-null-context changes the null branch of joint guidance, but {why}: leave one out")
        null = self.null_context or (own.null_context if drops_context else None) or "noise"
        attention = self.context_attention or own.context_attention or "joint"
        return replace(self, context_attention=attention, null_context=null)

    def guides_at(self, sigma: float) -> bool:
        """Whether guidance runs at this noise level."""
        return self.guidance_interval is None or self.guidance_interval[0] <= sigma <= self.guidance_interval[1]


def _one_of(name: str, value: Any, *known: Any) -> None:
    if value not in known:
        raise InputError(f"{name} is {value!r}: use one of {', '.join(k for k in known if k)}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError
    return int(text)


def _interval(text: str) -> tuple[float, float]:
    low, high = text.split(":")
    return float(low), float(high)


@dataclass(frozen=True)
class Mode:
    """A named way to sample faster.

    Attributes:
        name: as ``--faster`` takes it.
        changes: what is different, in a line.
        accuracy: whether results differ by rounding only, approximately, or need a model trained for it.
        alters: what is set: a field of ``Sampling``, the sampling "steps", or how "weights" are held.
        value: what it is set to unless a value is given.
        takes, read: how a value is written, and how it is read; a mode without ``takes`` has no value.
    """

    name: str
    changes: str
    accuracy: Accuracy
    alters: Literal["guidance_interval", "block_cache", "context_attention", "null_context", "steps", "weights"]
    value: Any
    takes: str = ""
    read: Callable[[str], Any] | None = None

    @property
    def usage(self) -> str:
        """The name, with how its value is written."""
        return f"{self.name}[={self.takes}]" if self.takes else self.name


MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode(
            "fp8-matmul",
            "weights and activations of linear layers are rounded to 8-bit floats and multiplied as such "
            "(a GPU of compute capability 8.9 or later)",
            "rounding only",
            "weights",
            "fp8-matmul",
        ),
        Mode(
            "fp8-weights",
            "weights are held as 8-bit floats (half of bfloat16) and widened at each use",
            "rounding only",
            "weights",
            "fp8",
        ),
        Mode(
            "int8-weights",
            "weights are held as 8-bit integers (half of bfloat16) and widened at each use",
            "rounding only",
            "weights",
            "int8",
        ),
        Mode(
            "fewer-steps",
            "N sampling steps; without N, two fifths of the model's own",
            "approximate",
            "steps",
            0.4,
            "N",
            _count,
        ),
        Mode(
            "guidance-interval",
            "guidance only at noise levels from LOW to HIGH (default 0.4:0.95); elsewhere one branch runs, not two",
            "approximate",
            "guidance_interval",
            (0.4, 0.95),
            "LOW:HIGH",
            _interval,
        ),
        Mode(
            "block-cache",
            "what the blocks after the first added is used again while the first block's update of the target changes "
            "by less than T (default 0.1)",
            "approximate",
            "block_cache",
            0.1,
            "T",
            float,
        ),
        Mode(
            "cached-context",
            "context attends only to context, and goes through the transformer once a clip instead of at every step",
            "must be trained for",
            "context_attention",
            "causal",
        ),
        Mode(
            "no-null-context",
            "the null branch has no context tokens instead of noise in their place",
            "must be trained for",
            "null_context",
            "none",
        ),
    )
}


@dataclass(frozen=True)
class Faster:
    """What a list of modes comes to: ``fields`` of a ``Sampling``, ``steps``, and how ``weights`` are held.

    ``steps`` is a number of steps, a share of the model's own (a float), or None where nothing was asked about them.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    steps: int | float | None = None
    weights: str | None = None

    def sampling(self, base: Sampling | None = None) -> Sampling:
        """``base`` (exact) with these modes."""
        return replace(Sampling() if base is None else base, **self.fields)

    def steps_of(self, own: int) -> int | None:
        """The steps asked for, given the model's own."""
        return max(1, round(self.steps * own)) if isinstance(self.steps, float) else self.steps


def choose(asked: list[str], steps: int | None = None, weights: str | None = None) -> Faster:
    """Read ``--faster`` options (NAME or NAME=VALUE); ``steps`` and ``weights`` are what else was asked of them.

    Raises:
        InputError: an unknown mode, a bad value, or two options that set the same thing.
    """
    values: dict[str, Any] = {}
    origin = {"steps": "--steps" if steps is not None else "", "weights": "--weights" if weights else ""}
    for text in asked:
        name, given, value = text.partition("=")
        if name not in MODES:
            raise InputError(f"--faster {name!r} is unknown: use one of {', '.join(MODES)} (see: video4spatial modes)")
        mode = MODES[name]
        if origin.get(mode.alters):
            raise InputError(f"--faster {name} and {origin[mode.alters]} set the same thing: leave one of them out")
        origin[mode.alters] = f"--faster {name}"
        values[mode.alters] = _value(mode, value) if given else mode.value
    faster = Faster(steps=values.pop("steps", None), weights=values.pop("weights", None), fields=values)
    faster.sampling()  # values out of range are told now
    return faster


def _value(mode: Mode, text: str) -> Any:
    if mode.read is None:
        raise InputError(f"--faster {mode.name} takes no value: leave out ={text}")
    try:
        return mode.read(text)
    except ValueError:
        raise InputError(f"--faster {mode.name}={text}: write it as {mode.name}={mode.takes}") from None


def modes_in(sampling: Sampling, steps: int, own_steps: int, weights: str = "as-is") -> list[str]:
    """The modes that a request uses, as ``--faster`` would have them; an exact one uses none."""
    used = [mode.name for mode in MODES.values() if mode.alters == "weights" and mode.value == weights]
    if steps < own_steps:
        used.append(f"fewer-steps={steps}")
    if sampling.guidance_interval is not None:
        low, high = sampling.guidance_interval
        used.append(f"guidance-interval={low:g}:{high:g}")
    if sampling.block_cache is not None:
        used.append(f"block-cache={sampling.block_cache:g}")
    if sampling.context_attention == "causal":
        used.append("cached-context")
    if sampling.null_context == "none":
        used.append("no-null-context")
    return used


def not_trained_for(sampling: Sampling, trained: Sampling) -> list[str]:
    """Of the modes in use, those that a model must be trained for and this one was not."""
    fields = {"context_attention": "joint", "null_context": "noise"}
    return [
        mode.name
        for mode in MODES.values()
        if mode.alters in fields
        and getattr(sampling, mode.alters) == mode.value != (getattr(trained, mode.alters) or fields[mode.alters])
    ]


def modes_table() -> str:
    """Every mode with what it changes, as a Markdown table."""
    rows = ["| `--faster` | what it changes | result |", "|---|---|---|"]
    rows += [f"| `{mode.usage}` | {mode.changes} | {mode.accuracy} |" for mode in MODES.values()]
    return "\n".join(rows)
