"""The loop every run shares: steps, reports, validation, checkpoints; stopped and resumed without loss.

One process or many: a step's batch is made of numbered micro-batches, and which process works through which of them
changes nothing but the order of sums. So a run goes on with any number of processes.
"""

import contextlib
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout, read_json, write_json
from video4spatial.train.checkpoint import Checkpointer, load_checkpoint
from video4spatial.train.config import RunConfig, from_dict, to_dict
from video4spatial.train.optim import MovingAverage, learning_rate, make_optimisers, set_learning_rate
from video4spatial.train.parallel import Ranks, backward, parallelise, reshard, whole, whole_weights
from video4spatial.train.report import Reporter
from video4spatial.train.state import TrainingState


@runtime_checkable
class Task(Protocol):
    """What a run trains: a module, its loss at a step, its validation, and how it is handed on."""

    model: nn.Module
    ids: list[str]  # what the last loss was computed on

    def loss(self, step: int, progress: float, micro: int = 0) -> tuple[Tensor, dict[str, float]]:
        """The mean loss of this process's ``micro``-th micro-batch of ``step`` (``progress`` is how far the run is, 0
        to 1) and figures to report. It depends on nothing but the weights and these numbers."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on validation rooms, with the averaged weights in place."""
        ...

    def export(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """Save what training made: ``weights`` is the model's whole state dict, averaged."""
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

    Everything random comes from (seed, step, micro-batch), so that a run resumed from a checkpoint has the very losses
    of one never stopped. The learning rate follows the further of both bounds; with ``minutes`` set it depends on the
    clock. On many processes the model is spread over them (``parallel.parallelise``), and only the main one reports.
    """

    def __init__(
        self, task: Task, config: RunConfig, root: Path, console: Console | None = None, ranks: Ranks | None = None
    ) -> None:
        self.task, self.config, self.layout = task, config, RunLayout(root)
        self.ranks = ranks or Ranks(device=choose_device(config.device))
        self.console = console or Console(stderr=True, quiet=not self.ranks.is_main)
        self.micro_batches = config.micro_batches(self.ranks.data_size)
        if self.ranks.size > 1 and config.optim.name == "muon":
            raise InputError("optim.name is muon, which needs whole matrices: on many processes use adamw or adamw8bit")
        parallelise(task.model, self.ranks, compile_blocks=config.compile)
        self.optimisers = make_optimisers(task.model, config.optim)
        self.average = MovingAverage(task.model, config.optim.ema)
        self.state = TrainingState(task.model, self.average, self.optimisers)
        self.checkpoints = Checkpointer(self.layout, self.ranks, config.keep_checkpoints)
        self.step, self.elapsed = 0, 0.0
        self.figures: list[dict[str, float]] = []  # of this process's micro-batches since the last line of the log
        self.losses: list[float] = []

    def resume(self, at: int | None = None) -> "Trainer":
        """Go on from the latest checkpoint in the run's folder, or from that of step ``at``.

        Raises:
            InputError: there is none, it is damaged, or it is not this run's.
        """
        folder = self.ranks.together(lambda: self._checkpoint(at))
        progress = load_checkpoint(folder, self.state, self.ranks)
        self.step, self.elapsed = progress["step"], float(progress["elapsed"])
        return self

    def _checkpoint(self, at: int | None) -> Path:
        folder = self.layout.latest_checkpoint() if at is None else self.layout.checkpoint(at)
        if folder is None:
            raise InputError(f"{self.layout.root} holds no checkpoint: start the run without --resume")
        if not folder.is_dir():
            steps = ", ".join(map(str, self.layout.steps())) or "none"
            raise InputError(f"{folder} does not exist: --at takes one of these steps: {steps}")
        return folder

    @property
    def progress(self) -> float:
        """How far the run is, 0 to 1."""
        clock = 0.0 if self.config.minutes is None else self.elapsed / 60 / self.config.minutes
        return max(self.step / max(self.config.steps, 1), clock)

    def run(self, on_validation: Callable[[int], None] | None = None) -> dict[str, float]:
        """Train to the end or to an interruption, then export. Returns the last validation figures."""
        figures: dict[str, float] = {}
        self.ranks.on_main(lambda: write_json(self.layout.config, to_dict(self.config)))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with (
            Interrupt() as interrupt,
            Reporter(self.layout, self.config, self.ranks, self.step) as reporter,
            Progress(*columns, console=self.console) as bar,
        ):
            row = bar.add_task("training", total=self.config.steps, completed=self.step)
            stopped = False
            while self.progress < 1 and not stopped:
                began = time.monotonic()
                loss, rates = self._one_step()
                stopped = self._agree(interrupt.requested, time.monotonic() - began)
                bar.update(row, completed=self.step, description=f"loss {loss:.4f}")
                if self.step % self.config.log_every == 0:
                    average = {"loss": sum(self.losses) / len(self.losses), **self._averaged(_means(self.figures))}
                    reporter.log(self.step, self.elapsed, average | rates)
                    self.losses.clear()
                    self.figures.clear()
                if self.step % self.config.validate_every == 0 or self.progress >= 1:
                    figures = self._validate(reporter, on_validation)
                if self.step % self.config.checkpoint_every == 0:
                    self.save()
        if self.checkpoints.step != self.step:
            self.save()
        self.checkpoints.finish()
        self._export()
        self.console.print(f"{'stopped' if stopped else 'finished'} at step {self.step}; saved in {self.layout.root}")
        return figures

    def _one_step(self) -> tuple[float, dict[str, float]]:
        rate = learning_rate(self.config.optim, self.step, self.progress)
        for optimiser in self.optimisers:
            set_learning_rate(optimiser, rate)
            optimiser.zero_grad(set_to_none=True)
        own, ids, suspects = [], [], []
        for micro in range(self.micro_batches):
            loss, extra = self.task.loss(self.step, self.progress, micro)
            own.append(loss.item())
            self.figures.append(extra)
            ids += self.task.ids
            suspects += [] if math.isfinite(own[-1]) else self.task.ids
            backward(loss / self.micro_batches, self.ranks)
        mean = sum(map(sum, self.ranks.gather(own))) / (self.ranks.size * self.micro_batches)
        if not math.isfinite(mean):
            self._fail(f"the loss is {mean}", suspects)
        trained = [p for p in self.task.model.parameters() if p.requires_grad]
        norm = whole(nn.utils.clip_grad_norm_(trained, self.config.optim.clip)).item()
        if not math.isfinite(norm):  # before it reaches the weights, and through them a checkpoint
            self._fail(f"the gradient is {norm}", ids)
        for optimiser in self.optimisers:
            optimiser.step()
        self.average.update(self.task.model, self.step)
        self.step += 1
        self.losses.append(mean)
        return mean, {"learning_rate": rate, "gradient_norm": norm}

    def _fail(self, what: str, ids: list[str]) -> None:
        """Stop all processes: name the step and the examples, and leave the state before the step beside the run."""
        everyone = self.ranks.gather_objects(ids)[:: self.ranks.context]  # a context-parallel group shares its examples
        ids = sorted(name for part in everyone for name in part)
        folder = RunLayout(self.layout.failure)
        with contextlib.suppress(InputError):
            self.checkpoints.finish()
        if self.ranks.is_main and folder.root.exists():
            shutil.rmtree(folder.root)
        saver = Checkpointer(folder, self.ranks)
        try:
            saver.start(self.state, self.step, {"elapsed": self.elapsed, "reason": what, "examples": ids})
            kept = f"The state before that step is in {saver.finish()}"
        except InputError as error:  # a full disk must not hide what happened
            kept = f"The state before that step is lost ({error})"
        shown = ", ".join(ids[:12]) + (f" and {len(ids) - 12} more" if len(ids) > 12 else "")
        raise InputError(
            f"{what} at step {self.step}: lower optim.lr, and resume from {self.layout.root}. "
            f"{kept}; its examples: {shown}"
        )

    def _agree(self, interrupted: bool, seconds: float) -> bool:
        """The end of a step, told by every process to every other: whether to stop, and how long it took."""
        written = self.checkpoints.under_way and self.checkpoints.is_written
        everyone = self.ranks.gather([float(interrupted), seconds, float(written)])
        self.elapsed += max(row[1] for row in everyone)
        if all(row[2] for row in everyone):
            self.checkpoints.finish()
        return any(row[0] for row in everyone)

    def _averaged(self, extra: dict[str, float]) -> dict[str, float]:
        """Figures averaged over the processes that have them."""
        return _means(self.ranks.gather_objects(extra))

    def _validate(self, reporter: Reporter, callback: Callable[[int], None] | None) -> dict[str, float]:
        figures: dict[str, float] = {}
        with self._averaged_weights():
            figures.update(self.task.validate())
            if callback is not None:
                callback(self.step)
        reporter.log(self.step, self.elapsed, {f"validation/{name}": value for name, value in figures.items()})
        text = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self.console.print(f"step {self.step}, {self.elapsed / 60:.1f} min: {text}")
        return figures

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        self.average.swap(self.task.model)
        self.task.model.eval()
        try:
            yield
        finally:
            reshard(self.task.model)
            self.average.swap(self.task.model)
            self.task.model.train()

    def _export(self) -> None:
        with self._averaged_weights():
            weights = whole_weights(self.task.model, self.ranks)
            self.ranks.on_main(lambda: self.task.export(self.layout.root, weights))

    def save(self) -> None:
        """Begin to write a checkpoint of this moment; ``checkpoints.finish`` ends it."""
        self.checkpoints.start(self.state, self.step, {"elapsed": self.elapsed})


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the rows that have it."""
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def read_config(root: Path, kinds: dict[str, type[RunConfig]]) -> RunConfig:
    """The configuration of the run in ``root``."""
    values = read_json(RunLayout(root).config)
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in kinds:
        raise InputError(f"{RunLayout(root).config} is not a run's configuration: give --resume a run's folder")
    return from_dict(kinds[kind], values)
