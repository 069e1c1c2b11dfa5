"""The optimiser, its learning rate over the run, and the moving average of the weights."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from video4spatial.schema import InputError
from video4spatial.train.config import OptimConfig


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, by Newton-Schulz iteration (Jordan et al., 2024, "Muon").

    ``torch.optim.Muon`` does this in bfloat16, which CPUs without bfloat16 units emulate 60 times slower than float32;
    hence this one, in the gradient's own precision.
    """
    x = matrix / (matrix.norm() + 1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(iterations):
        gram = x @ x.T
        poly = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        x = torch.addmm(x, poly, x, beta=3.4445)
    return x if wide else x.T


class Muon(torch.optim.Optimizer):
    """Momentum whose update of each weight (as a matrix: outputs by the rest) is orthogonalised.

    The update is scaled to the RMS that AdamW's has, so that one learning rate serves both.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
                scale = 0.2 * max(update.shape) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(orthogonalise(update).view_as(p), alpha=-group["lr"] * scale)


def make_optimisers(model: nn.Module, config: OptimConfig) -> list[torch.optim.Optimizer]:
    """AdamW over everything that trains, or Muon over the matrices and AdamW over the rest.

    Raises:
        InputError: 8-bit AdamW is asked for and torchao is not installed.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if config.name == "muon" and p.ndim > 1 and min(len(p), p[0].numel()) > 1]
    chosen = {id(p) for p in matrices}
    rest = [p for p in trained if id(p) not in chosen]
    optimisers: list[torch.optim.Optimizer] = []
    if matrices:
        optimisers.append(Muon(matrices, lr=config.lr, weight_decay=config.weight_decay))
    if rest:
        kind: Any = adamw_8bit() if config.name == "adamw8bit" else torch.optim.AdamW
        optimisers.append(kind(rest, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay))
    return optimisers


def adamw_8bit() -> type[torch.optim.Optimizer]:
    """AdamW whose two states are kept in 8 bits a block of 256 (Dettmers et al., 2022), by torchao. Parameters of fewer
    than 4096 elements, or not a multiple of 256, keep theirs in fp32."""
    try:
        from torchao.optim import AdamW8bit
    except ImportError as error:
        raise InputError(f"optim.name=adamw8bit needs torchao ({error}): pip install 'video4spatial[scale]'") from None
    return AdamW8bit


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's rate; torchao's optimisers keep theirs in a tensor."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def learning_rate(config: OptimConfig, step: int, progress: float) -> float:
    """Warm-up by steps, a plateau, a linear fall over the last ``config.decay`` of the run (``progress`` 0 to 1)."""
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    left = max(1.0 - progress, 0.0) / max(config.decay, 1e-9)
    return config.lr * warm * (config.final + (1 - config.final) * min(1.0, left))


class MovingAverage:
    """An exponential moving average of the parameters that train, with a warm start (decay min(d, (1+n)/(10+n))).

    With a decay of 0 it holds nothing, and the weights stand for themselves.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        kept = [(name, p) for name, p in model.named_parameters() if p.requires_grad and decay > 0]
        self.weights = {name: p.detach().clone() for name, p in kept}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, p in model.named_parameters():
            if name in self.weights:
                self.weights[name].lerp_(p.detach(), 1 - decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's weights with the average; call again to put them back."""
        for name, p in model.named_parameters():
            if name in self.weights:
                held = p.detach().clone()
                p.copy_(self.weights[name])
                self.weights[name].copy_(held)
