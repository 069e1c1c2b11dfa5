"""The small model on this machine: start-up, `ground` and `navigate` with their peak memory, training samples a second.

    python benchmarks/small_model.py --out benchmarks/results/small_model.json

Every command is a process of its own, run `--repeats` times; the median is reported with the extremes.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

CLI = [sys.executable, "-m", "video4spatial.cli"]


def timed(command: list[str], repeats: int) -> dict:
    """Wall seconds of a command as a process, and the peak memory of the largest so far."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "command": " ".join("video4spatial" if part == CLI[2] else Path(part).name for part in command[2:]),
        "seconds": {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds)},
        "peak_mib_so_far": round(peak),
    }


def training_rate(steps: int = 12, batch: int = 16) -> dict:
    """Training steps on the spot, as the recipe ``rooms:transformer_cpu`` makes them, on made-up latents."""
    import torch

    from video4spatial.model.load import small_transformer
    from video4spatial.train.optim import make_optimisers
    from video4spatial.train.recipes import load_recipe

    config: Any = load_recipe("rooms:transformer_cpu")
    torch.manual_seed(0)
    model = small_transformer(config.width, config.layers, config.head_dim)
    optimisers = make_optimisers(model, config.optim)
    frames = max(config.window.context) + config.window.target
    latents, text = torch.randn(batch, 48, frames, 4, 6), torch.randn(batch, 48, 64)
    timestep, camera = torch.rand(batch, frames) * 1000, torch.randn(batch, 24, frames, 4, 6)
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        model(latents, timestep, text, camera=camera, return_dict=False)[0].square().mean().backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        times.append(time.perf_counter() - began)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "batch": batch,
        "tokens": frames * 6,
        "threads": torch.get_num_threads(),
        "samples_per_second": batch / statistics.median(times[2:]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="benchmarks/results/small_model.json")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    results: dict = {"machine": describe_machine()}
    results["help"] = timed([*CLI, "--help"], 5)
    results["import"] = timed([sys.executable, "-c", "import video4spatial"], 5)
    with tempfile.TemporaryDirectory() as folder:
        walk, out = f"{folder}/walk.mp4", f"{folder}/out.mp4"
        rooms = [*CLI, "rooms", "1000007", walk, "--size", "96x64", "--difficulty", "0.3"]
        results["rooms"] = timed(rooms, 1)
        results["ground"] = timed([*CLI, "ground", walk, "the chair", "-o", out], options.repeats)
        results["navigate"] = timed([*CLI, "navigate", walk, "turn-right", "-o", out], options.repeats)
    results["training"] = training_rate()
    path = Path(options.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
