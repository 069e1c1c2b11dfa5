"""Sampling at the paper's setting with random weights: seconds, memory, rates; exact, every faster mode, and stock Wan.

    python benchmarks/full_size.py --minutes 9            # on a CUDA GPU; --record: the planner then knows its rate
    python benchmarks/full_size.py --tiny                 # the same code, small, on the CPU

84 context latents and 46 target latents of 416x256 (13,520 tokens), 50 steps with guidance. A few steps of every case
are timed and multiplied up; the fastest exact one also makes a whole clip, context video to frames, if time allows.
Random weights cost what real ones do, but for how often first-block caching skips. Text embeddings are random too: the
text encoder takes no part. Results go to benchmarks/results/full_size_DEVICE.json, also when time runs out.
"""

import argparse
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from device_probe import (
    TINY,
    Budget,
    Memory,
    describe,
    fill,
    matmul_rates,
    outcome,
    random_transformer,
    record_share,
    shape_of,
    synchronise,
    timed,
    top_kernels,
    weights_of,
    write,
)
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from video4spatial.model.cost.transformer import weight_bytes
from video4spatial.model.cost.vae import VaeShape, chunk_bytes
from video4spatial.model.latents import LatentCodec
from video4spatial.model.load import sampler, small_text_encoder, small_vae, word_tokenizer
from video4spatial.sample.denoise import denoise
from video4spatial.sample.devices import TABLE
from video4spatial.sample.guidance import Conditions, Guidance, GuidedVelocity
from video4spatial.sample.modes import MODES, Sampling, choose
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.placement import Placement, place
from video4spatial.sample.plan import Models, Request, denoise_flops, estimate

WAN_VAE: dict[str, Any] = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "temperal_downsample": [False, True, True],
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 48,
    "latents_std": [1.0] * 48,
}
TOGETHER = (("cached-context", "fp8-matmul"), ("cached-context", "no-null-context", "fp8-matmul"))


@dataclass
class Case:
    """One way to sample: modes by name, and whether blocks are compiled."""

    name: str
    modes: tuple[str, ...] = ()
    compiled: bool = False
    sequential: bool = False
    result: dict[str, Any] = field(default_factory=dict)


def cases(compile_blocks: bool) -> list[Case]:
    """Exact ones first, then every faster mode of the table by itself, then those that go together."""
    exact = [Case("exact, batched"), Case("exact, sequential", sequential=True)]
    if compile_blocks:
        exact += [Case("exact, batched, compiled", compiled=True)]
    single = [Case(name, (name,), compile_blocks) for name in MODES]
    return exact + single + [Case(" + ".join(names), names, compile_blocks) for names in TOGETHER]


class Bench:
    """The models and the conditions of one clip."""

    def __init__(self, device: torch.device, tiny: bool, steps: int) -> None:
        self.device, self.tiny = device, tiny
        self.dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        self.config: dict[str, Any] = TINY if tiny else {}
        small = {"width": 192, "height": 128, "context_latents": 20, "context_frames": 81, "frames": 41} if tiny else {}
        self.request = Request(steps=steps, **small)
        self.codec = LatentCodec(self.vae())
        self.transformer: Any = None
        self.made: tuple[str, ...] = ("nothing",)
        torch.manual_seed(0)

    def vae(self) -> Any:
        if self.tiny:
            return small_vae(16).eval().requires_grad_(False).to(self.device)
        with torch.device("meta"):
            vae: Any = AutoencoderKLWan(**WAN_VAE)
        vae = vae.to_empty(device=self.device).eval().requires_grad_(False)
        fill(vae)
        return vae

    def prepare(self, case: Case, weights: str | None) -> None:
        """The transformer as this case holds it; made anew where the last one was quantised or compiled otherwise."""
        wanted = (weights or "as-is", str(case.compiled))
        if wanted == self.made:
            return
        self.transformer, self.made = None, ("nothing",)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
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
def measure(bench: Bench, case: Case, rates: dict[str, float], budget: Budget, repeats: int) -> None:
    """Fill ``case.result``: seconds, memory beside the plan's, rates."""
    device = bench.device
    chosen = choose(list(case.modes))
    steps = chosen.steps_of(bench.request.steps) or bench.request.steps
    sampling = chosen.sampling(Sampling(branches="sequential" if case.sequential else "batched"))
    bench.prepare(case, chosen.weights)
    models = bench.models()
    request = Request.of(vars(bench.request), sampling, steps=steps, weights=chosen.weights)
    request = Request(**vars(request) | {"context_frames": bench.request.context_frames})
    conditions = bench.conditions(models.text_tokens)
    target = torch.randn(1, 48, request.target_latents, *conditions.context.shape[3:], device=device, dtype=bench.dtype)
    scheduler = sampler()
    scheduler.set_timesteps(steps, device=device)
    sigmas = scheduler.sigmas.tolist()

    began = time.perf_counter()
    guided = GuidedVelocity(bench.transformer, conditions, Guidance(5.0), sampling)
    synchronise(device)
    once = time.perf_counter() - began

    places = [round(i * (steps - 1) / max(1, repeats - 1)) for i in range(repeats)]  # spread over the noise levels
    walk = iter(places + places * 100)

    def step() -> None:
        place = next(walk)
        guided(target, scheduler.timesteps[place], sigmas[place])

    seconds = timed(step, device, repeats, budget, warm=2 if case.compiled else 1)
    del guided  # with what it keeps of the clip
    with Memory(device, weights_of(bench.transformer)) as memory:
        fresh = GuidedVelocity(bench.transformer, conditions, Guidance(5.0), sampling)
        at = next((i for i in range(steps) if sampling.guides_at(sigmas[i])), 0)  # where both branches run
        fresh(target, scheduler.timesteps[at], sigmas[at])
    plan = estimate(request, models, fused_norm=device.type == "cuda")
    sampled = next(phase for phase in plan.phases if phase.name == "sampling")
    outside = ("conditions", "sampler")  # on the CPU made before the measurement, on CUDA a thousandth of the rest
    activations = sum(v for name, v in sampled.parts.items() if "weights" not in name and name not in outside)
    predicted = weight_bytes(models.transformer, bench.dtype.itemsize, chosen.weights is not None) + activations
    flops = sum(denoise_flops(request, models).values()) / steps
    mean = statistics.mean(seconds)
    base = rates.get("bf16", rates.get("fp32", 0.0))
    case.result |= {
        "steps": steps,
        "seconds_a_step": mean,
        "seconds_a_step_min": min(seconds),
        "steps_timed": len(seconds),
        "seconds_once_a_clip": once,
        "seconds_a_clip_extrapolated": once + steps * mean,
        "tflop_a_step": flops / 1e12,
        "tflops": flops / mean / 1e12,
        "share_of_measured_matmul": flops / mean / 1e12 / base,
        "peak_allocated": memory.allocated,
        "peak_reserved": memory.reserved,
        "peak_predicted": predicted,
        "predicted_to_measured": predicted / memory.allocated,
        "attention": str(bench.transformer.blocks[0].attn1.processor._attention_backend),
    }


@torch.no_grad()
def stock(bench: Bench, budget: Budget, repeats: int) -> dict[str, Any]:
    """The stock transformer on the same tokens, both branches in one batch, a timestep for every token."""
    ours = bench.transformer
    with torch.device("meta"):
        config = {key: value for key, value in dict(ours.config).items() if not key.startswith("_")}
        config.pop("camera_channels")
        model: Any = WanTransformer3DModel(**config)
    state = {key: value for key, value in ours.state_dict().items() if key != "camera_embedding.weight"}
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

    seconds = timed(step, bench.device, repeats, budget)
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
def whole_clip(bench: Bench, case: Case, budget: Budget) -> dict[str, Any]:
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
        if budget.left < 0:
            raise TimeoutError(f"time ran out after {done} of {steps} steps")

    def sample() -> Any:
        guided = GuidedVelocity(bench.transformer, conditions, Guidance(5.0), Sampling())
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


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="time budget; default %(default)s")
    parser.add_argument("--tiny", action="store_true", help="small models and frames, for the CPU")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out (it is, with --tiny)")
    parser.add_argument("--steps", type=int, default=50, help="sampling steps; default %(default)s")
    parser.add_argument("--repeats", type=int, default=6, help="steps timed a case; default %(default)s")
    parser.add_argument("--record", action="store_true", help="put the share reached into the planner's devices.json")
    parser.add_argument("--out", help="JSON file; default benchmarks/results/full_size_DEVICE.json")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() and not options.tiny else "cpu")
    if device.type == "cpu" and not options.tiny:
        parser.error("no CUDA device is here: use --tiny")
    budget = Budget(options.minutes)
    report: dict[str, Any] = {"machine": describe(device), "tiny": options.tiny, "cases": [], "unmeasured": []}
    report["matmul_tflops"] = rates = matmul_rates(device, 768 if options.tiny else 8192)
    bench = Bench(device, options.tiny, options.steps)
    report["request"] = vars(bench.request)

    def run(case: Case) -> dict[str, Any]:
        case.result["name"] = case.name
        with outcome(case.result, device):
            measure(bench, case, rates, budget, options.repeats)
        report["cases"].append(case.result)
        return case.result

    everything = cases(not (options.tiny or options.no_compile))
    first = run(everything[0])
    if "failed" not in first:
        baseline: dict[str, Any] = {}
        with outcome(baseline, device):
            baseline |= stock(bench, budget, options.repeats)
        report["stock"] = baseline
        conditions = bench.conditions(bench.models().text_tokens)
        guided = GuidedVelocity(bench.transformer, conditions, Guidance(5.0), Sampling())
        report["kernels"] = top_kernels(
            lambda: guided(
                conditions.camera.new_zeros(1, 48, *conditions.camera.shape[2:]),
                torch.tensor(500.0, device=device),
                0.5,
            ),
            device,
        )
    for case in everything[1:]:
        if budget.left < (0 if options.tiny else 30):
            report["unmeasured"].append(case.name)
            continue
        run(case)
    done = [c for c in report["cases"] if c["name"].startswith("exact") and "failed" not in c]
    if done and budget.left > 1.3 * min(c["seconds_a_clip_extrapolated"] for c in done):
        best = min(done, key=lambda c: c["seconds_a_clip_extrapolated"])
        case = next(c for c in everything if c.name == best["name"])
        clip: dict[str, Any] = {}
        with outcome(clip, device):
            bench.prepare(case, None)
            clip |= whole_clip(bench, case, budget)
        report["clip"] = clip
    else:
        report["unmeasured"].append("whole clip")
    if "seconds_a_step" in report.get("stock", {}):
        for case_result in report["cases"]:
            if "seconds_a_step" in case_result:
                each = case_result["seconds_a_clip_extrapolated"]
                case_result["times_stock"] = options.steps * report["stock"]["seconds_a_step"] / each
    report["seconds_taken"] = time.perf_counter() - budget.began
    write(report, options.out, "full_size", options.tiny)
    if options.record and done:
        record_share(TABLE, report["machine"]["device"], max(case["tflops"] for case in done))
    return report


if __name__ == "__main__":
    main()
