"""Work that takes a while: run in a thread of its own, followed step by step, and stopped when told to."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

Result = TypeVar("Result")
STOP_LOOKS = 0.1  # seconds between looks at whether a waiting job is to stop


class Cancelled(Exception):
    """The person, or the end of the session, stopped it."""


@dataclass(frozen=True)
class Step:
    """How far a job is; ``pictures`` are previews (``uint8 [H, W, 3]``), at some steps only."""

    doing: str
    done: int
    total: int
    pictures: tuple[Any, ...] = ()


@dataclass
class Job:
    """A thing to do, from when it is asked for: it may have to wait for its turn first."""

    what: Literal["encode", "ground", "navigate"]
    state: Literal["waiting", "running", "over"] = "waiting"
    step: Step | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    asked_at: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise ``Cancelled`` if it is to stop."""
        if self.stop.is_set():
            raise Cancelled


@dataclass(frozen=True)
class Done(Generic[Result]):
    """The last event: what came of it."""

    result: Result


def follow(
    job: Job, turn: threading.Lock, work: Callable[[Callable[[Step], None]], Result]
) -> Iterator[Step | Done[Result]]:
    """Do ``work`` when it is its ``turn``, and give its steps as they come, then ``Done``.

    ``work`` gets a function to report steps with, which raises ``Cancelled`` once the job is to stop; so does waiting.
    What ``work`` raises is raised here. Closing the iterator early stops the job: at its next step, the turn is free.
    """
    events: queue.SimpleQueue = queue.SimpleQueue()

    def report(step: Step) -> None:
        job.check()
        job.step = step
        events.put(step)

    def run() -> None:
        try:
            while not turn.acquire(timeout=STOP_LOOKS):
                job.check()
            try:
                job.check()
                job.state = "running"
                last = Done(work(report))
            finally:
                turn.release()
        except BaseException as error:  # handed over, to be raised where the job is followed
            last = error
        job.state = "over"
        job.over.set()
        events.put(last)  # after the state, so that whoever hears of it sees the job as over

    threading.Thread(target=run, name=f"video4spatial-{job.what}", daemon=True).start()
    try:
        while True:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, Done):
                return
    finally:
        job.stop.set()


class Pace:
    """Lets through at most one event every ``seconds``, and always the last: a page need not be told each frame."""

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds, self.last = seconds, 0.0

    def lets(self, done: int, total: int) -> bool:
        """Whether this event is to be told."""
        now = time.monotonic()
        if done < total and now - self.last < self.seconds:
            return False
        self.last = now
        return True
