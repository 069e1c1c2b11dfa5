"""Train the depth network of the rooms reconstructor on rooms.

    python -m video4spatial.evaluate.train_depth --out depth.safetensors --minutes 15

Pairs of a frame and the known scene, from rooms whose seeds are below 900,000: the same room, the room with furniture
moved, with guests from another room, another room altogether; the known view from the true pose with an error, or far
off. The frame is blurred, recoloured, noisy as generated ones are; the known view is clean. The loss: cross-entropy of
where the frame shows the known surface, and the L1 of the network's own log depth, mostly where it does not.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from safetensors.torch import save_file

from video4spatial.data.rooms import RoomsConfig
from video4spatial.evaluate.altered import furniture, moved, with_guest
from video4spatial.evaluate.depth_net import DepthNet, floor_inverse_depth, log_depth
from video4spatial.evaluate.rooms_reconstructor import colours, depth_net, unknown_view
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.rooms import Room, tour
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path

LAST_SEED = 900_000  # training seeds stay below
_SHOTS = 32  # pairs a room
_ALTERED, _OTHER = 18, 7  # of them in the altered room, in another room
_SAME_SURFACE = 0.02  # of log depth
_UNCHANGED_SHARE = 0.2  # weight of own depth where the known one is right
_UNKNOWN = 0.2  # share of pairs whose frame has no known view: it was not found in the scene
_BATCH = 16
_LR = 3e-3


class Pairs(NamedTuple):
    """Frames and their true depth; the known scene's colour and depth, and the floor's, at the recovered pose."""

    frame: UInt8[np.ndarray, "N H W 3"]
    depth: Float32[np.ndarray, "N H W"]
    known: UInt8[np.ndarray, "N H W 3"]
    known_depth: Float32[np.ndarray, "N H W"]
    floor: Float32[np.ndarray, "N H W"]


def jittered(c2w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poses with the errors of registration: millimetres mostly, one in eight far off."""
    out = np.empty_like(c2w)
    for k, pose in enumerate(c2w):
        far = rng.random() < 0.125
        metres, radians = (0.3, 0.15) if far else (0.012, 0.005)
        out[k] = pose @ pose_from_waypoint(rng.normal(0, metres, 3), *rng.normal(0, radians, 3))
    return out


def altered_room(room: Room, other: Room, rng: np.random.Generator) -> Room:
    """What a frame may show in the place of the room: moved furniture, or guests, or both."""
    pieces = furniture(room)
    which = rng.integers(3)
    if which != 1 and pieces:
        shifts = {}
        for piece in pieces:
            if rng.random() < 0.7:
                angle, length = rng.uniform(0, 2 * np.pi), rng.choice([0.1, 0.2, 0.5, 1.0]) * rng.uniform(0.7, 1.3)
                shifts[piece.id] = length * np.array([np.cos(angle), np.sin(angle), 0])
        room = moved(room, shifts)
    guests = furniture(other)
    if which != 0 and guests:
        for _ in range(rng.integers(1, 4)):
            guest = guests[rng.integers(len(guests))]
            low = np.minimum(guest.size[:2].max() / 2, 1.2)
            at = [*(rng.uniform(low, np.array(room.size[:2]) - low)), guest.centre[2] + max(0, rng.normal(0, 0.3))]
            room = with_guest(room, other, guest.id, np.array(at))
    return room


def make_pairs(seed: int, config: RoomsConfig, other: Room) -> tuple[Pairs, Room]:
    """``_SHOTS`` pairs of room ``seed``, shuffled, and the room; ``other`` lends guests and wrong frames."""
    if seed >= LAST_SEED:
        raise InputError(f"room seed {seed} is kept for validation and benchmarks: train on seeds below {LAST_SEED}")
    rng = np.random.default_rng([seed, 43])
    room = config.room(seed)
    c2w = tour(room, _SHOTS * 12, fps=config.fps, speed=1.2)[rng.permutation(_SHOTS * 12)[:_SHOTS]]
    altered = [place for _ in range(_ALTERED // 2) for place in [altered_room(room, other, rng)] * 2]
    shown = [*altered, *[other] * _OTHER]
    shown += [room] * (_SHOTS - len(shown))
    parts = [place.render(c2w[k : k + 1], config.intrinsics, 1 + k % 2) for k, place in enumerate(shown)]
    recovered = jittered(c2w, rng)
    known = room.render(recovered, config.intrinsics)
    pairs = Pairs(
        np.concatenate([part.rgb for part in parts]),
        np.concatenate([part.depth for part in parts]),
        known.rgb,
        known.depth,
        floor_inverse_depth(recovered, config.intrinsics),
    )
    return pairs, room


def spoiled(frame: UInt8[np.ndarray, "H W 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """A frame as a generator may make it: blurred, recoloured, noisy; three in ten stay as they are."""
    if rng.random() < 0.3:
        return frame
    height, width = frame.shape[:2]
    if rng.random() < 0.5:
        share = rng.uniform(0.25, 0.9)
        small = Image.fromarray(frame).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
        frame = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    values = frame.astype(np.float32)
    values = values * rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3) + rng.normal(0, 6)
    values += rng.normal(0, rng.uniform(0, 5), frame.shape)
    return values.clip(0, 255).astype(np.uint8)


def _batches(config: RoomsConfig, pool_rooms: int, first_seed: int, rng: np.random.Generator) -> Iterator[Pairs]:
    """Batches from a pool of rooms; one room of it is replaced every 24 batches."""
    other = config.room(first_seed)
    pool: list[Pairs] = []
    seed = first_seed + 1
    while True:
        wanted = pool_rooms if not pool else 1
        for _ in range(wanted):
            pairs, room = make_pairs(seed, config, other)
            pool = [*pool[-pool_rooms + 1 :], pairs]
            other, seed = room, seed + 1
        for _ in range(24):
            picks = [(pool[rng.integers(len(pool))], rng.integers(_SHOTS), rng.random() < 0.5) for _ in range(_BATCH)]
            rows = []
            for pairs, k, mirrored in picks:
                row = [spoiled(pairs.frame[k], rng), *(part[k] for part in pairs[1:])]
                if rng.random() < _UNKNOWN:
                    row[2], row[3] = unknown_view(row[2].shape[:2])
                rows.append([np.ascontiguousarray(part[:, ::-1]) for part in row] if mirrored else row)
            yield Pairs(*(np.stack(column) for column in zip(*rows, strict=True)))


def train(out: Path, minutes: float, rooms: int = 60, first_seed: int = 0, start: Path | None = None) -> None:
    """Train for ``minutes``, from ``start``'s weights if given, and write the weights, float16."""
    config = RoomsConfig(difficulty=0.4, quality=0.3, rays=4)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = DepthNet()
    if start is not None:
        net.load_state_dict(depth_net(start).state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=_LR, weight_decay=1e-2)
    began, recent = None, []
    for step, batch in enumerate(_batches(config, rooms, first_seed, rng), 1):
        began = began or time.monotonic()
        done = (time.monotonic() - began) / (60 * minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = _LR * min(1, step / 50) * min(1, 2 * (1 - done))
        true, known = log_depth(torch.from_numpy(batch.depth)), log_depth(torch.from_numpy(batch.known_depth))
        found = net(colours(batch.frame), colours(batch.known), known, torch.from_numpy(batch.floor))
        same = ((true - known).abs() < _SAME_SURFACE).float()
        weight = 1 - (1 - _UNCHANGED_SHARE) * same
        own = ((found.own - true).abs() * weight).sum() / weight.sum()
        gate = torch.nn.functional.binary_cross_entropy_with_logits(found.known_logit, same)
        error = (found.log_depth - true).abs()
        optimiser.zero_grad()
        (own + 0.5 * gate + error.mean()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        changed = 1 - same
        told = ((error.detach() * changed).sum() / changed.sum().clamp(min=1)).item()
        recent = [*recent[-199:], (error.mean().item(), told, own.item(), gate.item())]
        if step % 50 == 0:
            means = np.mean(recent, axis=0)
            names = ("all", "changed", "own", "gate")
            told = " ".join(f"{name} {value:.4f}" for name, value in zip(names, means, strict=True))
            print(f"step {step} {done:.0%} {told}", flush=True)
    state = {name: value.half() if value.is_floating_point() else value for name, value in net.state_dict().items()}
    with atomic_path(out) as temporary:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the weights go (safetensors)")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rooms", type=int, default=60, help="rooms held in memory at once")
    parser.add_argument("--first-seed", type=int, default=0, help="the first room")
    parser.add_argument("--start", type=Path, help="weights to train on from")
    options = parser.parse_args()
    train(options.out, options.minutes, options.rooms, options.first_seed, options.start)


if __name__ == "__main__":
    main()
