"""A run whose checkpoints are read by another number of processes; by torchrun, or called in one process.

A step has two micro-batches: one process works through both, two processes through one each.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

from video4spatial.storage.artifacts import RunLayout
from video4spatial.train.checkpoint import Checkpointer, load_checkpoint
from video4spatial.train.config import OptimConfig
from video4spatial.train.optim import MovingAverage, make_optimisers
from video4spatial.train.parallel import Ranks, backward, end_process, join, leave, parallelise
from video4spatial.train.state import TrainingState

PARTS = 2


class Layered(nn.Module):
    """Every kind of parameter that 8-bit states meet: a table split along its second dimension, weights with 8-bit
    states on any number of processes, and one that has them on one process only (its halves are too small)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, 6, 2048) * 0.02)
        self.blocks = nn.ModuleList([nn.Linear(64, 256), nn.Linear(256, 64)])
        self.small = nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.blocks[0](x))
        return self.small(self.blocks[1](hidden)) + self.table.view(6, 32, 64).mean((0, 1))


class Run:
    def __init__(self, seed: int, name: str, ranks: Ranks) -> None:
        torch.manual_seed(seed)
        self.ranks = ranks
        self.model = Layered()
        parallelise(self.model, ranks)
        self.average = MovingAverage(self.model, 0.9)
        self.optimisers = make_optimisers(self.model, OptimConfig(name=name, lr=0.003))
        self.state = TrainingState(self.model, self.average, self.optimisers)

    def train(self, first: int, steps: int) -> list[float]:
        losses = []
        for step in range(first, first + steps):
            own = 0.0
            for part in range(self.ranks.data_rank, PARTS, self.ranks.data_size):
                generator = torch.Generator().manual_seed(10 * step + part)
                x = torch.randn(8, 64, generator=generator)
                loss = (self.model(x) - x.flip(1)).square().mean()
                own += loss.item() / PARTS
                backward(loss / (PARTS // self.ranks.data_size), self.ranks)
            for optimiser in self.optimisers:
                with torch.compiler.set_stance("force_eager"):  # torchao compiles a step for each shape: a minute
                    optimiser.step()
                optimiser.zero_grad()
            self.average.update(self.model, step)
            losses.append(sum(row[0] for row in self.ranks.gather([own])))
        return losses

    def save(self, root: Path, step: int) -> None:
        saver = Checkpointer(RunLayout(root), self.ranks)
        saver.start(self.state, step, {})
        saver.finish()

    def load(self, root: Path) -> None:
        folder = RunLayout(root).latest_checkpoint()
        assert folder is not None
        load_checkpoint(folder, self.state, self.ranks)


def main() -> None:
    name, of_one, of_two, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    ranks = join(torch.device("cpu"))
    run = Run(0, name, ranks)
    report = {"straight": run.train(0, 3)}
    run.save(of_two, 3)
    report["straight"] += run.train(3, 3)
    for source, root in (("from_two", of_two), ("from_one", of_one)):
        resumed = Run(7, name, ranks)
        resumed.load(root)
        report[source] = resumed.train(3, 3)
    if ranks.is_main:
        out.write_text(json.dumps(report))
    leave(ranks)


if __name__ == "__main__":
    main()
    end_process(0)
