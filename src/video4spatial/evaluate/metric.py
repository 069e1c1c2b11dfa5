"""What a metric is: something that scores one video of one case, by itself, and says so where it cannot.

A metric's row is kept, so that an evaluation goes on where it stopped; ``settings`` and ``version`` tell old rows from
new ones. What a metric may look at is a ``CaseContent`` (context with poses, anchors, point cloud, phrase, asked path,
room) and a ``Video`` that was read whole. It never sees a model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from video4spatial.evaluate.cases import CaseContent, Task
from video4spatial.evaluate.generated import Video, VideoOutcome
from video4spatial.evaluate.outcome import NotComputed

Value = float | int | bool | None


@dataclass(frozen=True)
class Column:
    """One figure of a metric, as the table shows it.

    Attributes:
        key: its name in rows and JSON.
        better: which way is better; None where that is not said.
        rate: truth values are counted; else numbers are averaged.
        without_video: what a case counts that has no usable video: False for rates of success. None: nothing; such
            cases are told beside the mean.
        digits: shown.
        tasks: those it is a figure of; None: all of its metric's.
    """

    key: str
    title: str
    better: Literal["higher", "lower"] | None = "higher"
    rate: bool = False
    without_video: Value = None
    digits: int = 3
    tasks: tuple[Task, ...] | None = None


@dataclass(frozen=True)
class Score:
    """A metric's figures for one video. A value of None was not computed; ``notes`` may say why, and carry more."""

    values: dict[str, Value]
    notes: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Metric(Protocol):
    """One way to measure. ``tasks`` are those it applies to."""

    name: str
    version: int
    tasks: tuple[Task, ...]
    columns: tuple[Column, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """What else its figures depend on, ready for JSON; printed with the table."""
        ...

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        """Measure a video whose outcome is OK."""
        ...


@dataclass(frozen=True)
class Joint:
    """A figure that follows from several metrics' values of the same video, such as IF(SD < 0.2).

    Attributes:
        needs: the columns' keys it is made of; it is shown where all of them were measured.
        of: from their values (None where not computed) to its own.
    """

    column: Column
    needs: tuple[str, ...]
    of: Callable[[Mapping[str, Value]], Value]
    tasks: tuple[Task, ...] = ("grounding",)


def without_video(metric: Metric, outcome: VideoOutcome) -> dict[str, Value]:
    """What a video that is missing or unusable scores; nothing at all where the method does not apply to the case."""
    if outcome is VideoOutcome.NOT_APPLICABLE:
        return {column.key: None for column in metric.columns}
    return {column.key: column.without_video for column in metric.columns}
