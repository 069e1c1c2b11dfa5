"""What stands before Gradio: nothing is fetched from elsewhere, and no request is larger than an upload may be."""

from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""The browser refuses every address but the app's own. Gradio's page needs its inline scripts."""
SLACK = 1_000_000  # bytes of a request besides the file in it
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}


class OnlyHere:
    """ASGI middleware.

    Args:
        most: bytes of the largest file.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most + SLACK

    @staticmethod
    def middleware(most: int) -> list[Any]:
        return [Middleware(OnlyHere, most=most)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if "/proxy=" in path or "/file=http:" in path or "/file=https:" in path:
            await _refuse(send, 403, b"this app fetches nothing from elsewhere")
            return
        if self._announced(scope) > self.most:
            await _refuse(send, 413, b"the file is larger than this app takes")
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", [])}
                added = [(name, value) for name, value in _HEADERS.items() if name not in given]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def _announced(self, scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return 0


async def _refuse(send: Send, status: int, words: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
