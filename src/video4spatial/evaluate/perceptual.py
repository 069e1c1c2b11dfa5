"""LPIPS: how far two frames are apart in a trained network's features (Zhang et al., CVPR 2018; version 0.1)."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor, nn

from video4spatial.evaluate.frames import Frames, pairs_without_first
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.model.weights import Weights, fill, open_weights
from video4spatial.schema import InputError

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of colours in -1 to 1: ImageNet's, rounded
_EPSILON = 1e-10
_BATCH = 8  # pairs of frames at once: VGG16's first features are 64 times as many values as pixels


def _alexnet() -> nn.Sequential:
    def convolution(before: int, after: int, size: int, padding: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(before, after, size, stride, padding), nn.ReLU()]

    return nn.Sequential(
        *convolution(3, 64, 11, padding=2, stride=4),
        nn.MaxPool2d(3, 2),
        *convolution(64, 192, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *convolution(192, 384, 3, padding=1),
        *convolution(384, 256, 3, padding=1),
        *convolution(256, 256, 3, padding=1),
    )


def _vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for after, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers += [nn.MaxPool2d(2, 2)] if layers else []
        for _ in range(count):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            before = after
    return nn.Sequential(*layers)


# Convolutions as torchvision numbers them, which layers' outputs are compared, their channels, the smallest side.
_TRUNKS = {
    "alex": (_alexnet, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256), 31),
    "vgg": (_vgg16, (3, 8, 15, 22, 29), (64, 128, 256, 512, 512), 16),
}


def layer_distance(a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"], weight: Float[Tensor, " c"]) -> Tensor:
    """One layer's part of LPIPS, ``[n]``: the squared difference of features of unit length, weighted, over space.

    ``d = 1/(h w) sum_hw sum_c weight_c (a_hwc/|a_hw| - b_hwc/|b_hw|)^2`` (Zhang et al., equation 1).
    """
    square = (_unit(a) - _unit(b)).square()
    return torch.einsum("nchw,c->nhw", square, weight).mean(dim=(1, 2))


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON)


class LPIPS(nn.Module):
    """The distance of frames in 0 to 1, ``[n, 3, H, W]`` twice, as ``[n]``: 0 for equal ones. See ``open_lpips``.

    Attributes:
        features: the trunk, torchvision's convolutions under their names.
        linear: a weight a channel of each of the five layers that are compared.
    """

    def __init__(self, trunk: str = "alex") -> None:
        super().__init__()
        if trunk not in _TRUNKS:
            raise InputError(f"LPIPS has no trunk {trunk}: choose {' or '.join(_TRUNKS)}")
        build, self._taps, channels, self.smallest = _TRUNKS[trunk]
        self.name = f"LPIPS ({trunk})"
        self.features = build()
        self.linear = nn.ParameterList([nn.Parameter(torch.empty(count)) for count in channels])

    def forward(self, a: Float32[Tensor, "n 3 H W"], b: Float32[Tensor, "n 3 H W"]) -> Float32[Tensor, " n"]:
        """The distance of each pair of frames."""
        layers = zip(self._compared(a), self._compared(b), self.linear, strict=True)
        return torch.stack([layer_distance(x, y, weight) for x, y, weight in layers]).sum(dim=0)

    def _compared(self, frames: Tensor) -> list[Tensor]:
        shift, scale = (rearrange(frames.new_tensor(values), "c -> c 1 1") for values in (_SHIFT, _SCALE))
        features, found = (2 * frames - 1 - shift) / scale, []
        for number, layer in enumerate(self.features):
            features = layer(features)
            if number in self._taps:
                found.append(features)
        return found


def open_lpips(
    trunk: str, weights: Path | None, linear: Path | None = None, device: str = "cpu"
) -> LPIPS | NotComputed:
    """LPIPS over ``trunk`` ("alex" or "vgg").

    Args:
        weights: the trunk's, torchvision's classifier (alexnet-owt-7be5be79.pth, vgg16-397923af.pth) or its features
            alone, .pth or safetensors.
        linear: the authors' weights a channel (version 0.1); by default torchmetrics' copy of them.

    Not computed without ``weights``. Raises ``InputError`` if a file is missing, damaged, or holds other weights.
    """
    with torch.device("meta"):
        model = LPIPS(trunk)
    if weights is None:
        return NotComputed(f"no weights of {model.name}'s trunk were given (torchvision's classifier on ImageNet)")
    if linear is None:
        linear = Path(str(files("torchmetrics.functional.image"))) / "lpips_models" / f"{trunk}.pth"
    kept = open_weights(weights)
    names = {key: key for key in kept.shapes if not key.startswith("classifier.")}
    fill(model, _both(kept, names, open_weights(linear)))
    return model.float().eval().requires_grad_(False).to(device)


def _both(trunk: Weights, names: dict[str, str], linear: Weights) -> Weights:
    """Trunk and linear weights under one roof, the latter's [1, c, 1, 1] as [c]."""
    tensors = {key: trunk.read(name) for key, name in names.items()}
    for key in linear.shapes:
        layer = key.removeprefix("lin").removesuffix(".model.1.weight")
        tensor = linear.read(key)
        known = layer.isdigit() and tensor.ndim == 4 and tensor.shape[0] == tensor.shape[2] == tensor.shape[3] == 1
        tensors[f"linear.{layer}" if known else key] = tensor.flatten() if known else tensor
    return Weights.of_tensors(tensors, f"{trunk.source} with {linear.source}")


def lpips(a: Frames, b: Frames, measure: LPIPS | NotComputed) -> float | NotComputed:
    """LPIPS of two videos: the mean over frames, without the first, which is given to the model.

    Not computed where there is no ``measure`` or the frames are too small for its trunk. Raises ``InputError`` if
    lengths or sizes differ, or there are fewer than two frames.
    """
    values = lpips_of_frames(a, b, measure)
    return values if isinstance(values, NotComputed) else float(values.mean())


@torch.inference_mode()
def lpips_of_frames(a: Frames, b: Frames, measure: LPIPS | NotComputed) -> Float32[np.ndarray, " n"] | NotComputed:
    """``lpips`` of each frame but the first: T - 1 values."""
    if isinstance(measure, NotComputed):
        return measure
    device = next(measure.parameters()).device
    values = []
    for x, y in pairs_without_first(a, b, _BATCH):
        height, width = x.shape[-2:]
        if min(height, width) < measure.smallest:
            return NotComputed(f"{measure.name} needs frames of {measure.smallest} pixels a side, not {width}x{height}")
        values.append(measure(x.to(device), y.to(device)).cpu())
    return torch.cat(values).numpy()
