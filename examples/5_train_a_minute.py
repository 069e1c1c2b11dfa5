"""5. Train for a minute: the shipped model goes on in rooms rendered for it; then ask the result.

    python examples/5_train_a_minute.py
    python examples/5_train_a_minute.py --minutes 60 --rooms 450      # nearer to what the shipped model had

It writes the run, its pipeline and a video into runs/examples/5, or --out.
"""

import argparse
import json
from pathlib import Path

from video4spatial import Video4SpatialPipeline
from video4spatial.commands.train import train_run
from video4spatial.data.rooms import RoomsConfig, plain_video


def main(options: argparse.Namespace) -> None:
    settings = ["start=rooms-small", "optim.name=adamw", "optim.lr=1e-4", "optim.ema=0.9", "validation_rooms=2"]
    settings += [f"stream.pool={options.rooms}", "log_every=1", *options.set]
    run = train_run("rooms:transformer_cpu", None, str(options.out), options.minutes, settings)

    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    print(f"{len(losses)} steps: loss {losses[0]:.4f} at the first, {losses[-1]:.4f} at the last, on other examples")

    pipe = Video4SpatialPipeline.from_pretrained(run / "pipeline")
    scene = pipe.encode_context(plain_video(RoomsConfig().room(1_000_007), RoomsConfig()).clip)  # a room held out
    pipe(scene, path="turn-right", steps=12).save(run / "turn-right.mp4")
    print(f"{run}: log.jsonl, tensorboard/, previews/, pipeline/; the new model's video: {run / 'turn-right.mp4'}")


if __name__ == "__main__":  # training starts processes that render rooms, and they read this file as well
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1.0, help="of training, after the rooms are rendered")
    parser.add_argument("--rooms", type=int, default=8, help="how many rooms; a second or two each on one core")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a field of the recipe")
    parser.add_argument("--out", type=Path, default=Path("runs/examples/5"), help="a new folder")
    main(parser.parse_args())
