"""Context from 337 frames to 2,717 (85 to 680 latents) at small size: how time and memory of a guided step grow.

    python benchmarks/long_context.py --out benchmarks/results/long_context_cpu.json

rooms-small's transformer (6 tokens a latent, 9 target latents) on random latents; every point is a process of its own,
on one thread, so that its peak memory is its own. Time is CPU seconds, the least of several steps.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

LATENTS = (0, 85, 170, 340, 680)
TARGET = 9


def measure(latents: int, attention: str, repeats: int) -> dict[str, Any]:
    """One point, in this process."""
    import torch

    from video4spatial.model.load import resolve_part
    from video4spatial.model.transformer import Video4SpatialTransformer3DModel
    from video4spatial.sample.guidance import Conditions, Guidance, GuidedVelocity
    from video4spatial.sample.modes import Sampling

    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = resolve_part("rooms-small", "transformer")
    model = Video4SpatialTransformer3DModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
    conditions = Conditions(
        context=torch.randn(1, 48, latents, 4, 6),
        context_index=2 * torch.arange(latents)[None],  # every other latent of a longer video: past index 1024
        context_noise=torch.randn(1, 48, latents, 4, 6),
        text=torch.randn(1, 48, 64),
        null_text=torch.randn(1, 48, 64),
        camera=torch.zeros(1, 24, TARGET, 4, 6),
        gap=50,
    )
    target, timestep = torch.randn(1, 48, TARGET, 4, 6), torch.tensor(700.0)
    with torch.no_grad():
        loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        velocity = GuidedVelocity(model, conditions, Guidance(3.0), Sampling(context_attention=attention))
        before = time.process_time() - began
        seconds = []
        for _ in range(repeats):
            began = time.process_time()
            found = velocity(target, timestep, 0.7)
            seconds.append(time.process_time() - began)
    assert torch.isfinite(found).all()
    return {
        "context_latents": latents,
        "context_frames": 4 * latents - 3 if latents else 0,
        "tokens": 6 * (latents + TARGET),
        "context_attention": attention,
        "before_the_first_step_cpu_seconds": before,
        "step_cpu_seconds": min(seconds),
        "peak_mib_above_loaded": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - loaded) / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="benchmarks/results/long_context_cpu.json")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--point", nargs=2, metavar=("LATENTS", "ATTENTION"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(int(options.point[0]), options.point[1], options.repeats)))
        return
    rows = []
    for attention in ("joint", "causal"):
        for latents in LATENTS:
            point = ["--point", str(latents), attention, "--repeats", str(options.repeats)]
            done = subprocess.run([sys.executable, __file__, *point], check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1])
    command = f"python benchmarks/long_context.py --repeats {options.repeats}"
    results = {"machine": describe_machine(), "command": command, "threads": 1, "rows": rows}
    path = Path(options.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
