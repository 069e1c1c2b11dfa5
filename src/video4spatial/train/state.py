"""What training changes, as named tensors that a checkpoint holds: weights, averages, optimiser states.

Names are "model/PARAMETER", "average/PARAMETER" and "optimiser-N/PARAMETER/ENTRY", so that they mean the same whatever
the number of processes; a sharded tensor is a ``DTensor``, of which each process holds its part.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard

from video4spatial.schema import InputError
from video4spatial.train.optim import MovingAverage

_LISTED = 8  # names in a message
Shapes = Mapping[str, tuple[int, ...]]


class TrainingState:
    """The state of a run in training; ``tensors`` to save it, ``empty`` and ``take`` to fill it from a checkpoint."""

    def __init__(self, model: nn.Module, average: MovingAverage, optimisers: list[torch.optim.Optimizer]) -> None:
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.average, self.optimisers = average, optimisers

    def tensors(self) -> dict[str, Tensor]:
        """Everything, by name, as it is now (views, not copies)."""
        found = self._weights()
        names = {id(p): name for name, p in self.trained.items()}
        for number, optimiser in enumerate(self.optimisers):
            for p, entries in optimiser.state.items():
                for entry, value in entries.items():
                    for suffix, tensor in _stored_form(value):
                        found[f"optimiser-{number}/{names[id(p)]}/{entry}{suffix}"] = tensor
        return found

    def _weights(self) -> dict[str, Tensor]:
        weights = {f"model/{name}": p.detach() for name, p in self.trained.items()}
        return weights | {f"average/{name}": tensor for name, tensor in self.average.weights.items()}

    def empty(self, stored: Shapes, where: str) -> dict[str, Tensor]:
        """Tensors to read a checkpoint's into, sharded as this run's are; weights and averages are the run's own.

        Raises:
            InputError: the names or shapes in ``stored`` are not those of this run; ``where`` names the checkpoint.
        """
        wanted = self._weights()
        others = {name for name in stored if not name.startswith("optimiser-")}
        missing, unexpected = sorted(wanted.keys() - others), sorted(others - wanted.keys())
        misshapen = [n for n in wanted if n in stored and tuple(wanted[n].shape) != stored[n]]
        problems = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
        for name in (name for name in stored if name.startswith("optimiser-")):
            number, parameter, entry = _parse(name)
            owner = self.trained.get(parameter)
            if owner is None or number >= len(self.optimisers) or id(owner) not in self._owned(number):
                problems.setdefault("of another optimiser", []).append(name)
                continue
            if entry.endswith(".codes"):
                like = owner if _in_rows(owner) else torch.empty(owner.shape)
                wanted[name] = torch.zeros_like(like, dtype=torch.uint8, requires_grad=False)
            elif stored[name] == tuple(owner.shape) and entry != "step":
                wanted[name] = torch.zeros_like(owner, dtype=torch.float32, requires_grad=False)
            elif entry == "step" or entry.endswith(".scale"):
                wanted[name] = torch.zeros(stored[name])
            else:
                problems["of another shape"].append(name)
        found = {kind: names for kind, names in problems.items() if names}
        if found:
            text = "; ".join(f"{len(n)} {kind} ({', '.join(n[:_LISTED])}, ...)" for kind, n in found.items())
            raise InputError(f"{where} does not fit this run's configuration: {text}. Resume with what it was made by")
        return wanted

    def _owned(self, number: int) -> set[int]:
        return {id(p) for group in self.optimisers[number].param_groups for p in group["params"]}

    @torch.no_grad()
    def take(self, filled: Mapping[str, Tensor]) -> None:
        """Take over what ``empty`` gave, once it is filled (weights and averages are in place already)."""
        states: dict[tuple[int, str], dict[str, Tensor]] = {}
        for name, tensor in filled.items():
            if name.startswith("optimiser-"):
                number, parameter, entry = _parse(name)
                states.setdefault((number, parameter), {})[entry] = tensor
        for optimiser in self.optimisers:
            optimiser.state.clear()
        for (number, parameter), entries in states.items():
            optimiser, p = self.optimisers[number], self.trained[parameter]
            optimiser.state[p] = dict(_live_form(optimiser, p, entries))


def _parse(name: str) -> tuple[int, str, str]:
    """ "optimiser-0/blocks.0.attn1.to_q.weight/exp_avg" as (0, parameter, entry)."""
    head, _, rest = name.partition("/")
    parameter, _, entry = rest.rpartition("/")
    return int(head.removeprefix("optimiser-")), parameter, entry


def _stored_form(value: Any) -> Iterator[tuple[str, Tensor]]:
    """An optimiser's entry as plain tensors: 8-bit states as codes and scales, numbers as tensors of one element."""
    if not isinstance(value, Tensor) or value.ndim == 0:
        yield "", torch.as_tensor(value, dtype=torch.float32).reshape(1)
        return
    local: Any = _local(value)
    if not hasattr(local, "codes"):
        yield "", value.detach()
    elif not isinstance(value, DTensor):
        yield ".codes", local.codes
        yield ".scale", local.scale
    elif _in_rows(value) and value.shape[0] % value.device_mesh.size() == 0:
        yield ".codes", _as_sharded(local.codes, value, value.shape)
        yield ".scale", _as_sharded(local.scale, value, torch.Size([value.numel() // local.block_size]))
    else:  # a process's blocks would not lie one after another in the whole tensor: plain numbers are kept
        yield "", _as_sharded(local.dequantize(), value, value.shape)


def _as_sharded(local: Tensor, like: DTensor, shape: torch.Size) -> DTensor:
    stride = torch.empty(shape, device="meta").stride()
    mesh, placements = like.device_mesh, like.placements
    return DTensor.from_local(local, mesh, placements, run_check=False, shape=shape, stride=stride)


def _live_form(optimiser: Any, p: Tensor, entries: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The inverse of ``_stored_form``, for this number of processes."""
    for entry, tensor in entries.items():
        if entry == "step":
            yield entry, tensor.reshape(()).clone()
        elif entry.endswith(".codes"):
            base = entry.removesuffix(".codes")
            yield base, _eight_bit(optimiser, p, base, tensor, entries[f"{base}.scale"])
        elif not entry.endswith(".scale"):
            buffer = _new_buffer(optimiser, p, entry)
            if buffer is not None:
                _local(buffer).copy_(_local(tensor))
            yield entry, tensor if buffer is None else buffer


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _new_buffer(optimiser: Any, p: Tensor, entry: str) -> Tensor | None:
    """What torchao's optimisers keep an entry in; None for optimisers that keep plain tensors."""
    make = getattr(optimiser, "_new_buffer", None)
    return None if make is None else make(p, entry == "exp_avg")


def _in_rows(tensor: Tensor) -> bool:
    """Whether this process holds a run of rows (or all of them): then its part of the flattened tensor is one run."""
    return not isinstance(tensor, DTensor) or tensor.placements == (Shard(0),)


def _eight_bit(optimiser: Any, p: Tensor, entry: str, codes: Tensor, scale: Tensor) -> Tensor:
    """An 8-bit state out of its codes (as ``empty`` lays them out) and all of its scales.

    Exact where this process's part begins at a block; elsewhere the numbers are rounded to 8 bits once more.
    """
    from torchao.optim.quant_utils import create_dynamic_map

    buffer = _new_buffer(optimiser, p, entry)
    if buffer is None:  # another optimiser keeps plain numbers
        buffer = torch.zeros_like(p, dtype=torch.float32, requires_grad=False)
    local: Any = _local(buffer)
    local_codes, block = _local(codes), p.numel() // scale.numel()
    first = 0
    if isinstance(p, DTensor) and _in_rows(p):
        rows = -(-p.shape[0] // p.device_mesh.size())
        first = min(p.device_mesh.get_local_rank() * rows, p.shape[0]) * (p.numel() // p.shape[0])
    last = first + local_codes.numel()
    if _in_rows(p) and hasattr(local, "codes") and first % block == 0 and local.block_size == block:
        local.codes.copy_(local_codes)
        local.scale.copy_(scale[first // block : last // block])
        return buffer
    values = torch.tensor(create_dynamic_map(signed=entry == "exp_avg"), dtype=torch.float32)
    of_element = scale[torch.arange(first, last) // block].view(local_codes.shape)
    numbers = values.to(local_codes.device)[local_codes.long()] * of_element.to(local_codes.device)
    if isinstance(p, DTensor) and not _in_rows(p):
        (placement,) = p.placements
        assert isinstance(placement, Shard)
        numbers = numbers.chunk(p.device_mesh.size(), dim=placement.dim)[p.device_mesh.get_local_rank()]
    local.copy_(numbers)
    return buffer
