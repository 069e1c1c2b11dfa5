"""MUSIQ, the scorer of Imaging Quality (Ke et al., ICCV 2021), through pyiqa: an explicit opt-in.

pyiqa's licence is PolyForm Noncommercial; nothing here needs it, and it is imported only when weights are given.
"""

from importlib import import_module
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor

from video4spatial.evaluate.outcome import NotComputed
from video4spatial.model.weights import fill, open_weights


class MUSIQ:
    """Technical quality of one frame, 0 to 100. See ``open_musiq``."""

    def __init__(self, model: torch.nn.Module, name: str, device: str) -> None:
        self.name, self._model, self._device = name, model.eval().requires_grad_(False).to(device), device

    @torch.inference_mode()
    def __call__(self, frame: Float32[Tensor, "3 H W"]) -> float:
        return float(self._model(frame[None].to(self._device)))


def open_musiq(weights: Path | None, device: str = "cpu") -> MUSIQ | NotComputed:
    """MUSIQ with the weights of one file; VBench's is musiq_spaq_ckpt-358bb6af.pth.

    The file is read by us (plain tensors only); pyiqa gives the network alone. Not computed without a file, or where
    pyiqa cannot be imported. Raises ``InputError`` if the file is missing, damaged, or another model's.
    """
    if weights is None:
        return NotComputed("no weights of MUSIQ were given (musiq_spaq_ckpt-358bb6af.pth is VBench's)")
    stored = open_weights(weights)
    try:
        network = import_module("pyiqa.archs.musiq_arch").MUSIQ
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises RuntimeError
        return NotComputed(f"MUSIQ needs pyiqa (pip install 'video4spatial[musiq]', noncommercial): {error}")
    with torch.device("meta"):
        model = network(pretrained=False)
    fill(model, stored, {key.removeprefix("module."): key for key in stored.shapes})
    return MUSIQ(model.float(), f"MUSIQ ({weights.name})", device)
