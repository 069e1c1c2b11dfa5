"""The depth network of the rooms reconstructor: depth of a frame, given what the known scene looks like from there.

Input: the frame, the known scene rendered at the frame's recovered pose (colour and log depth), and the inverse depth
of the floor there, which gives the scale to things that stand on it. Output: log depth of what the FRAME shows, mixed
of the known depth (where the frame shows the known surface) and of one that the network reads from the pixels:

    log d = g log d_known + (1 - g) log d_own

``g`` in (0, 1) a pixel, trained to tell where the frame shows the known surface. On a faithful frame g is 1 and the
depth exact; a moved or invented thing has to be seen, and its depth read from the pixels.
"""

from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor, nn

from video4spatial.geometry.cameras import directions
from video4spatial.schema import Intrinsics

WIDTHS = (32, 48, 80, 96)
CHANNELS = 8  # frame, known colour, known log depth, inverse depth of the floor
NEAREST, FARTHEST = 0.2, 12.0  # metres; depths are clipped to these


class Depth(NamedTuple):
    """Log depths ``[B, H, W]``: the answer and the network's own; and the logit of the known depth's weight."""

    log_depth: Float[Tensor, "B H W"]
    own: Float[Tensor, "B H W"]
    known_logit: Float[Tensor, "B H W"]


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class DepthNet(nn.Module):
    """A U-Net over 2x2 pixels: 0.5M parameters. Sides must divide by 16."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        previous = CHANNELS * 4
        for width in widths:
            self.down.append(nn.Sequential(_block(previous, width), _block(width, width)))
            previous = width
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(nn.Sequential(_block(previous + width, width), _block(width, width)))
            previous = width
        self.head = nn.Conv2d(previous, 2 * 4, 3, padding=1)
        for part in self.head.parameters():
            nn.init.zeros_(part)

    def forward(
        self,
        frame: Float[Tensor, "B 3 H W"],
        known: Float[Tensor, "B 3 H W"],
        known_log_depth: Float[Tensor, "B H W"],
        floor: Float[Tensor, "B H W"],
    ) -> Depth:
        """Colours in [0, 1]; depth along z in metres; ``floor`` as ``floor_inverse_depth`` gives it."""
        x = torch.cat([frame - 0.5, known - 0.5, known_log_depth[:, None] - 0.8, floor[:, None]], dim=1)
        x = rearrange(x, "B c (h two) (w too) -> B (c two too) h w", two=2, too=2)
        skips = []
        for number, block in enumerate(self.down):
            x = block(x if number == 0 else nn.functional.avg_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([x, skip], dim=1))
        out = rearrange(self.head(x), "B (c two too) h w -> B c (h two) (w too)", two=2, too=2)
        own, logit = out[:, 0] + 0.8, out[:, 1]
        weight = torch.sigmoid(logit)
        return Depth(weight * known_log_depth + (1 - weight) * own, own, logit)


def log_depth(depth: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
    """Log of depths in metres, clipped; 0 (nothing there) becomes the farthest."""
    return torch.where(depth > 0, depth, FARTHEST).clamp(NEAREST, FARTHEST).log()


def floor_inverse_depth(c2w: Float[np.ndarray, "B 4 4"], lens: Intrinsics) -> Float32[np.ndarray, "B H W"]:
    """One over the depth at which each pixel's ray meets the floor (the plane z = 0 of the scene), 1/metres; negative
    above the horizon."""
    down = -np.einsum("hwj,bj->bhw", directions(lens), c2w[:, 2, :3])
    return (down / np.maximum(c2w[:, 2, 3], 0.1)[:, None, None]).astype(np.float32)
