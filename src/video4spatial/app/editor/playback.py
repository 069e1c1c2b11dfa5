"""Playing the path: a frame after the other, seen from outside or through the camera."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import numpy as np
import viser
from jaxtyping import Float

from video4spatial.schema import Intrinsics


class Playback:
    """Where on the path the moving camera is. It runs on the viewer's own event loop, without a thread of its own.

    Args:
        shown: called with the number of each frame that comes up.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        intrinsics: Intrinsics,
        fps: float,
        c2w: Float[np.ndarray, "T 4 4"],
        shown: Callable[[int], Any],
    ):
        self._server, self._fps, self._shown = server, fps, shown
        self._fov = float(2 * np.arctan(intrinsics.height / 2 / intrinsics.fy))
        self._lock = threading.RLock()
        self._task: Future[None] | None = None
        self._views: dict[int, tuple[Any, ...]] = {}  # where people looked from before they looked through the camera
        self.c2w, self.frame, self.looking = c2w, 0, False

    @property
    def playing(self) -> bool:
        """Whether frames are coming up by themselves."""
        return self._task is not None and not self._task.done()

    def go(self, frame: int) -> None:
        """Show a frame."""
        with self._lock:
            self.frame = max(0, min(frame, len(self.c2w) - 1))
            if self.looking:
                self._look()
            self._shown(self.frame)

    def play(self) -> None:
        """Play to the end; from the start if the end was reached."""
        with self._lock:
            if self.playing:
                return
            if self.frame >= len(self.c2w) - 1:
                self.frame = 0
            self._task = asyncio.run_coroutine_threadsafe(self._run(), self._server.get_event_loop())

    def pause(self) -> None:
        """Stop at the frame that is shown."""
        with self._lock:
            task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self.go(self.frame)

    def look_through(self, looking: bool) -> None:
        """Whether every viewer sees what the camera sees; afterwards they are back where they were."""
        with self._lock:
            if looking == self.looking:
                return
            self.looking = looking
            if not looking:
                self._back()
            self.go(self.frame)

    def close(self) -> None:
        """Stop playing."""
        with self._lock:
            task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        while self.frame < len(self.c2w) - 1:
            await asyncio.sleep(1 / self._fps)
            self.go(self.frame + 1)
        self._task = None
        self.go(self.frame)

    def _look(self) -> None:
        pose = self.c2w[self.frame]
        for number, client in self._server.get_clients().items():
            camera = client.camera
            with suppress(AssertionError), client.atomic():  # one that has not told its camera yet
                if number not in self._views:
                    self._views[number] = (camera.up_direction, camera.position, camera.look_at, camera.fov)
                camera.up_direction = -pose[:3, 1]
                camera.position, camera.look_at = pose[:3, 3], pose[:3, 3] + pose[:3, 2]
                camera.fov = self._fov

    def _back(self) -> None:
        for number, client in self._server.get_clients().items():
            if number in self._views:
                camera = client.camera
                with client.atomic():
                    camera.up_direction, camera.position, camera.look_at, camera.fov = self._views[number]
        self._views.clear()
