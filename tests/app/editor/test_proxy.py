"""The door: the secret, the login, both ways of the socket, and what happens when an editor is closed."""

import asyncio
import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn
import viser
import websockets
from fastapi import FastAPI

from video4spatial.app.editor.mended import mended
from video4spatial.app.editor.proxy import Door, everybody
from video4spatial.app.editor.view import PathEditor
from video4spatial.schema import Intrinsics

LENS = Intrinsics.from_horizontal_fov(70, 96, 64)
PROTOCOL = websockets.Subprotocol(f"viser-v{viser.__version__}")


@contextlib.contextmanager
def serving(door):
    """The door's routes at an address of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(FastAPI(routes=door.routes), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def editor():
    with PathEditor(LENS, frames=9) as editor:
        yield editor


async def first_message(address, url, **options):
    async with websockets.connect(f"ws://{address}/{url.rstrip('/')}", subprotocols=[PROTOCOL], **options) as opened:
        assert opened.subprotocol == PROTOCOL
        return await asyncio.wait_for(opened.recv(), 20)


def test_the_page_and_the_socket_pass(editor):
    door = Door(everybody)
    door.admit(editor)
    with serving(door) as address:
        page = httpx.get(f"http://{address}/{editor.url}")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
        assert page.content == mended(httpx.get(f"http://127.0.0.1:{editor.port}/").content)
        assert len(asyncio.run(first_message(address, editor.url))) > 100
        assert asyncio.run(first_message(address, editor.url, origin=f"http://{address}"))


@pytest.mark.parametrize("path", ["path-editor/", "path-editor/guess/", "path-editor/guess/index.html", "path-editor"])
def test_without_the_secret_there_is_nothing(editor, path):
    door = Door(everybody)
    door.admit(editor)
    with serving(door) as address:
        assert httpx.get(f"http://{address}/{path}").status_code == 404
        with pytest.raises(websockets.InvalidStatus, match="403"):
            asyncio.run(first_message(address, path))


def test_nothing_above_the_viewers_page_is_served(editor):
    door = Door(everybody)
    door.admit(editor)
    with serving(door) as address:
        assert httpx.get(f"http://{address}/{editor.url}..%2f..%2f__init__.py").status_code == 404
        assert httpx.post(f"http://{address}/{editor.url}").status_code == 405


def test_who_is_not_logged_in_finds_nothing(editor):
    """The secret alone does not open the door, and a page of another site cannot use a visitor's login."""

    def allowed(visitor):
        return visitor.cookies.get("login") == "yes"

    door = Door(allowed)
    door.admit(editor)
    with serving(door) as address:
        assert httpx.get(f"http://{address}/{editor.url}").status_code == 404
        assert httpx.get(f"http://{address}/{editor.url}", cookies={"login": "yes"}).status_code == 200
        with pytest.raises(websockets.InvalidStatus, match="403"):
            asyncio.run(first_message(address, editor.url))
        login = {"additional_headers": {"Cookie": "login=yes"}}
        assert asyncio.run(first_message(address, editor.url, **login))
        with pytest.raises(websockets.InvalidStatus, match="403"):
            asyncio.run(first_message(address, editor.url, origin="http://elsewhere.example", **login))


def test_a_closed_or_dismissed_editor_is_gone():
    door = Door(everybody)
    first, second = PathEditor(LENS, frames=9), PathEditor(LENS, frames=9)
    assert first.secret != second.secret
    assert first.port != second.port
    door.admit(first)
    door.admit(second)
    with serving(door) as address:

        async def until_closed():
            async with websockets.connect(f"ws://{address}/{first.url}", subprotocols=[PROTOCOL]) as opened:
                await opened.recv()
                assert opened.state is websockets.State.OPEN
                await asyncio.to_thread(first.close)
                await asyncio.wait_for(opened.wait_closed(), 20)

        asyncio.run(until_closed())
        assert httpx.get(f"http://{address}/{first.url}").status_code == 404
        assert httpx.get(f"http://{address}/{second.url}").status_code == 200
        door.dismiss(second)
        assert httpx.get(f"http://{address}/{second.url}").status_code == 404
        second.close()
