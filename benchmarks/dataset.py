"""Examples a second out of a local store, read ahead by threads as training reads them.

    python benchmarks/dataset.py --out benchmarks/results/dataset.json

The paper's shape: context of 42 latents and a target of 46, each 48x16x26 in half precision (416x256 video), 3.5 MB
read an example. The store is made in a temporary folder and holds random latents, which cost to read what real ones do:
posed videos of 800 latents, two an environment, and grounding clips cut from them (``--ended``: instead videos that
end at an object, which versions without clips read as well). Batches are made, not used. "warm": in the page cache.
"cold": the system is asked to drop the files from its cache before each pass; what a host of this machine keeps is out
of reach.

"a second" is by the clock, "a processor second" by the processor time of all threads, which tells more where the
machine does other work as well ("load").
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine

GRID = (48, 16, 26)
SIZE = (416, 256)
CONTEXT, TARGET, TAIL = 42, 46, 5
TASKS = {"grounding": 0.0, "navigation": 1.0, "both, half each": 0.5}


def make_store(root: Path, videos: int, latents: int, clips: int, ended: bool) -> int:
    """The bytes of the store made."""
    from video4spatial.schema import Intrinsics
    from video4spatial.storage.latents import LatentWriter

    generator = torch.Generator().manual_seed(0)
    lens = Intrinsics.from_horizontal_fov(70.0, *SIZE)
    frames = 4 * (latents - 1) + 1

    def random(length: int) -> torch.Tensor:
        return torch.randn(GRID[0], length, *GRID[1:], generator=generator).half()

    def poses(length: int) -> np.ndarray:
        c2w = np.tile(np.eye(4), (length, 1, 1))
        c2w[:, :3, 3] = np.linspace(0, 5, length)[:, None]
        return c2w

    words = {"sentences": ["The camera moves."], "tail_latents": TAIL}
    with LatentWriter(root, shard_bytes=1) as writer:
        for number in range(videos):
            tensors = {"video": random(latents), "image": random(latents), "c2w": poses(frames)}
            where = {"fps": 20.0, "size": SIZE, "intrinsics": lens, "meta": words if ended else {}}
            writer.add(f"video{number}", f"place{number // 2}", tensors, **where)
    if not ended:
        with LatentWriter(root / "clips", shard_bytes=clips * TARGET * GRID[0] * GRID[1] * GRID[2] * 2) as writer:
            for number in range(videos * clips):
                source, start = f"video{number // clips}", (number % clips) * (frames - 161) // clips
                meta = words | {"of": source, "frames": [start, start + 161]}
                tensors = {"video": random(TARGET), "c2w": poses(181)}
                where = {"fps": 20.0, "size": SIZE, "intrinsics": lens, "meta": meta}
                writer.add(f"{source}@{start + 160:06d}", f"place{number // clips // 2}", tensors, **where)
    return sum(file.stat().st_size for file in root.rglob("*.safetensors"))


def drop_from_cache(root: Path) -> None:
    for file in root.rglob("*.safetensors"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def one_pass(sampler: Any, batch: int, threads: int, examples: int, first: int) -> tuple[float, float]:
    """Seconds and processor seconds for ``examples`` examples in batches, read ahead by ``threads`` threads."""
    from video4spatial.data.ahead import ReadAhead

    def following(step: int) -> Iterator[int]:
        return count(step + 1)

    ahead: Any = ReadAhead(lambda step: sampler.batch(step, batch), following, readers=threads, ahead=2 * threads)
    began, worked = time.perf_counter(), time.process_time()
    for step in range(first, first + examples // batch):
        ahead(step)
    seconds = time.perf_counter() - began, time.process_time() - worked
    ahead.close()
    return seconds


def measure(sampler: Any, root: Path, batch: int, threads: int, examples: int, repeats: int, cold: bool) -> dict:
    seconds = []
    for repeat in range(repeats + 1):
        if cold:
            drop_from_cache(root)
        seconds.append(one_pass(sampler, batch, threads, examples, repeat * examples))
    rates, worked = (
        [examples / part for part in parts] for parts in zip(*seconds[1:], strict=True)
    )  # the first: warm-up
    bytes_read = (CONTEXT + TARGET) * GRID[0] * GRID[1] * GRID[2] * 2
    median = statistics.median(rates)
    return {
        "threads": threads,
        "batch": batch,
        "cache": "cold" if cold else "warm",
        "load": round(os.getloadavg()[0], 1),
        "examples_a_second": {"min": round(min(rates)), "median": round(median), "max": round(max(rates))},
        "examples_a_processor_second": round(statistics.median(worked)),
        "gigabytes_a_second": round(median * bytes_read / 1e9, 2),
    }


def memory_bandwidth() -> float:
    """Gigabytes copied a second by one thread, between buffers far larger than its caches."""
    source = np.ones(2**28, np.uint8)
    target, best = np.zeros_like(source), 0.0
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(target, source)
        best = max(best, len(source) / (time.perf_counter() - began) / 1e9)
    return round(best, 1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--latents", type=int, default=800, help="of a video; default %(default)s")
    parser.add_argument("--clips", type=int, default=8, help="of a video; default %(default)s")
    parser.add_argument("--ended", action="store_true", help="videos that end at objects, instead of clips")
    parser.add_argument("--examples", type=int, default=512, help="a pass; default %(default)s")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="default: the paper's recipes', and 8")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    from video4spatial.data import dataset

    try:
        from video4spatial.data.latent_videos import open_stores
    except ImportError:  # a version before clips
        open_stores = dataset.open_stores  # type: ignore[attr-defined]

    report: dict[str, Any] = {
        "machine": describe_machine(),
        "command": " ".join(["python benchmarks/dataset.py", *(sys.argv[1:] if arguments is None else arguments)]),
        "shape": {"context": CONTEXT, "target": TARGET, "latent": GRID, "precision": "float16"},
        "copy_gigabytes_a_second_one_thread": memory_bandwidth(),
        "results": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        size = make_store(root, options.videos, options.latents, options.clips, options.ended)
        report["store"] = {"videos": options.videos, "latents": options.latents, "gigabytes": round(size / 1e9, 2)}
        videos = open_stores([str(root)])
        for task, share in TASKS.items():
            window = dataset.WindowConfig(target=TARGET, context=(CONTEXT,), other_video=0.5, navigation=share)
            sampler = dataset.ExampleSampler(videos, window)
            for cold in (False, True):
                for batch in options.batch if not cold else options.batch[:1]:
                    for threads in options.threads:
                        found = measure(sampler, root, batch, threads, options.examples, options.repeats, cold)
                        report["results"].append({"task": task} | found)
                        print(task, found, flush=True)
    print(json.dumps(report["machine"]))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
