"""The plan's memory against live tensors of the real models at full size, on the meta device: no GPU, no memory taken.

python benchmarks/plan_check.py --out benchmarks/results/plan_check.json
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from live_bytes import live_bytes
from meta_models import backward_bytes, meta_inputs, meta_transformer, meta_vae

from video4spatial.model.cost.training import step_bytes
from video4spatial.model.cost.transformer import SequenceShape, TransformerShape, forward_bytes
from video4spatial.model.cost.vae import VaeShape, chunk_bytes
from video4spatial.train.step import select_trained


def forward(context: int, batch: int) -> tuple[int, int]:
    model = meta_transformer()
    inputs = meta_inputs(model, batch, context + 46)
    with torch.no_grad(), live_bytes() as live:
        model(**inputs)
    return forward_bytes(TransformerShape(), SequenceShape(context, 46), batch), live.peak


def training(trains: Any, checkpointing: bool) -> tuple[int, int]:
    sequence, model = SequenceShape(42, 46), meta_transformer().train()
    select_trained(model, trains)
    if checkpointing:
        model.enable_gradient_checkpointing()
    gradients, live = backward_bytes(model, sequence)
    shape = TransformerShape()
    return step_bytes(shape, sequence, gradients, 1, 2, trains, checkpointing, fused_norm=False), live.peak


def chunk(part: str) -> tuple[int, int]:
    vae: Any = meta_vae()
    with torch.no_grad(), live_bytes() as live:
        if part == "encode":
            vae.encode(torch.empty(1, 3, 13, 256, 416, device="meta"))
        else:
            vae.decode(torch.empty(1, 48, 4, 16, 26, device="meta"))
    return chunk_bytes(VaeShape(), part, 416, 256, 4, clip_frames=13), live.peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = {
        "forward pass, both branches in one batch, bf16": lambda: forward(84, 2),
        "forward pass, one branch": lambda: forward(84, 1),
        "forward pass, one branch, 680 context latents": lambda: forward(680, 1),
        "training step, attention only, checkpointing (gradients included)": lambda: training("attention", True),
        "training step, attention only, no checkpointing": lambda: training("attention", False),
        "training step, everything, checkpointing": lambda: training("all", True),
        "VAE, encoding 13 frames, fp32": lambda: chunk("encode"),
        "VAE, decoding 4 latents, fp32": lambda: chunk("decode"),
    }
    results = []
    for name, run in rows.items():
        predicted, counted = run()
        results.append({"name": name, "predicted": predicted, "counted": counted, "ratio": predicted / counted})
        print(f"{name}: {predicted / 1e9:.3f} GB predicted, {counted / 1e9:.3f} counted", flush=True)
    options.out.write_text(json.dumps({"machine": describe_machine(), "rows": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
