"""The app, served: Gradio's server with nothing looked up elsewhere, a login where others can reach it, its files away
at the end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from video4spatial.app.files import PrivateFolder, private_folder
from video4spatial.app.guard import Limits
from video4spatial.app.login import login_for
from video4spatial.prepare.environment import environment
from video4spatial.schema import InputError

INSTALL = "the app needs gradio and viser: pip install 'video4spatial[app]'"
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Serving:
    """How the app is served; ``auth`` is USER:PASSWORD or @FILE, ``port`` 0 takes any that is free."""

    host: str = "127.0.0.1"
    port: int = 7860
    auth: str | None = None
    limits: Limits = field(default_factory=Limits)
    temporary: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise InputError(f"--port is {self.port}: give one from 1 to 65535, or 0 for any that is free")
        if self.temporary is not None and not self.temporary.is_dir():
            raise InputError(f"--temporary is {self.temporary}, which is no folder: make it, or leave the option out")
        login_for(self.host, self.auth)


@dataclass(frozen=True)
class Running:
    """A served app."""

    url: str
    studio: Any
    files: PrivateFolder


def require_gradio() -> None:
    """Say which extra is missing, before a model is loaded."""
    from importlib.util import find_spec

    if find_spec("gradio") is None or find_spec("viser") is None:
        raise InputError(INSTALL)


@contextmanager
def served(pipeline: Any, serving: Serving, name: str = "rooms-small") -> Iterator[Running]:
    """Serve ``pipeline`` for as long as the context lasts; then stop, and remove every file."""
    require_gradio()
    with environment(**QUIET), private_folder(serving.temporary) as files:
        from video4spatial.app.local import OnlyHere, take_local_files_only
        from video4spatial.app.page import build_page
        from video4spatial.app.studio import Studio
        from video4spatial.app.styles import CSS, theme

        studio = Studio(pipeline, files, name, serving.limits)
        page = build_page(studio)
        take_local_files_only(page)
        most = int(serving.limits.megabytes * 1e6)
        try:
            _, url, _ = page.launch(
                server_name=_bracketed(serving.host),
                server_port=_port(serving.host, serving.port),
                auth=login_for(serving.host, serving.auth),
                prevent_thread_lock=True,
                share=False,
                inbrowser=False,
                quiet=True,
                show_error=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                enable_monitoring=False,
                run_history=False,
                footer_links=[],
                allowed_paths=[str(files.sessions)],
                max_file_size=most,
                app_kwargs={"middleware": OnlyHere.middleware(most), "routes": studio.editors.door.routes},
                theme=theme(),
                css=CSS,
            )
            yield Running(url, studio, files)
        finally:
            studio.close()
            page.close(verbose=False)


def serve(pipeline: Any, serving: Serving, name: str, say: Any = print) -> None:
    """Serve until interrupted, or told to end (SIGTERM), as services and containers are."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with served(pipeline, serving, name) as running:
            try:
                say(f"{name} at {running.url} (stop with Ctrl-C)", flush=True)
                threading.Event().wait()
            except KeyboardInterrupt:
                say("stopping: the files of all sessions are removed", flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def _bracketed(host: str) -> str:
    """``host`` as it stands in an address: an IPv6 one in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _port(host: str, port: int) -> int:
    """``port`` if it is free, or any free one for 0."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            remedy = "choose another --port" if port else "check --host"
            raise InputError(f"{host}:{port} cannot be listened on ({error.strerror}): {remedy}") from None
        return int(probe.getsockname()[1])
