"""The door to the editors: each viewer is reached through the app's own address, under a secret path, after the login.

viser listens on 127.0.0.1 only and knows no users. What comes to ``/path-editor/SECRET/`` is handed on to the viewer
with that secret if ``allowed`` says that the visitor is logged in; anything else is answered as if there were nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import websockets
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from video4spatial.app.editor.mended import mended
from video4spatial.app.editor.view import DOOR, PathEditor
from video4spatial.app.local import POLICY

log = logging.getLogger(__name__)
MOST_BYTES = 4 << 20  # of one message of a viewer's page; its own are a few kilobytes
KEPT = ("content-type",)
SAFE = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": POLICY,
}
Allowed = Callable[[HTTPConnection], bool | Awaitable[bool]]


def everybody(_visitor: HTTPConnection) -> bool:
    """For an app without a login."""
    return True


def logged_in(visitor: HTTPConnection) -> bool:
    """Whether a visitor of a Gradio app has logged in to it, or it has no login."""
    app = visitor.app
    if app.auth is None and app.auth_dependency is None:
        return True
    cookies = (visitor.cookies.get(f"{name}-{app.cookie_id}") for name in ("access-token", "access-token-unsecure"))
    return any(app.tokens.get(cookie) is not None for cookie in cookies if cookie)


class Door:
    """Which editors can be reached, by their secret, and the routes of the app that lead to them.

    Args:
        allowed: whether a visitor may pass (``logged_in`` for a Gradio app with ``auth``).
    """

    def __init__(self, allowed: Allowed = logged_in):
        self._allowed, self._editors = allowed, dict[str, PathEditor]()

    def admit(self, editor: PathEditor) -> None:
        """Let an editor be reached, until it is dismissed or closed."""
        self._editors[editor.secret] = editor

    def dismiss(self, editor: PathEditor) -> None:
        """Let it be reached no longer."""
        self._editors.pop(editor.secret, None)

    @property
    def routes(self) -> list[BaseRoute]:
        """For the app: ``app_kwargs={"routes": door.routes}`` of Gradio's ``launch``."""
        return [
            Route(f"/{DOOR}/{{secret}}/{{rest:path}}", self._page, methods=["GET"]),
            WebSocketRoute(f"/{DOOR}/{{secret}}", self._socket),
            WebSocketRoute(f"/{DOOR}/{{secret}}/", self._socket),
        ]

    async def _editor(self, visitor: HTTPConnection) -> PathEditor | None:
        editor = self._editors.get(visitor.path_params["secret"])
        if editor is None or editor.closed:
            return None
        allowed = self._allowed(visitor)
        return editor if (allowed if isinstance(allowed, bool) else await allowed) else None

    async def _page(self, request: Request) -> Response:
        editor = await self._editor(request)
        if editor is None:
            return Response("there is no path editor here", 404, SAFE, "text/plain")
        rest = httpx.URL(f"http://127.0.0.1:{editor.port}").copy_with(path="/" + request.path_params["rest"])
        async with httpx.AsyncClient(trust_env=False) as viewer:
            try:
                found = await viewer.get(rest, headers={"accept-encoding": "gzip"})
            except httpx.HTTPError:  # closed just now
                return Response("this path editor was closed", 404, SAFE, "text/plain")
        kept = {name: found.headers[name] for name in KEPT if name in found.headers}
        is_page = kept.get("content-type", "").startswith("text/html")
        return Response(mended(found.content) if is_page else found.content, found.status_code, SAFE | kept)

    async def _socket(self, socket: WebSocket) -> None:
        editor = await self._editor(socket)
        if editor is None or not _same_site(socket):
            await socket.close(4404)  # before it is accepted: answered as 403
            return
        asked = [name for name in socket.scope["subprotocols"] if name.startswith("viser-v")]
        try:
            viewer = await websockets.connect(
                f"ws://127.0.0.1:{editor.port}", subprotocols=[websockets.Subprotocol(name) for name in asked],
                max_size=None, compression=None, proxy=None,
            )  # fmt: skip
        except (OSError, websockets.WebSocketException):
            await socket.close(1011)
            return
        async with viewer:
            await socket.accept(viewer.subprotocol)
            ways = [asyncio.create_task(_inward(socket, viewer)), asyncio.create_task(_outward(viewer, socket))]
            _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in left:
                way.cancel()
            for ended in await asyncio.gather(*ways, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.warning("a path editor's connection ended: %s", ended)
        if socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the page is gone already
                await socket.close(1001)


def _same_site(socket: WebSocket) -> bool:
    """Whether the page that opens the socket is this app's own: a browser says where a page is from."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


async def _inward(socket: WebSocket, viewer: websockets.ClientConnection) -> None:
    """What the page says, to the viewer."""
    with contextlib.suppress(WebSocketDisconnect, websockets.ConnectionClosed):
        while True:
            message = await socket.receive_bytes()
            if len(message) > MOST_BYTES:
                return
            await viewer.send(message)


async def _outward(viewer: websockets.ClientConnection, socket: WebSocket) -> None:
    """What the viewer says, to the page."""
    with contextlib.suppress(WebSocketDisconnect, websockets.ConnectionClosed, RuntimeError):
        async for message in viewer:
            await socket.send_bytes(message if isinstance(message, bytes) else message.encode())
