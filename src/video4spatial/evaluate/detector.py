"""The rooms detector: whether a frame shows "the red armchair", and where. It knows rooms' words, not the room.

A small convolutional network looks at the frame, resized to 96x64, and gives on a 24x16 grid, as CenterNet does (Zhou
et al., "Objects as points", 2019): for each category how sure it is that such an object's box is centred in the cell,
which colour word the object there has, and the box. ``train_detector`` trains it; docs/evaluation-judging.md is its
card.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from video4spatial.evaluate.labelled_frames import NAMED
from video4spatial.rooms import COLOURS
from video4spatial.schema import Box, InputError
from video4spatial.storage.artifacts import atomic_path, read_json, write_json

WIDTH, HEIGHT, STRIDE = 96, 64, 4
SHIPPED = Path(__file__).parent.parent / "weights" / "rooms-detector"


class Phrase(NamedTuple):
    """A target's words: its category, and its colour word or none."""

    category: str
    colour: str


def read_phrase(text: str) -> Phrase:
    """A target's phrase, with or without article, as its colour and category. Raises ``InputError`` for words that are
    not rooms'."""
    words = re.sub(r"\A(the|a|an)\s+", "", " ".join(text.lower().split()))
    colour, _, rest = words.partition(" ")
    if colour in COLOURS and rest in NAMED:
        return Phrase(rest, colour)
    if words in NAMED:
        return Phrase(words, "")
    raise InputError(
        f"the rooms detector does not know {text!r}: it knows {', '.join(NAMED)}, with or without a colour "
        f"({', '.join(COLOURS)}); judge other words with a VLM"
    )


@dataclass(frozen=True)
class DetectorConfig:
    """``widths`` of the network at strides 4, 8 and 16; a phrase counts as found where the category's score times the
    colour's probability is ``least`` or more."""

    widths: tuple[int, int, int] = (64, 112, 176)
    least: float = 0.2


class Maps(NamedTuple):
    """What the network says of each cell of the grid: logits of categories and of colours, and how far, in pixels of
    96x64, the box reaches from the cell's centre to the left, top, right, bottom."""

    category: Float[Tensor, "B K h w"]
    colour: Float[Tensor, "B colours h w"]
    reach: Float[Tensor, "B 4 h w"]


class DetectorNet(nn.Module):
    """Frames in [-1, 1] to maps: three scales down, two up again."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.at_4 = nn.Sequential(_convolution(3, fine, size=6, stride=4), _Residual(fine))
        self.at_8 = nn.Sequential(_convolution(fine, middle, stride=2), _Residual(middle), _Residual(middle))
        self.at_16 = nn.Sequential(_convolution(middle, coarse, stride=2), _Residual(coarse), _Residual(coarse))
        self.up_8, self.mix_8 = nn.Conv2d(coarse, middle, 1), _convolution(middle, middle)
        self.up_4, self.mix_4 = nn.Conv2d(middle, fine, 1), _convolution(fine, fine)
        self.heads = nn.Conv2d(fine, len(NAMED) + len(COLOURS) + 4, 1)
        assert self.heads.bias is not None
        nn.init.constant_(self.heads.bias[: len(NAMED)], -4.0)  # objects are rare: start from there

    def forward(self, frames: Float[Tensor, "B 3 64 96"]) -> Maps:
        at_4 = self.at_4(frames)
        at_8 = self.at_8(at_4)
        wide = self.mix_8(at_8 + F.interpolate(self.up_8(self.at_16(at_8)), scale_factor=2.0))
        fine = self.mix_4(at_4 + F.interpolate(self.up_4(wide), scale_factor=2.0))
        category, colour, reach = self.heads(fine).float().split([len(NAMED), len(COLOURS), 4], dim=1)
        return Maps(category, colour, STRIDE * F.softplus(reach))


class Candidate(NamedTuple):
    """The best answer to a phrase: how sure (0 to 1), and its box in pixels of the frame that was given."""

    score: float
    box: Box


class RoomsDetector:
    """The network with its threshold, ready to look."""

    def __init__(self, net: DetectorNet, config: DetectorConfig) -> None:
        self.net, self.config = net.eval(), config

    @classmethod
    def load(cls, folder: str | Path = SHIPPED) -> "RoomsDetector":
        """The shipped detector, or one that ``save`` wrote. Raises ``InputError`` where there is none, or another's."""
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder} holds no rooms detector (config.json): train one, or leave it to the shipped")
        stored = read_json(folder / "config.json")
        if (
            not isinstance(stored, dict)
            or stored.get("categories") != list(NAMED)
            or stored.get("colours") != list(COLOURS)
        ):
            raise InputError(f"{folder} was trained on other words than rooms has now: train it again")
        config = DetectorConfig(tuple(stored["widths"]), float(stored["least"]))
        net = DetectorNet(config.widths)
        try:
            weights = load_file(folder / "model.safetensors")
            net.load_state_dict({name: weight.float() for name, weight in weights.items()})
        except (SafetensorError, OSError, RuntimeError) as error:
            raise InputError(f"{folder}/model.safetensors cannot be used ({str(error)[:200]}): copy it again") from None
        return cls(net, config)

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, as they are used: 12 hexadecimal digits."""
        digest = hashlib.sha256()
        for name, weight in sorted(self.net.state_dict().items()):
            digest.update(name.encode() + weight.numpy().tobytes())
        return digest.hexdigest()[:12]

    def save(self, folder: str | Path) -> None:
        """Write it in half precision."""
        folder = Path(folder)
        stored = asdict(self.config) | {"categories": list(NAMED), "colours": list(COLOURS)}
        write_json(folder / "config.json", stored)
        half = {name: weight.half().contiguous() for name, weight in self.net.state_dict().items()}
        with atomic_path(folder / "model.safetensors") as temporary:
            save_file(half, temporary)

    def best(self, frames: UInt8[np.ndarray, "N H W 3"], phrases: list[Phrase]) -> list[Candidate]:
        """The likeliest place of each frame's phrase, however unlikely.

        What is seen in the frame and in its mirror image is averaged.
        """
        if len(frames) != len(phrases):
            raise InputError(f"{len(frames)} frames and {len(phrases)} phrases: give one for each")
        height, width = frames.shape[1:3]
        categories, colours, reach = self._seen(np.stack([fitted(frame) for frame in frames]))
        found = []
        for number, phrase in enumerate(phrases):
            score = categories[number, NAMED.index(phrase.category)]
            if phrase.colour:
                score = score * colours[number, COLOURS.index(phrase.colour)]
            row, column = np.unravel_index(int(score.argmax()), score.shape)
            box = _box(reach[number, :, row, column].numpy(), int(row), int(column))
            scaled = Box(*(v * s for v, s in zip(box, (width / WIDTH, height / HEIGHT) * 2, strict=True)))
            found.append(Candidate(float(score[row, column]), scaled))
        return found

    @torch.inference_mode()
    def _seen(self, frames: UInt8[np.ndarray, "N 64 96 3"]) -> tuple[Tensor, Tensor, Tensor]:
        """Of each cell: the categories' scores, the colours' probabilities, the box's reach."""
        there = self.net(to_input(frames))
        back = self.net(to_input(np.ascontiguousarray(frames[:, :, ::-1])))
        mirrored = Maps(*(part.flip(-1) for part in back))
        swapped = mirrored.reach[:, [2, 1, 0, 3]]
        categories = (there.category.sigmoid() + mirrored.category.sigmoid()) / 2
        colours = (there.colour.softmax(dim=1) + mirrored.colour.softmax(dim=1)) / 2
        return categories, colours, (there.reach + swapped) / 2

    def find(self, frame: UInt8[np.ndarray, "H W 3"], phrase: Phrase) -> Candidate | None:
        """Where the frame shows what the phrase names; None: nowhere."""
        (candidate,) = self.best(frame[None], [phrase])
        return candidate if candidate.score >= self.config.least else None


def fitted(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "64 96 3"]:
    """The frame at 96x64, by area where it shrinks; another aspect is stretched."""
    if frame.shape[:2] == (HEIGHT, WIDTH):
        return frame
    smaller = frame.shape[0] >= HEIGHT and frame.shape[1] >= WIDTH
    method = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(frame).resize((WIDTH, HEIGHT), method))


def to_input(frames: UInt8[np.ndarray, "B 64 96 3"]) -> Float[Tensor, "B 3 64 96"]:
    signal = torch.from_numpy(frames.astype(np.float32) / 127.5 - 1)
    return rearrange(signal, "b h w c -> b c h w").contiguous(memory_format=torch.channels_last)


def _box(reach: Float32[np.ndarray, "4"], row: int, column: int) -> tuple[float, float, float, float]:
    x, y = (column + 0.5) * STRIDE, (row + 0.5) * STRIDE
    left, top, right, bottom = (float(v) for v in reach)
    return max(x - left, 0.0), max(y - top, 0.0), min(x + right, float(WIDTH)), min(y + bottom, float(HEIGHT))


def _convolution(inner: int, outer: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, size, stride, (size - stride + 1) // 2 if stride == 4 else 1, bias=False),
        nn.BatchNorm2d(outer),
        nn.ReLU(),
    )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))
