"""Does the best of N seeds beat one? Held-out cases of the benchmark `rooms`, chosen blind, judged by the truth.

    python benchmarks/best_of.py --task grounding --cases 12 --seeds 4 --out benchmarks/results/best_of_grounding.json

Chosen by what a user without the truth has (no reconstructor): in grounding the red box and the rooms detector, in
navigation the plane-sweep consistency. Judged by what only the room knows: the labels of what the box marks, whether
the target is in the centre of the view that the last frame shows, SD, the recovered camera, PSNR. "one" is the mean
over the N seeds, "best" the one that best-of-N keeps, "oracle" what a chooser that knew the score would reach.
`--calibrate` also measures the consistency of true videos with their own path, and with wrong ones.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine

from video4spatial.commands.best_of import best_of
from video4spatial.commands.verifier import verifier_for
from video4spatial.evaluate.baselines import hold_first_frame
from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.cases import CaseContent
from video4spatial.evaluate.fidelity import psnr
from video4spatial.evaluate.following import measure_following
from video4spatial.evaluate.judge import centred
from video4spatial.evaluate.marked import LEAST_LIKENESS, BoxMark, RoomLabels
from video4spatial.evaluate.path_consistency import path_consistency
from video4spatial.evaluate.reconstructors import open_reconstructor
from video4spatial.evaluate.spatial import SceneCloud, spatial_distance
from video4spatial.evaluate.statistics import paired_difference
from video4spatial.geometry.boxes import read_box_tail
from video4spatial.rooms import object_box
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import CameraPath, Clip

MEASURES = {
    "grounding": {"passed": 1, "followed": 1, "box right": 1, "target centred": 1, "SD (m)": -1},
    "navigation": {"consistency": 1, "PSNR (dB)": 1, "camera (degrees)": -1, "camera (m)": -1, "SD (m)": -1},
}


def of_truth(content: CaseContent, frames: np.ndarray, tail: int, labels: RoomLabels | None) -> dict[str, float | None]:
    """What the room knows of a clip."""
    moving = frames[: len(frames) - tail]
    anchors, cloud = content.anchors, SceneCloud(content.cloud)
    made = open_reconstructor("rooms", room=content.room)(moving, anchors)
    told: dict[str, float | None] = {"SD (m)": spatial_distance(made, anchors, cloud).distance}
    if labels is None:
        assert content.path is not None
        assert content.truth is not None
        camera = measure_following(made, anchors, cloud, content.path.c2w)
        told |= {"camera (degrees)": camera.degrees, "camera (m)": camera.metres}
        return told | {"PSNR (dB)": psnr(frames, content.truth.frames)}
    view, box = labels.views.find(moving[-1]), read_box_tail(frames, tail)
    told |= {"target centred": 0.0, "box right": 0.0}
    if view.likeness >= LEAST_LIKENESS:
        ids = labels.room.instances(view.c2w[None], labels.lens)[0]
        seen = object_box(ids, labels.target)
        told["target centred"] = float(seen is not None and centred(seen, labels.lens.width, labels.lens.height))
    if box is not None:
        told["box right"] = float(labels(moving[-1], box[0]).outcome is BoxMark.RIGHT)
    return told


def ask(pipeline: Video4SpatialPipeline, content: CaseContent, seeds: int) -> dict[str, Any]:
    """One case: every seed's scores, blind and true, and which one best-of-N keeps."""
    case = content.case
    scene = pipeline.encode_context(content.context, content.first_frame)
    rows: list[dict[str, float | None]] = []
    labels = RoomLabels(content) if case.task == "grounding" else None
    tail = int(pipeline.config.tail_frames) if labels else 0

    def measure(candidate, result) -> None:
        blind = {key: candidate.checks.values.get(key) for key in ("passed", "followed", "consistency")}
        blind = {key: None if value is None else float(value) for key, value in blind.items()}
        rows.append(blind | of_truth(content, result.frames, tail, labels))

    told: dict[str, Any] = {"path": content.path}
    if labels is not None:
        told = {"instruction": case.target, "scene_description": case.scene}
    verifier, _ = verifier_for(pipeline, told.get("instruction"))
    frames = case.moving + tail
    best = best_of(pipeline, scene, seeds, verifier, seed=1000 * case.seed, on_candidate=measure, frames=frames, **told)
    return {"case": case.case_id, "kept": best.kept, "seeds": rows}


def summed(asked: list[dict[str, Any]], measures: dict[str, int]) -> dict[str, Any]:
    """One, best and oracle, and best minus one with its interval over cases."""
    told = {}
    for name, sign in measures.items():
        one, best, oracle = [], [], []
        for case in asked:
            values = [row[name] for row in case["seeds"]]
            known = [value for value in values if value is not None]
            kept = values[case["kept"]]
            if known and kept is not None:
                one.append(float(np.mean(known)))
                best.append(kept)
                oracle.append(max(known) if sign > 0 else min(known))
        if not one:
            continue
        difference = paired_difference(best, one)
        told[name] = {
            "cases": len(one),
            "one": float(np.mean(one)),
            "best": float(np.mean(best)),
            "oracle": float(np.mean(oracle)),
            "best - one": [difference.mean, difference.low, difference.high],
        }
    return told


def calibrate(contents: list[CaseContent]) -> dict[str, Any]:
    """Consistency of true videos with their own path, a mirrored one, the next case's, none; of a held first frame."""
    rows: dict[str, list[float]] = {}
    for number, content in enumerate(contents):
        path, truth = content.path, content.truth
        other = contents[(number + 1) % len(contents)].path
        assert path is not None
        assert truth is not None
        assert other is not None
        mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
        first = Clip(content.first_frame[None], content.fps)
        pairs = {
            "true video, true path": (truth.frames, path),
            "true video, mirrored path": (
                truth.frames,
                CameraPath(mirror @ _home(path) @ mirror, path.intrinsics),
            ),
            "true video, path of the next case": (truth.frames, other),
            "true video, no motion": (truth.frames, CameraPath(np.tile(np.eye(4), (len(path), 1, 1)), path.intrinsics)),
            "first frame held, true path": (hold_first_frame(first, len(path)), path),
        }
        for name, (frames, asked) in pairs.items():
            value = path_consistency(frames, asked)
            if isinstance(value, float):
                rows.setdefault(name, []).append(value)
    truth = np.array(rows["true video, true path"])
    return {
        name: {
            "mean": float(np.mean(values)),
            "least": float(np.min(values)),
            "most": float(np.max(values)),
            "cases": len(values),
            "below the true pair": float((np.array(values) < truth).mean()) if len(values) == len(truth) else None,
        }
        for name, values in rows.items()
    }


def _home(path: CameraPath) -> np.ndarray:
    return np.linalg.inv(path.c2w[0]) @ path.c2w


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--task", action="append", choices=tuple(MEASURES))
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = Video4SpatialPipeline.from_pretrained("rooms-small")
    pipeline.set_progress_bar_config(disable=True)
    results: dict[str, Any] = {"machine": describe_machine(), "cases": options.cases, "seeds": options.seeds}
    began = time.process_time()
    for task in options.task or MEASURES:
        benchmark = open_benchmark("rooms", None, options.cases, [task])
        contents = open_contents(benchmark).of(benchmark.cases)
        asked, kept = [], []
        for content in contents:
            asked.append(ask(pipeline, content, options.seeds))
            kept += [content] if options.calibrate and task == "navigation" else []
            print(f"{time.process_time() - began:.0f} s: {asked[-1]['case']}", flush=True)
        results[task] = {"summary": summed(asked, MEASURES[task]), "asked": asked}
        if kept:
            results["calibration"] = calibrate(kept)
            print(json.dumps(results["calibration"], indent=1))
        print(json.dumps(results[task]["summary"], indent=1))
    results["cpu_seconds"] = time.process_time() - began
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
