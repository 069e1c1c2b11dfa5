"""What stands before Gradio: nothing is fetched from elsewhere, and no request is larger than it need be."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
"""The browser refuses every address but the app's own, and to show the app in another site's page. Gradio's page needs
its inline scripts; viser's, which unpacks itself, eval and blobs."""
SLACK = 1_000_000  # bytes of a request besides the file in it; of one without a file, in all
_ADDRESS = "the file is an address, and this app fetches nothing from elsewhere: upload the file"
_FOREIGN = json.dumps(
    {"detail": [{"__type__": "validate", "is_valid": False, "parameter_name": "file", "message": _ADDRESS}]}
).encode()
"""As Gradio says that a field is wrong, so that its client repeats the words."""
UPLOAD = "/upload"  # how the path of Gradio's uploads ends
TOO_LARGE = "the request is larger than the maximum allowed size"  # Gradio reads "maximum allowed size", answers 413
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
        self.app, self.most = app, most

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
        is_upload = path.endswith(UPLOAD)
        most = self.most + SLACK if is_upload else SLACK
        if _announced(scope) > most:
            await _refuse(send, 413, b"the file is larger than this app takes")
            return
        if scope["method"] == "POST" and not is_upload:
            asked = await _read(receive, SLACK)
            if asked is None:
                await _refuse(send, 413, b"the request is larger than this app takes")
                return
            if _names_an_address(asked):
                await _refuse(send, 422, _FOREIGN, b"application/json")
                return
            receive = _again(asked, receive)

        body = _Body(receive, most, is_upload)

        def left_over() -> bool:  # then the rest of it is not taken either
            return scope["method"] not in ("GET", "HEAD") and not body.whole

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", [])}
                headers = _HEADERS | ({b"connection": b"close"} if left_over() else {})
                added = [(name, value) for name, value in headers.items() if name not in given]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, body.receive, with_headers)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


class _Body:
    """A request's body, up to ``most`` bytes: its length need not be announced.

    What is wrong with an upload is raised as ``MultiPartException``, for which Gradio removes what it has written;
    left to itself it keeps the beginning of an upload that is broken off.
    """

    def __init__(self, receive: Receive, most: int, is_upload: bool) -> None:
        self._receive, self.most, self.is_upload = receive, most, is_upload
        self.read, self.whole = 0, False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self.is_upload and not self.whole:
            raise MultiPartException("the upload was broken off")
        if message["type"] == "http.request":
            self.read, self.whole = self.read + len(message.get("body", b"")), not message.get("more_body", False)
            if self.read > self.most:
                raise MultiPartException(TOO_LARGE) if self.is_upload else HTTPException(413, TOO_LARGE)
        return message


def take_local_files_only(blocks: Any) -> None:
    """Let the parts of a page take files that were uploaded to it: Gradio would fetch an address given as a path.

    Its field for a file also makes an empty file beside each one it is given, and forgets it; here it makes none.
    """
    for block in blocks.blocks.values():
        if block.get_block_name() == "file":
            block.preprocess = _where
        block.async_move_resource_to_block_cache = partial(_local, block.async_move_resource_to_block_cache)


def _where(payload: Any) -> str | None:
    return None if payload is None else payload.path


async def _local(move: Callable[[Any], Awaitable[str | None]], path: Any) -> str | None:
    if "://" in str(path):
        raise ValueError(_ADDRESS)
    return await move(path)


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None if it has more bytes, which are then not read."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            return None
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """``receive`` with the body that was read already."""
    given = False

    async def from_start() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return from_start


def _names_an_address(body: bytes) -> bool:
    """Whether a file in a JSON body is an address: Gradio would fetch it, of any size, for whoever asks."""
    try:
        left = [json.loads(body)]
    except (ValueError, RecursionError):
        return False  # no JSON: Gradio refuses it, or it is a form, in which no file can be named
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "://" in str(value.get("path", "")):
                return True
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False


async def _refuse(send: Send, status: int, words: bytes, kind: bytes = b"text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", kind), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
