"""Shards of single scenes: any writers, any order, the same bytes; read as any latent store."""

import json

import numpy as np
import pytest
import torch
from storage.test_latent_store import video

from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore, LatentWriter
from video4spatial.storage.lock import locked_store
from video4spatial.storage.scene_shards import SceneShards, read_rows

K = Intrinsics(30.0, 31.0, 24.0, 16.0, 48, 32)


def write(shards, seed):
    meta = {"source": f"s{seed}", "every": 3}
    shards.write(f"v{seed}", f"room{seed // 2}", video(seed), fps=20.0, size=(48, 32), intrinsics=K, meta=meta)


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_any_order_and_any_writer_gives_the_same_store(tmp_path):
    one = SceneShards(tmp_path / "a")
    for seed in (0, 1, 2, 3):
        write(one, seed)
    one.reindex()
    for seeds in ((3, 1), (2, 0)):
        shards = SceneShards(tmp_path / "b")
        for seed in seeds:
            write(shards, seed)
        shards.reindex()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == ["index.parquet", *(f"shards/v{n}.safetensors" for n in range(4))]


def test_it_reads_as_a_latent_store(tmp_path):
    shards = SceneShards(tmp_path)
    assert not shards.has("v1")
    write(shards, 1)
    assert shards.has("v1")
    assert shards.reindex() == 1
    store = LatentStore(tmp_path)
    row = store["v1"]
    assert (row.environment_id, row.fps, row.meta["every"], row.intrinsics) == ("room0", 20.0, 3, K)
    assert store.read("v1", "video", [4, 0]).equal(video(1)["video"][:, [4, 0]])
    np.testing.assert_array_equal(store.read("v1", "c2w").numpy(), video(1)["c2w"])
    assert store.verify() == 1


def test_a_shard_of_several_videos_or_of_none(tmp_path):
    shards = SceneShards(tmp_path)
    with shards.shard("walk") as shard:
        for end in (200, 161):
            shard.add(f"walk@{end:06d}", "room0", video(end), fps=20, size=(48, 32), meta={"of": "walk"})
    with shards.shard("dull"):
        pass
    assert shards.has("dull")
    assert shards.reindex() == 2
    store = LatentStore(tmp_path)
    assert [row.video_id for row in store] == ["walk@000161", "walk@000200"]
    assert store.read("walk@000200", "image").equal(video(200)["image"])
    with shards.shard("walk") as shard:
        shard.add("walk@000161", "room0", video(1), fps=20, size=(48, 32))
        with pytest.raises(InputError, match="in this shard already"):
            shard.add("walk@000161", "room0", video(1), fps=20, size=(48, 32))
    assert shards.reindex() == 1


def test_a_block_that_fails_writes_nothing(tmp_path):
    shards = SceneShards(tmp_path)

    def fail() -> None:
        with shards.shard("walk") as shard:
            shard.add("walk", "room0", video(0), fps=20, size=(48, 32))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["", "a/b", ".tmp-x"])
def test_names_that_cannot_be_shards(tmp_path, name):
    with pytest.raises(InputError, match="give a name"), SceneShards(tmp_path).shard(name):
        pass


def test_an_empty_store_has_an_index(tmp_path):
    assert SceneShards(tmp_path).reindex() == 0
    assert len(LatentStore(tmp_path)) == 0


def test_rows_are_read_again_when_a_shard_changes(tmp_path):
    shards = SceneShards(tmp_path)
    write(shards, 0)
    assert [row["environment_id"] for row in shards.rows()] == ["room0"]
    shards.write("v0", "elsewhere", video(0), fps=20, size=(48, 32))
    assert [row["environment_id"] for row in shards.rows()] == ["elsewhere"]
    shards.layout.scene_shard("v0").unlink()
    assert shards.rows() == []


@pytest.mark.parametrize("damage", ["cut", "header", "empty", "other", "long"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    shards = SceneShards(tmp_path)
    write(shards, 0)
    path = shards.layout.scene_shard("v0")
    whole = path.read_bytes()
    other = len(json.dumps({"__metadata__": {"rows": "[1]"}})).to_bytes(8, "little")
    spoiled = {
        "cut": whole[:-1],
        "header": whole[:40],
        "empty": b"",
        "other": other + b'{"__metadata__": {"rows": "[1]"}}',
        "long": whole + b"x",
    }
    path.write_bytes(spoiled[damage])
    with pytest.raises(InputError, match=r"v0.safetensors is damaged or no shard of a scene: remove it and run again"):
        shards.reindex()


def test_one_video_in_two_shards(tmp_path):
    shards = SceneShards(tmp_path)
    write(shards, 0)
    with shards.shard("w") as shard:
        shard.add("v0", "room0", {"c2w": torch.eye(4)[None]}, fps=20, size=(48, 32))
    with pytest.raises(InputError, match=r"v0.safetensors and .*w.safetensors both hold video 'v0'"):
        shards.rows()


def test_sweep_removes_what_killed_writers_left(tmp_path):
    shards = SceneShards(tmp_path)
    write(shards, 0)
    left = [tmp_path / ".tmp-1-index.parquet", tmp_path / "shards" / ".tmp-2-v1.safetensors"]
    for path in left:
        path.write_bytes(b"half")
    assert shards.rows()[0]["video_id"] == "v0"
    assert sorted(shards.sweep()) == sorted(left)
    assert sorted(contents(tmp_path)) == ["shards/v0.safetensors"]


def test_the_lock_keeps_others_out(tmp_path):
    layout = StoreLayout(tmp_path)
    with (
        locked_store(layout),
        pytest.raises(InputError, match="being written by another process"),
        locked_store(layout),
    ):
        pass
    with locked_store(layout):
        pass


def test_a_plain_writer_keeps_off_a_store_of_scenes(tmp_path):
    """It would discard shards that the index does not list yet."""
    shards = SceneShards(tmp_path)
    write(shards, 0)
    shards.reindex()
    write(shards, 1)
    with pytest.raises(InputError, match="a shard for each scene"):
        LatentWriter(tmp_path)
    assert shards.has("v1")
    assert [row["video_id"] for row in read_rows(shards.layout.scene_shard("v1"))] == ["v1"]
