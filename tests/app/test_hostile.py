"""What nobody means well: requests made by hand, files that are traps, twenty asks at once. Each has its outcome."""

import asyncio
import json
import re
import socket
import struct
import time
import zlib
from fractions import Fraction
from pathlib import Path

import av
import httpx
import pytest

pytest.importorskip("gradio")

import gradio as gr
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from video4spatial.app.guard import Limits, UploadError, check_video
from video4spatial.app.local import take_local_files_only
from video4spatial.schema import InputError
from video4spatial.storage.video import iter_frames

PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
MB = 1_000_000


def resident() -> float:
    """Megabytes that this process, the server's too, holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MB


def uploaded(app) -> list[str]:
    return [path.name for path in app.files.uploads.rglob("*") if path.is_file()]


def until(true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_of_2_gb(served_app, tmp_path, announced):
    """Refused by its length, or by counting; neither read into memory nor left on the disk."""
    size = 2_000_000_000
    with (tmp_path / "walk.mp4").open("wb") as sparse:
        sparse.truncate(size)
    before, files, sent = resident(), uploaded(served_app), 0

    def body():
        nonlocal sent
        yield PART
        with (tmp_path / "walk.mp4").open("rb") as file:
            while piece := file.read(MB):
                sent += len(piece)
                yield piece
        yield b"\r\n--x--\r\n"

    length = {"Content-Length": str(len(PART) + size + len(b"\r\n--x--\r\n"))} if announced else {}
    try:
        answer = httpx.post(f"{served_app.url}gradio_api/upload", content=body(), headers=FORM | length)
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # hung up on while it was still sending
    assert sent < 100 * MB, "what is refused is not taken to its end"
    assert resident() - before < 100
    until(lambda: uploaded(served_app) == files)


def test_an_upload_that_is_broken_off(served_app):
    files = uploaded(served_app)
    address = httpx.URL(served_app.url)
    with socket.create_connection((address.host, address.port), timeout=30) as connection:
        head = "POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000000\r\n"
        connection.sendall((head + f"Content-Type: {FORM['Content-Type']}\r\n\r\n").encode() + PART + b"\0" * 2 * MB)
        until(lambda: len(uploaded(served_app)) > len(files))
    until(lambda: uploaded(served_app) == files)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path", ["gradio_api/queue/join", "gradio_api/call/ground", "gradio_api/run/predict", "login"])
def test_a_request_without_a_file_is_small(served_app, path, announced):
    text = json.dumps({"data": ["x" * 3 * MB], "session_hash": "s", "fn_index": 0}).encode()
    body = text if announced else iter([text])
    try:
        answer = httpx.post(f"{served_app.url}{path}", content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500
    except httpx.TransportError:
        pass  # hung up on


@pytest.mark.parametrize(
    "prefix", ["gradio_api/file=", "file=", "gradio_api/file/", "path-editor/", "static/", "assets/"]
)
@pytest.mark.parametrize(
    "way",
    [
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "....//....//etc/passwd",
        "..%5c..%5c..%5cetc%5cpasswd",
        "file:///etc/passwd",
        "/proc/self/environ",
        "{sessions}/../../../../../../../../../etc/passwd",
        "{sessions}",
        "{uploads}",
    ],
)
def test_no_way_out_of_the_private_folder(served_app, prefix, way):
    """Sent as it stands: a client library would tidy the path."""
    address = httpx.URL(served_app.url)
    target = prefix + way.format(sessions=served_app.files.sessions, uploads=served_app.files.uploads)
    with socket.create_connection((address.host, address.port), timeout=30) as connection:
        connection.sendall(f"GET /{target} HTTP/1.1\r\nHost: {address.host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.match(rb"HTTP/1.1 (307|400|403|404) ", answer), answer[:60]
    assert b"root:" not in answer
    assert b"location: http" not in answer.lower().replace(b"location: http://127.0.0.1", b"")


def called(app, endpoint: str, data: list, session: str) -> str:
    """What an endpoint says, called without Gradio's client, which would upload or refuse by itself."""
    address = f"{app.url}gradio_api/call/{endpoint}"
    answer = httpx.post(address, json={"data": data, "session_hash": session})
    if answer.status_code == 422:  # an address, which is refused before there is an event
        return "event: error"
    event = answer.raise_for_status().json()["event_id"]
    return httpx.get(f"{address}/{event}", timeout=60).text


@pytest.mark.parametrize("path", ["/etc/hostname", "{listener}/walk.mp4", "file:///etc/hostname", "../walk.mp4"])
@pytest.mark.parametrize("endpoint", ["encode", "navigate"])
def test_only_what_was_uploaded_is_taken(served_app, path, endpoint):
    """Neither files of the machine nor addresses, which Gradio would fetch."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.3)
        path = path.format(listener=f"http://localhost:{listener.getsockname()[1]}")
        given = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
        data = [given] if endpoint == "encode" else ["turn-left", None, None, None, given, 0, None, None, 1]
        assert "event: error" in called(served_app, endpoint, data, "by-hand")
        with pytest.raises(TimeoutError):
            listener.accept()
    assert "by-hand" not in served_app.studio.sessions


def test_gradio_downloads_nothing():
    """Also an address that its own guard lets pass is refused before it is looked up."""
    with gr.Blocks() as page:
        file = gr.File()
    take_local_files_only(page)
    with pytest.raises(ValueError, match="fetches nothing from elsewhere"):
        asyncio.run(file.async_move_resource_to_block_cache("https://example.org/walk.mp4"))


def test_a_client_that_is_gone_leaves_no_file(served_app, walk_file):
    """Not an empty one either: Gradio's field for a file makes one for every upload."""
    files = uploaded(served_app)
    client = Client(served_app.url, verbose=False)
    client.predict(handle_file(str(walk_file)), api_name="/encode")
    client.close()
    until(lambda: uploaded(served_app) == files)


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        ("/ground", {"instruction": ""}),
        ("/ground", {"instruction": "the bed", "seed": -1}),
        ("/ground", {"instruction": "the bed", "seed": 1e300}),
        ("/ground", {"instruction": "the bed", "steps": 10**9}),
        ("/ground", {"instruction": "the bed", "guidance": "nan"}),
        ("/ground", {"instruction": "the bed", "best_of": 10**6}),
        ("/ground", {"instruction": "\0\u202e\U0001f600" * 60}),
        ("/navigate", {"waypoints": [["inf", "nan", 0, 0, 0, 0]]}),
        ("/navigate", {"waypoints": [["1", None, {}, [], 0, 0]]}),
        ("/navigate", {"waypoints": [[0, 0, 0, 0, 0, 0]] * 5000}),
        ("/navigate", {"waypoints": [[[[[]]]]]}),
        ("/navigate", {"preset": "<b>still</b>"}),
        ("/navigate", {"preset": "orbit", "degrees": 1e308, "metres": -1e308}),
    ],
)
def test_values_that_are_refused_with_a_reason(ready, endpoint, arguments):
    with pytest.raises(AppError) as told:
        ready.predict(**arguments, api_name=endpoint)
    assert len(str(told.value)) > 15, "a reason, not Gradio's own 'Error'"
    assert ready.predict(api_name="/status")["jobs"] == []


def test_twenty_asks_at_once(served_app, walk_file):
    """From two clients: each has its own outcome, in its own session, and nothing is left when they are gone."""
    clients = [Client(served_app.url, verbose=False) for _ in range(2)]
    for client in clients:
        client.predict(handle_file(str(walk_file)), api_name="/encode")
    jobs = {
        (who, seed): client.submit("the bed", steps=1, seed=seed, api_name="/ground")
        for seed in range(10)
        for who, client in enumerate(clients)
    }
    answers = {key: job.result(timeout=500)[1] for key, job in jobs.items()}
    assert {(who, answer["settings"]["seed"]) for (who, _), answer in answers.items()} == set(jobs)
    assert {answer["state"] for answer in answers.values()} <= {"found", "not found"}
    for client in clients:
        asks = client.predict(api_name="/status")["asks"]
        assert sorted(ask["number"] for ask in asks) == list(range(1, 11))
        client.close()
    until(lambda: not {client.session_hash for client in clients} & set(served_app.studio.sessions))


def png(width: int, height: int) -> bytes:
    """A black picture, a few thousandths of what it takes in memory."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compressobj(1)
    packed = b"".join(rows.compress(bytes(1 + 3 * width)) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def picture_video(path: Path, pictures: list[bytes], width: int, height: int) -> Path:
    """A video of PNG pictures whose header may say another size."""
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("png", rate=16)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 16), True
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


@pytest.mark.parametrize("said", [(16_000, 16_000), (64, 32)], ids=["it says so", "its header says 64x32"])
def test_a_picture_that_takes_a_gigabyte(tmp_path, said):
    """Refused before it is decoded: FFmpeg decodes a frame of such a file already when it is opened."""
    bomb = picture_video(tmp_path / "walk.mp4", [png(16_000, 16_000)] * 6, *said)
    assert bomb.stat().st_size < 25 * MB
    before = resident()
    with pytest.raises(UploadError, match="4K or less"):
        check_video(bomb, Limits())
    assert resident() - before < 200


def test_a_large_picture_after_small_ones(tmp_path):
    """What a check of the first frame cannot see: reading stops with the reason, and takes no memory."""
    trap = picture_video(tmp_path / "walk.mp4", [png(64, 32)] * 8 + [png(16_000, 16_000)], 64, 32)
    before = resident()
    with pytest.raises(InputError, match=r"walk\.mp4 cannot be read as a video"):
        list(iter_frames(trap))
    assert resident() - before < 200
