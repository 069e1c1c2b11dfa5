"""The editor itself: a path in a viser server of its own, for one session.

editor = PathEditor(intrinsics, [Waypoint(), Waypoint(z=2.0)], on_change=print)
...
editor.close()
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import viser
from scipy.spatial.transform import Rotation

from video4spatial.app.editor.edit import PathEdit
from video4spatial.app.editor.panel import Panel
from video4spatial.app.editor.playback import Playback
from video4spatial.app.editor.scene import Scene
from video4spatial.app.editor.shapes import outlook
from video4spatial.app.editor.viewer import LocalViewer
from video4spatial.geometry.paths import Waypoint
from video4spatial.schema import InputError, Intrinsics

DOOR = "path-editor"  # where the app lets its pages through to the editors


class PathEditor:
    """A camera path that one person edits in 3D, and that code may read and set at any time, from any thread.

    Args:
        intrinsics: the lens of the video that is to be made; its frustum is drawn.
        waypoints: the path at first.
        on_change: called with the waypoints after each change made in the viewer, during a drag many times; not after
            those made by ``set_waypoints``. It runs on the viewer's thread: it must be quick.
        frames: the length of the video.
        fps: how fast the path is played.

    ``url`` is what an iframe of the app's page shows: a path that is secret and works behind the app's door only
    (``proxy``). ``close`` frees the port and the threads.
    """

    def __init__(
        self,
        intrinsics: Intrinsics,
        waypoints: Sequence[Waypoint] = (Waypoint(),),
        on_change: Callable[[list[Waypoint]], Any] | None = None,
        frames: int = 81,
        fps: float = 16.0,
    ):
        self._lock = threading.RLock()
        self._edit, self._on_change = PathEdit(waypoints, frames), on_change
        self.intrinsics, self.secret, self.closed = intrinsics, secrets.token_urlsafe(24), False
        self.version = 0  # grows with each change of the path, whoever makes it
        self._chosen, self._gesture = len(self._edit) - 1, None
        self._server = LocalViewer()
        self.port: int = self._server.get_port()
        self._scene = Scene(self._server, intrinsics, self.choose)
        self._playback = Playback(self._server, intrinsics, fps, self._edit.poses(), self._played)
        self._panel = Panel(self._server, self)
        self._scene.gizmo.on_update(self._dragged)
        position, look_at = outlook(self._edit.poses()[:, :3, 3])
        self._server.initial_camera.position, self._server.initial_camera.look_at = position, look_at
        self._server.initial_camera.up = (0.0, -1.0, 0.0)
        self._redraw()

    @property
    def url(self) -> str:
        """Where the app's own page finds the viewer, relative to the page."""
        return f"{DOOR}/{self.secret}/"

    @property
    def waypoints(self) -> list[Waypoint]:
        """The waypoints as they are now."""
        with self._lock:
            return self._edit.waypoints

    @property
    def edit(self) -> PathEdit:
        """The state that is edited: for reading. Changes are made by ``change``."""
        return self._edit

    @property
    def chosen(self) -> int:
        """The waypoint that the gizmo and the number fields move."""
        return self._chosen

    @property
    def playback(self) -> Playback:
        """What plays the path."""
        return self._playback

    def set_waypoints(self, waypoints: Sequence[Waypoint]) -> None:
        """Show another path, as one step of undo; ``on_change`` is not told. ``InputError``: beyond the limits."""
        self.change(lambda edit: edit.replace_all(waypoints), told=False)

    def set_frames(self, frames: int) -> None:
        """Another length of the video; ``InputError`` if the waypoints do not fit in it."""
        self.change(lambda edit: edit.set_frames(frames), told=False)

    def change(self, make: Callable[[PathEdit], Any], gesture: Any = None, told: bool = True) -> Any:
        """Change the path by ``make`` and show it; what ``make`` returns.

        Changes in a row with the same ``gesture`` are one step of undo. After an ``InputError`` the path, and what is
        shown, is what it was.
        """
        with self._lock:
            if self.closed:
                raise InputError("this path editor was closed: open another")
            if gesture != self._gesture or gesture is None:
                self._edit.end_gesture()
                if gesture is not None:
                    self._edit.begin_gesture()
                self._gesture = gesture
            before = self._edit.waypoints, self._edit.frames
            try:
                made = make(self._edit)
            finally:
                changed = before != (self._edit.waypoints, self._edit.frames)
                self.version += changed
                self._chosen = min(self._chosen, len(self._edit) - 1)
                dragged = isinstance(gesture, tuple) and gesture[0] == "drag"
                self._redraw(dragged)
            waypoints = self._edit.waypoints
        if changed and told and self._on_change is not None:
            self._on_change(waypoints)
        return made

    def choose(self, index: int) -> None:
        """Put the gizmo and the number fields on a waypoint."""
        with self._lock:
            self._chosen = max(0, min(index, len(self._edit) - 1))
            self._redraw()

    def show_all(self) -> None:
        """Let every viewer look at the whole path again."""
        position, look_at = outlook(self._edit.poses()[:, :3, 3])
        for client in self._server.get_clients().values():
            with suppress(AssertionError), client.atomic():  # one that has not told its camera yet
                client.camera.up_direction = (0.0, -1.0, 0.0)
                client.camera.position, client.camera.look_at = position, look_at

    def close(self) -> None:
        """Stop the viewer and free its port and threads; a second call does nothing."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
        self._playback.close()
        self._server.stop()

    def __enter__(self) -> "PathEditor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _dragged(self, event: viser.TransformControlsEvent) -> None:
        if event.phase == "end":
            self.change(lambda edit: edit.end_gesture())
            return
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(event.target.wxyz, scalar_first=True).as_matrix()
        pose[:3, 3] = event.target.position
        with suppress(InputError):  # beyond the limits: the waypoint stays at the last place within
            self.change(lambda edit: edit.place(self._chosen, pose), gesture=("drag", self._chosen))

    def _played(self, frame: int) -> None:
        """The playback shows another frame."""
        self._scene.show(self._playback.c2w[frame], visible=not self._playback.looking)
        self._panel.show_frame(frame)

    def _redraw(self, dragged: bool = False) -> None:
        c2w = self._edit.poses()
        with self._server.atomic():
            self._scene.draw(self._edit.waypoints, c2w, self._chosen, dragged)
            self._panel.show(self._edit, self._chosen)
            self._playback.c2w = c2w
            self._playback.go(min(self._playback.frame, len(c2w) - 1))
