"""One person's session: a context video, checked and encoded once, and everything that was asked of it."""

import itertools
import logging
import os
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from video4spatial.app.asked import Asked, Outcome, State
from video4spatial.app.asking import make, write
from video4spatial.app.context import Context, Room, Tell, encode, render_room
from video4spatial.app.guard import CheckedVideo, check_video
from video4spatial.app.planned import teraflops
from video4spatial.app.route import FromFile
from video4spatial.app.running import Cancelled, Done, Job, Step, follow
from video4spatial.schema import InputError

if TYPE_CHECKING:
    from video4spatial.app.studio import Studio

log = logging.getLogger(__name__)
MOST_ASKS = 50  # clips kept; the files of older ones are removed
NO_CONTEXT = "there is no walk-through yet: give a video first"


class Session:
    """What one browser tab, or one client, has given and asked. Made by ``Studio.session``."""

    def __init__(self, studio: "Studio", key: str) -> None:
        self.studio, self.key = studio, key
        self.folder = studio.files.session()
        self.context: Context | None = None
        self.asks: list[Outcome] = []
        self.touched = time.monotonic()
        self.pace: float | None = None  # seconds a teraflop
        self.jobs: list[Job] = []
        self.closed = False
        self.pending: deque[tuple[Asked, Job]] = deque()  # begun on the page, not followed yet
        self.pending_context: deque[tuple[CheckedVideo | int, Job]] = deque()
        self._claimed: list[Path] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def check(self, upload: str | Path, name: str | None = None) -> CheckedVideo:
        """The uploaded file as a video of this session's own, or ``UploadError``; either way the session owns it."""
        self.claim(upload)
        checked = check_video(upload, self.studio.limits, name=name)
        own = self.folder / f"context-{secrets.token_hex(6)}{Path(upload).suffix.lower()[:8]}"
        try:
            os.link(upload, own)
        except OSError:
            shutil.copyfile(upload, own)
        return CheckedVideo(own, checked.frames, checked.width, checked.height, checked.fps)

    def claim(self, upload: str | Path) -> None:
        """Take an uploaded file as this session's: it goes when the session ends."""
        self._claimed.append(self.studio.files.claim(upload))

    def new_job(self, what: Any) -> Job:
        """A job that waits for its turn; from now on ``cancel`` reaches it."""
        self.touched = time.monotonic()
        job = Job(what)
        with self._lock:
            self.jobs = [j for j in self.jobs if j.state != "over"] + [job]
            if self.closed:
                job.stop.set()
        return job

    def encode(self, video: CheckedVideo, job: Job | None = None) -> Iterator[Step | Done[Context]]:
        """Encode a checked video; what was asked of the one before is kept."""
        yield from self._contextual(job, lambda tell: encode(self.studio.pipeline, video.path, tell))

    def make_room(self, number: int, job: Job | None = None) -> Iterator[Step | Done[Context]]:
        """Render a room of our own and encode its walk-through."""

        def work(tell: Tell) -> Context:
            room: Room = render_room(self.studio.pipeline, number, self.folder, tell)
            return encode(self.studio.pipeline, room.video, tell, room)

        yield from self._contextual(job, work)

    def _contextual(self, job: Job | None, work: Any) -> Iterator[Step | Done[Context]]:
        job = job or self.new_job("encode")
        for event in follow(job, self.studio.turn, work):
            if isinstance(event, Done):
                self.context = event.result
            yield event

    def ask(self, asked: Asked, job: Job | None = None) -> Iterator[Step | Done[Outcome]]:
        """Ask, and follow it; whatever happens, the last event is an ``Outcome``, and the app goes on."""
        job = job or self.new_job(asked.task)
        number, context = next(self._numbers), self.context
        if isinstance(asked.route, FromFile):
            self.claim(asked.route.path)
        try:
            if context is None:
                raise InputError(NO_CONTEXT)
            for event in follow(job, self.studio.turn, lambda tell: self._made(number, asked, context, tell)):
                if isinstance(event, Done):
                    self._keep(event.result)
                yield event
            return
        except Cancelled:
            at = f" at step {job.step.done} of {job.step.total}" if job.step else ", before it began"
            outcome = Outcome(number, asked, "cancelled", f"cancelled{at}")
        except InputError as error:
            outcome = Outcome(number, asked, "refused", str(error))
        except (torch.OutOfMemoryError, MemoryError):
            log.exception("ask %d ran out of memory", number)
            remedy = "ask for fewer frames or context latents, or start the app with --offload"
            outcome = Outcome(number, asked, "failed", f"out of memory: {remedy}")
        except Exception as error:
            log.exception("ask %d failed", number)
            outcome = Outcome(number, asked, "failed", f"{type(error).__name__}: {error}. The app is still running")
        job.state = "over"  # also one that never began
        self._keep(outcome)
        yield Done(outcome)

    def _made(self, number: int, asked: Asked, context: Context, tell: Tell) -> Outcome:
        made = make(self.studio.pipeline, context, asked, tell)
        files = write(made, self.folder, number)
        settings = made.result.settings
        if asked.best_of == 1:
            self.pace = made.seconds / teraflops(self.studio.pipeline, settings, context.scene, len(made.result.frames))
        seen = context.seen(settings["context_index"])
        return Outcome(
            number, asked, made.state, _message(made.state, asked, settings), made.seconds, made.answer, files, seen
        )

    def _keep(self, outcome: Outcome) -> None:
        self.touched = time.monotonic()
        with self._lock:
            asks = [*self.asks, outcome]
            old, self.asks = asks[:-MOST_ASKS], asks[-MOST_ASKS:]
        files = [file for outcome in old for file in outcome.files.values()]
        for file in files:
            file.unlink(missing_ok=True)
        self.studio.files.forget([file.name for file in files])

    def outcome(self, number: int) -> Outcome:
        """The ask of that number."""
        for outcome in self.asks:
            if outcome.number == number:
                return outcome
        raise InputError(f"there is no ask {number} in this session")

    def cancel(self) -> int:
        """Stop all that runs or waits; how many jobs that were."""
        alive = self.alive()
        for job in alive:
            job.stop.set()
        return len(alive)

    def alive(self) -> list[Job]:
        """The jobs that run or wait, and were not told to stop."""
        with self._lock:
            return [job for job in self.jobs if job.state != "over" and not job.stop.is_set()]

    def close(self) -> None:
        """Stop, and remove every file of the session."""
        with self._lock:
            self.closed = True
        self.cancel()
        for job in list(self.jobs):
            if job.state == "running":
                job.over.wait(self.studio.patience)
        names = [file.name for file in self.folder.iterdir() if file.is_file()]
        self.context, self.asks = None, []
        for path in self._claimed:
            self.studio.files.release(path)
        self.studio.files.forget(names)
        shutil.rmtree(self.folder, ignore_errors=True)


def _message(state: State, asked: Asked, settings: dict[str, Any]) -> str:
    unknown = settings.get("unknown_words") or []
    note = f" (the model does not know: {', '.join(unknown)})" if unknown else ""
    if state == "found":
        return f"found: a red box is drawn for {asked.words}{note}"
    if state == "not found":
        return f"not found: no box was drawn for {asked.words}; another seed may find it{note}"
    return f"the camera follows {asked.words}"
