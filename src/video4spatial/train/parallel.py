"""Training on many processes: FSDP2 over all of them, Ulysses context parallelism within groups of them.

Models and losses know nothing of this; ``parallelise`` is applied to a model from outside. Every process holds a part
of each parameter, gathers a block's parameters while it computes that block, and keeps its part of the gradients and of
the optimiser's state (``torch.distributed.fsdp.fully_shard``). Processes of one context-parallel group share a batch
and hold a part of its tokens each (DeepSpeed-Ulysses: Jacobs et al., 2023); the groups are the data parallelism.
"""

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard

from video4spatial.model.diffusers_internals import (
    ContextParallelConfig,
    ParallelConfig,
    WanAttention,
    apply_context_parallel,
)
from video4spatial.schema import InputError

warnings.filterwarnings("ignore", message="FSDP2-wrapped module")  # blocks return views; nothing writes into them
Result = TypeVar("Result")
TIMEOUT = timedelta(minutes=20)  # a rank may be writing a large checkpoint meanwhile


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, as this one sees them; one process without ``torchrun``.

    ``context`` processes share a batch; a batch's place among the ``data_size`` ones of a micro-step is ``data_rank``.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    context: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - a torch.device is immutable

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def data_rank(self) -> int:
        return self.rank // self.context

    @property
    def data_size(self) -> int:
        return self.size // self.context

    def gather(self, values: list[float]) -> list[list[float]]:
        """``values`` of every process, in the order of ranks; waits for all of them."""
        if self.size == 1:
            return [values]
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        everyone = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(everyone, mine)
        return [row.tolist() for row in everyone]

    def gather_objects(self, value: Any) -> list[Any]:
        """The same for any small object (errors, batch ids)."""
        if self.size == 1:
            return [value]
        everyone: list[Any] = [None] * self.size
        dist.all_gather_object(everyone, value)
        return everyone

    def raise_together(self, error: str | None) -> None:
        """Raise ``InputError`` everywhere if any process has an error, so that none waits for one that is gone."""
        found = [message for message in self.gather_objects(error) if message]
        if found:
            shared = InputError(found[0])
            shared.told_elsewhere = not self.is_main
            raise shared

    def together(self, work: Callable[[], Result]) -> Result:
        """``work()`` on every process; the ``InputError`` of one is raised on all."""
        error, result = None, None
        try:
            result = work()
        except InputError as problem:
            if self.size == 1:
                raise
            error = str(problem)
        self.raise_together(error)
        return cast(Result, result)

    def on_main(self, work: Callable[[], object]) -> None:
        """``work()`` on the main process, which the others wait for; its ``InputError`` is raised on all."""
        self.together(lambda: work() if self.is_main else None)

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()


ALONE = Ranks()


def join(device: torch.device, context_parallel: int = 1) -> Ranks:
    """Join the processes that ``torchrun`` started; without it, a run of one process.

    Raises:
        InputError: ``context_parallel`` does not divide the number of processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if context_parallel < 1 or size % context_parallel:
        raise InputError(
            f"context_parallel is {context_parallel}, but there are {size} processes: use a divisor of that, or start "
            f"a multiple of it with torchrun --nproc-per-node"
        )
    if size == 1:
        return Ranks(device=device)
    rank, local_rank = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    return Ranks(rank, size, local_rank, context_parallel, device)


def leave(ranks: Ranks) -> None:
    """End this process's part in the group that ``join`` made."""
    if ranks.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def end_process(code: int) -> NoReturn:
    """End a process of ``torchrun`` without tearing the interpreter down.

    A thread of the communication library that is still being joined then aborts the process (seen once in some 60
    exits, gloo), and torchrun would call a run failed that has done and saved everything.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def parallelise(model: nn.Module, ranks: Ranks, compile_blocks: bool = False) -> nn.Module:
    """Spread ``model`` over ``ranks``, in place, and put it on their devices: block by block, since the whole of it in
    float32 may be more than a device holds. In a run of one process it is only put there.

    Parameters keep their own precision: trained ones are float32 (so are their gradients and their optimiser states),
    frozen ones may be bfloat16; under autocast every product is computed in bfloat16.
    """
    blocks = getattr(model, "blocks", None)
    if compile_blocks and blocks is not None:
        for block in blocks:
            block.compile()
    if ranks.size == 1:
        return model.to(ranks.device)
    if ranks.context > 1:
        _split_sequence(model, ranks)
    mesh = init_device_mesh(ranks.device.type, (ranks.size,), mesh_dim_names=("shard",))
    for block in blocks if blocks is not None else ():
        fully_shard(block, mesh=mesh, shard_placement_fn=partial(split_dimension, size=ranks.size))
    fully_shard(model, mesh=mesh, shard_placement_fn=partial(split_dimension, size=ranks.size))
    return model


def split_dimension(p: nn.Parameter, size: int) -> Shard:
    """The first dimension that ``size`` processes share evenly (a modulation table is [1, 6, D]); else the first."""
    return Shard(next((d for d, length in enumerate(p.shape) if length % size == 0), 0))


def _split_sequence(model: Any, ranks: Ranks) -> None:
    """Ulysses: tokens are split over the group, and heads while attention runs.

    ``ModelMixin.enable_parallelism`` asks for an accelerator; these are its steps without that.
    """
    heads = model.config.num_attention_heads
    if heads % ranks.context:
        raise InputError(f"context_parallel is {ranks.context}, but must divide the model's {heads} attention heads")
    shape = (ranks.data_size, 1, ranks.context)
    mesh = init_device_mesh(ranks.device.type, shape, mesh_dim_names=("data", "ring", "ulysses"))
    context = ContextParallelConfig(ulysses_degree=ranks.context, mesh=mesh["ring", "ulysses"])
    config = ParallelConfig(context_parallel_config=context)
    config.setup(ranks.rank, ranks.size, ranks.device, mesh=context.mesh)
    model._parallel_config = config
    processor: Any
    for name, module in model.named_modules():
        if isinstance(module, WanAttention) and name.endswith("attn1"):
            processor = module.processor
            processor._parallel_config = config
    apply_context_parallel(model, context, model._cp_plan)


def backward(loss: Tensor, ranks: Ranks) -> None:
    """Gradients of ``loss``, to be averaged over the data-parallel groups.

    FSDP2 averages over all processes, but those of a context-parallel group hold the parts of one gradient, which are
    to be summed.
    """
    (loss * ranks.context).backward()


def whole(value: Tensor) -> Tensor:
    """The tensor itself, or the whole of a sharded one (every process must ask)."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def whole_weights(model: nn.Module, ranks: Ranks) -> dict[str, Tensor]:
    """The model's whole state dict on the CPU of the main process (empty elsewhere); every process must ask."""
    weights: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        full = whole(tensor.detach())
        if ranks.is_main:
            weights[name] = full.cpu().clone() if ranks.size > 1 else full
    return weights


def reshard(model: nn.Module) -> None:
    """Let go of gathered parameters. After a forward pass without a backward one the root's are still in place of its
    sharded ones: what is then written to ``model.parameters()`` would not last."""
    if isinstance(model, FSDPModule):
        model.reshard()


def is_sharded(model: nn.Module) -> bool:
    """Whether ``parallelise`` has spread ``model``."""
    return isinstance(model, FSDPModule)
