"""Where a run's figures go: a JSON log, TensorBoard and, if asked, Weights & Biases; the main process writes."""

import json
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout, atomic_path
from video4spatial.train.config import RunConfig, to_dict
from video4spatial.train.parallel import ALONE, Ranks


class Reporter:
    """Logs figures of steps while it is entered; on other processes than the main one it does nothing.

    A run that goes on from ``step`` writes the steps after it anew: what was logged of them before is dropped.
    """

    def __init__(self, layout: RunLayout, config: RunConfig, ranks: Ranks = ALONE, step: int = 0) -> None:
        self.layout, self.config, self.ranks, self.step = layout, config, ranks, step
        self._board: SummaryWriter | None = None
        self._wandb: Any = None

    def __enter__(self) -> "Reporter":
        self.ranks.on_main(self._open)
        return self

    def _open(self) -> None:
        self.layout.root.mkdir(parents=True, exist_ok=True)
        if self.config.wandb is not None:
            self._wandb = start_wandb(self.config.wandb, self.layout, self.config)
        if self.layout.log.exists():
            drop_later_lines(self.layout.log, self.step)
        self._board = SummaryWriter(str(self.layout.tensorboard), purge_step=self.step + 1)

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()

    def log(self, step: int, seconds: float, figures: dict[str, float]) -> None:
        """Figures of the run after ``step`` steps and ``seconds`` of training."""
        if self._board is None:
            return
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(figures, step=step)
        line = {"step": step, "minutes": round(seconds / 60, 3), **figures}
        with self.layout.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def drop_later_lines(log: Path, step: int) -> None:
    """Leave of a JSON log what was told up to ``step``, without a line that was cut short."""
    kept = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            if line.endswith("\n") and json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    with atomic_path(log) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


def start_wandb(project: str, layout: RunLayout, config: RunConfig) -> Any:
    """A run of Weights & Biases; a resumed run goes on in the same one.

    Raises:
        InputError: wandb is not installed.
    """
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(f"wandb={project} is set, but wandb is not installed ({error}): pip install wandb") from None
    name = layout.root.name
    return wandb.init(project=project, id=name, name=name, resume="allow", dir=str(layout.root), config=to_dict(config))
