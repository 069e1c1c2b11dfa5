"""The models that ``generate`` runs, and what it was asked of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from video4spatial.evaluate.cases import CaseContent
from video4spatial.model.load import resolve_model
from video4spatial.sample.modes import Sampling, choose
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import EncodedScene
from video4spatial.schema import InputError
from video4spatial.storage.digest import content_digest


@dataclass(frozen=True)
class Settings:
    """What ``generate`` was asked for; None is the model's own."""

    model: str = "rooms-small"
    steps: int | None = None
    guidance: float | None = None
    context_latents: int | None = None
    faster: tuple[str, ...] = ()
    sequential: bool = False
    rival: str | None = None
    rival_size: tuple[int, int] | None = None
    rival_frames: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Only what was asked for."""
        given = {
            "steps": self.steps,
            "guidance": self.guidance,
            "context_latents": self.context_latents,
            "faster": list(self.faster) or None,
        }
        return {name: value for name, value in given.items() if value is not None}


class Models:
    """The models of one run, each loaded when a method first needs it; a scene is encoded once for its cases."""

    def __init__(self, settings: Settings, load: Callable[[str], Video4SpatialPipeline]) -> None:
        self.settings, self._load = settings, load
        self._encoded: tuple[str, EncodedScene] | None = None
        faster = choose(list(settings.faster), settings.steps)
        if faster.weights:
            raise InputError(f"--faster {' '.join(settings.faster)}: generate takes no 8-bit weights, leave them out")
        self.faster = faster

    @cached_property
    def pipeline(self) -> Video4SpatialPipeline:
        loaded = self._load(self.settings.model)
        loaded.set_progress_bar_config(disable=True)
        return loaded

    @cached_property
    def sampling(self) -> Sampling:
        return self.faster.sampling(Sampling(branches="sequential" if self.settings.sequential else "batched"))

    @cached_property
    def weights(self) -> str:
        """Of what is in the model's folder (``content_digest``): a model trained anew is another, whatever its name."""
        return content_digest(resolve_model(self.settings.model))

    @cached_property
    def rival_weights(self) -> str:
        """The same of the stock model's folder; "none" where none was given."""
        return "none" if self.settings.rival is None else content_digest(Path(self.settings.rival))

    @property
    def tail_frames(self) -> int:
        """Of the model's grounding clips."""
        return int(self.pipeline.config.tail_frames)

    def require_size(self, width: int, height: int) -> None:
        """Raise ``InputError`` unless this is what the model makes."""
        config = self.pipeline.config
        if (width, height) != (config.width, config.height):
            made = f"{config.width}x{config.height}"
            raise InputError(
                f"the benchmark is {width}x{height}, and the model makes {made}: give --size {made}, or another --model"
            )

    def scene(self, content: CaseContent) -> EncodedScene:
        """The case's context, encoded once a scene, with the case's own first frame."""
        name = content.context_id
        if self._encoded is None or self._encoded[0] != name:
            self.require_size(content.first_frame.shape[1], content.first_frame.shape[0])
            self._encoded = (name, self.pipeline.encode_context(content.context))
        first = self.pipeline.codec.encode_images(content.first_frame[None])
        return replace(self._encoded[1], first=first, first_frame=content.first_frame)

    def rival(self, name: str) -> Any:
        """A stock model of ``sample/stock.py``."""
        from video4spatial.sample.stock import STOCK, StockVideo

        s = self.settings
        if s.rival is None:
            raise InputError(f"--method {name} needs --rival FOLDER: its diffusers pipeline")
        if name not in self._rivals:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._rivals[name] = StockVideo(
                STOCK[name],
                s.rival,
                device,
                torch.bfloat16 if device == "cuda" else torch.float32,
                size=s.rival_size,
                frames=s.rival_frames,
                steps=s.steps,
                guidance=s.guidance,
            )
        return self._rivals[name]

    @cached_property
    def _rivals(self) -> dict[str, Any]:
        return {}
