"""Curates copies of a store in forked children that are killed at random moments, until twenty were.

    kill_worker.py STORE FOLDER [options of curate ...]

A copy is gone on with after every kill until a child finishes it; then the next copy. The last line printed says how
many were killed, which files were left at those moments (as counts), and the finished copies.
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


def run(prepared: Path, folder: Path, options: list[str]) -> None:
    torch.set_num_threads(1)
    warm = folder / "warm"
    shutil.copytree(prepared, warm)
    curate(warm, options)  # imports and compiles, so that children die at their work
    shutil.copytree(prepared, folder / "timed")
    began = time.monotonic()
    os.waitpid(started(folder / "timed", options), 0)
    whole = time.monotonic() - began
    moments = random.Random(4)
    stores: list[Path] = []
    left: set[int] = set()
    kills = 0
    while kills < KILLS or not stores:
        store = folder / f"killed{len(stores)}"
        shutil.copytree(prepared, store)
        while True:
            child = started(store, options)
            if kills < KILLS:
                time.sleep(moments.uniform(0, 0.7 * whole))
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if os.WIFEXITED(status):
                if os.WEXITSTATUS(status):
                    raise SystemExit(f"curate ended with {os.WEXITSTATUS(status)}")
                break
            kills += 1
            left.add(sum(1 for path in store.rglob("*") if path.is_file()))
        stores.append(store)
    print(json.dumps({"kills": kills, "left": sorted(left), "stores": [str(path) for path in stores]}))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
