"""From a dataset on disk to a video of a trained model, by commands alone: prepare, curate, split, train, ground."""

import json
from pathlib import Path

import numpy as np
import pytest
from arkitscenes_tree import write_video
from scannetpp_tree import SCENE_ID, Walk, write_iphone, write_release, write_scans

from video4spatial.cli import main
from video4spatial.data.rooms import RoomsConfig
from video4spatial.rooms import tour
from video4spatial.schema import Intrinsics
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.texts import TextStore
from video4spatial.storage.video import read_video

CLIPS = ("--clip-frames", "17", "--tail-frames", "8", "--centre-ratio", "0.8")
LENS = Intrinsics(223.7, 221.9, 155.3, 123.4, 320, 240)
SMALL_LENS = Intrinsics(106.0, 105.8, 64.6, 47.2, 128, 96)
FRAMES = 123  # every third: 41
ROOMS = RoomsConfig(difficulty=0.3, quality=0.3, rays=2)


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def scannetpp(root: Path) -> Path:
    """Two scenes; gives a walk-through video of one."""
    for number, scene_id in enumerate((SCENE_ID, "0a1b2c3d4f")):
        room = ROOMS.room(11 + number)
        c2w = tour(room, FRAMES, seed=5, fps=20.0)
        seen = room.render(c2w, LENS.resized(256, 192), supersample=1)
        made = Walk(room, c2w, room.render(c2w, LENS, supersample=1).rgb, seen.depth, seen.instance)
        if number == 0:
            write_release(root, made, every=40)
        else:
            write_iphone(root / "data" / scene_id, made, every=40)
            write_scans(root / "data" / scene_id, room)
    return root / "data" / SCENE_ID / "iphone" / "rgb.mkv"


def arkitscenes(root: Path) -> Path:
    """Two visits, one of them filmed twice, the iPad turned; gives the images of one video."""
    for seed, video, visit in ((11, "41000001", "1"), (12, "41000002", "2"), (12, "41000003", "2")):
        room = ROOMS.room(seed)
        c2w = tour(room, 2 * FRAMES, seed=int(video[-1]), fps=40.0)
        write_video(root, room, c2w, video, visit, lens=SMALL_LENS, paint=False, sky="Left")
    return root / "raw" / "Training" / "41000001" / "vga_wide"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tree"), [("scannetpp", scannetpp), ("arkitscenes", arkitscenes)])
def test_a_tree_becomes_a_model_that_answers(kind, tree, tmp_path):
    context = tree(tmp_path / "tree")
    store, trained = tmp_path / "store", tmp_path / "run"
    run("prepare", kind, tmp_path / "tree", store, "--size", "64x32", "--clip", "41")
    run("curate", store, "--vlm", "oracle", *CLIPS)
    run("curate", store, "--audit", tmp_path / "audit.html")
    run("prepare", kind, tmp_path / "tree", store, "--verify")

    rows, clips = LatentStore(store), LatentStore(StoreLayout(store).clips)
    assert {row.frames for row in rows} == {41}
    assert len(clips) >= 3
    labels = {clip.meta["label"] for clip in clips}
    sentences = {sentence for clip in clips for sentence in clip.meta["sentences"]}
    assert not TextStore([store]).missing(sentences)
    assert sorted(labels)[0] in (tmp_path / "audit.html").read_text(encoding="utf-8")

    held_out = tmp_path / "held_out.txt"
    run("split", store, "--held-out", "1", "--out", held_out)
    evaluation = [line for line in held_out.read_text().splitlines() if line and not line.startswith("#")]
    leaking = [
        "train", "grounding:curated_tiny", "--out", str(trained), "--set", f"data.roots={store}",
        "--set", "steps=2", "--set", "global_batch=2", "--set", "checkpoint_every=2", "--set", "data.held_out=0",
    ]  # fmt: skip
    assert main([*leaking, "--set", f"data.evaluation={held_out}"]) == 2  # it is in the store: training refuses

    train_on = tmp_path / "train"
    run("prepare", kind, tmp_path / "tree", train_on, "--size", "64x32", "--clip", "41", "--leave-out", held_out)
    run("curate", train_on, "--vlm", "oracle", *CLIPS)
    assert set(LatentStore(train_on).environments()) == set(rows.environments()) - set(evaluation)
    leaking[5] = f"data.roots={train_on}"
    run(*leaking, "--set", f"data.evaluation={held_out}")
    losses = [json.loads(line)["loss"] for line in (trained / "log.jsonl").read_text().splitlines() if "loss" in line]
    assert len(losses) == 2
    assert np.isfinite(losses).all()

    answer = tmp_path / "answer.mp4"
    words = ["--frames", "25", "--context-latents", "3", "--steps", "2", "--json", tmp_path / "answer.json"]
    run("ground", context, f"the {sorted(labels)[0]}", "-o", answer, "--model", trained / "pipeline", *words)
    assert read_video(answer).frames.shape[0] == 25
    assert "box" in json.loads((tmp_path / "answer.json").read_text())
