"""What else the command does: choosing, asking beforehand, reading back; and what it refuses."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from conftest import make_tiny_vae
from prepare.conftest import contents

from video4spatial.data.origin import read_origin
from video4spatial.data.sampled import Sampled
from video4spatial.data.scene import BadScene
from video4spatial.data.source import open_source
from video4spatial.model.latents import LatentCodec
from video4spatial.prepare.encode import FRAMES_READ, encode_scene
from video4spatial.prepare.estimate import stored_bytes
from video4spatial.prepare.work import Work
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore


def lines(path, *names):
    path.write_text("# environments\n" + "\n".join(names) + "\n\n")
    return path


def test_environments_are_chosen_and_left_out(tmp_path, prepare, videos_tree, capfd):
    out, only = lines(tmp_path / "out.txt", "hall", "cellar"), lines(tmp_path / "only.txt", "attic", "hall # ours")
    assert prepare("videos", videos_tree, tmp_path / "s", "--every", 1, "--only", only, "--leave-out", out) == 0
    printed = capfd.readouterr()
    assert LatentStore(tmp_path / "s").environments() == {"attic": ["day", "night"]}
    assert "0 absent, 2 left out; 2 videos in the store" in printed.out
    assert "has no environment 'cellar', which the lists name" in printed.err
    origin = read_origin(tmp_path / "s")
    assert (origin.only, origin.leave_out) == (("attic", "hall"), ("cellar", "hall"))
    assert Work.from_text(Work("x", origin, "cpu").to_text()) == Work("x", origin, "cpu")


def test_another_origin_is_refused(tmp_path, prepare, videos_tree, clean, capfd):
    shutil.copytree(clean, tmp_path / "s")
    before = contents(tmp_path / "s")
    out = lines(tmp_path / "out.txt", "hall")
    shutil.copytree(videos_tree, tmp_path / "v")
    for arguments, told in (
        ((videos_tree, tmp_path / "s"), "was made with every 1, not 3"),
        ((videos_tree, tmp_path / "s", "--every", 1, "--size", "96x64"), r"size \[64, 32\], not \[96, 64\]"),
        ((videos_tree, tmp_path / "s", "--every", 1, "--leave-out", out), r"leave_out none, not \['hall'\]"),
        ((videos_tree, tmp_path / "s", "--every", 1, "--set", "fps=10"), "source.options.fps none, not 10"),
        ((tmp_path / "v", tmp_path / "s", "--every", 1), f"source.root {videos_tree}, not {tmp_path / 'v'}"),
    ):
        assert prepare("videos", *arguments) == 2
        assert re.search(told, capfd.readouterr().err), told
    assert contents(tmp_path / "s") == before


def test_another_vae_is_another_origin(tmp_path, prepare, videos_tree, clean, pipeline_folder, capfd, monkeypatch):
    shutil.copytree(clean, tmp_path / "s")
    shutil.copytree(pipeline_folder, tmp_path / "moved")
    model = ("--model", str(tmp_path / "moved"))
    from video4spatial.cli import main

    words = ["prepare", "videos", str(videos_tree), str(tmp_path / "s"), "--every", "1", "--clip", "5", *model]
    assert main(words) == 0  # the same VAE under another name
    config = tmp_path / "moved" / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"latents_std": [1.0] * 48}))
    assert main(words) == 2
    assert "was made with fingerprint" in capfd.readouterr().err


def test_a_store_of_another_maker_is_refused(tmp_path, prepare, videos_tree, encoded_store, capfd):
    shutil.copytree(encoded_store, tmp_path / "s")
    assert prepare("videos", videos_tree, tmp_path / "s") == 2
    assert "holds a store that prepare did not make: choose another folder" in capfd.readouterr().err


def test_asking_beforehand_writes_nothing_and_is_right(tmp_path, prepare, videos_tree, clean, capfd):
    shutil.copytree(videos_tree, tmp_path / "v")
    (tmp_path / "v" / "bad.mp4").write_bytes(b"")
    assert prepare("videos", tmp_path / "v", tmp_path / "s", "--every", 1, "--dry-run") == 3
    printed = capfd.readouterr()
    assert not (tmp_path / "s").exists()
    assert f"bad: bad: {tmp_path / 'v' / 'bad.mp4'}" in printed.err
    assert "scenes  4 of 5, 4 unbroken videos" in printed.out
    assert "frames  84 of 64x32, 0.00 hours of video" in printed.out
    assert "latents 48 (" in printed.out
    assert re.search(
        r"time    \d+\.\d\d hours with 1 processes if each does [\d.]+ frames/s: 17 frames of", printed.out
    )
    rows = list(LatentStore(clean))
    assert (sum(row.frames for row in rows), 2 * sum(row.latents for row in rows)) == (84, 48)
    for row in rows:
        given = LatentStore(clean)
        held = sum(given.read(row.video_id, name).nbytes for name in row.tensors)
        assert held == stored_bytes(row.frames, (64, 32), posed=False)


def test_bytes_of_the_papers_size():
    """48 channels of 26 x 16 cells in half precision, twice for four frames, and a pose a frame."""
    per_latent = 48 * 26 * 16 * 2
    assert stored_bytes(161, (416, 256)) == 2 * 41 * per_latent + 161 * 128
    assert stored_bytes(161, (416, 256), posed=False) == 2 * 41 * per_latent


def test_verifying(tmp_path, prepare, videos_tree, clean, capfd):
    store = tmp_path / "s"
    shutil.copytree(clean, store)
    verify = ("videos", videos_tree, store, "--verify")
    assert prepare(*verify) == 0
    assert "4 videos are sound" in capfd.readouterr().out
    layout = StoreLayout(store)
    layout.scene_shard("day").unlink()
    cut = layout.scene_shard("hall").read_bytes()[:-10]
    layout.scene_shard("hall").write_bytes(cut)
    flipped = bytearray(layout.scene_shard("yard").read_bytes())
    flipped[-1] ^= 1
    layout.scene_shard("yard").write_bytes(flipped)
    damaged = contents(store)
    assert prepare(*verify) == 3
    printed = capfd.readouterr()
    assert f"{layout.scene_shard('day')} is missing" in printed.err
    assert f"{layout.scene_shard('hall')} is cut off, or its header is damaged" in printed.err
    assert f"{layout.scene_shard('yard')} holds other bytes than were written of video yard" in printed.err
    assert "night" not in printed.err
    assert "1 videos are sound" in printed.out
    assert "--verify --repair" in printed.out
    assert contents(store) == damaged
    assert prepare(*verify, "--repair") == 3
    assert "3 scenes are to be made anew: run prepare again" in capfd.readouterr().out
    assert [row.video_id for row in LatentStore(store)] == ["night"]
    assert prepare("videos", videos_tree, store, "--every", 1) == 0
    assert "3 scenes done (3 videos, 63 frames), 1 were there" in capfd.readouterr().out
    assert contents(store) == contents(clean)


def test_verifying_records_and_the_index(tmp_path, prepare, videos_tree, clean, capfd):
    store = tmp_path / "s"
    shutil.copytree(clean, store)
    layout = StoreLayout(store)
    layout.scene("hall").write_text("{}")
    layout.scene("yard").unlink()
    layout.index.write_bytes(b"PAR1")
    assert prepare("videos", videos_tree, store, "--verify", "--repair") == 3
    printed = capfd.readouterr()
    assert f"{layout.scene('hall')} is not what prepare writes" in printed.err
    assert f"{layout.index} is damaged" in printed.err
    assert "2 shards are of scenes that a run did not finish" in printed.out
    assert prepare("videos", videos_tree, store, "--every", 1) == 0
    assert contents(store) == contents(clean)
    layout.index.unlink()
    assert prepare("videos", videos_tree, store, "--verify") == 3
    assert f"{layout.index} is missing" in capfd.readouterr().err


def test_a_run_over_a_damaged_store_says_how_to_mend_it(tmp_path, prepare, videos_tree, clean, capfd):
    store = tmp_path / "s"
    shutil.copytree(clean, store)
    shard = StoreLayout(store).scene_shard("hall")
    shard.write_bytes(shard.read_bytes()[:-10])
    assert prepare("videos", videos_tree, store, "--every", 1) == 2
    assert f"{shard} is damaged or no shard of a scene: remove it and run again" in capfd.readouterr().err
    shard.unlink()
    assert prepare("videos", videos_tree, store, "--every", 1) == 0
    assert contents(store) == contents(clean)


@pytest.fixture
def seen(videos_tree) -> Sampled:
    return Sampled(open_source("videos", videos_tree).open("hall"), 1, 64, 32)


@pytest.mark.parametrize(("std", "told"), [(1e-9, "overflow half precision"), (float("nan"), "are not finite")])
def test_latents_that_half_precision_cannot_hold(seen, std, told):
    vae = make_tiny_vae()
    vae.register_to_config(latents_std=[1.0] * 47 + [std])
    with pytest.raises(BadScene, match=f"hall: video latents near its frame 0 .*{told}"):
        encode_scene(seen, LatentCodec(vae))


def test_few_frames_are_in_memory(seen, codec):
    asked, frames_of, done = [], seen.frames, []
    seen.frames = lambda indices: (asked.append(list(indices)), frames_of(indices))[1]
    encoded = encode_scene(seen, codec, done.append)
    assert max(map(len, asked)) <= FRAMES_READ
    assert [index for indices in asked for index in indices] == list(range(21))  # each once, in order
    assert done[-1] == 21
    assert encoded["video"].shape == encoded["image"].shape == (48, 6, 2, 4)
    assert encoded["video"].dtype == torch.float16
    assert not np.array_equal(encoded["video"], encoded["image"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("kinect", ".", "s"), "no source 'kinect': choose one of"),
        (("videos", "nowhere", "s"), "nowhere is not a folder"),
        (("rooms", "0-16", "s"), "give a range of seeds, for example 0:16"),
        (("rooms", "0:1", "s", "--size", "100x64"), "--size is 100x64, but both sides must divide by 32"),
        (("rooms", "0:1", "s", "--set", "frames=10"), "frames of a tour is 10"),
        (("rooms", "0:1", "s", "--set", "frames"), "--set is 'frames': write NAME=VALUE"),
        (("rooms", "0:1", "s", "--set", "sky=Up"), "rooms has no option 'sky'"),
        (("rooms", "0:1", "s", "--tours", "0"), "tours is 0"),
        (("rooms", "0:1", "s", "--split", "train"), "rooms has no option 'split'"),
        (("rooms", "0:1", "s", "--every", "0"), "every is 0: give at least 1"),
        (("rooms", "0:1", "s", "--limit", "0"), "limit is 0: give at least 1"),
        (("rooms", "0:1", "s", "--workers", "0"), "workers is 0: give at least 1"),
        (("rooms", "0:1", "s", "--device", "tpu"), "--device is 'tpu': choose auto, cpu or cuda"),
        (("rooms", "0:1", "s", "--only", "nowhere.txt"), "nowhere.txt does not exist"),
        (("rooms", "0:1", "s", "--repair"), "--repair removes what --verify finds: give both"),
        (("rooms", "0:1", "s", "--verify"), "s is no prepared store (no origin.json): make one with"),
    ],
)
def test_mistakes_are_named(tmp_path, prepare, capfd, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert prepare(*arguments) == 2
    assert told in capfd.readouterr().err
    assert not (tmp_path / "s" / "origin.json").exists()


def test_lists_that_leave_nothing(tmp_path, prepare, videos_tree, capfd):
    (tmp_path / "empty.txt").write_text("# none\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    for name, told in (
        ("empty.txt", "lists no environments"),
        ("latin.txt", "is not UTF-8 text"),
        (lines(tmp_path / "other.txt", "cellar").name, "has nothing to prepare (none is chosen)"),
    ):
        assert prepare("videos", videos_tree, tmp_path / "s", "--only", tmp_path / name) == 2
        assert told in capfd.readouterr().err
    assert not (tmp_path / "s").exists()
