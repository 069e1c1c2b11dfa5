"""Training the rooms detector: CenterNet's losses on frames of rooms, made as bad as generated ones are."""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from video4spatial.evaluate.detector import (
    HEIGHT,
    STRIDE,
    WIDTH,
    DetectorConfig,
    DetectorNet,
    Maps,
    RoomsDetector,
    to_input,
)
from video4spatial.evaluate.labelled_frames import FEWEST_PIXELS, UNCLEAR, LabelledFrames
from video4spatial.geometry.boxes import draw_box
from video4spatial.schema import Box, InputError

RoundTrip = Callable[[UInt8[np.ndarray, "N H W 3"]], UInt8[np.ndarray, "N H W 3"]]
"""Frames through a video VAE and back, each by itself."""


@dataclass(frozen=True)
class DetectorRun:
    """One training: ``round_trips`` is the share of frames that are also seen as the VAE gives them back."""

    steps: int = 2600
    batch: int = 32
    lr: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: int = 100
    ema: float = 0.998
    round_trips: float = 0.25
    colour_weight: float = 1.0
    box_weight: float = 1.0
    seed: int = 0


def train_detector(
    data: LabelledFrames,
    run: DetectorRun,
    config: DetectorConfig,
    round_trip: RoundTrip | None = None,
    start: RoomsDetector | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> RoomsDetector:
    """A detector trained on ``data`` (96x64): the moving average of its weights. Deterministic in ``run.seed`` on one
    thread. ``start`` is trained further, instead of a fresh one; ``on_step`` is told the step and its loss."""
    if data.frames.shape[1:3] != (HEIGHT, WIDTH):
        raise InputError(f"the detector learns from {WIDTH}x{HEIGHT} frames, not {data.frames.shape[2::-1]}")
    torch.manual_seed(run.seed)
    rng = np.random.default_rng(run.seed)
    net: torch.nn.Module = DetectorNet(config.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start is not None:
        net.load_state_dict(start.net.state_dict())
    average = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=run.lr, weight_decay=run.weight_decay)
    worn, worn_at = _worn(data.frames, run.round_trips, round_trip, rng)
    by_frame = _by_frame(data)
    for step in range(run.steps):
        chosen = rng.integers(len(data.frames), size=run.batch)
        frames, labels = [], []
        for k, number in enumerate(chosen):
            through = worn_at[number] >= 0 and rng.random() < 0.7
            frame = worn[worn_at[number]] if through else data.frames[number]
            frame, rows = augmented(frame, data.labels[by_frame[number]], rng)
            frames.append(frame)
            labels.append(np.column_stack([np.full(len(rows), k), rows[:, 1:]]))
        for group in optimiser.param_groups:
            group["lr"] = run.lr * _schedule(step, run)
        with torch.autocast("cpu", torch.bfloat16):
            maps = net(to_input(np.stack(frames)))
        loss = detection_loss(maps, np.concatenate(labels), run)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        _follow(average, net, min(run.ema, step / (step + 20)))
        if on_step is not None:
            on_step(step, loss.item())
    assert isinstance(average, DetectorNet)
    return RoomsDetector(average, config)


def detection_loss(maps: Maps, labels: Int[np.ndarray, "M 8"], run: DetectorRun) -> Float[Tensor, ""]:
    """CenterNet's penalty-reduced focal loss of the category maps; where an object's centre is, cross entropy of its
    colour word (objects of no clear colour teach none) and 1 - GIoU of its box (Rezatofighi et al., 2019)."""
    heat, known = heatmaps(labels, tuple(maps.category.shape))
    p = maps.category.sigmoid().clamp(1e-4, 1 - 1e-4)
    at_peak = heat == 1
    pull = torch.where(at_peak, (1 - p) ** 2 * p.log(), (1 - heat) ** 4 * p**2 * (1 - p).log())
    peaks = max(int(at_peak.sum()), 1)
    loss = -(pull * known).sum() / peaks

    shown = labels[labels[:, 7] >= FEWEST_PIXELS]
    if not len(shown):
        return loss
    batch, rows, columns, owner = _central_cells(shown, tuple(maps.category.shape[2:]))
    boxes = torch.from_numpy(shown[owner, 3:7].astype(np.float32))
    centres = torch.from_numpy(np.column_stack([columns, rows]) * STRIDE + STRIDE / 2).float()
    reach = maps.reach[batch, :, rows, columns]
    given = torch.cat([centres - reach[:, :2], centres + reach[:, 2:]], dim=1)
    loss = loss + run.box_weight * (1 - _giou(given, boxes)).mean()
    colour = torch.from_numpy(shown[owner, 2])
    logits = maps.colour[batch, :, rows, columns]
    if bool((colour != UNCLEAR).any()):
        loss = loss + run.colour_weight * F.cross_entropy(logits, colour, ignore_index=UNCLEAR)
    return loss


def heatmaps(
    labels: Int[np.ndarray, "M 8"], shape: tuple[int, ...]
) -> tuple[Float[Tensor, "B K h w"], Float[Tensor, "B K h w"]]:
    """What the category maps shall be, a Gaussian at each box's centre with 1 at its cell; and where that is known:
    not around an object of which too little shows."""
    heat = np.zeros(shape, np.float32)
    known = np.ones(shape, np.float32)
    ys, xs = np.arange(shape[2])[:, None], np.arange(shape[3])[None]
    for number, category, _, x0, y0, x1, y1, pixels in labels.tolist():
        column, row = _cell(x0, x1, shape[3]), _cell(y0, y1, shape[2])
        if pixels < FEWEST_PIXELS:
            known[number, category, y0 // STRIDE : -(-y1 // STRIDE) + 1, x0 // STRIDE : -(-x1 // STRIDE) + 1] = 0
            continue
        wide, high = max((x1 - x0) / STRIDE / 6, 0.6), max((y1 - y0) / STRIDE / 6, 0.6)
        bump = np.exp(-(((xs - column) / wide) ** 2 + ((ys - row) / high) ** 2) / 2)
        bump[row, column] = 1
        np.maximum(heat[number, category], bump, out=heat[number, category])
        known[number, category, row, column] = 1
    return torch.from_numpy(heat), torch.from_numpy(known)


def augmented(
    frame: UInt8[np.ndarray, "64 96 3"], labels: Int[np.ndarray, "M 8"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "64 96 3"], Int[np.ndarray, "M 8"]]:
    """Mirrored or not; at times with a red box, blurred, in other light, noisy, compressed: as generated frames are."""
    if rng.random() < 0.5:
        frame = frame[:, ::-1]
        labels = labels.copy()
        labels[:, [3, 5]] = WIDTH - labels[:, [5, 3]]
    if rng.random() < 0.1:
        frame = draw_box(np.ascontiguousarray(frame), _some_box(labels, rng))
    signal = frame.astype(np.float32)
    if rng.random() < 0.4:
        sigma = rng.uniform(0.3, 1.8)
        signal = gaussian_filter(signal, (sigma, sigma, 0))
    if rng.random() < 0.5:
        signal = (signal - 128) * rng.uniform(0.85, 1.15) + 128 + rng.uniform(-12, 12)
    if rng.random() < 0.3:
        signal = signal + rng.normal(scale=rng.uniform(1, 12), size=signal.shape)
    frame = np.clip(signal.round(), 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        frame = _as_jpeg(frame, int(rng.integers(8, 60)))
    return frame, labels


def _worn(
    frames: UInt8[np.ndarray, "N H W 3"], share: float, round_trip: RoundTrip | None, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "n H W 3"], Int[np.ndarray, "N"]]:
    """Some frames through the VAE, and the place among them of each frame, -1 where it is not."""
    place = np.full(len(frames), -1)
    if round_trip is None:
        return frames[:0], place
    chosen = np.flatnonzero(rng.random(len(frames)) < share)
    place[chosen] = np.arange(len(chosen))
    return (round_trip(frames[chosen]) if len(chosen) else frames[:0]), place


def _by_frame(data: LabelledFrames) -> list[Int[np.ndarray, "m"]]:
    order = np.argsort(data.labels[:, 0], kind="stable")
    return np.split(order, np.searchsorted(data.labels[order, 0], np.arange(1, len(data.frames))))


def _central_cells(
    labels: Int[np.ndarray, "M 8"], size: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Batch, row, column and label of each object's cell and those beside it, the smallest object's where they meet."""
    cells: dict[tuple[int, int, int], int] = {}
    area = (labels[:, 5] - labels[:, 3]) * (labels[:, 6] - labels[:, 4])
    for k in np.argsort(-area, kind="stable"):
        number, _, _, x0, y0, x1, y1, _ = labels[k].tolist()
        column, row = _cell(x0, x1, size[1]), _cell(y0, y1, size[0])
        for up, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
            y, x = row + up, column + right
            inside = x0 <= (x + 0.5) * STRIDE <= x1 and y0 <= (y + 0.5) * STRIDE <= y1
            if (inside or not (up or right)) and 0 <= y < size[0] and 0 <= x < size[1]:
                cells[int(number), y, x] = int(k)
    found = np.array([(*place, k) for place, k in cells.items()])
    return found[:, 0], found[:, 1], found[:, 2], found[:, 3]


def _cell(low: int, high: int, cells: int) -> int:
    return min(int((low + high) / 2 / STRIDE), cells - 1)


def _giou(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - overlap
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    return overlap / union.clamp(min=1e-3) - (around - union) / around.clamp(min=1e-3)


def _some_box(labels: Int[np.ndarray, "M 8"], rng: np.random.Generator) -> Box:
    if len(labels) and rng.random() < 0.5:
        x0, y0, x1, y1 = (float(v) for v in labels[rng.integers(len(labels)), 3:7])
        return Box(x0, y0, x1, y1)
    x, y, w, h = rng.uniform(20, 76), rng.uniform(14, 50), rng.uniform(8, 30), rng.uniform(8, 24)
    return Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def _as_jpeg(frame: UInt8[np.ndarray, "H W 3"], quality: int) -> UInt8[np.ndarray, "H W 3"]:
    stored = io.BytesIO()
    Image.fromarray(frame).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))


def _schedule(step: int, run: DetectorRun) -> float:
    """Linear warm-up, then a cosine to zero."""
    done = step / max(run.steps, 1)
    return min(1.0, (step + 1) / run.warmup) * 0.5 * (1 + float(np.cos(np.pi * done)))


@torch.no_grad()
def _follow(average: torch.nn.Module, net: torch.nn.Module, keep: float) -> None:
    for kept, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - keep)
        else:
            kept.copy_(new)
