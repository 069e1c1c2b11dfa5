"""How the app is served: to whom, with what policy, and with nothing from elsewhere."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest

pytest.importorskip("gradio")

from video4spatial.app.local import OnlyHere
from video4spatial.app.server import Serving, served
from video4spatial.cli import main
from video4spatial.schema import InputError


def get(url: str, data: bytes | None = None, headers: dict | None = None):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=30)
    except urllib.error.HTTPError as error:
        return error


def test_the_page_names_no_other_host(served_app):
    answer = get(served_app.url)
    page = answer.read().decode()
    fetched = re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["'](https?:[^"']+)""", page)
    assert [address for address in fetched if not address.startswith(served_app.url.rstrip("/"))] == []
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["gradio_api/file=https://example.org/x", "gradio_api/proxy=https://example.org/x"])
def test_the_app_fetches_nothing_for_others(served_app, path):
    assert get(served_app.url + path).status == 403


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", "src/video4spatial/schema.py"])
def test_files_of_the_machine_are_not_served(served_app, path):
    assert get(f"{served_app.url}gradio_api/file={path}").status in (403, 404)


def test_a_large_upload_is_refused_before_it_is_read(served_app):
    port = int(served_app.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 2000000000\r\n\r\n"
        )
        assert b" 413 " in connection.recv(200).split(b"\r\n")[0]


def test_a_large_upload_that_hides_its_length(served_app):
    """Chunked, so that only counting tells."""
    port = int(served_app.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
        piece = head + b"\0" * 1_000_000
        try:
            for _ in range(12):
                connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                piece = b"\0" * 1_000_000
            connection.sendall(b"0\r\n\r\n")
        except OSError:
            return  # hung up on: refused as well
        status = connection.recv(200).split(b"\r\n")[0]
    assert b" 200 " not in status
    assert not list(served_app.files.uploads.rglob("a.mp4"))


@pytest.mark.parametrize("data", [[{"path": "https://example.org/x.mp4"}], [[{"a": {"path": "http://127.0.0.1:1/x"}}]]])
def test_no_address_passes_for_a_file(served_app, data):
    """Gradio would fetch it, whatever its size."""
    body = json.dumps({"data": data, "fn_index": 0, "session_hash": "someone"}).encode()
    for path in ("gradio_api/queue/join", "gradio_api/call/encode", "gradio_api/run/encode"):
        assert get(served_app.url + path, body, {"Content-Type": "application/json"}).status == 422


def test_a_large_body_without_a_file(served_app):
    """Refused by the length that it announces: none of it is waited for."""
    asked = http.client.HTTPConnection(urllib.parse.urlsplit(served_app.url).netloc, timeout=30)
    asked.putrequest("POST", "/gradio_api/queue/join")
    asked.putheader("Content-Type", "application/json")
    asked.putheader("Content-Length", "1100000")
    asked.endheaders()
    assert asked.getresponse().status == 413
    asked.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM is POSIX")
def test_told_to_end_it_removes_its_files(tmp_path):
    command = [sys.executable, "-m", "video4spatial.cli", "app", "--port", "0", "--temporary", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as app:
        try:
            assert app.stdout is not None
            assert "rooms-small at http://127.0.0.1:" in app.stdout.readline()
            assert list(tmp_path.iterdir())
            app.terminate()
            assert app.wait(timeout=60) == 0
        finally:
            app.kill()
    assert list(tmp_path.iterdir()) == []


def test_a_login_is_asked_for(small_pipeline, tmp_path):
    with served(small_pipeline, Serving(port=0, auth="anna:long-enough", temporary=tmp_path)) as running:
        assert get(running.url + "config").status == 401
        assert get(running.url + "gradio_api/info").status == 401
        assert get(running.url + "gradio_api/upload", b"").status == 401
        assert get(running.url + "login", b"username=anna&password=wrong-one").status == 400
        answer = get(running.url + "login", b"username=anna&password=long-enough")
        cookie = "; ".join(value.split(";")[0] for value in answer.headers.get_all("set-cookie"))
        assert get(running.url + "config", headers={"Cookie": cookie}).status == 200
    assert list(tmp_path.iterdir()) == []


def test_ipv6(small_pipeline, tmp_path):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with served(small_pipeline, Serving(host="::1", port=0, temporary=tmp_path)) as running:
        assert running.url.startswith("http://[::1]:")
        assert get(running.url + "config").status == 200


def test_a_taken_port_is_named(small_pipeline, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        serving = Serving(port=taken.getsockname()[1], temporary=tmp_path)
        with pytest.raises(InputError, match="choose another --port"), served(small_pipeline, serving):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "give --auth USER:PASSWORD"),
        (["--auth", "anna"], "--auth is not USER:PASSWORD"),
        (["--port", "99999"], "--port is 99999"),
        (["--max-upload", "0"], "--max-upload is 0"),
        (["--temporary", "/nowhere/at/all"], "--temporary is /nowhere/at/all"),
    ],
)
def test_the_command_refuses_at_once(options, told, capsys):
    assert main(["app", *options]) == 2
    assert told in capsys.readouterr().err


def test_the_extra_is_named_where_it_is_missing(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["app"]) == 2
    assert "pip install 'video4spatial[app]'" in capsys.readouterr().err


def test_middleware_lets_other_protocols_pass():
    import asyncio

    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(OnlyHere(app, 1)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
