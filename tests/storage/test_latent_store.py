"""The latent store: bit-exact, resumable, and never half a video."""

import errno
import multiprocessing
import os
import pickle
import resource
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage import latents as module
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore, LatentWriter

K = Intrinsics(30.0, 31.0, 24.0, 16.0, 48, 32)


def video(seed, dtype=torch.bfloat16, latents=5):
    generator = torch.Generator().manual_seed(seed)
    frames = 4 * (latents - 1) + 1
    return {
        "video": torch.randn(4, latents, 2, 3, generator=generator).to(dtype),
        "image": torch.randn(4, latents, 2, 3, generator=generator).to(dtype),
        "c2w": np.random.default_rng(seed).normal(size=(frames, 4, 4)),
    }


def add(writer, seed, **options):
    writer.add(f"v{seed}", f"room{seed // 2}", video(seed), fps=24.0, size=(48, 32), intrinsics=K, **options)


def store_of(root, count, shard_bytes=10**9):
    with LatentWriter(root, shard_bytes) as writer:
        for seed in range(count):
            add(writer, seed, meta={"seed": seed})
    return LatentStore(root)


def files(root):
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file() and file.name != ".lock")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_round_trip_is_bit_exact(tmp_path, dtype):
    given = video(7, dtype)
    given["video"][0, 0, 0, 0] = float("nan")  # bits, not values
    given["text"] = torch.arange(6, dtype=torch.int32).reshape(2, 3)
    with LatentWriter(tmp_path) as writer:
        writer.add("v", "room", given, fps=23.976, size=(48, 32), meta={"caption": "ü"})
    store = LatentStore(tmp_path)
    for name, tensor in given.items():
        expected = torch.as_tensor(tensor)
        got = store.read("v", name)
        assert got.dtype == expected.dtype
        assert got.contiguous().view(torch.uint8).equal(expected.contiguous().view(torch.uint8))
    row = store["v"]
    assert (row.frames, row.latents, row.width, row.height, row.fps) == (17, 5, 48, 32, 23.976)
    assert (row.environment_id, row.meta, row.intrinsics) == ("room", {"caption": "ü"}, None)
    assert row.tensors["video"] == (4, 5, 2, 3)


def test_scattered_reads(tmp_path):
    store = store_of(tmp_path, 2)
    given = video(1)
    for wanted in ([3], [4, 0, 1, 1, 2], [], np.array([0, 2, 3, 4])):
        expected = given["video"][:, torch.as_tensor(np.asarray(wanted, dtype=np.int64))]
        assert store.read("v1", "video", wanted).equal(expected)
    assert store.read("v1", "c2w", [16, 2]).equal(torch.from_numpy(given["c2w"][[16, 2]]))


def test_latent_frames_lie_together(tmp_path):
    """[F, C, h, w] in the shard, so a scattered latent frame is one contiguous read."""
    store = store_of(tmp_path, 1)
    with safe_open(store.layout.shard(0), framework="pt") as shard:
        assert shard.get_slice("v0/video").get_shape() == [5, 4, 2, 3]
        assert shard.get_tensor("v0/video").equal(video(0)["video"].transpose(0, 1))


def test_index_has_one_row_a_video(tmp_path):
    store = store_of(tmp_path, 3)
    table = pq.read_table(tmp_path / "index.parquet")
    assert table.num_rows == len(store) == store.videos.num_rows == 3
    assert table.column("video_id").to_pylist() == [row.video_id for row in store] == ["v0", "v1", "v2"]
    assert store.environments() == {"room0": ["v0", "v1"], "room1": ["v2"]}
    assert store["v2"].intrinsics == K
    assert "v2" in store
    assert "v3" not in store
    assert store.verify() == 3


def test_shards_are_cut_by_size(tmp_path):
    one = sum(torch.as_tensor(t).nbytes for t in video(0).values())
    store_of(tmp_path, 5, shard_bytes=2 * one)
    assert files(tmp_path) == ["index.parquet", *(f"shards/shard-00000{i}.safetensors" for i in range(3))]


def test_what_the_caller_does_later_does_not_reach_the_store(tmp_path):
    given = video(0)
    expected = given["video"].clone()
    with LatentWriter(tmp_path) as writer:
        writer.add("v", "room", given, fps=24, size=(48, 32))
        given["video"].zero_()
        given["c2w"][:] = 0
    assert LatentStore(tmp_path).read("v", "video").equal(expected)
    assert LatentStore(tmp_path).read("v", "c2w").any()


def test_reopening_continues(tmp_path):
    store_of(tmp_path, 2)
    with LatentWriter(tmp_path) as writer:
        assert "v1" in writer
        assert "v2" not in writer
        with pytest.raises(InputError, match=r"'v1' is in .* already"):
            add(writer, 1)
        add(writer, 2)
    store = LatentStore(tmp_path)
    assert store.verify() == 3
    assert [row.shard for row in store] == ["shard-000000.safetensors"] * 2 + ["shard-000001.safetensors"]


def test_reopening_without_adding_changes_nothing(tmp_path):
    store_of(tmp_path, 1)
    before = (tmp_path / "index.parquet").read_bytes()
    LatentWriter(tmp_path).close()
    assert (tmp_path / "index.parquet").read_bytes() == before


def test_killed_between_shard_and_index(tmp_path, monkeypatch):
    """The shard is on disk but not listed: the store is as before, and the next writer discards the shard."""
    store_of(tmp_path, 1)
    writer = LatentWriter(tmp_path)
    add(writer, 1)

    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", killed)
        with pytest.raises(KeyboardInterrupt):
            writer.flush()
    assert "shards/shard-000001.safetensors" in files(tmp_path)
    assert [row.video_id for row in LatentStore(tmp_path)] == ["v0"]
    writer.close()
    assert [row.video_id for row in LatentStore(tmp_path)] == ["v0"]  # closing does not try the failed flush again
    (tmp_path / ".tmp-1234-index.parquet").write_text("half an index")
    (tmp_path / "shards/.tmp-1234-shard-000002.safetensors").write_text("half a shard")
    with LatentWriter(tmp_path) as writer:
        assert files(tmp_path) == ["index.parquet", "shards/shard-000000.safetensors"]
        add(writer, 1)
    assert LatentStore(tmp_path).verify() == 2


def _add_and_die(root):
    writer = LatentWriter(root)
    add(writer, 0)
    writer.flush()
    add(writer, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def test_sigkill_loses_only_what_was_not_flushed(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_add_and_die, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert [row.video_id for row in LatentStore(tmp_path)] == ["v0"]
    with LatentWriter(tmp_path) as writer:  # the dead writer's lock is gone
        add(writer, 1)
    assert LatentStore(tmp_path).verify() == 2


def test_an_error_between_videos_keeps_those_complete(tmp_path):
    def encode():
        with LatentWriter(tmp_path) as writer:
            add(writer, 0)
            raise RuntimeError("the next video cannot be decoded")

    with pytest.raises(RuntimeError, match="decoded"):
        encode()
    assert LatentStore(tmp_path).verify() == 1


def test_a_full_disk_at_the_index(tmp_path, monkeypatch):
    store_of(tmp_path, 1)
    before = files(tmp_path)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = LatentWriter(tmp_path)
    add(writer, 1)
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(InputError, match=r"index.parquet could not be written: the disk is full"):
            writer.flush()
    writer.close()
    LatentWriter(tmp_path).close()
    assert files(tmp_path) == before
    assert LatentStore(tmp_path).verify() == 1


def test_a_full_disk_inside_safetensors(tmp_path):
    """The system refuses the bytes while safetensors writes (a file size limit stands in for the disk)."""
    store_of(tmp_path, 1)
    before = files(tmp_path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = LatentWriter(tmp_path)
    writer.add("big", "room", {"video": torch.zeros(4, 400, 16, 16)}, fps=24, size=(48, 32))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
        with pytest.raises(InputError, match=r"shard-000001.safetensors could not be written: the disk is full"):
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    writer.close()
    assert files(tmp_path) == before


def test_two_writers_are_refused(tmp_path):
    with (
        LatentWriter(tmp_path),
        pytest.raises(InputError, match="being written by another process"),
    ):
        LatentWriter(tmp_path)
    LatentWriter(tmp_path).close()


def test_damage_is_named(tmp_path):
    one = sum(torch.as_tensor(t).nbytes for t in video(0).values())
    store_of(tmp_path, 4, shard_bytes=one)
    shards = [StoreLayout(tmp_path).shard(i) for i in range(4)]
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-10])
    data = bytearray(shards[2].read_bytes())
    data[-1] ^= 1  # one flipped bit
    shards[2].write_bytes(data)
    store = LatentStore(tmp_path)
    with pytest.raises(InputError, match=r"shard-000000.safetensors is missing: restore it"):
        store.read("v0", "video", [0])
    with pytest.raises(InputError, match=r"shard-000001.safetensors is damaged"):
        store.read("v1", "video", [0])
    with pytest.raises(InputError) as caught:
        store.verify()
    for text in ("000000.safetensors is missing", "000001.safetensors is damaged", "video 'v2' is not what was"):
        assert text in str(caught.value)
    assert "v3" not in str(caught.value)
    assert "000003" not in str(caught.value)


def test_a_shard_that_lacks_a_video_is_damaged(tmp_path):
    store = store_of(tmp_path, 1)
    save_file({"other": torch.zeros(1)}, store.layout.shard(0))
    for read in (lambda: store.read("v0", "video"), store.verify):
        with pytest.raises(InputError, match=r"shard-000000.safetensors is damaged"):
            read()


def test_bad_stores(tmp_path):
    with pytest.raises(InputError, match="is not a latent store"):
        LatentStore(tmp_path)
    store_of(tmp_path, 1)
    index = tmp_path / "index.parquet"
    index.write_bytes(index.read_bytes()[:50])
    for opens in (LatentStore, LatentWriter):
        with pytest.raises(InputError, match=r"index.parquet is damaged"):
            opens(tmp_path)
    assert "shards/shard-000000.safetensors" in files(tmp_path)  # a damaged index must not cost the shards
    pq.write_table(module.pa.table({"video_id": ["a"]}), index)
    with pytest.raises(InputError, match=r"index.parquet has other columns"):
        LatentStore(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot hold a latent store"):
        LatentWriter(tmp_path / "file")


def test_bad_reads(tmp_path):
    store = store_of(tmp_path, 1)
    with pytest.raises(InputError, match="video 'nobody' is not in"):
        store.read("nobody", "video")
    with pytest.raises(InputError, match="has no tensor 'depth': it has video, image, c2w"):
        store.read("v0", "depth")
    for wanted in ([5], [-1], [0, 99]):
        with pytest.raises(InputError, match="has 5 entries"):
            store.read("v0", "video", wanted)
    assert store.read("v0", "c2w", [16]).shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("video_id", "change", "message"),
    [
        ("a/b", {}, "without '/'"),
        ("", {}, "non-empty name"),
        ("v", {"video": torch.zeros(4, 5, 2)}, r"'video' has shape \(4, 5, 2\)"),
        ("v", {"image": torch.zeros(4, 6, 2, 3)}, "disagree in length"),
        ("v", {"c2w": np.zeros((30, 4, 4))}, "30 poses do not go with 5 latents"),
        ("v", {"note": torch.tensor(3.0)}, "'note' is a scalar"),
    ],
)
def test_bad_additions_leave_the_writer_usable(tmp_path, video_id, change, message):
    with LatentWriter(tmp_path) as writer:
        with pytest.raises(InputError, match=message):
            writer.add(video_id, "room", video(0) | change, fps=24, size=(48, 32))
        add(writer, 0)
    assert LatentStore(tmp_path).verify() == 1


def _sum(store, results):
    results.put(float(store.read("v1", "video", [0, 4]).float().sum()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_reads_in_other_processes(tmp_path, method):
    store = store_of(tmp_path, 2)
    expected = float(store.read("v1", "video", [0, 4]).float().sum())  # opens a handle that must not be carried over
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_sum, args=(store, results))
    process.start()
    assert results.get(timeout=60) == expected
    process.join(60)


def test_pickle_carries_no_handles(tmp_path):
    store = store_of(tmp_path, 2)
    expected = store.read("v0", "image")
    assert pickle.loads(pickle.dumps(store)).read("v0", "image").equal(expected)


def test_open_shards_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_OPEN_SHARDS", 2)
    store = store_of(tmp_path, 5, shard_bytes=1)
    for seed in (0, 1, 2, 3, 4, 0):
        assert store.read(f"v{seed}", "video").equal(video(seed)["video"])
        assert len(store._shards) <= 2


def test_threads_that_open_and_close_each_others_shards(tmp_path, monkeypatch):
    """A shard is put aside while another thread reads it: it stays open until that has done."""
    monkeypatch.setattr(module, "_OPEN_SHARDS", 1)
    store = store_of(tmp_path, 4, shard_bytes=1)
    expected = [video(seed)["video"] for seed in range(4)]

    def read(number):
        seed = number % 4
        return store.read(f"v{seed}", "video", [4, 0, 2]).equal(expected[seed][:, [4, 0, 2]])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(400)))


def test_reading_into_memory_that_is_given(tmp_path):
    """As the shard has it, [F, C, h, w], or converted."""
    store, expected = store_of(tmp_path, 1), video(0)["video"].transpose(0, 1)
    for dtype in (torch.bfloat16, torch.float32):
        out = torch.full((4, 4, 2, 3), 7.0, dtype=dtype)
        store.read_into("v0", "video", [3, 1], out[1:3])
        assert out[1:3].equal(expected[[3, 1]].to(dtype))
        assert (out[[0, 3]] == 7).all()
    assert store.dtype("v0", "video") == torch.bfloat16
    with pytest.raises(InputError, match="has 5 entries"):
        store.read_into("v0", "video", [5], out[:1])


def test_a_shard_of_another_shape_is_damaged(tmp_path):
    store = store_of(tmp_path, 1)
    module.save_shard({f"v0/{name}": torch.zeros(5, 4, 2, 2) for name in ("video", "image")}, store.layout.shard(0))
    with pytest.raises(InputError, match=r"shard-000000.safetensors is damaged .* which is not what the index says"):
        store.read("v0", "video", [0])
