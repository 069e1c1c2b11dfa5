"""A loopback OpenAI-compatible server that answers as it is told: well, badly, slowly, or not at all.

Which question it was is read from the image it was sent: pixel (0, 0) of the last one holds the question's number.
"""

import base64
import io
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

from video4spatial.curate.prompts import list_objects
from video4spatial.vlm.question import Question

WIDTH, HEIGHT = 40, 30


@dataclass(frozen=True)
class Reply:
    """What the server does with a request: ``hang_up`` closes the connection, ``cut`` does so in the
    middle of the body, ``raw`` replaces the whole body."""

    content: str | None = ""
    status: int = 200
    finish: str = "stop"
    refusal: str | None = None
    delay: float = 0.0
    hang_up: bool = False
    cut: bool = False
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw
        if self.status != 200:
            return json.dumps({"error": {"message": f"the stub says {self.status}"}}).encode()
        message = {"role": "assistant", "content": self.content, "refusal": self.refusal}
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return json.dumps(
            {"id": "1", "object": "chat.completion", "created": 0, "model": "stub", "choices": [choice]}
        ).encode()


class StubServer:
    """``behave(number, attempt)`` says what to do with question ``number``, asked for the ``attempt``-th time (from 0).
    After ``most`` requests it only hangs up. Use it as a context manager."""

    def __init__(self, behave: Callable[[int, int], Reply], most: int = 500) -> None:
        self.behave, self.most = behave, most
        self.asked: Counter[int] = Counter()
        self.times: list[tuple[int, float]] = []
        self.bodies: list[dict] = []
        self.open_now = self.most_open = 0
        self._guard = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.handle(self, body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "StubServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler, body: dict) -> None:
        number = question_number(body)
        with self._guard:
            attempt = self.asked[number]
            self.asked[number] += 1
            self.times.append((number, time.monotonic()))
            self.bodies.append(body)
            self.open_now += 1
            self.most_open = max(self.most_open, self.open_now)
            reply = self.behave(number, attempt) if self.asked.total() <= self.most else Reply(hang_up=True)
        time.sleep(reply.delay)
        with self._guard:
            self.open_now -= 1
        try:
            self._send(handler, reply)
        except OSError:  # the client no longer waits
            handler.close_connection = True

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.hang_up:
            handler.close_connection = True
            handler.connection.close()
            return
        sent = reply.body()
        handler.send_response(reply.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(sent)),
            **reply.headers,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(sent[: len(sent) // 2] if reply.cut else sent)
        handler.close_connection = reply.cut or handler.close_connection


def question_number(body: dict) -> int:
    urls = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    encoded = re.fullmatch(r"data:image/png;base64,(.*)", urls[-1])
    assert encoded is not None
    red, green, _ = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[1]))))[0, 0].tolist()
    return red + 256 * green


def numbered(number: int) -> Question:
    """A question the stub knows the number of."""
    frame = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    frame[0, 0] = number % 256, number // 256, 0
    return list_objects(frame)


def good(label: str = "chair", bbox_2d: tuple[float, ...] = (400, 400, 600, 600)) -> str:
    return json.dumps({"objects": [{"bbox_2d": list(bbox_2d), "label": label}]})
