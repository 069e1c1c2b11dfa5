"""Sampling at the paper's setting with random weights: seconds, memory, rates; exact, every faster mode, and stock Wan.

    python benchmarks/full_size.py --minutes 9            # on a CUDA GPU; --record: the planner then knows its rate
    python benchmarks/full_size.py --tiny                 # the same code, small, on the CPU

84 context latents and 46 target latents of 416x256 (13,520 tokens), 50 steps with guidance. A few steps of every case
are timed and multiplied up; the fastest exact one also makes a whole clip, context video to frames, if time allows.
Random weights cost what real ones do, but for how often first-block caching skips. Text embeddings are random too: the
text encoder takes no part. Results go to benchmarks/results/full_size_DEVICE.json, case by case.
"""

import argparse
import itertools
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from device_probe import (
    TINY,
    Memory,
    Run,
    fill,
    random_transformer,
    record_share,
    release,
    shape_of,
    synchronise,
    timed,
    top_kernels,
    weights_of,
)
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from video4spatial.model.cost.transformer import weight_bytes
from video4spatial.model.cost.vae import VaeShape, chunk_bytes
from video4spatial.model.latents import LatentCodec
from video4spatial.model.load import sampler, small_text_encoder, small_vae, word_tokenizer
from video4spatial.model.official import WAN22_VAE
from video4spatial.model.transformer import CAMERA_KEY
from video4spatial.sample.denoise import denoise
from video4spatial.sample.devices import TABLE
from video4spatial.sample.guidance import Conditions, Guidance, GuidedVelocity
from video4spatial.sample.modes import MODES, Sampling, choose
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.placement import Placement, place
from video4spatial.sample.plan import Models, Request, denoise_flops, estimate

TOGETHER = (("cached-context", "fp8-matmul"), ("cached-context", "no-null-context", "fp8-matmul"))


@dataclass
class Case:
    """One way to sample: modes by name, and whether blocks are compiled."""

    name: str
    modes: tuple[str, ...] = ()
    compiled: bool = False
    sequential: bool = False
    result: dict[str, Any] = field(default_factory=dict)

    def sampling(self) -> Sampling:
        """As the command line would have it."""
        base = Sampling(branches="sequential" if self.sequential else "batched")
        return choose(list(self.modes)).sampling(base)


def cases(compile_blocks: bool) -> list[Case]:
    """Exact ones first, then every faster mode of the table by itself, then those that go together.

    The table's order is turned round: modes that change the weights come last, so that fewer models are made.
    """
    exact = [Case("exact, batched"), Case("exact, sequential", sequential=True)]
    if compile_blocks:
        exact += [Case("exact, batched, compiled", compiled=True)]
    single = [Case(name, (name,), compile_blocks) for name in reversed(MODES)]
    return exact + single + [Case(" + ".join(names), names, compile_blocks) for names in TOGETHER]


class Bench:
    """The models and the conditions of one clip."""

    def __init__(self, run: Run) -> None:
        self.run, self.device, self.dtype, self.tiny = run, run.device, run.dtype, run.tiny
        self.config: dict[str, Any] = TINY if self.tiny else {}
        small = (
            {"width": 192, "height": 128, "context_latents": 20, "context_frames": 81, "frames": 41}
            if self.tiny
            else {}
        )
        self.request = Request(steps=run.options.steps, **small)
        self.codec = LatentCodec(self.vae())
        self.transformer: Any = None
        self.made: tuple[str, ...] = ("nothing",)
        torch.manual_seed(0)

    def vae(self) -> Any:
        if self.tiny:
            return small_vae(16).eval().requires_grad_(False).to(self.device)
        with torch.device("meta"):
            vae: Any = AutoencoderKLWan(**WAN22_VAE)
        vae = vae.to_empty(device=self.device).eval().requires_grad_(False)
        fill(vae)
        return vae

    def prepare(self, case: Case, weights: str | None) -> None:
        """The transformer as this case holds it; made anew where the last one was quantised or compiled otherwise."""
        wanted = (weights or "as-is", str(case.compiled))
        if wanted == self.made:
            return
        self.transformer, self.made = None, ("nothing",)
        torch.compiler.reset()  # every model is compiled afresh: one process may compile a block in 8 ways only
        release(self.device)
        transformer = random_transformer(self.device, self.dtype, self.config)
        words = word_tokenizer(["chair"])  # the text encoder takes no part
        pipeline = Video4SpatialPipeline(words, small_text_encoder(len(words)), self.codec.vae, sampler(), transformer)
        placement = Placement(weights=weights or "as-is", release_text_encoder=False, compile=case.compiled)  # pyright: ignore
        self.transformer, self.made = place(pipeline, placement, self.device).transformer, wanted

    def conditions(self, text_tokens: int) -> Conditions:
        r, c = self.request, shape_of(self.transformer)
        grid = (r.height // 16, r.width // 16)

        def random(*size: int) -> torch.Tensor:
            return torch.randn(1, *size, device=self.device, dtype=self.dtype)

        return Conditions(
            context=random(48, r.context_latents, *grid),
            context_index=torch.arange(r.context_latents, device=self.device)[None],
            context_noise=random(48, r.context_latents, *grid),
            text=random(text_tokens, c.text_dim),
            null_text=random(text_tokens, c.text_dim),
            camera=random(24, r.target_latents, *grid),
            gap=50,
        )

    def models(self) -> Models:
        return Models(
            shape_of(self.transformer),
            VaeShape.from_config(self.codec.vae.config),
            dtype=str(self.dtype).removeprefix("torch."),
            text_tokens=48 if self.tiny else 512,
        )


@torch.no_grad()
def measure(bench: Bench, case: Case) -> None:
    """Fill ``case.result``: seconds, memory beside the plan's, rates."""
    device, repeats = bench.device, bench.run.options.repeats
    chosen = choose(list(case.modes))
    steps = chosen.steps_of(bench.request.steps) or bench.request.steps
    sampling = case.sampling()
    bench.prepare(case, chosen.weights)
    models = bench.models()
    request = Request.of(vars(bench.request), sampling, steps=steps, weights=chosen.weights)
    request = Request(**vars(request) | {"context_frames": bench.request.context_frames})
    conditions = bench.conditions(models.text_tokens)
    target = torch.randn(1, 48, request.target_latents, *conditions.context.shape[3:], device=device, dtype=bench.dtype)
    scheduler = sampler()
    scheduler.set_timesteps(steps, device=device)
    sigmas = scheduler.sigmas.tolist()

    places = [round(i * (steps - 1) / max(1, repeats - 1)) for i in range(repeats)]  # spread over the noise levels
    kinds = {sampling.guides_at(sigmas[number]): number for number in range(steps)}  # one branch runs, or both
    both = kinds.get(True, 0)

    def begin() -> GuidedVelocity:
        return GuidedVelocity(bench.transformer, conditions, Guidance(5.0), sampling)

    def step(guided: GuidedVelocity, number: int) -> None:
        guided(target, scheduler.timesteps[number], sigmas[number])

    def clip_seconds() -> tuple[float, list[float]]:
        """What comes once a clip, and each step."""
        began = time.perf_counter()
        guided = begin()
        synchronise(device)
        once, walk = time.perf_counter() - began, itertools.cycle(places)
        return once, timed(lambda: step(guided, next(walk)), device, repeats, bench.run.budget, warm=0)

    warm = begin()  # whatever is compiled, is compiled now
    for one in kinds.values():
        step(warm, one)
    del warm
    synchronise(device)
    once, seconds = clip_seconds()
    with Memory(device, weights_of(bench.transformer)) as memory:
        step(begin(), both)
    plan = estimate(request, models, fused_norm=device.type == "cuda")
    sampled = next(phase for phase in plan.phases if phase.name == "sampling")
    outside = ("conditions", "sampler")  # on the CPU made before the measurement, on CUDA a thousandth of the rest
    activations = sum(v for name, v in sampled.parts.items() if "weights" not in name and name not in outside)
    predicted = weight_bytes(models.transformer, bench.dtype.itemsize, chosen.weights is not None) + activations
    flops = sum(denoise_flops(request, models).values()) / steps
    mean = statistics.mean(seconds)
    case.result |= {
        "steps": steps,
        "seconds_a_step": mean,
        "seconds_a_step_min": min(seconds),
        "steps_timed": len(seconds),
        "seconds_once_a_clip": once,
        "seconds_a_clip_extrapolated": once + steps * mean,
        "tflop_a_step": flops / 1e12,
        "tflops": flops / mean / 1e12,
        "share_of_measured_matmul": flops / mean / 1e12 / bench.run.matmul_tflops,
        "peak_allocated": memory.allocated,
        "peak_reserved": memory.reserved,
        "peak_predicted": predicted,
        "predicted_to_measured": predicted / memory.allocated,
        "attention": str(bench.transformer.blocks[0].attn1.processor._attention_backend),
    }


@torch.no_grad()
def stock(bench: Bench) -> dict[str, Any]:
    """The stock transformer on the same tokens, both branches in one batch, a timestep for every token.

    It has our weights, in the precisions that diffusers would load it in.
    """
    ours = bench.transformer
    with torch.device("meta"):
        config = {key: value for key, value in dict(ours.config).items() if not key.startswith("_")}
        config.pop("camera_channels")
        model: Any = WanTransformer3DModel(**config)
    state = {key: value for key, value in ours.state_dict().items() if key != CAMERA_KEY}
    ours_alone = set(ours._keep_in_fp32_modules) - set(model._keep_in_fp32_modules)
    state |= {key: value.to(bench.dtype) for key, value in state.items() if ours_alone & set(key.split("."))}
    model.load_state_dict(state, assign=True)
    with torch.device(bench.device):
        model.rope = type(model.rope)(config["attention_head_dim"], tuple(config["patch_size"]), 1024)
    model.eval().requires_grad_(False)
    r = bench.request
    sequence = r.sequence(r.context_latents, 48 if bench.tiny else 512)
    grid = (r.height // 16, r.width // 16)
    latents = torch.randn(2, 48, sequence.frames, *grid, device=bench.device, dtype=bench.dtype)
    text = torch.randn(2, sequence.text, model.config.text_dim, device=bench.device, dtype=bench.dtype)
    timestep = torch.zeros(2, sequence.tokens, device=bench.device)
    timestep[:, r.context_latents * sequence.tokens_a_frame :] = 500.0

    def step() -> None:
        model(latents, timestep, text, return_dict=False)

    seconds = timed(step, bench.device, bench.run.options.repeats, bench.run.budget)
    with Memory(bench.device, weights_of(model)) as memory:
        step()
    return {
        "name": "stock WanTransformer3DModel, a timestep a token",
        "seconds_a_step": statistics.mean(seconds),
        "steps_timed": len(seconds),
        "peak_allocated": memory.allocated,
        "peak_reserved": memory.reserved,
    }


@torch.no_grad()
def whole_clip(bench: Bench, case: Case) -> dict[str, Any]:
    """From the context video to the frames, timed by phase, with the peak memory of each."""
    r, device = bench.request, bench.device
    video = np.random.default_rng(0).integers(0, 256, (r.context_frames, r.height, r.width, 3), dtype=np.uint8)
    result: dict[str, Any] = {"case": case.name}
    there = weights_of(bench.transformer, bench.codec.vae)

    def phase(name: str, run: Any) -> Any:
        began = time.perf_counter()
        with Memory(device, there) as memory:
            value = run()
            synchronise(device)
        result[name] = {"seconds": time.perf_counter() - began, "peak_allocated": memory.allocated}
        return value

    context = phase("encode", lambda: bench.codec.encode(video))
    conditions = bench.conditions(bench.models().text_tokens)
    conditions.context = context[None, :, : r.context_latents].to(device, bench.dtype)
    noise = torch.randn(1, 48, r.target_latents, *conditions.context.shape[3:], device=device, dtype=bench.dtype)

    def stop(done: int, steps: int, latents: Any) -> None:
        if bench.run.budget.left < 0:
            raise TimeoutError(f"time ran out after {done} of {steps} steps")

    def sample() -> Any:
        guided = GuidedVelocity(bench.transformer, conditions, Guidance(5.0), case.sampling())
        return denoise(sampler(), guided, noise, noise[:, :, :1], r.steps, stop)

    try:
        latents = phase("sample", sample)
    except TimeoutError as error:
        return result | {"stopped": str(error)}
    phase("decode", lambda: bench.codec.decode(latents[0]))
    result["seconds"] = sum(result[name]["seconds"] for name in ("encode", "sample", "decode"))
    vae = VaeShape.from_config(bench.codec.vae.config)
    for name in ("encode", "decode"):
        result[name]["peak_predicted"] = there + chunk_bytes(vae, name, r.width, r.height, 4)
    return result


@torch.no_grad()
def kernels(bench: Bench) -> list[dict[str, Any]]:
    """Of one exact step with both branches."""
    conditions = bench.conditions(bench.models().text_tokens)
    guided = GuidedVelocity(bench.transformer, conditions, Guidance(5.0), Sampling())
    target = conditions.camera.new_zeros(1, 48, *conditions.camera.shape[2:])
    timestep = torch.tensor(500.0, device=bench.device)
    guided(target, timestep, 0.5)
    return top_kernels(lambda: guided(target, timestep, 0.5), bench.device)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out (it is, with --tiny)")
    parser.add_argument("--steps", type=int, default=50, help="sampling steps; default %(default)s")
    parser.add_argument("--record", action="store_true", help="put the share reached into the planner's devices.json")
    run = Run("full_size", parser, arguments, repeats=6)
    options, report = run.options, run.report
    bench = Bench(run)
    report["request"] = vars(bench.request)
    everything = cases(not (run.tiny or options.no_compile))
    for number, case in enumerate(everything):
        if number and run.time_is_up:
            report["unmeasured"].append(case.name)
            continue
        case.result["name"] = case.name
        report["cases"].append(case.result)
        with run.part(case.result):
            measure(bench, case)
        if number == 0 and "failed" not in case.result:
            report["stock"] = {}
            with run.part(report["stock"]):
                report["stock"] |= stock(bench)
            report["kernels"] = {}
            with run.part(report["kernels"]):
                report["kernels"] = kernels(bench)
    done = [case for case in everything if not case.modes and "seconds_a_clip_extrapolated" in case.result]
    best = min(done, key=lambda case: case.result["seconds_a_clip_extrapolated"], default=None)
    if best is not None and run.budget.left > 1.3 * best.result["seconds_a_clip_extrapolated"]:
        report["clip"] = {}
        with run.part(report["clip"]):
            bench.prepare(best, None)
            report["clip"] |= whole_clip(bench, best)
    else:
        report["unmeasured"].append("whole clip")
    if "seconds_a_step" in report.get("stock", {}):
        for result in report["cases"]:
            if "seconds_a_clip_extrapolated" in result:
                each = result["seconds_a_clip_extrapolated"]
                result["times_stock"] = options.steps * report["stock"]["seconds_a_step"] / each
    run.save()
    print(f"written: {run.path}")
    if options.record and done:
        record_share(TABLE, report["machine"]["device"], max(case.result["tflops"] for case in done))
    return report


if __name__ == "__main__":
    main()
