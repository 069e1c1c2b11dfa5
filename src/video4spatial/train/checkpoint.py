"""Checkpoints: safetensors and JSON only, written whole or not at all, the last few kept."""

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout, atomic_path, read_json, write_json
from video4spatial.train.optim import MovingAverage


def save_checkpoint(
    layout: RunLayout,
    step: int,
    model: nn.Module,
    average: MovingAverage,
    optimisers: list[torch.optim.Optimizer],
    progress: dict[str, Any],
    keep: int = 2,
) -> Path:
    """Write the state after ``step`` steps and point ``latest`` to it; all but the last ``keep`` go."""
    folder = layout.checkpoint(step)
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        save_file(_plain(model.state_dict()), temporary / "model.safetensors")
        save_file(_plain(average.weights), temporary / "average.safetensors")
        for number, optimiser in enumerate(optimisers):
            save_file(_flatten(optimiser), temporary / f"optimiser-{number}.safetensors")
        write_json(temporary / "progress.json", {"step": step, **progress})
    layout.set_latest(step)
    earlier = [number for number in layout.steps() if number <= step]  # later ones: the run was taken back to here
    for old in earlier[:-keep]:
        shutil.rmtree(layout.checkpoint(old), ignore_errors=True)
    return folder


def load_checkpoint(
    folder: Path, model: nn.Module, average: MovingAverage, optimisers: list[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Restore everything in place; returns the progress.

    Raises:
        InputError: a file is missing, damaged, or does not fit this model.
    """
    progress = read_json(folder / "progress.json")
    if not isinstance(progress, dict) or not isinstance(progress.get("step"), int):
        raise InputError(f"{folder / 'progress.json'} is not a checkpoint's: remove {folder} and use an earlier one")
    state = _load(folder / "model.safetensors")
    try:
        model.load_state_dict(state, strict=True)
        weights = _load(folder / "average.safetensors")
        if weights.keys() != average.weights.keys():
            raise InputError(f"{folder / 'average.safetensors'} holds other parameters than this run trains")
        for name, tensor in weights.items():
            average.weights[name].copy_(tensor)
        if len(list(folder.glob("optimiser-*.safetensors"))) > len(optimisers):
            raise InputError(f"{folder} was saved with another optimiser: resume with the optim.name it had")
        for number, optimiser in enumerate(optimisers):
            _unflatten(optimiser, _load(folder / f"optimiser-{number}.safetensors"))
    except (RuntimeError, KeyError) as error:
        raise InputError(f"{folder} does not fit this run's configuration: {str(error)[:200]}") from None
    return progress


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is missing or damaged ({error}): resume from an earlier checkpoint") from None


def _flatten(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors by "parameter number.name" (an empty optimiser still needs one entry)."""
    state = optimiser.state_dict()["state"]
    tensors = {
        f"{number}.{name}": torch.as_tensor(value).detach().cpu().contiguous().clone()
        for number, entries in state.items()
        for name, value in entries.items()
    }
    return tensors or {"empty": torch.zeros(1)}


def _unflatten(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key != "empty":
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = tensor
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for number, entries in state.items():
        if number >= len(parameters) or any(t.ndim and t.shape != parameters[number].shape for t in entries.values()):
            raise RuntimeError(f"the optimiser's parameter {number} has another shape")
    full = optimiser.state_dict()
    optimiser.load_state_dict({"state": state, "param_groups": full["param_groups"]})
