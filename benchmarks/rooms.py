"""Frames a second of the procedural rooms, end to end: make a room, plan a tour of 900 frames, render it.

python benchmarks/rooms.py --out benchmarks/results/rooms.json
"""

import argparse
import json
import os
import time
from multiprocessing import get_context
from pathlib import Path

from machine import describe_machine

_SIZES = ((96, 64, 0.6), (192, 128, 1.0))  # width, height, quality of the baked light


def one_room(job: tuple[int, int, int, float, int]) -> tuple[float, float, float]:
    """Processor seconds to make, to plan and to render one room."""
    from video4spatial.rooms import make_room, tour
    from video4spatial.schema import Intrinsics

    seed, width, height, quality, frames = job
    began = time.process_time()
    room = make_room(seed, quality=quality)
    made = time.process_time()
    poses = tour(room, frames)
    planned = time.process_time()
    room.render(poses, Intrinsics.from_horizontal_fov(72.0, width, height))
    return made - began, planned - made, time.process_time() - planned


def measure(width: int, height: int, quality: float, workers: int, rooms: int, frames: int) -> dict:
    """Frames a second of ``rooms`` rooms shared out over ``workers`` processes, kernels compiled beforehand."""
    with get_context("spawn").Pool(workers) as pool:
        pool.map(one_room, [(k, 12, 8, 0.3, 2) for k in range(2 * workers)], chunksize=1)
        began = time.perf_counter()
        jobs = [(seed, width, height, quality, frames) for seed in range(rooms)]
        seconds = list(pool.imap_unordered(one_room, jobs))
        wall = time.perf_counter() - began
    make, plan, render = (sum(part) / rooms for part in zip(*seconds, strict=True))
    return {
        "width": width,
        "height": height,
        "quality": quality,
        "workers": workers,
        "rooms": rooms,
        "frames_per_room": frames,
        "frames_per_second": round(rooms * frames / wall, 1),
        "frames_per_processor_second": round(frames / (make + plan + render), 1),
        "processor_seconds_per_room": {"make": round(make, 3), "tour": round(plan, 3), "render": round(render, 3)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--rooms", type=int, default=8)
    parser.add_argument("--frames", type=int, default=900)
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    results = []
    for width, height, quality in _SIZES:
        for workers in (1, 2):
            result = measure(width, height, quality, workers, options.rooms, options.frames)
            results.append(result)
            print(f"{width}x{height}, {workers} workers: {result['frames_per_second']} frames/s  {result}", flush=True)
    report = {"machine": describe_machine(), "results": results}
    print(json.dumps(report["machine"]))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
