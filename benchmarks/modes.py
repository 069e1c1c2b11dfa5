"""The faster modes at small size on a CPU: time beside exact sampling in the same run, and distance of the results.

    python benchmarks/modes.py --out benchmarks/results/modes_cpu.json

Two models: rooms-small on a walk of 337 frames, sampled whole; and a random transformer of mid size at the paper's
84 + 46 latents, a guided step at a time (its outputs say nothing). Exact and each mode alternate (A B A B ...); the
ratio is the median over pairs, in CPU seconds of one thread, so that other work on the machine hardly matters.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine

from video4spatial import Video4SpatialPipeline
from video4spatial.model.load import small_transformer
from video4spatial.rooms import make_room, tour
from video4spatial.sample.guidance import Conditions, Guidance, GuidedVelocity
from video4spatial.sample.modes import Sampling, choose

CLIPS = (
    ["--sequential"],
    ["fewer-steps=8"],
    ["guidance-interval=0.7:1"],
    ["guidance-interval=0.4:0.95"],
    ["block-cache=0.05"],
    ["block-cache=0.1"],
    ["block-cache=0.2"],
    ["cached-context"],
    ["no-null-context"],
    ["cached-context", "no-null-context"],
    ["cached-context", "no-null-context", "block-cache=0.1", "guidance-interval=0.7:1"],
)
STEPS = (["--sequential"], ["cached-context"], ["no-null-context"], ["cached-context", "no-null-context"])


def sampling_of(asked: list[str]) -> tuple[Sampling, int | None]:
    """What command line options come to."""
    sequential = "--sequential" in asked
    faster = choose([name for name in asked if name != "--sequential"])
    return faster.sampling(Sampling("sequential" if sequential else "batched")), faster.steps_of(16)


def paired(first: Any, second: Any, repeats: int) -> tuple[list[float], list[float]]:
    """CPU seconds of two functions, called in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, into in zip((first, second), seconds, strict=True):
            began = time.process_time()
            function()
            into.append(time.process_time() - began)
    return seconds


def ratios(exact: list[float], mode: list[float]) -> dict[str, float]:
    each = [m / e for e, m in zip(exact, mode, strict=True)]
    return {"ratio": statistics.median(each), "lowest": min(each), "highest": max(each)}


def whole_clips(repeats: int, context_latents: int = 84) -> dict:
    """rooms-small on a long walk, with the cost of a whole clip without encoding and decoding."""
    pipeline: Any = Video4SpatialPipeline.from_pretrained("rooms-small", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    width, height = pipeline.config.width, pipeline.config.height
    room = make_room(1_000_007, difficulty=0.3)
    lens = pipeline.intrinsics
    walk = room.render(tour(room, 4 * context_latents + 1, seed=0, fps=pipeline.config.fps), lens).rgb
    scene = pipeline.encode_context(walk, width=width, height=height)
    answer: dict[str, Any] = {}

    def ask(sampling: Sampling, steps: int | None) -> None:
        kept: dict[str, Any] = {}
        result = pipeline(
            scene,
            path="turn-right",
            steps=steps,
            context_latents=context_latents,
            sampling=sampling,
            on_step=lambda done, total, latents: kept.update(latents=latents),
        )
        answer.update(frames=result.frames, latents=kept["latents"], settings=result.settings)

    ask(Sampling(), None)
    exact = dict(answer)
    moved = exact["latents"] - exact["latents"].mean()
    rows = []
    for asked in CLIPS:
        sampling, steps = sampling_of(asked)
        seconds = paired(lambda: ask(Sampling(), None), lambda s=sampling, n=steps: ask(s, n), repeats)
        error = np.mean((answer["frames"].astype(float) - exact["frames"]) ** 2)
        difference = (answer["latents"] - exact["latents"]).square().mean() / moved.square().mean()
        rows.append(
            {
                "modes": asked,
                **ratios(*seconds),
                "exact_cpu_seconds": statistics.median(seconds[0]),
                "psnr_to_exact_db": float(10 * np.log10(255**2 / error)) if error else None,
                "latent_difference": float(difference.sqrt()),
                "not_trained_for": answer["settings"]["not_trained_for"],
            }
        )
    return {
        "model": "rooms-small",
        "context_latents": len(exact["settings"]["context_index"]),
        "target_latents": exact["latents"].shape[2],
        "tokens_a_latent": width // 32 * (height // 32),
        "steps": exact["settings"]["steps"],
        "timed": "a clip, decoding included",
        "repeats": repeats,
        "rows": rows,
    }


@torch.no_grad()
def guided_steps(repeats: int, steps: int = 50) -> dict:
    """A random transformer of width 512 and 8 layers at 84 + 46 latents of 8 tokens: what one guided step costs."""
    torch.manual_seed(0)
    model = small_transformer(512, layers=8, head_dim=64, ffn_ratio=4.667).eval()
    latent = (84, 4, 8)
    conditions = Conditions(
        context=torch.randn(1, 48, *latent),
        context_index=torch.arange(84)[None],
        context_noise=torch.randn(1, 48, *latent),
        text=torch.randn(1, 64, 64),
        null_text=torch.randn(1, 64, 64),
        camera=torch.zeros(1, 24, 46, *latent[1:]),
        gap=50,
    )
    target, timestep = torch.randn(1, 48, 46, *latent[1:]), torch.tensor(700.0)
    exact = GuidedVelocity(model, conditions, Guidance(5.0))
    exact(target, timestep, 0.7)
    rows = []
    for asked in STEPS:
        sampling = replace(sampling_of(asked)[0])
        began = time.process_time()
        mode = GuidedVelocity(model, conditions, Guidance(5.0), sampling)
        before = time.process_time() - began
        mode(target, timestep, 0.7)
        seconds = paired(lambda: exact(target, timestep, 0.7), lambda m=mode: m(target, timestep, 0.7), repeats)
        a_step = statistics.median(seconds[0])
        found = ratios(*seconds)
        rows.append(
            {
                "modes": asked,
                **found,
                "exact_cpu_seconds": a_step,
                "before_the_first_step_cpu_seconds": before,
                f"ratio_of_{steps}_steps": found["ratio"] + before / (steps * a_step),
            }
        )
    return {
        "model": "random, width 512, 8 layers",
        "parameters": sum(p.numel() for p in model.parameters()),
        "context_latents": 84,
        "target_latents": 46,
        "tokens": 130 * 8,
        "timed": "a guided step",
        "repeats": repeats,
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="benchmarks/results/modes_cpu.json")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python benchmarks/modes.py --repeats {options.repeats}"
    results = {"machine": describe_machine(), "command": command, "threads": 1}
    results["clip"] = whole_clips(options.repeats)
    results["step"] = guided_steps(options.repeats)
    path = Path(options.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
