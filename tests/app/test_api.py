"""The endpoints, called over HTTP by Gradio's own client against the real small model."""

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

pytest.importorskip("gradio_client")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, ValidationError

from video4spatial.storage.video import probe

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_of_the_page_runs(served_app, walk_file, tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "app.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(example.strip().splitlines()) <= 10
    (tmp_path / "walk.mp4").write_bytes(walk_file.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    code = compile(example.replace("http://127.0.0.1:7860", served_app.url), "docs/app.md", "exec")
    exec(code, names)
    told = capsys.readouterr().out
    assert "'latents': 11" in told
    assert re.search(r"^(found|not found) ", told, re.M)
    assert "2 waypoints" in told
    assert probe(names["video"]).frames == 33


def test_the_endpoints_are_these(client):
    public = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert sorted(public) == ["/cancel", "/encode", "/ground", "/navigate", "/status"]


def test_refusals_say_why(client, tmp_path):
    with pytest.raises(AppError, match="no walk-through yet"):
        client.predict("the bed", api_name="/ground")
    (tmp_path / "walk.mp4").write_text("no video")
    with pytest.raises(AppError, match=r"walk\.mp4 cannot be read as a video"):
        client.predict(handle_file(str(tmp_path / "walk.mp4")), api_name="/encode")


def test_more_refusals(ready):
    for arguments, told in (
        ({"instruction": "quux"}, "knows none of these words"),
        ({"instruction": "x" * 301}, "300"),
        ({"instruction": "the bed", "seed": 0.5}, "seed is 0.5"),
    ):
        with pytest.raises(AppError, match=told):
            ready.predict(**arguments, api_name="/ground")
    for arguments, told in (
        ({"preset": "sideways"}, "no camera preset"),
        ({"best_of": 0}, "best of is 0"),
        ({"waypoints": {"x": 1}}, "list of rows"),
        ({"waypoints": [[0, 0]]}, "row 0"),
    ):
        with pytest.raises(AppError, match=told):
            ready.predict(**arguments, api_name="/navigate")
    assert ready.predict(api_name="/status")["jobs"] == []


def test_a_path_file(ready, tmp_path):
    (tmp_path / "mine.csv").write_text("x,y,z,yaw,pitch,roll\n0,0,0,0,0,0\n0,0,1,0.6,0,0\n")
    _, answer = ready.predict(path_file=handle_file(str(tmp_path / "mine.csv")), steps=1, api_name="/navigate")
    assert (answer["state"], answer["asked"]) == ("done", "mine.csv")


class Elsewhere(BaseHTTPRequestHandler):
    """A server that remembers what it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(404)
        self.end_headers()

    do_HEAD = do_GET


@pytest.fixture
def elsewhere():
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Elsewhere.asked.clear()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_an_address_for_a_file_is_refused_before_it_is_fetched(client, served_app, elsewhere):
    for address in (f"{elsewhere}/walk.mp4", "https://localhost/walk.mp4"):
        given = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        for arguments in ({"video": given, "api_name": "/encode"}, {"path_file": given, "api_name": "/navigate"}):
            with pytest.raises(ValidationError, match="fetches nothing from elsewhere: upload the file"):
                client.predict(**arguments)
    with pytest.raises(ValidationError, match="upload the file"):
        client.predict(handle_file(f"{elsewhere}/walk.mp4"), api_name="/encode")
    assert Elsewhere.asked == []


def test_no_event_of_the_page_fetches_an_address(client, served_app, elsewhere):
    """Every part that takes files, by every way in; also after its session has changed it."""
    kinds = ("file", "video", "uploadbutton", "gallery", "image", "audio", "json", "html")
    taking = {part["id"] for part in client.config["components"] if part["type"] in kinds}
    events = [event for event in client.config["dependencies"] if taking & set(event["inputs"])]
    assert len(events) >= 5
    for event in events:
        for wrap in (lambda given: given, lambda given: [given], lambda given: {"video": given}):
            given = wrap({"path": f"{elsewhere}/{event['id']}", "meta": {"_type": "gradio.FileData"}})
            data = [given if part in taking else None for part in event["inputs"]]
            body = {"data": data, "fn_index": event["id"], "session_hash": client.session_hash}
            for way in ("queue/join", "run/predict", "api/predict", f"call/{event['api_name'] or 'predict'}"):
                assert httpx.post(f"{served_app.url}gradio_api/{way}", json=body).status_code == 422
    assert Elsewhere.asked == []


def test_cancel_from_the_side(ready):
    job = ready.submit("the bed", steps=400, api_name="/ground")
    while not ready.predict(api_name="/status")["jobs"]:
        time.sleep(0.05)
    assert ready.predict(api_name="/cancel") == {"cancelled": 1}
    video, answer = job.result(timeout=60)
    assert video is None
    assert answer["state"] == "cancelled"


def test_many_asks_at_once_and_two_clients(served_app, ready):
    other = Client(served_app.url, verbose=False)
    jobs = [ready.submit("the bed", steps=1, seed=seed, api_name="/ground") for seed in range(6)]
    with pytest.raises(AppError, match="no walk-through yet"):
        other.predict("the bed", api_name="/ground")
    answers = [job.result(timeout=120)[1] for job in jobs]
    assert [answer["settings"]["seed"] for answer in answers] == list(range(6))
    assert len(ready.predict(api_name="/status")["asks"]) == 6
    other.close()


def test_the_end_of_a_client_removes_its_files(served_app, walk_file, tmp_path):
    before = {thread.name for thread in threading.enumerate()}
    client = Client(served_app.url, verbose=False)
    client.predict(handle_file(str(walk_file)), api_name="/encode")
    (tmp_path / "of-this-client.csv").write_text("x,y,z,yaw,pitch,roll\n0,0,0,0,0,0\n")
    path = handle_file(str(tmp_path / "of-this-client.csv"))
    client.predict(path_file=path, steps=1, api_name="/navigate")
    session = served_app.studio.sessions[client.session_hash]
    made = {file.name for file in session.folder.iterdir()} | {"of-this-client.csv"}
    uploads = served_app.files.uploads
    assert {"of-this-client.csv"} < {file.name for file in uploads.rglob("*")} & made, "Gradio has copies"
    client.close()
    for _ in range(200):
        if not session.folder.exists():
            break
        time.sleep(0.1)
    assert not session.folder.exists()
    assert not {file.name for file in uploads.rglob("*")} & made
    assert client.session_hash not in served_app.studio.sessions
    assert not {t.name for t in threading.enumerate() if t.name.startswith("video4spatial-")} - before
