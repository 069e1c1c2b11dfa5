"""One training step at the paper's shape with random weights: samples a second, memory, model FLOP utilisation.

    python benchmarks/train_step.py --minutes 9           # on a CUDA GPU
    python benchmarks/train_step.py --tiny                # the same code, small, on the CPU

42 context latents before 46 target latents of 416x256, the first frame among these (9,152 tokens), flow matching,
activation checkpointing, the optimiser included: what the paper trains (attention and camera embedding), everything,
and LoRA, with AdamW and with its 8-bit form. Running out of memory is a result. MFU counts model FLOPs (no
recomputation) against a matrix product measured in the same run. Results go to
benchmarks/results/train_step_DEVICE.json, case by case.
"""

import argparse
import statistics
from dataclasses import dataclass
from typing import Any

import torch
from device_probe import (
    TINY,
    Memory,
    Run,
    random_transformer,
    shape_of,
    timed,
    top_kernels,
    weights_of,
)

from video4spatial.flow import add_noise, draw_sigma, velocity
from video4spatial.model.context import assemble
from video4spatial.model.cost.training import STATE_BYTES, model_flops, step_bytes, training_flops
from video4spatial.model.cost.transformer import SequenceShape
from video4spatial.model.lora import add_lora
from video4spatial.train.step import select_trained

PAPER = SequenceShape(context=42, target=46)
SMALL = SequenceShape(context=8, target=11, width=192, height=128, text=48)
RANK = 32


@dataclass(frozen=True)
class Case:
    """What trains, with which optimiser, how many samples at once."""

    trains: str = "attention"
    optimiser: str = "adamw"
    batch: int = 1
    checkpointing: bool = True
    compiled: bool = False

    @property
    def name(self) -> str:
        words = {"attention": "attention layers (the paper)", "all": "everything", "lora": f"LoRA of rank {RANK}"}
        optimiser = {"adamw": "AdamW", "adamw8bit": "8-bit AdamW"}[self.optimiser]
        rest = ("" if self.checkpointing else ", no checkpointing") + (", compiled" if self.compiled else "")
        return f"{words[self.trains]}, {optimiser}, batch {self.batch}{rest}"


def cases(tiny: bool) -> list[Case]:
    first = [Case(), Case(trains="lora"), Case(trains="all"), Case(checkpointing=False)]
    if tiny:  # the 8-bit update has to be compiled, which takes longer than all the rest
        return first
    larger = [
        Case(optimiser="adamw8bit"),
        Case(batch=2),
        Case(batch=4),
        Case(trains="all", optimiser="adamw8bit"),
        Case(batch=2, compiled=True),
    ]
    return [first[0], Case(compiled=True), *first[1:], *larger]


class Step:
    """A model, its optimiser and one batch; calling it is one training step."""

    def __init__(self, case: Case, run: Run) -> None:
        self.case = case
        self.device, self.dtype = device, dtype = run.device, run.dtype
        self.sequence = SMALL if run.tiny else PAPER
        torch.compiler.reset()  # every model is compiled afresh
        self.model = random_transformer(device, dtype, TINY if run.tiny else {}).train()
        self.shape = shape_of(self.model)
        if case.trains == "lora":
            add_lora(self.model, RANK, RANK)
        else:
            select_trained(self.model, case.trains)
        if case.checkpointing:
            self.model.enable_gradient_checkpointing()
        if case.compiled:
            self.model.compile_repeated_blocks(fullgraph=True)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = self._optimiser()
        s, batch = self.sequence, case.batch
        grid = (s.height // 16, s.width // 16)

        def random(*size: int) -> torch.Tensor:
            return torch.randn(batch, *size, device=device, dtype=dtype)

        self.context, self.target, self.camera = (
            random(48, s.context, *grid),
            random(48, s.target, *grid),
            random(24, s.target, *grid),
        )
        self.text = random(s.text, self.shape.text_dim)
        self.index = torch.arange(s.context, device=device).expand(batch, -1)

    def _optimiser(self) -> Any:
        if self.case.optimiser == "adamw8bit":
            from torchao.optim import AdamW8bit

            return AdamW8bit(self.trained, lr=1e-4, bf16_stochastic_round=self.dtype == torch.bfloat16)
        return torch.optim.AdamW(self.trained, lr=1e-4, fused=self.device.type == "cuda")

    def __call__(self, update: bool = True) -> None:
        sigma = draw_sigma(self.case.batch, 5.0, torch.Generator().manual_seed(0)).to(self.device)
        noise = torch.randn_like(self.target)
        noisy = add_noise(self.target, noise, sigma).to(self.dtype)
        target = torch.cat([self.target[:, :, :1], noisy[:, :, 1:]], dim=2)
        s = assemble(self.context, self.index, target, sigma * 1000, self.camera)
        out = self.model(
            s.latents, s.timestep, self.text, frame_index=s.frame_index, camera=s.camera, return_dict=False
        )
        error = s.target(out[0]).float() - velocity(self.target, noise).float()
        error[:, :, 1:].square().mean().backward()
        if update:
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


def measure(step: Step, run: Run) -> dict[str, Any]:
    """Samples a second, memory beside the plan's, MFU."""
    case, shape = step.case, step.shape
    count = sum(p.numel() for p in step.trained)
    seconds = timed(step, step.device, run.options.repeats, run.budget, warm=2)
    states = sum(
        value.nbytes if not hasattr(value, "__tensor_flatten__") else int(value.numel() * STATE_BYTES["adamw8bit"] / 2)
        for state in step.optimiser.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )
    with Memory(step.device, weights_of(step.model) + states) as memory:
        step(update=step.device.type == "cuda")  # torchao compiles the 8-bit update, which live bytes cannot look into
    flops = training_flops(shape, step.sequence, case.trains, case.checkpointing, RANK)  # pyright: ignore
    gradients = sum(p.nbytes for p in step.trained)
    activations = step_bytes(
        shape,
        step.sequence,
        gradients,
        case.batch,
        step.dtype.itemsize,
        case.trains,  # pyright: ignore[reportArgumentType]
        case.checkpointing,
        fused_norm=step.device.type == "cuda",
    )
    predicted = weights_of(step.model) + states + activations
    mean = statistics.mean(seconds)
    tflops = case.batch * model_flops(flops) / mean / 1e12
    return {
        "batch": case.batch,
        "tokens": step.sequence.tokens,
        "trained_parameters": count,
        "seconds_a_step": mean,
        "seconds_a_step_min": min(seconds),
        "steps_timed": len(seconds),
        "samples_a_second": case.batch / mean,
        "model_tflop_a_sample": model_flops(flops) / 1e12,
        "tflop_a_sample": sum(flops.values()) / 1e12,
        "model_tflops": tflops,
        "mfu": tflops / run.matmul_tflops,
        "optimiser_state_bytes": states,
        "peak_allocated": memory.allocated,
        "peak_reserved": memory.reserved,
        "peak_predicted": predicted,
        "predicted_to_measured": predicted / memory.allocated,
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    run = Run("train_step", parser, arguments, repeats=5)
    report = run.report
    report["sequence"] = vars(SMALL if run.tiny else PAPER)
    torch.manual_seed(0)
    step = None
    for case in cases(run.tiny):
        if run.time_is_up:
            report["unmeasured"].append(case.name)
            continue
        result: dict[str, Any] = {"name": case.name, "trains": case.trains}
        report["cases"].append(result)
        step = None  # its memory, before the next one
        with run.part(result):
            step = Step(case, run)
            result |= measure(step, run)
        if "kernels" not in report and "failed" not in result:
            report["kernels"] = {}
            with run.part(report["kernels"]):
                report["kernels"] = top_kernels(step, run.device)
    run.save()
    print(f"written: {run.path}")
    return report


if __name__ == "__main__":
    main()
