"""What the app holds while it is used hard, and what is left of it: memory, threads and files of the server's process.

    python benchmarks/app.py --out benchmarks/results/app.json

The command serves rooms-small. Each round: four clients upload and encode a walk, ask for 20 clips at once and go; a
fifth is killed in the middle of an ask. What the process holds is read from /proc after each.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file
from machine import describe_machine

from video4spatial.data.rooms import RoomsConfig, plain_video
from video4spatial.storage.video import write_video

CLIENTS, ASKS_EACH, STEPS = 4, 5, 4
KILLED = """
import sys
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
client.predict(handle_file(sys.argv[2]), api_name="/encode")
job = client.submit("the bed", steps=900, api_name="/ground")
for _ in job:
    print("step", flush=True)
"""


def held(pid: int, folder: Path) -> dict[str, Any]:
    """Megabytes in memory, threads, and files in the app's folder."""
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = dict(re.findall(r"^(VmRSS|VmHWM|Threads):\s+(\d+)", status, re.M))
    return {
        "resident_mb": round(int(numbers["VmRSS"]) * 1024 / 1e6),
        "highest_mb": round(int(numbers["VmHWM"]) * 1024 / 1e6),
        "threads": int(numbers["Threads"]),
        "files": sum(path.is_file() for path in folder.rglob("*")),
    }


def settled(pid: int, folder: Path, seconds: float = 60.0) -> dict[str, Any]:
    """What is held once no file is left, or after ``seconds``."""
    end = time.monotonic() + seconds
    while held(pid, folder)["files"] and time.monotonic() < end:
        time.sleep(0.5)
    time.sleep(2)
    return held(pid, folder)


def twenty_asks(url: str, walk: Path) -> Counter[str]:
    """How 20 asks at once from four clients end."""
    clients = [Client(url, verbose=False) for _ in range(CLIENTS)]
    for client in clients:
        client.predict(handle_file(str(walk)), api_name="/encode")
    jobs = [
        client.submit("the bed", steps=STEPS, seed=seed, api_name="/ground")
        for seed in range(ASKS_EACH)
        for client in clients
    ]
    ends = Counter(job.result()[1]["state"] for job in jobs)
    for client in clients:
        client.close()
    return ends


def killed_in_an_ask(url: str, walk: Path) -> None:
    """A client that ends without a word after its first step."""
    client = subprocess.Popen([sys.executable, "-c", KILLED, url, str(walk)], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    client.stdout.readline()
    client.kill()
    client.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="benchmarks/results/app.json")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    rooms = RoomsConfig(frames=41, quality=0.3, rays=2)
    with tempfile.TemporaryDirectory() as place:
        folder, walk = Path(place, "app"), Path(place, "walk.mp4")
        folder.mkdir()
        write_video(walk, plain_video(rooms.room(1_000_007), rooms).clip)
        command = [sys.executable, "-m", "video4spatial.cli", "app", "--port", "0", "--temporary", str(folder)]
        app = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert app.stdout is not None
            url = next(found[0] for line in app.stdout if (found := re.search(r"http://\S+", line)))
            results: dict[str, Any] = {"started": held(app.pid, folder), "rounds": []}
            for _ in range(options.rounds):
                began = time.monotonic()
                ends = twenty_asks(url, walk)
                seconds = time.monotonic() - began
                after = settled(app.pid, folder)
                killed_in_an_ask(url, walk)
                told = {"asks": dict(ends), "seconds": round(seconds, 1), "after_20_asks": after}
                results["rounds"].append(told | {"after_a_killed_client": settled(app.pid, folder)})
        finally:
            app.terminate()
            app.wait(60)
        left = [path.name for path in folder.iterdir()]
    about = {"machine": describe_machine(), "command": f"python benchmarks/app.py --rounds {options.rounds}"}
    text = json.dumps(about | {"model": "rooms-small", "steps": STEPS, **results, "left_when_stopped": left}, indent=2)
    Path(options.out).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
