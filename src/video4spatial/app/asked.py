"""One ask and what became of it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from video4spatial.app.route import Route
from video4spatial.commands.best_of import MOST
from video4spatial.schema import InputError

Task = Literal["ground", "navigate"]
State = Literal["found", "not found", "done", "cancelled", "refused", "failed"]
"""How an ask ends: ``found`` and ``not found`` are grounding's, ``done`` navigation's; ``refused`` says what to change
(nothing was made), ``failed`` is a fault of ours or of the machine (the app goes on)."""
MOST_LETTERS = 300


@dataclass(frozen=True)
class Asked:
    """What is asked for: ``instruction`` (ground) or ``route`` (navigate). None: the model's own setting."""

    instruction: str | None = None
    route: Route | None = None
    scene_description: str | None = None
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    context_latents: int | None = None
    frames: int | None = None
    best_of: int = 1

    def __post_init__(self) -> None:
        if (self.instruction is None) == (self.route is None):
            raise InputError("give a sentence (ground) or a path (navigate)")
        for name in ("instruction", "scene_description"):
            text = getattr(self, name)
            if text is not None and len(text) > MOST_LETTERS:
                raise InputError(f"the {name.replace('_', ' ')} has {len(text)} letters: give at most {MOST_LETTERS}")
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise InputError(f"{name.replace('_', ' ')} is {value}: give from {least} to {most}")

    @property
    def task(self) -> Task:
        return "navigate" if self.instruction is None else "ground"

    @property
    def words(self) -> str:
        """What was asked, as the person said it."""
        if self.route is not None:
            return self.route.words
        return self.instruction or ""

    def with_seed(self, seed: int) -> "Asked":
        return replace(self, seed=seed)


_RANGES = (
    ("seed", 0, 2**63 - 1),
    ("steps", 1, 1000),
    ("guidance", 0, 100),
    ("context_latents", 0, 4096),
    ("frames", 5, 1025),
    ("best_of", 1, MOST),
)


@dataclass(frozen=True)
class Seen:
    """The walk-through of an ask, and which frames of it the model looked at: number and picture, a data URI."""

    video: Path
    frames: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Outcome:
    """How an ask ended, with its files (by name: video, shown, answer, and for navigation the path in formats).

    ``seen`` stays what it was when another walk-through is given.
    """

    number: int
    asked: Asked
    state: State
    message: str
    seconds: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    seen: Seen | None = None

    @property
    def made(self) -> bool:
        """Whether there is a clip."""
        return "video" in self.files

    def to_json(self) -> dict[str, Any]:
        """For a client: the structured answer, and how it ended."""
        told = {"number": self.number, "state": self.state, "message": self.message}
        return told | {"seconds": round(self.seconds, 2), "asked": self.asked.words, **self.answer}


def whole_number(value: Any, name: str) -> int | None:
    """A form's number as an integer; None where the field is empty.

    Raises:
        InputError: a fraction, or no number.
    """
    if value is None or value == "":
        return None
    try:
        number = float(value)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{name} is {value!r}: give a whole number")


def real_number(value: Any, name: str) -> float | None:
    """A form's number; None where the field is empty. Infinity and NaN are refused."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if abs(number) < float("inf"):
        return number
    raise InputError(f"{name} is {value!r}: give a number")


def read_numbers(**fields: Any) -> dict[str, Any]:
    """A form's numbers by the names of ``Asked``; empty fields are left out, which leaves ``Asked`` its defaults."""
    kinds = {"guidance": real_number}
    read = {name: kinds.get(name, whole_number)(value, name.replace("_", " ")) for name, value in fields.items()}
    return {name: value for name, value in read.items() if value is not None}
