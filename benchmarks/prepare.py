"""Frames a second of `video4spatial prepare`: decode, crop and resize, encode with rooms-small's VAE at 96x64, write.

    python benchmarks/prepare.py --out benchmarks/results/prepare.json

Videos of rooms are rendered beforehand (192x128, H.264) and not counted. "start" is what passes before the first scene
is reported (libraries, VAE, worker processes, and that scene); the rate is of the scenes after it. "rooms" renders its
frames within the run, at 96x64. Everything runs on the CPU, one thread a process.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

SIZE, FRAMES = (96, 64), 161


def write_videos(root: Path, count: int) -> None:
    """``count`` walks through rooms as files."""
    import dataclasses

    from video4spatial.data.rooms import RoomsConfig, plain_video
    from video4spatial.storage.video import write_video

    config = dataclasses.replace(RoomsConfig(), width=192, height=128, frames=FRAMES)
    root.mkdir()
    for seed in range(count):
        write_video(root / f"walk{seed}.mp4", plain_video(config.room(seed), config).clip)


def measure(kind: str, root: str, store: Path, workers: int, options: dict[str, Any]) -> dict[str, Any]:
    """One run into an empty store."""
    from video4spatial.data.origin import Origin
    from video4spatial.data.source import open_source
    from video4spatial.model.frozen import frozen_vae, vae_fingerprint
    from video4spatial.prepare.runners import Runner
    from video4spatial.prepare.store import choose, prepare_store
    from video4spatial.prepare.work import Work

    source = open_source(kind, root, options)
    fingerprint = vae_fingerprint(frozen_vae("rooms-small"))
    origin = Origin(kind, root, source.options, 1, SIZE, FRAMES, "rooms-small", fingerprint)
    reports: list[tuple[float, int]] = []
    began = time.perf_counter()
    prepare_store(
        Work(str(store), origin),
        choose(source),
        Runner(workers),
        strict=True,
        on_report=lambda report: reports.append((time.perf_counter() - began, report.frames)),
    )
    first, last = reports[0][0], reports[-1][0]
    after = sum(frames for _, frames in reports[1:])
    size = sum(path.stat().st_size for path in (store / "shards").iterdir())
    return {
        "source": kind,
        "workers": workers,
        "scenes": len(reports),
        "frames": sum(frames for _, frames in reports),
        "start_seconds": round(first, 2),
        "frames_per_second": round(after / (last - first), 1),
        "bytes_per_frame": round(size / sum(frames for _, frames in reports), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--scenes", type=int, default=6)
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_videos(root / "videos", options.scenes)
        rooms = {"width": SIZE[0], "height": SIZE[1], "frames": FRAMES}
        for workers in (1, 2):
            for kind, place, given in (
                ("videos", str(root / "videos"), {}),
                ("rooms", f"0:{options.scenes // 2}", rooms),
            ):
                result = measure(kind, place, root / f"{kind}{workers}", workers, given)
                results.append(result)
                print(json.dumps(result), flush=True)
    report = {"machine": describe_machine(), "size": SIZE, "results": results}
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
