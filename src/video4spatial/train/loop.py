"""The loop every run shares: steps, reports, validation, checkpoints; stopped and resumed without loss."""

import json
import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout, read_json, write_json
from video4spatial.train.checkpoint import load_checkpoint, save_checkpoint
from video4spatial.train.config import RunConfig, from_dict, to_dict
from video4spatial.train.optim import MovingAverage, learning_rate, make_optimisers


@runtime_checkable
class Task(Protocol):
    """What a run trains: a module, its loss at a step, its validation, and how it is handed on."""

    model: nn.Module

    def loss(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """The loss of ``step`` (``progress`` is how far the run is, 0 to 1) and figures to report."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on validation rooms, with the averaged weights in place."""
        ...

    def export(self, folder: Path) -> None:
        """Save what training made, with the averaged weights in place."""
        ...

    def close(self) -> None: ...


class Interrupt:
    """Turns the first SIGINT or SIGTERM into a request to stop after the current step."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, self._previous[number])  # a second one ends the process at once

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one; otherwise what is named."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device is {name!r}: use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device is {name!r}, but torch sees no CUDA GPU here: use cpu or auto")
    return device


class Trainer:
    """Runs a task for ``config.steps`` steps or ``config.minutes`` minutes, whichever ends first.

    Everything random comes from (seed, step), so that a run resumed from a checkpoint has the very losses of one never
    stopped. The learning rate follows the further of both bounds; with ``minutes`` set it depends on the clock.
    """

    def __init__(self, task: Task, config: RunConfig, root: Path, console: Console | None = None) -> None:
        self.task, self.config, self.layout = task, config, RunLayout(root)
        self.console = console or Console(stderr=True)
        self.optimisers = make_optimisers(task.model, config.optim)
        self.average = MovingAverage(task.model, config.optim.ema)
        self.step, self.elapsed = 0, 0.0
        self.losses: list[float] = []

    def resume(self) -> "Trainer":
        """Go on from the latest checkpoint in the run's folder."""
        folder = self.layout.latest_checkpoint()
        if folder is None:
            raise InputError(f"{self.layout.root} holds no checkpoint: start the run without --resume")
        progress = load_checkpoint(folder, self.task.model, self.average, self.optimisers)
        self.step, self.elapsed = progress["step"], float(progress["elapsed"])
        return self

    @property
    def progress(self) -> float:
        """How far the run is, 0 to 1."""
        clock = 0.0 if self.config.minutes is None else self.elapsed / 60 / self.config.minutes
        return max(self.step / max(self.config.steps, 1), clock)

    def run(self, on_validation: Callable[[int], None] | None = None) -> dict[str, float]:
        """Train to the end or to an interruption, then export. Returns the last validation figures."""
        write_json(self.layout.config, to_dict(self.config))
        figures: dict[str, float] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with (
            Interrupt() as interrupt,
            SummaryWriter(str(self.layout.tensorboard)) as board,
            Progress(*columns, console=self.console) as bar,
        ):
            row = bar.add_task("training", total=self.config.steps, completed=self.step)
            while self.progress < 1 and not interrupt.requested:
                began = time.monotonic()
                loss, extra = self._one_step()
                self.elapsed += time.monotonic() - began
                bar.update(row, completed=self.step, description=f"loss {loss:.4f}")
                if self.step % self.config.log_every == 0:
                    self._log({"loss": sum(self.losses) / len(self.losses), **extra}, board)
                    self.losses.clear()
                if self.step % self.config.validate_every == 0 or self.progress >= 1:
                    figures = self._validate(board, on_validation)
                if self.step % self.config.checkpoint_every == 0:
                    self.save()
            stopped = interrupt.requested
        self.save()
        self._with_average(lambda: self.task.export(self.layout.root))
        self.console.print(f"{'stopped' if stopped else 'finished'} at step {self.step}; saved in {self.layout.root}")
        return figures

    def _one_step(self) -> tuple[float, dict[str, float]]:
        rate = learning_rate(self.config.optim, self.step, self.progress)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad(set_to_none=True)
        loss, extra = self.task.loss(self.step, self.progress)
        value = loss.item()
        if not math.isfinite(value):
            raise InputError(
                f"the loss is {value} at step {self.step}: lower optim.lr, and resume from {self.layout.root}"
            )
        loss.backward()
        trained = [p for p in self.task.model.parameters() if p.requires_grad]
        norm = float(nn.utils.clip_grad_norm_(trained, self.config.optim.clip))
        if not math.isfinite(norm):  # before it reaches the weights, and through them a checkpoint
            raise InputError(
                f"the gradient is {norm} at step {self.step}: lower optim.lr, and resume from {self.layout.root}"
            )
        for optimiser in self.optimisers:
            optimiser.step()
        self.average.update(self.task.model, self.step)
        self.step += 1
        self.losses.append(value)
        return value, {**extra, "learning_rate": rate, "gradient_norm": norm}

    def _validate(self, board: SummaryWriter, callback: Callable[[int], None] | None) -> dict[str, float]:
        figures: dict[str, float] = {}

        def judge() -> None:
            figures.update(self.task.validate())
            if callback is not None:
                callback(self.step)

        self._with_average(judge)
        self._log({f"validation/{name}": value for name, value in figures.items()}, board)
        text = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self.console.print(f"step {self.step}, {self.elapsed / 60:.1f} min: {text}")
        return figures

    def _with_average(self, action: Callable[[], None]) -> None:
        self.average.swap(self.task.model)
        self.task.model.eval()
        try:
            action()
        finally:
            self.average.swap(self.task.model)
            self.task.model.train()

    def _log(self, figures: dict[str, float], board: SummaryWriter) -> None:
        for name, value in figures.items():
            board.add_scalar(name, value, self.step)
        line = {"step": self.step, "minutes": round(self.elapsed / 60, 3), **figures}
        with (self.layout.root / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        progress = {"elapsed": self.elapsed}
        save_checkpoint(
            self.layout,
            self.step,
            self.task.model,
            self.average,
            self.optimisers,
            progress,
            self.config.keep_checkpoints,
        )


def read_config(root: Path, kinds: dict[str, type[RunConfig]]) -> RunConfig:
    """The configuration of the run in ``root``."""
    values = read_json(RunLayout(root).config)
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in kinds:
        raise InputError(f"{RunLayout(root).config} is not a run's configuration: give --resume a run's folder")
    return from_dict(kinds[kind], values)
