"""Does Spatial Distance measure what it should? Held-out rooms, true videos, and videos with something wrong in them.

    python benchmarks/spatial.py --out benchmarks/results/spatial.json

Each row: SD by the rooms reconstructor from the pixels, beside SD with the true depth and poses of the same altered
room ("oracle": what a perfect reconstruction would give). Over the rooms: means of those that have a distance; medians
of all, a room without one counting as farther than any. Outcomes are counted.
"""

import argparse
import json
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine
from PIL import Image
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig
from video4spatial.evaluate.altered import headings, in_view_places, moved, stretched, with_guests
from video4spatial.evaluate.reconstruct import Anchors, anchor_indices
from video4spatial.evaluate.rooms_reconstructor import RoomsReconstructor
from video4spatial.evaluate.spatial import (
    CLOUD_POINTS,
    SceneCloud,
    frame_distances,
    register,
    spatial_distance,
)
from video4spatial.geometry.cameras import unproject_depth
from video4spatial.rooms import Room, tour

RADIUS = 0.6  # of guests, metres


def oracle(shown: Room, c2w: np.ndarray, config: RoomsConfig, cloud: SceneCloud) -> float:
    """SD with the true depth and poses of what is shown."""
    lens = RoomsConfig(width=96, height=64).intrinsics
    depth = shown.render(c2w, lens).depth
    points = [unproject_depth(part, pose, lens)[part > 0].reshape(-1, 3) for part, pose in zip(depth, c2w, strict=True)]
    return float(frame_distances(points, cloud).max())


def blurred(frames: np.ndarray, share: float) -> np.ndarray:
    height, width = frames.shape[1:3]
    small = (int(width * share), int(height * share))
    return np.stack(
        [
            np.asarray(
                Image.fromarray(frame)
                .resize(small, Image.Resampling.BOX)
                .resize((width, height), Image.Resampling.BILINEAR)
            )
            for frame in frames
        ]
    )


def cases(room: Room, other: Room, c2w: np.ndarray, config: RoomsConfig):
    """Name, level, frames, and the room that the frames show (None where no one room does)."""
    lens = config.intrinsics
    truth = room.render(c2w, lens).rgb
    yield "truth", 0.0, truth, room
    yield "quarter resolution", 0.25, blurred(truth, 0.25), room
    noisy = truth * 0.9 + np.random.default_rng(0).normal(10, 12, truth.shape)
    yield "noise of 12 grey levels, darker", 12.0, noisy.clip(0, 255).astype(np.uint8), room
    ways = headings(room, c2w[:, :3, 3], 1.0)
    for metres in (0.1, 0.2, 0.5, 1.0):
        shown = moved(room, {k: metres * way for k, way in ways.items()})
        yield "furniture moved, m", metres, shown.render(c2w, lens).rgb, shown
    places = in_view_places(room, c2w, 4, RADIUS)
    for count in (1, 2, 4):
        if len(places) >= count:
            shown = with_guests(room, other, places[:count], RADIUS)
            yield "objects invented", float(count), shown.render(c2w, lens).rgb, shown
    for factor in (1.05, 1.1, 1.2, 1.4):
        shown = stretched(room, np.array([factor, 1.0, 1.0]))
        yield "room stretched along x", factor, shown.render(c2w, lens).rgb, shown
    foreign = other.render(tour(other, len(c2w), fps=config.fps), lens).rgb
    order = np.random.default_rng(room.seed).permutation(np.arange(1, len(c2w)))
    for share in (0.02, 0.1, 0.4):
        mixed = truth.copy()
        which = order[: max(1, round(share * len(c2w)))]
        mixed[which] = foreign[which]
        yield "share of frames from another room", share, mixed, None
    yield "another room altogether", 1.0, foreign, None
    rng = np.random.default_rng(1)
    yield "random noise", 0.0, rng.integers(0, 256, truth.shape, dtype=np.uint8), None
    yield "black", 0.0, np.zeros_like(truth), None


def one_room(seed: int, config: RoomsConfig, every: int, only: list[str]) -> list[dict]:
    """Rows of one room."""
    room, other = config.room(seed), config.room(seed + 1000)
    c2w = tour(room, config.frames * every, seed=3, fps=config.fps)[::every]
    context = tour(room, 337, seed=4, fps=config.fps)
    picked = context[anchor_indices(len(context))]
    anchors = Anchors(room.render(picked, config.intrinsics).rgb, picked, config.intrinsics)
    cloud = SceneCloud(room.point_cloud(CLOUD_POINTS).points)
    reconstructor = RoomsReconstructor(room)
    rows = []
    for name, level, frames, shown in cases(room, other, c2w, config):
        if only and not name.startswith(("truth", *only)):
            continue
        began = time.perf_counter()
        made = reconstructor(frames, anchors)
        halfway = time.perf_counter()
        result = spatial_distance(made, anchors, cloud)
        row = {
            "case": name,
            "level": level,
            "room": seed,
            "outcome": result.outcome.value,
            "distance": result.distance,
            "mean_over_frames": float(np.nanmean(result.per_frame)) if result.per_frame else None,
            "oracle": oracle(shown, c2w, config, cloud) if shown is not None else None,
            "lost": result.lost,
            "seconds": {"reconstruct": halfway - began, "distance": time.perf_counter() - halfway},
        }
        if shown is room:
            turned = Rotation.from_matrix(made.c2w[:, :3, :3]).inv() * Rotation.from_matrix(c2w[:, :3, :3])
            row["camera"] = {
                "metres": np.linalg.norm(made.c2w[:, :3, 3] - c2w[:, :3, 3], axis=1).tolist(),
                "degrees": np.degrees(turned.magnitude()).tolist(),
            }
        rows.append(row)
        if name == "truth":
            rows += scaled_rows(made, anchors, cloud, seed)
            rows[0]["thinning"] = thinning(made, anchors, cloud)
    return rows


def scaled_rows(made, anchors: Anchors, cloud: SceneCloud, seed: int) -> list[dict]:
    """The video's part of the reconstruction scaled about its first camera, its anchors as they are; and a similarity
    of the whole, which must change nothing."""
    rows = []
    for factor in (1.02, 1.05, 1.1, 1.2):
        centre = made.c2w[0, :3, 3]
        points = [(part - centre) * factor + centre for part in made.points]
        swollen = type(made)(**{**vars(made), "points": points})
        result = spatial_distance(swollen, anchors, cloud)
        rows.append({"case": "geometry scaled against the anchors", "level": factor, "room": seed})
        rows[-1] |= {"outcome": result.outcome.value, "distance": result.distance, "oracle": None}
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    elsewhere = spatial_distance(made.transformed(0.37, turn, np.array([5.0, -3, 2])), anchors, cloud)
    here = spatial_distance(made, anchors, cloud)
    change = abs(elsewhere.distance - here.distance)
    rows.append({"case": "whole reconstruction moved, turned, scaled: change of SD", "level": 0.37, "room": seed})
    rows[-1] |= {"outcome": elsewhere.outcome.value, "distance": change, "oracle": None}
    return rows


def thinning(made, anchors: Anchors, cloud: SceneCloud) -> dict[str, float]:
    """Error of each frame's distance when its points are thinned: largest over the frames, metres."""
    to_scene = register(made, anchors, cloud)
    points = [to_scene(part) for part in made.points]
    whole = frame_distances(points, cloud, 10**9)
    return {str(n): float(np.abs(frame_distances(points, cloud, n) - whole).max()) for n in (256, 512, 1024, 2048)}


def table(rows: list[dict]) -> list[dict]:
    """Medians and means over the rooms of each case and level."""
    keys = list(dict.fromkeys((row["case"], row["level"]) for row in rows))
    out = []
    for case, level in keys:
        group = [row for row in rows if (row["case"], row["level"]) == (case, level)]
        scored = [row["distance"] for row in group if row["distance"] is not None]
        oracles = [row["oracle"] for row in group if row["oracle"] is not None]
        counts = {}
        for row in group:
            counts[row["outcome"]] = counts.get(row["outcome"], 0) + 1
        out.append(
            {
                "case": case,
                "level": level,
                "median": median(group),
                "mean": float(np.mean(scored)) if scored else None,
                "deviation": float(np.std(scored)) if scored else None,
                "most": float(np.max(scored)) if scored else None,
                "oracle": float(np.mean(oracles)) if oracles else None,
                "oracle_median": float(np.median(oracles)) if oracles else None,
                "lost": mean_lost(group),
                "outcomes": counts,
            }
        )
    return out


def median(rows: list[dict]) -> float | None:
    """The median SD of all rows, those without one counting as infinitely far; None where it is one of these."""
    value = float(np.median([np.inf if row["distance"] is None else row["distance"] for row in rows]))
    return value if np.isfinite(value) else None


def mean_lost(rows: list[dict]) -> float | None:
    """The mean share of lost frames, of rows that were reconstructed by themselves."""
    shares = [row["lost"] for row in rows if "lost" in row]
    return float(np.mean(shares)) if shares else None


def camera(rows: list[dict]) -> dict:
    """Pose errors on the true videos."""
    truth = [row["camera"] for row in rows if row["case"] == "truth"]
    metres, degrees = (np.concatenate([row[name] for row in truth]) for name in ("metres", "degrees"))
    return {
        "metres": {"mean": float(metres.mean()), "max": float(metres.max())},
        "degrees": {"mean": float(degrees.mean()), "max": float(degrees.max())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/spatial.json"))
    parser.add_argument("--rooms", type=int, default=8)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--every", type=int, default=3, help="frames of the walk from one to the next")
    parser.add_argument("--size", default="96x64")
    parser.add_argument("--difficulty", type=float, default=0.3)
    parser.add_argument("--first-seed", type=int, default=HELD_OUT_SEED + 100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[], help="beside the truth, only the videos whose names begin so")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    config = RoomsConfig(width=width, height=height, frames=options.frames, difficulty=options.difficulty)
    measured = partial(one_room, config=config, every=options.every, only=options.only)
    seeds = range(options.first_seed, options.first_seed + options.rooms)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    with get_context("spawn").Pool(options.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for number, found in enumerate(tqdm(pool.imap_unordered(measured, seeds), total=len(seeds)), 1):
            rows += found
            settings = {key: str(value) for key, value in vars(options).items() if key != "out"}
            report = {"machine": describe_machine(), "settings": settings | {"rooms_done": number}} | summary(rows)
            options.out.write_text(json.dumps(report, indent=2) + "\n")
    print(options.out.read_text())


def summary(rows: list[dict]) -> dict:
    """The report of the rooms done so far."""
    timed = [row["seconds"] for row in rows if "seconds" in row]
    thinned = [row["thinning"] for row in rows if "thinning" in row]
    return {
        "cloud_points": CLOUD_POINTS,
        "camera": camera(rows),
        "table": table(rows),
        "rooms": [
            {key: row.get(key) for key in ("room", "case", "level", "outcome", "distance", "oracle", "lost")}
            for row in rows
        ],
        "thinning_error_metres": {n: max(one[n] for one in thinned) for n in thinned[0]},
        "seconds_a_video": {part: float(np.mean([one[part] for one in timed])) for part in ("reconstruct", "distance")},
    }


if __name__ == "__main__":
    main()
