"""One viser server: on this machine only, quiet, and never reaching outside."""

import threading

import rich
import viser

_STARTING = threading.Lock()


class LocalViewer(viser.ViserServer):
    """A viser server on any free port of 127.0.0.1. Its pages cannot ask for viser's public tunnel."""

    def __init__(self) -> None:
        with _STARTING:
            console = rich.get_console()
            before, console.quiet = console.quiet, True  # else it prints an address that nobody should open
            try:
                super().__init__(host="127.0.0.1", port=0, verbose=False)
            finally:
                console.quiet = before
        self.gui.configure_theme(
            control_layout="collapsible", show_logo=False, show_share_button=False, brand_color=(28, 78, 148)
        )
        self.scene.configure_environment_map(None)
        self.scene.set_up_direction("-y")

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Refused: a session is nobody else's."""
        return None

    def stop(self) -> None:
        """Stop the server, its port and its threads."""
        with _STARTING:
            console = rich.get_console()
            before, console.quiet = console.quiet, True
            try:
                super().stop()
            finally:
                console.quiet = before
        self._thread_executor.shutdown(wait=True, cancel_futures=True)
