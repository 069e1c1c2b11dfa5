"""Optical flow for Dynamic Degree: RAFT with a given weight file, as VBench; OpenCV's DIS where there is none.

RAFT: Teed and Deng, ECCV 2020, through torchvision. DIS: Kroeger et al., ECCV 2016, through OpenCV; a stand-in, which
its name says wherever a result of it is shown.
"""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn.functional import pad

from video4spatial.evaluate.outcome import NotComputed
from video4spatial.model.weights import fill, open_weights
from video4spatial.schema import InputError

_ITERATIONS = 20  # as VBench runs it
# From the names of the RAFT authors' checkpoints (raft-things.pth, VBench's) to torchvision's.
_RENAMED = [
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"^(\w+_encoder)\.conv1\.", r"\1.convnormrelu.0."),
    (r"^(\w+_encoder)\.norm1\.", r"\1.convnormrelu.1."),
    (r"^(\w+_encoder)\.conv2\.", r"\1.conv."),
    (r"(\.layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    (r"(\.layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (r"^update_block\.gru\.conv([zrq])(\d)\.", r"update_block.recurrent_block.convgru\2.conv\1."),
    (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
]


class DISFlow:
    """OpenCV's Dense Inverse Search at its medium preset, on grey values. Raises ``InputError`` without OpenCV."""

    name = "DIS (stand-in)"
    smallest = 32  # OpenCV fails on less, and may take the process down with it (12x200)

    def __init__(self) -> None:
        try:
            self._cv2: Any = import_module("cv2")
        except ImportError:
            raise InputError("DIS needs OpenCV: pip install 'video4spatial[eval]'") from None
        self._dis = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, a: UInt8[np.ndarray, "H W 3"], b: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W 2"]:
        grey = [self._cv2.cvtColor(np.ascontiguousarray(frame), self._cv2.COLOR_RGB2GRAY) for frame in (a, b)]
        return self._dis.calc(*grey, None)


class RAFTFlow:
    """RAFT with 20 iterations; frames are padded to multiples of 8 by repeating edges, and the flow is the padded one.

    Both as VBench does. See ``open_raft``.
    """

    smallest = 121  # padded to 128, below which the coarsest correlations have a single cell

    def __init__(self, model: torch.nn.Module, name: str, device: str) -> None:
        self.name, self._model, self._device = name, model.eval().requires_grad_(False).to(device), device

    @torch.inference_mode()
    def __call__(self, a: UInt8[np.ndarray, "H W 3"], b: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "h w 2"]:
        flow = self._model(self._input(a), self._input(b), num_flow_updates=_ITERATIONS)[-1]
        return rearrange(flow, "1 c h w -> h w c").cpu().numpy()

    def _input(self, frame: np.ndarray) -> Float32[Tensor, "1 3 h w"]:
        pixels = torch.from_numpy(rearrange(frame, "H W c -> 1 c H W").astype(np.float32)).to(self._device)
        down, right = (-frame.shape[0] % 8, -frame.shape[1] % 8)
        padding = (right // 2, right - right // 2, down // 2, down - down // 2)
        return pad(pixels / 255 * 2 - 1, padding, mode="replicate")


def open_raft(weights: Path | None, device: str = "cpu") -> RAFTFlow | NotComputed:
    """RAFT (the large model) with the weights of one file: the authors' names or torchvision's, .pth or safetensors.

    Not computed without a file, or where torchvision cannot be imported (nothing takes its place unasked). Raises
    ``InputError`` if the file is missing, damaged, or holds another model's weights.
    """
    if weights is None:
        return NotComputed("no weights of RAFT were given (raft-things.pth is VBench's)")
    stored = open_weights(weights)
    try:
        raft_large = import_module("torchvision.models.optical_flow").raft_large
    except (ImportError, RuntimeError) as error:  # beside a torch of another build it raises RuntimeError
        return NotComputed(f"RAFT needs torchvision, of the same build as torch: {error}")
    with torch.device("meta"):
        model = raft_large(weights=None)
    fill(model, stored, {torchvision_name(key): key for key in stored.shapes if ".norm3." not in key})
    return RAFTFlow(model.float(), f"RAFT ({weights.name})", device)


def torchvision_name(key: str) -> str:
    """torchvision's name of a tensor of the authors' RAFT; torchvision's own names stay.

    Their ``norm3`` is ``downsample.1`` stored twice, and has no name here.
    """
    key = key.removeprefix("module.")
    for pattern, name in _RENAMED:
        key = re.sub(pattern, name, key)
    return key
