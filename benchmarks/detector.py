"""The rooms detector: train it, and measure it on rooms it has never seen.

    python benchmarks/detector.py train --out src/video4spatial/weights/rooms-detector
    python benchmarks/detector.py measure --out benchmarks/results/detector.json

Training renders its rooms first (seeds 300000 on; ``--frames`` keeps them for the next time), chooses its threshold on
60 others, and takes one core. Measuring uses held-out rooms (seeds 1000000 on).
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine

TRAINED_ON, CHOSEN_ON = 300_000, 800_000


def round_trip(frames: np.ndarray) -> np.ndarray:
    """Frames through the shipped VAE and back, each by itself."""
    from einops import rearrange

    from video4spatial.model.frozen import frozen_vae
    from video4spatial.model.latents import to_frames
    from video4spatial.train.vae import single_frame_convolutions

    codec = frozen_vae("rooms-small")
    parts = []
    with single_frame_convolutions(), torch.no_grad():
        for start in range(0, len(frames), 64):
            z = codec.denormalise(codec.encode_images(frames[start : start + 64])[None])
            signal = codec.vae.decode(rearrange(z, "1 c n h w -> n c 1 h w")).sample
            parts.append(to_frames(rearrange(signal, "n c 1 h w -> c n h w")))
    return np.concatenate(parts)


def train(args: argparse.Namespace) -> dict[str, Any]:
    from rich.progress import Progress

    from video4spatial.data.rooms import RoomsConfig
    from video4spatial.evaluate.detector import DetectorConfig, RoomsDetector
    from video4spatial.evaluate.detector_accuracy import choose_least
    from video4spatial.evaluate.labelled_frames import LabelledFrames, collect_frames
    from video4spatial.evaluate.train_detector import DetectorRun, train_detector

    config, run = RoomsConfig(), DetectorRun(steps=args.steps, seed=args.seed)
    clock = [time.process_time()]
    with Progress() as progress:
        if args.frames and args.frames.is_file():
            data = LabelledFrames.load(args.frames)
        else:
            bar = progress.add_task("rendering", total=args.rooms)
            seeds = range(TRAINED_ON, TRAINED_ON + args.rooms)
            data = collect_frames(seeds, config, on_room=lambda done: progress.update(bar, completed=done))
            if args.frames:
                data.save(args.frames)
        clock.append(time.process_time())
        bar = progress.add_task("training", total=run.steps)

        def tell(step: int, loss: float) -> None:
            progress.update(bar, completed=step + 1)
            if step % 100 == 99:
                print(f"step {step + 1} loss {loss:.3f} cpu {time.process_time() - clock[1]:.0f} s", flush=True)

        start = RoomsDetector.load(args.start) if args.start else None
        detector = train_detector(data, run, start.config if start else DetectorConfig(), round_trip, start, tell)
        clock.append(time.process_time())
    chosen_on = collect_frames(range(CHOSEN_ON, CHOSEN_ON + 60), config)
    both = LabelledFrames.joined([chosen_on, LabelledFrames(round_trip(chosen_on.frames), chosen_on.labels)])
    detector.config = dataclasses.replace(detector.config, least=choose_least(detector, both))
    detector.save(args.out)
    return {
        "run": dataclasses.asdict(run),
        "config": dataclasses.asdict(RoomsDetector.load(args.out).config),
        "rooms": args.rooms,
        "frames": len(data.frames),
        "cpu_seconds": {"rendering": clock[1] - clock[0], "training": clock[2] - clock[1]},
        "parameters": sum(weight.numel() for weight in detector.net.parameters()),
        "bytes": (args.out / "model.safetensors").stat().st_size,
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig
    from video4spatial.evaluate.detector import RoomsDetector
    from video4spatial.evaluate.detector_accuracy import accuracy
    from video4spatial.evaluate.labelled_frames import LabelledFrames, collect_frames

    detector = RoomsDetector.load(args.detector) if args.detector else RoomsDetector.load()
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + args.rooms)
    small, large = (collect_frames(seeds, RoomsConfig(width=w, height=h), count=24) for w, h in ((96, 64), (192, 128)))
    shrunk = large.labels.copy()
    shrunk[:, 3:7] //= 2  # errors in pixels of 96x64
    shrunk[:, 7] //= 4
    sets = {
        "96x64": small,
        "96x64 through the VAE": LabelledFrames(round_trip(small.frames), small.labels),
        "192x128": LabelledFrames(np.stack([_fitted(frame) for frame in large.frames]), shrunk),
    }
    return {
        "rooms": f"{args.rooms} from seed {HELD_OUT_SEED}, half of another difficulty than 0.3",
        "least": detector.config.least,
        "accuracy": {name: dataclasses.asdict(accuracy(detector, data)) for name, data in sets.items()},
    }


def _fitted(frame: np.ndarray) -> np.ndarray:
    from video4spatial.evaluate.detector import fitted

    return fitted(frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--frames", type=Path)
    command.add_argument("--rooms", type=int, default=1200)
    command.add_argument("--steps", type=int, default=2600)
    command.add_argument("--start", type=Path, help="a detector to train further")
    command.add_argument("--seed", type=int, default=0, help="of the order of frames and what is done to them")
    command.add_argument("--results", type=Path, help="a JSON file to write its figures to")
    command.set_defaults(body=train)
    command = commands.add_parser("measure")
    command.add_argument("--detector", type=Path)
    command.add_argument("--rooms", type=int, default=60)
    command.add_argument("--out", dest="results", type=Path)
    command.set_defaults(body=measure)
    args = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    result = args.body(args) | {"seconds": time.perf_counter() - began, "machine": describe_machine()}
    text = json.dumps(result, indent=2)
    print(text)
    if args.results:
        args.results.write_text(text + "\n")


if __name__ == "__main__":
    main()
