"""Whose editor is whose: one for each session of the app that opens one."""

import threading
from collections.abc import Callable
from pathlib import Path

from video4spatial.app.editor.edit import PathEdit
from video4spatial.app.editor.exchange import from_text
from video4spatial.app.editor.proxy import Door
from video4spatial.app.editor.view import PathEditor
from video4spatial.schema import InputError, Intrinsics


class Editors:
    """The editors of an app: one for each session that opens one, closed when it ends.

    Args:
        folder: a session's own folder, for the files it exports; removed by the app.
        frames: the length of the video.
        most: more than that many at once are refused.
    """

    def __init__(
        self,
        door: Door,
        intrinsics: Intrinsics,
        frames: int,
        folder: Callable[[str], Path],
        fps: float = 16.0,
        most: int = 32,
    ):
        self.door, self.intrinsics, self.frames, self.fps = door, intrinsics, frames, fps
        self.folder, self._most = folder, most
        self._open: dict[str, PathEditor] = {}
        self._lock = threading.Lock()

    def find(self, session: str | None) -> PathEditor | None:
        """The editor of a session, if it has opened one."""
        return self._open.get(session or "")

    def open(self, session: str | None, text: str = "") -> PathEditor:
        """The editor of a session, opened if need be with the waypoints of ``text`` (``InputError`` if wrong)."""
        if not session:
            raise InputError("the request does not say which session it belongs to")
        with self._lock:
            found = self._open.get(session)
            if found is None:
                if len(self._open) >= self._most:
                    raise InputError(f"{self._most} path editors are open: use the numbers, or come back later")
                waypoints = from_text(text) if text.strip() else PathEdit(frames=self.frames).waypoints
                found = PathEditor(self.intrinsics, waypoints, frames=self.frames, fps=self.fps)
                self._open[session] = found
                self.door.admit(found)
            return found

    def end(self, session: str | None) -> None:
        """Close the editor of a session, if it has one."""
        with self._lock:
            found = self._open.pop(session or "", None)
        if found is not None:
            self.door.dismiss(found)
            found.close()

    def close(self) -> None:
        """Close all editors."""
        for session in list(self._open):
            self.end(session)

    def __len__(self) -> int:
        return len(self._open)
