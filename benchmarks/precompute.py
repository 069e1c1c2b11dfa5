"""Latents and text encoded beforehand, against encoding while training: seconds a training step, in one run.

    python benchmarks/precompute.py --out benchmarks/results/precompute.json

Both ways train rooms-small's transformer on the same examples (losses are compared: they differ by rounding, for frames
are encoded one by one or many at once). "encoding" has the videos'
frames in memory already (no decoding, no rendering is counted) and runs the frozen VAE and the frozen text encoder in
every step; each of an example's videos is encoded once a step, whole, since its latents are causal. "stored" reads a
store that was made before, in threads that run ahead. The full size is predicted by formula (model/cost).
"""

import argparse
import contextlib
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from torch import Tensor


class FramesVideo:
    """A latent video that is encoded when it is read; what one step reads of it is encoded once."""

    def __init__(self, video: Any, codec: Any, clock: list[float]) -> None:
        from video4spatial.schema import SPACE_STRIDE, TIME_STRIDE

        self.video, self.codec, self.clock, self.stride = video, codec, clock, TIME_STRIDE
        self.video_id, self.environment_id, self.sentences = video.video_id, video.environment_id, video.sentences
        self.latents = (len(video.clip.frames) - 1) // TIME_STRIDE + 1
        self.tail_latents = -(-video.tail_frames // TIME_STRIDE)
        self.intrinsics, self.size, self.posed, self.clip_of = video.intrinsics, video.clip.size, True, None
        self.grid = (codec.vae.config.z_dim, video.clip.size[1] // SPACE_STRIDE, video.clip.size[0] // SPACE_STRIDE)
        self.encoded: Tensor | None = None

    def dtype(self) -> torch.dtype:
        return torch.float16

    def poses(self, start: int, stop: int) -> np.ndarray:
        return self.video.c2w[start:stop]

    def read_into(self, name: str, indices: Sequence[int] | np.ndarray, out: Tensor) -> None:
        began = time.perf_counter()
        index = np.asarray(indices, dtype=np.int64)
        if name == "image":
            found = self.codec.encode_images(self.video.clip.frames[self.stride * index]).half()
        else:
            if self.encoded is None:
                self.encoded = self.codec.encode(self.video.clip.frames).half()
            found = self.encoded[:, torch.as_tensor(index)]
        self.clock[-1] += time.perf_counter() - began
        out.copy_(found.transpose(0, 1))


def median(seconds: list[float]) -> dict[str, float]:
    return {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds)}


def train_steps(config: Any, model: Any, prepare: Any, steps: int) -> tuple[list[float], list[float]]:
    """Seconds and losses of ``steps`` steps; ``prepare(step)`` gives the batch, its text and the null text."""
    from video4spatial.train.optim import make_optimisers
    from video4spatial.train.step import draw, flow_matching_loss

    optimisers, seconds, losses = make_optimisers(model, config.optim), [], []
    for step in range(steps):
        began = time.perf_counter()
        batch, text, null = prepare(step)
        batch = batch.to("cpu")
        loss = flow_matching_loss(model, batch, text, null, draw(batch, config, step), config).mean()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    return seconds, losses


def full_size() -> dict[str, Any]:
    """By formula: operations of encoding one example, against those of its training step."""
    from video4spatial.model.cost import SequenceShape, TransformerShape
    from video4spatial.model.cost.text import TextShape, text_flops
    from video4spatial.model.cost.training import training_flops
    from video4spatial.model.cost.vae import VaeShape, encode_flops

    step = sum(training_flops(TransformerShape(), SequenceShape(42, 46)).values()) / 1e12
    encode = {
        "context, 42 latents and the first frame": encode_flops(VaeShape(), 416, 256, 43) / 1e12,
        "target, 46 latents": encode_flops(VaeShape(), 416, 256, 46) / 1e12,
        "text, 512 tokens": text_flops(TextShape(), 512, 1) / 1e12,
    }
    return {
        "tflop_a_sample": {"training step": step, **encode},
        "operations_ratio": (step + sum(encode.values())) / step,
        "paper_reports": "about 2x in time",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="benchmarks/results/precompute.json")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rooms", type=int, default=6)
    parser.add_argument("--recipe", default="rooms:transformer_cpu", help="its rooms, window and batch")
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()

    from video4spatial.data.dataset import ExampleSampler
    from video4spatial.data.rooms import training_videos
    from video4spatial.model.frozen import frozen_vae, text_parts
    from video4spatial.model.instruction import encode_text
    from video4spatial.prepare.texts import precompute_text
    from video4spatial.storage.latents import LatentStore, LatentWriter
    from video4spatial.train.config import OptimConfig, StoreConfig
    from video4spatial.train.recipes import load_recipe
    from video4spatial.train.sources import StoreSource
    from video4spatial.train.start import starting_transformer
    from video4spatial.train.stream import encode_video, keep_video

    recipe: Any = load_recipe(options.recipe)
    config = dataclasses.replace(
        recipe, batch=options.batch, start="rooms-small", previews=False, optim=OptimConfig(lr=1e-4)
    )
    codec, (tokenizer, text_encoder) = frozen_vae("rooms-small"), text_parts("rooms-small")
    rendered = [video for seed in range(options.rooms) for video in training_videos(seed, config.stream.rooms)]
    results: dict[str, Any] = {
        "machine": describe_machine() | {"threads": torch.get_num_threads()},
        "setting": {
            "recipe": options.recipe,
            "videos": f"{len(rendered)} of {len(rendered[0].clip)} frames, {config.stream.rooms.width}x"
            f"{config.stream.rooms.height}",
            "batch": options.batch,
            "window": dataclasses.asdict(config.window),
        },
    }

    clock: list[float] = []
    videos = [FramesVideo(video, codec, clock) for video in rendered]
    sampler = ExampleSampler(videos, config.window, config.seed)

    def encoding(step: int) -> tuple[Any, Tensor, Tensor]:
        for video in videos:
            video.encoded = None
        clock.append(0.0)
        batch = sampler.batch(step, config.batch)
        began = time.perf_counter()
        text, null = encode_text(tokenizer, text_encoder, batch.sentences), encode_text(tokenizer, text_encoder, [""])
        clock[-1] += time.perf_counter() - began
        return batch, text, null

    seconds, losses = train_steps(config, starting_transformer(config, 64).train(), encoding, options.steps)
    results["encoding"] = {"seconds_a_step": median(seconds[2:]), "of_which_encoding": median(clock[2:])}

    with tempfile.TemporaryDirectory() as root:
        began = time.perf_counter()
        with LatentWriter(root) as writer:
            for video in rendered:
                keep_video(writer, encode_video(video, codec), video.clip.fps)
        precompute_text(root, tokenizer, text_encoder, show_progress=False)
        results["precomputing"] = {
            "seconds": time.perf_counter() - began,
            "bytes_a_video": sum(f.stat().st_size for f in Path(root).rglob("*.safetensors")) / len(LatentStore(root)),
        }
        stored = dataclasses.replace(config, data=StoreConfig(roots=(root,), held_out=0.0), vae="rooms-small")
        assert stored.data is not None
        with contextlib.closing(StoreSource(stored, stored.data, torch.device("cpu"))) as source:

            def reading(step: int) -> tuple[Any, Tensor, Tensor]:
                prepared = source.prepare(step, 0)
                return prepared.batch, prepared.text, source.null_text

            seconds, again = train_steps(config, starting_transformer(config, 64).train(), reading, options.steps)
    results["stored"] = {"seconds_a_step": median(seconds[2:])}
    differences = [abs(one - other) / one for one, other in zip(losses, again, strict=True)]
    results["largest_relative_difference_of_losses"] = max(differences)
    results["times_faster"] = (
        results["encoding"]["seconds_a_step"]["median"] / results["stored"]["seconds_a_step"]["median"]
    )
    results["full_size_by_formula"] = full_size()
    path = Path(options.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
