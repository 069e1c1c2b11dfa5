"""Instruction Following checks itself: videos whose score is known, judged by the rooms detector.

    python benchmarks/judge.py --out benchmarks/results/judge.json

Cases: every target of held-out rooms (seeds 1000000 on) that a visitor can walk up to, up to three a room: its
approach with the box tail. Judged are the ground truth (the frame ahead of the tail, and the last frame with the red
box), the same at 192x128, the last 41 frames through the shipped VAE, the last pose turned away by so many degrees, and
things that are not there: kinds and colours the room does not have, objects of the room that the last frame does not
show, the same phrase at the end of another room's clip, a black, a grey and a random video.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine

from video4spatial.data.rooms import HELD_OUT_SEED, RoomsConfig, article, grounding_video
from video4spatial.evaluate.following_instructions import drawn_box, following
from video4spatial.evaluate.judge import TOLERANCE, Judge, JudgedClip
from video4spatial.evaluate.labelled_frames import NAMED
from video4spatial.evaluate.rooms_judge import RoomsJudge
from video4spatial.evaluate.statistics import Interval, rate_interval
from video4spatial.geometry.boxes import centre_rule
from video4spatial.rooms import COLOURS, NoViewpoint, Room, object_box
from video4spatial.rooms.motion import gaze_of_pose, poses_from_gaze

A_ROOM = 3
ANGLES = (0, 5, 10, 15, 20, 25, 30, 35, 40, 50)
TRUNCATED = 41


@dataclass(frozen=True)
class Case:
    """A ground-truth approach: its last 41 frames, the box tail among them, and what the last pose shows."""

    room: Room
    target: str
    object_id: int
    frames: np.ndarray
    ids: np.ndarray
    pose: np.ndarray
    box: Any


def cases(count: int, config: RoomsConfig) -> list[Case]:
    found: list[Case] = []
    seed = HELD_OUT_SEED
    while len(found) < count:
        room, of_room = config.room(seed), 0
        targets = room.targets()
        for k in np.random.default_rng([seed, 5]).permutation(len(targets)):
            if of_room == A_ROOM or len(found) == count:
                break
            try:
                video = grounding_video(room, targets[k], config)
            except NoViewpoint:
                continue
            assert video.c2w is not None
            ids = room.render(video.c2w[-1:], config.intrinsics).instance[0]
            box = object_box(ids, targets[k].object_id)
            frames = video.clip.frames[-TRUNCATED:]
            pose = video.c2w[-1]
            found.append(Case(room, article(targets[k].phrase), targets[k].object_id, frames, ids, pose, box))
            of_room += 1
        seed += 1
    return found


def absent(case: Case, rng: np.random.Generator) -> dict[str, str]:
    """A phrase for each way of not being there, where the room offers it."""
    room, found = case.room, {}
    kinds = [name for name in NAMED if name not in {made.category for made in room.objects}]
    found["another kind"] = f"{COLOURS[rng.integers(len(COLOURS))]} {kinds[rng.integers(len(kinds))]}"
    wanted = room.object(case.object_id).category
    kin = [made.colour for made in room.objects if made.category == wanted]
    if all(kin):
        others = [word for word in COLOURS if word not in kin]
        found["the same kind in another colour"] = f"{others[rng.integers(len(others))]} {wanted}"
    unseen = [target.phrase for target in room.targets() if not (case.ids == target.object_id).any()]
    if unseen:
        found["in the room, not in view"] = unseen[rng.integers(len(unseen))]
    return {why: article(phrase) for why, phrase in found.items()}


def turned(case: Case, degrees: float, config: RoomsConfig) -> tuple[np.ndarray, bool]:
    """The view from the last pose, turned aside, and whether the truth there is a success."""
    yaw, pitch, roll = gaze_of_pose(case.pose)
    pose = poses_from_gaze(case.pose[None, :3, 3], *(np.array([v]) for v in (yaw + math.radians(degrees), pitch, roll)))
    seen = case.room.render(pose, config.intrinsics)
    box = object_box(seen.instance[0], case.object_id)
    return seen.rgb, box is not None and centre_rule(box, config.width, config.height, TOLERANCE)


def table_row(judge: Judge, clips: Iterable[JudgedClip]) -> dict[str, Any]:
    scores = following(list(judge.verdicts(clips)))
    return {
        "cases": scores.cases,
        "IF": rounded(scores.rate),
        "found": scores.found / scores.cases,
        "outcomes": {answer.value: count for answer, count in scores.outcomes.items() if count},
    }


def rounded(interval: Interval) -> list[float]:
    return [round(value, 4) for value in interval]


def through_vae(frames: np.ndarray) -> np.ndarray:
    from video4spatial.model.frozen import frozen_vae

    codec = frozen_vae("rooms-small")
    return codec.decode(codec.encode(frames))


def self_check(judge: Judge, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    config = RoomsConfig()
    made = cases(count, config)
    tail = config.tail_frames
    say(f"{len(made)} cases in {len({case.room.seed for case in made})} rooms")
    truth = [JudgedClip(case.frames, case.target, tail) for case in made]
    rows = {"ground truth": table_row(judge, truth)}
    rows["ground truth, last frame with its red box"] = table_row(judge, (JudgedClip(c.frames, c.target) for c in made))
    big = replace(config, width=192, height=128)
    views = ((case, case.room.render(case.pose[None], big.intrinsics).rgb) for case in made)
    rows["ground truth at 192x128"] = table_row(judge, (JudgedClip(frame, case.target) for case, frame in views))
    say("ground truth judged")
    worn = [JudgedClip(through_vae(case.frames), case.target, tail) for case in made]
    rows["ground truth through the VAE"] = table_row(judge, worn)
    say("the VAE's round trip judged")

    rng = np.random.default_rng(0)
    asked = [
        (case, clip, why, phrase)
        for case, clip in zip(made, worn, strict=True)
        for why, phrase in absent(case, rng).items()
    ]
    for why in dict.fromkeys(why for _, _, why, _ in asked):
        for name, clips in (("", None), (" (through the VAE)", worn)):
            shown = [
                JudgedClip(case.frames if clips is None else clip.frames, phrase, tail)
                for case, clip, reason, phrase in asked
                if reason == why
            ]
            rows[f"absent: {why}{name}"] = table_row(judge, shown)
    rows["wrong room"] = table_row(judge, wrong_rooms(made, tail))
    for name, video in worthless(config, np.random.default_rng(1)).items():
        rows[name] = table_row(judge, (JudgedClip(video, case.target, tail) for case in made))
    say("what is not there judged")

    boxes = [
        drawn_box(clip, verdict, case.box)
        for clip, verdict, case in zip(truth, judge.verdicts(truth), made, strict=True)
    ]
    return {"rows": rows, "turned away": by_angle(judge, made, config), "red box": box_row(boxes)}


def wrong_rooms(made: list[Case], tail: int) -> list[JudgedClip]:
    """Each target asked for at the end of the first clip of another room that has no such kind."""
    clips = []
    for case in made:
        wanted = case.room.object(case.object_id).category
        for other in made:
            if wanted not in {thing.category for thing in other.room.objects}:
                clips.append(JudgedClip(other.frames, case.target, tail))
                break
    return clips


def worthless(config: RoomsConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = (TRUNCATED, config.height, config.width, 3)
    return {
        "black video": np.zeros(shape, np.uint8),
        "grey video": np.full(shape, 128, np.uint8),
        "random video": rng.integers(0, 256, shape, dtype=np.uint8),
    }


def by_angle(judge: Judge, made: list[Case], config: RoomsConfig) -> list[dict[str, Any]]:
    rows = []
    for degrees in ANGLES:
        views = [turned(case, degrees * (-1) ** k, config) for k, case in enumerate(made)]
        verdicts = list(judge.verdicts(JudgedClip(f, c.target) for (f, _), c in zip(views, made, strict=True)))
        agree = [verdict.success == true for verdict, (_, true) in zip(verdicts, views, strict=True)]
        rows.append(
            {
                "degrees": degrees,
                "IF": rounded(following(verdicts).rate),
                "IF by the room's own object ids": sum(true for _, true in views) / len(views),
                "cases judged alike": sum(agree) / len(agree),
            }
        )
    return rows


def box_row(boxes: list[Any]) -> dict[str, Any]:
    true = [box.with_truth for box in boxes if box.with_truth]
    judged = [box.with_judged for box in boxes if box.with_judged]
    return {
        "read": rounded(rate_interval([box.box is not None for box in boxes])),
        "against the truth": {
            "median IoU": median(a.overlap for a in true),
            "median apart": median(a.apart for a in true),
        },
        "against the judged": {
            "median IoU": median(a.overlap for a in judged),
            "median apart": median(a.apart for a in judged),
        },
    }


def median(values: Iterable[float]) -> float:
    return round(float(np.median(list(values))), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=107)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    began, used = time.perf_counter(), time.process_time()
    judge = RoomsJudge()
    result = {"judge": judge.identity, **self_check(judge, args.cases, lambda line: print(line, flush=True))}
    result |= {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    text = json.dumps(result | {"machine": describe_machine()}, indent=2)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
