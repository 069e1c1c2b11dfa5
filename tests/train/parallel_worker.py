"""Run by torchrun in test_parallel.py: gradients of a model spread over processes, against those of one process."""

import json
import sys
from pathlib import Path

import torch

from video4spatial.model.load import small_transformer
from video4spatial.train.parallel import (
    backward,
    end_process,
    is_sharded,
    join,
    leave,
    parallelise,
    whole,
    whole_weights,
)

FRAMES = 6


def model():
    torch.manual_seed(0)
    made = small_transformer(96, layers=2, head_dim=24).train()
    with torch.no_grad():
        made.proj_out.weight.normal_(std=0.1)
        made.camera_embedding.weight.normal_(std=0.3)
    return made


def loss_of(made, part: int, case: str) -> torch.Tensor:
    """The loss of micro-batch ``part``, context at scattered indices past 1024.

    "joint"; "dropped": the second example has no context tokens; "causal": and context attends to itself alone.
    """
    generator = torch.Generator().manual_seed(part)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    index = torch.tensor([3, 40, 2000, 2051, 2052, 2053]).expand(2, -1)
    timestep = torch.rand(2, FRAMES, generator=generator) * 1000
    latents, text, camera = noise(2, 48, FRAMES, 4, 8), noise(2, 7, 64), noise(2, 24, FRAMES, 4, 8)
    options = {}
    if case != "joint":
        seen = torch.ones(2, 1, 1, FRAMES * 8, dtype=torch.bool)
        seen[1, ..., : 2 * 8] = False
        options = {"attention_mask": seen, "context_frames": 2}
        options["context_attention"] = "causal" if case == "causal" else "joint"
    out = made(latents, timestep, text, frame_index=index, camera=camera, return_dict=False, **options)[0]
    return (out - latents)[:, :, 2 if options else 0 :].square().mean()


def main() -> None:
    context_parallel, checkpointing, out = int(sys.argv[1]), sys.argv[2] == "checkpointing", Path(sys.argv[3])
    case = sys.argv[4]
    ranks = join(torch.device("cpu"), context_parallel)
    reference = model()
    expected = sum(loss_of(reference, part, case) for part in range(ranks.data_size)) / ranks.data_size
    expected.backward()

    spread = model()
    if checkpointing:
        spread.enable_gradient_checkpointing()
    parallelise(spread, ranks)
    assert is_sharded(spread)
    loss = loss_of(spread, ranks.data_rank, case)
    backward(loss, ranks)
    mean = sum(row[0] for row in ranks.gather([loss.item()])) / ranks.size
    errors = {}
    wanted = dict(reference.named_parameters())
    for name, p in spread.named_parameters():
        assert (p.grad is None) == (wanted[name].grad is None), name
        if p.grad is not None:
            difference = whole(p.grad) - wanted[name].grad
            errors[name] = (difference.norm() / wanted[name].grad.norm().clamp(min=1e-9)).item()
    weights = whole_weights(spread, ranks)
    if ranks.is_main:
        same = all(torch.equal(weights[name], p) for name, p in reference.state_dict().items())
        local = spread.blocks[0].attn1.to_q.weight.to_local().shape[0]
        report = {"expected": expected.item(), "loss": mean, "errors": errors, "weights": same, "rows": local}
        out.write_text(json.dumps(report))
    leave(ranks)


if __name__ == "__main__":
    main()
    end_process(0)
