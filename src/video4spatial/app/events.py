"""What happens when somebody does something on the page: from a form to a job, and from its steps to the page.

An ask takes two events. The first is answered at once, outside the queue: the form is read and a ``Job`` made, so that
"Cancel" reaches an ask that still waits. The second waits for the model in Gradio's queue, and follows the job.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import gradio as gr

from video4spatial.app import shown
from video4spatial.app.asked import Asked, Outcome, whole_number
from video4spatial.app.compare import compared
from video4spatial.app.context import Context
from video4spatial.app.form import ground_ask
from video4spatial.app.planned import plan_words
from video4spatial.app.running import Cancelled, Pace, Step
from video4spatial.app.session import NO_CONTEXT, Session
from video4spatial.app.studio import Studio
from video4spatial.schema import InputError

log = logging.getLogger(__name__)
LOOKS = 0.3  # seconds between looks at how many jobs are ahead
MODEL = {"concurrency_id": "model", "concurrency_limit": 1}
"""What every event that uses the model is queued with: they take turns."""
QUICK: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
"""What every event of the page that is answered at once is set up with."""


class Events:
    """The handlers of one page; every tab and its session come in by the request."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def begin(self, read: Callable[..., Asked]) -> Callable[..., tuple[Any, Any]]:
        """The first event of an ask whose form ``read`` reads: what to say, and "Cancel" in use."""

        def handler(request: gr.Request, *fields: Any) -> tuple[Any, Any]:
            try:
                session, asked = self.studio.session(request.session_hash), read(*fields)
            except InputError as error:
                return shown.note(str(error), "bad"), gr.skip()
            return self._wait(session, asked)

        return handler

    def again(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """The same ask with the next seed that this session has not tried."""
        try:
            session = self.studio.session(request.session_hash)
            asked = session.outcome(whole_number(event._data.get("ask"), "ask") or 0).asked
            tried = {made.asked.seed for made in session.asks if made.asked.with_seed(0) == asked.with_seed(0)}
            asked = asked.with_seed(max(tried) + asked.best_of)
        except InputError as error:
            return shown.note(str(error), "bad"), gr.skip()
        return self._wait(session, asked)

    def _wait(self, session: Session, asked: Asked) -> tuple[Any, Any]:
        if session.context is None:
            return shown.note(NO_CONTEXT, "bad"), gr.skip()
        job = session.new_job(asked.task)
        session.pending.append((asked, job))
        return shown.ahead(self.studio.ahead(job)), gr.update(interactive=True)

    async def wait(self, request: gr.Request) -> AsyncIterator[Any]:
        """Beside the second event: what the session's newest job waits for, told anew whenever that changes."""
        yield gr.skip()
        session = self.studio.find(request.session_hash)
        job = session.jobs[-1] if session is not None and session.jobs else None
        told = 0
        while job is not None and job.state == "waiting" and not job.stop.is_set():
            jobs = self.studio.ahead(job)
            if jobs and len(jobs) != told:
                yield shown.ahead(jobs)
            told = len(jobs)
            await asyncio.sleep(LOOKS)

    def follow(self, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """The second event of an ask: progress, result, gallery, "Cancel"."""
        session = self.studio.find(request.session_hash)
        if session is None or not session.pending:
            yield (gr.skip(),) * 4
            return
        asked, job = session.pending.popleft()
        pace, pictures = Pace(), ()
        for event in session.ask(asked, job):
            if isinstance(event, Step):
                pictures = event.pictures or pictures  # a preview stays until the next
                if event.pictures or pace.lets(event.done, event.total):
                    yield shown.progress(event, pictures), gr.skip(), gr.skip(), gr.skip()
                continue
            outcome: Outcome = event.result
            more = gr.update(interactive=bool(session.alive()))
            yield "", shown.outcome(outcome), shown.gallery(session.asks), more

    def compare(self, request: gr.Request) -> Any:
        """The choosers of two clips, after an ask."""
        session = self.studio.find(request.session_hash)
        return gr.skip() if session is None else compared(session.asks)

    def check(self, upload: str | None, request: gr.Request) -> tuple[Any, Any]:
        """The first event of a walk-through: is it a video that can be used?"""
        if not upload:
            return gr.skip(), gr.skip()
        try:
            session = self.studio.session(request.session_hash)
            video = session.check(upload)
        except InputError as error:
            return shown.note(f"{error}", "bad"), gr.skip()
        session.pending_context.append((video, session.new_job("encode")))
        return shown.note(f"Checked: {video.words}. Waiting for its turn."), gr.update(interactive=True)

    def room(self, number: Any, request: gr.Request) -> tuple[Any, Any]:
        """The first event of a room made here."""
        try:
            session = self.studio.session(request.session_hash)
            wanted = whole_number(number, "room")
        except InputError as error:
            return shown.note(str(error), "bad"), gr.skip()
        session.pending_context.append((wanted or 0, session.new_job("encode")))
        return shown.note("Waiting for its turn."), gr.update(interactive=True)

    def follow_context(self, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """The second event of a walk-through: status, video, suggestions, "Cancel"."""
        session = self.studio.find(request.session_hash)
        if session is None or not session.pending_context:
            yield (gr.skip(),) * 4
            return
        given, job = session.pending_context.popleft()
        work = session.make_room(given, job) if isinstance(given, int) else session.encode(given, job)
        try:
            for event in work:
                if isinstance(event, Step):
                    yield shown.progress(event), gr.skip(), gr.skip(), gr.skip()
                    continue
                context: Context = event.result
                chosen = context.chosen(int(self.studio.pipeline.config.context_latents))
                choices = self.studio.suggestions(session)
                video = str(context.video) if isinstance(given, int) else gr.skip()
                told = shown.context_note(context, chosen)
                yield told, video, gr.update(choices=choices, value=None), self._cancel_button(session)
        except Cancelled:
            yield (
                shown.note("Cancelled: give a walk-through again."),
                gr.skip(),
                gr.skip(),
                self._cancel_button(session),
            )
        except InputError as error:
            yield shown.note(str(error), "bad"), gr.skip(), gr.skip(), self._cancel_button(session)
        except Exception as error:
            log.exception("a walk-through could not be encoded")
            told = shown.note(f"{type(error).__name__}: {error}. The app is still running: try another video.", "bad")
            yield told, gr.skip(), gr.skip(), self._cancel_button(session)

    def _cancel_button(self, session: Session) -> Any:
        return gr.update(interactive=bool(session.alive()))

    def stop(self, request: gr.Request) -> str:
        """Stop what this session runs and what it has waiting."""
        session = self.studio.find(request.session_hash)
        stopped = session.cancel() if session is not None else 0
        return shown.note("Cancelling: it stops at the next step." if stopped else "There is nothing to cancel.")

    def plan(self, request: gr.Request, sentence: str, place: str, *settings: Any) -> str:
        """What the next ask will need."""
        session = self.studio.find(request.session_hash)
        if session is None or session.context is None:
            return ""
        try:
            asked = ground_ask(sentence or "it", place, *settings)
            words = plan_words(self.studio.pipeline, self.studio.device, session.context.scene, asked, session.pace)
        except InputError as error:
            return shown.note(str(error), "bad")
        return shown.facts(f"This ask: {words}.")

    def end(self, request: gr.Request) -> None:
        """The tab was closed."""
        self.studio.end(request.session_hash)
