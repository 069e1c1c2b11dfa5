"""Curates copies of a store in forked children that are killed at random moments of progress, until twenty were.

    kill_worker.py STORE FOLDER [options of curate ...]

A copy is gone on with after every kill until a child finishes it; then the next copy. The last line printed says how
many were killed, how far the stores were, and the finished copies.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from video4spatial.cli import main
from video4spatial.storage.artifacts import StoreLayout

KILLS = 20


def curate(store: Path, options: list[str]) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return main(["curate", str(store), *options])


def started(store: Path, options: list[str]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = curate(store, options)
        finally:
            os._exit(code)
    return child


def progress(store: Path) -> int:
    """How far a store is: it rises with every answer and, more, with every file that is begun or written."""
    answers = StoreLayout(store).answers
    lines = answers.read_bytes().count(b"\n") if answers.exists() else 0
    return lines + 8 * sum(1 for path in store.rglob("*") if path.is_file())


def killed(child: int, store: Path, at: int, wait: float) -> bool:
    """Kill ``child`` a little after ``store`` is as far as ``at``; False if it ended well before."""
    while progress(store) < at:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return ended_badly(status)
        time.sleep(0.002)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) or ended_badly(status)


def ended_badly(status: int) -> bool:
    if os.WEXITSTATUS(status):
        raise SystemExit(f"curate ended with {os.WEXITSTATUS(status)}")
    return False


def run(prepared: Path, folder: Path, options: list[str]) -> None:
    torch.set_num_threads(1)
    warm = folder / "warm"
    shutil.copytree(prepared, warm)
    begun = progress(warm)
    curate(warm, options)  # imports and compiles, so that children die at their work
    step = (progress(warm) - begun) // 6
    moments = random.Random(4)
    stores: list[Path] = []
    left: set[int] = set()
    kills = 0
    while kills < KILLS or not stores:
        store = folder / f"killed{len(stores)}"
        shutil.copytree(prepared, store)
        while kills < KILLS:
            at = progress(store) + moments.randint(0, step)
            if not killed(started(store, options), store, at, moments.uniform(0, 0.05)):
                break
            kills += 1
            left.add(progress(store))
        else:
            _, status = os.waitpid(started(store, options), 0)
            ended_badly(status)
        stores.append(store)
    print(json.dumps({"kills": kills, "left": sorted(left), "stores": [str(path) for path in stores]}))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
