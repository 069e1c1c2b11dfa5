"""A run whose checkpoints are read by another number of processes; by torchrun, or called in one process.

A step has two micro-batches: one process works through both, two processes through one each.
"""

import json
import sys
from pathlib import Path

import torch

from video4spatial.model.load import small_transformer
from video4spatial.storage.artifacts import RunLayout
from video4spatial.train.checkpoint import Checkpointer, load_checkpoint
from video4spatial.train.config import OptimConfig
from video4spatial.train.optim import MovingAverage, make_optimisers
from video4spatial.train.parallel import Ranks, backward, join, leave, parallelise
from video4spatial.train.state import TrainingState

PARTS = 2


class Run:
    def __init__(self, seed: int, name: str, ranks: Ranks) -> None:
        torch.manual_seed(seed)
        self.ranks = ranks
        self.model = small_transformer(
            768, layers=1, ffn_ratio=0.125
        ).train()  # wide: its [1, 6, D] table has 8-bit states
        with torch.no_grad():
            self.model.proj_out.weight.normal_(std=0.1)
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
                latents = torch.randn(2, 48, 3, 2, 4, generator=generator)
                text = torch.randn(2, 5, 64, generator=generator)
                out = self.model(latents, torch.full((2, 3), 500.0), text, return_dict=False)[0]
                loss = (out - latents).square().mean()
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
