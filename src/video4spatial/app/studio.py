"""The app behind its page: one pipeline, whose turn it is, and the sessions, which never see one another."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from video4spatial.app.editor.proxy import Door
from video4spatial.app.editor.sessions import Editors
from video4spatial.app.files import PrivateFolder
from video4spatial.app.guard import Limits
from video4spatial.app.planned import device_of
from video4spatial.app.running import Job
from video4spatial.app.session import Session
from video4spatial.commands.verifier import knows_rooms_only
from video4spatial.rooms import CATEGORIES, COLOURS
from video4spatial.rooms.phrases import is_target_category
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError


@dataclass
class Studio:
    """Everything the page and the endpoints call.

    Attributes:
        turn: held by the one job that uses the model.
        most_sessions: more than that many at once are refused, after idle ones were closed.
        idle_minutes: a session unused for so long may be closed to make room.
        patience: seconds that the end of a session waits for its running job to stop.
    """

    pipeline: Video4SpatialPipeline
    files: PrivateFolder
    name: str = "rooms-small"
    limits: Limits = field(default_factory=Limits)
    most_sessions: int = 32
    idle_minutes: float = 60.0
    patience: float = 60.0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.pipeline.set_progress_bar_config(disable=True)
        self.sessions: dict[str, Session] = {}
        self.makes_rooms = knows_rooms_only(self.pipeline)
        self.device = device_of(self.pipeline)
        config = self.pipeline.config
        self.editors = Editors(
            Door(), self.pipeline.intrinsics, int(config.frames), self.folder, float(config.fps), self.most_sessions
        )
        self._lock = threading.Lock()

    def session(self, key: str | None) -> Session:
        """The session of a tab or a client, begun if it is new."""
        if not key:
            raise InputError("the request does not say which session it belongs to")
        with self._lock:
            found = self.sessions.get(key)
            if found is None:
                self._make_room()
                found = self.sessions[key] = Session(self, key)
            found.touched = time.monotonic()
            return found

    def _make_room(self) -> None:
        if len(self.sessions) < self.most_sessions:
            return
        idle = [s for s in self.sessions.values() if time.monotonic() - s.touched > 60 * self.idle_minutes]
        for session in idle:
            if not any(job.state != "over" for job in session.jobs):
                del self.sessions[session.key]
                self.editors.end(session.key)
                session.close()
        if len(self.sessions) >= self.most_sessions:
            raise InputError(f"{self.most_sessions} people use this app now: come back later")

    def find(self, key: str | None) -> Session | None:
        """The session of a tab or a client, if it has one: what comes late does not begin another."""
        with self._lock:
            found = self.sessions.get(key or "")
            if found is not None:
                found.touched = time.monotonic()
            return found

    def folder(self, key: str) -> Path:
        """Where a session's editor writes; it goes with the session."""
        folder = self.session(key).folder / "paths"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def end(self, key: str | None) -> None:
        """End a session, if there is one; its files are removed."""
        with self._lock:
            session = self.sessions.pop(key or "", None)
        self.editors.end(key)
        if session is not None:
            session.close()

    def waiting(self) -> int:
        """How many jobs of all sessions run or wait."""
        return sum(len(session.alive()) for session in list(self.sessions.values()))

    def ahead(self, job: Job) -> list[Job]:
        """The jobs of all sessions that were asked for before this one and are not over."""
        alive = (other for session in list(self.sessions.values()) for other in session.alive())
        return [other for other in alive if other.asked_at < job.asked_at]

    def close(self) -> None:
        """End all sessions."""
        for key in list(self.sessions):
            self.end(key)
        self.editors.close()

    def suggestions(self, session: Session | None = None) -> list[str]:
        """Things to ask for: what a room made here holds; else phrases of the small model's words; else none."""
        if session is not None and session.context is not None and session.context.targets:
            return list(session.context.targets)
        if not self.makes_rooms:
            return []
        return [
            f"the {colour} {category}"
            for category in sorted(filter(is_target_category, CATEGORIES))
            for colour in COLOURS
        ]
