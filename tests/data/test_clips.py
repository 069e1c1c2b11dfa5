"""Grounding from clips: the target is the clip, its context is of the video around it, and shows none of its frames."""

import dataclasses
import multiprocessing

import numpy as np
import pytest
import torch
from curated_store import SIZE, latents, make_curated
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.data.dataset import ExampleSampler, WindowConfig
from video4spatial.data.latent_videos import ClipOf, MemoryVideo, StoreVideo, open_store, open_stores
from video4spatial.data.windows import shown_by
from video4spatial.schema import InputError
from video4spatial.storage.latents import LatentStore

WINDOW = WindowConfig(target=5, context=(3,), other_video=0.5, navigation=0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_curated(tmp_path_factory.mktemp("curated"))


@pytest.fixture(scope="module")
def videos(store):
    return open_store(str(store), preload=False)


def test_clips_come_after_the_videos(videos):
    assert [video.video_id for video in videos][:3] == ["alone", "turn", "walk"]
    assert [video.video_id for video in videos][3:] == ["alone@000075", "walk@000012", "walk@000042"]
    assert videos[4].clip_of == ClipOf("walk", 0, 13)
    assert videos[0].clip_of is None  # its own "frames" are those of the source


def test_a_target_is_the_clip_and_context_shows_none_of_it(videos):
    """Clip walk@42 shows frames 30 to 42: of latents 8 (29 to 32) to 11 (41 to 44) at least one frame."""
    forbidden = {10: set(range(4)), 40: {8, 9, 10, 11}, 73: {16, 17, 18, 19}}
    batch = ExampleSampler(videos, WINDOW).batch(0, 400).to("cpu")
    seen = {start: set() for start in forbidden}
    for row in range(400):
        tag = int(batch.target[row, 0, 0, 0, 0])
        assert batch.target[row, 0].unique().tolist() == [tag]
        assert batch.target[row, 1, :, 0, 0].tolist() == [0, 1, 2, 3, 4]
        assert batch.target[row, 2].unique().tolist() == [2]
        source = int(batch.context[row, 0, 0, 0, 0])
        assert batch.context[row, 1, :, 0, 0].tolist() == batch.context_index[row].tolist()
        assert not batch.context[row, 2].any()
        assert source in ((3,) if tag == 73 else (1, 2))
        if source != 2:  # the clip's own video
            seen[tag] |= set(batch.context_index[row].tolist())
    for tag, indices in seen.items():
        assert indices == set(range(20)) - forbidden[tag]
    assert set(batch.sentences) == {"go there", "go, in a room"}
    assert not batch.camera.any()
    assert "walk@000042[0:5]<turn" in batch.ids


@given(st.integers(0, 300), st.integers(1, 200))
def test_latents_that_show_frames(start, length):
    first, last = shown_by(start, start + length)
    shown = {0: {0}} | {i: set(range(4 * i - 3, 4 * i + 1)) for i in range(1, 130)}
    assert list(range(first, last)) == [i for i in shown if shown[i] & set(range(start, start + length))]


def test_context_follows_the_chance_of_another_video(videos):
    for chance, allowed in ((0.0, {1, 3}), (1.0, {2, 3})):  # "alone" has no other video
        batch = ExampleSampler(videos, dataclasses.replace(WINDOW, other_video=chance)).batch(1, 64)
        assert set(batch.context[:, 0, 0, 0, 0].int().tolist()) == allowed


def test_both_tasks_are_mixed_by_weight(videos):
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, navigation=0.25)).batch(0, 400)
    navigates = [not sentence for sentence in batch.sentences]
    assert 0.18 < np.mean(navigates) < 0.32
    for row in np.nonzero(navigates)[0]:
        assert batch.target[row, 2, :, 0, 0].tolist() == [1, 0, 0, 0, 0]  # an image, then the video
        assert batch.camera[row].abs().max() > 0
    assert not batch.camera[[not n for n in navigates]].any()


def test_navigation_alone_does_not_ask_of_clips(videos):
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, navigation=1.0, target=7)).batch(0, 4)
    assert batch.target.shape == (4, 48, 7, 2, 4)


def test_without_the_tail(videos):
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, tail=False, target=4)).batch(0, 8)
    assert batch.target[:, 1, :, 0, 0].tolist() == [[0, 1, 2, 3]] * 8


def test_contiguous_and_no_context(videos):
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, mode="contiguous", other_video=0.0)).batch(0, 32)
    assert (batch.context_index.diff(dim=1) == 1).all()
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, context=(0,))).batch(0, 2)
    assert batch.context.shape == (2, 48, 0, 2, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 9}, r"'alone@000075' has 5 latents, the last 1 .* set window.target=5 \(it is 9\)"),
        ({"tail": False}, r"window.tail=false leaves out: set window.target=4 \(it is 5\)"),
        ({"context": (17,)}, r"3 of 3 videos are too short: 'alone@000075' has 16 latents left .*skip_short=true"),
        ({"context": (9,), "mode": "contiguous", "other_video": 0.0}, r"'walk@000042' has 8 latents left"),
    ],
)
def test_what_does_not_fit_is_known_at_the_start(videos, change, message):
    with pytest.raises(InputError, match=message):
        ExampleSampler(videos, dataclasses.replace(WINDOW, **change))


def test_short_ones_can_be_left_out(videos):
    window = dataclasses.replace(WINDOW, context=(9,), mode="contiguous", other_video=0.0, skip_short=True)
    sampler = ExampleSampler(videos, window)
    assert sampler.chooser.left_out == 1
    assert {name.split("[")[0] for name in sampler.batch(0, 32).ids} == {"walk@000012", "alone@000075"}
    with pytest.raises(InputError, match="3 of 3 videos are too short"):
        ExampleSampler(videos, dataclasses.replace(window, context=(17,)))


def test_contiguous_context_is_looked_for_beside_every_place_of_a_target(videos):
    """A target of 6 in the middle of 20 leaves 7 on either side."""
    window = dataclasses.replace(WINDOW, navigation=1.0, target=6, mode="contiguous", other_video=0.0)
    sampler = ExampleSampler(videos, dataclasses.replace(window, context=(7,)))
    assert sampler.batch(0, 64).context.shape[2] == 7
    with pytest.raises(InputError, match="has 7 latents left for context, 8 are asked for"):
        ExampleSampler(videos, dataclasses.replace(window, context=(8,)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": "gone"}, r"clips: clip 'gone@000012' is of video 'gone', which is not in the store: curate"),
        ({"environment": "cell"}, r"clip 'walk@000012' is of environment 'cell', its video 'walk' of 'place'"),
        ({"sentences": ()}, r"clip 'alone@000075' has no sentences"),
    ],
)
def test_clips_that_do_not_belong_are_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        open_store(str(make_curated(tmp_path, **change)))


def test_clips_of_several_stores_and_in_memory(tmp_path, store, videos):
    """Read from memory, lazily, or beside another store: the same examples."""
    memory = open_stores([str(store)], preload=True)
    assert all(isinstance(video, MemoryVideo) for video in memory)
    for step in range(3):
        one, other = (ExampleSampler(found, WINDOW, 5).batch(step, 4) for found in (videos, memory))
        for name in ("context", "context_index", "target", "camera"):
            assert torch.equal(getattr(one, name), getattr(other, name))
        assert one.ids == other.ids
    with pytest.raises(InputError, match=r"video 'alone' is in .* and in"):
        open_stores([str(store), str(make_curated(tmp_path))])


def test_precisions_that_differ_meet_without_loss(store):
    """A clip in bfloat16 with context in float16: float32 holds both."""
    found = [StoreVideo(LatentStore(store), row) for row in LatentStore(store)]
    clip = MemoryVideo(
        "c", "place", latents(0.1, 5, 2).bfloat16(), None, None, None, SIZE, ("go",), 1, ClipOf("walk", 0, 13)
    )
    batch = ExampleSampler([*found, clip], WINDOW).batch(0, 4)
    assert batch.target.dtype == torch.float32
    assert batch.target[:, 0].unique().tolist() == [torch.tensor(0.1, dtype=torch.float16).bfloat16().item()]


def _digest(sampler, results):
    results.put([float(sampler.batch(step, 2).target.double().sum()) for step in range(3)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_draw_the_same(videos, method):
    sampler = ExampleSampler(videos, dataclasses.replace(WINDOW, navigation=0.5), 3)
    expected = [float(sampler.batch(step, 2).target.double().sum()) for step in range(3)]  # shards are open here
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_digest, args=(sampler, results))
    process.start()
    assert results.get(timeout=60) == expected
    process.join(60)


def test_a_damaged_or_missing_shard_is_named_by_whoever_reads_it(tmp_path):
    root = make_curated(tmp_path)
    sampler = ExampleSampler(open_store(str(root), preload=False), WINDOW)
    clips = root / "clips" / "shards"
    for file in clips.iterdir():
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"clips/shards/(walk|alone).safetensors is damaged"):
        sampler.batch(0, 1)
    for file in clips.iterdir():
        file.unlink()
    with pytest.raises(InputError, match=r"clips/shards/(walk|alone).safetensors is missing"):
        sampler.batch(0, 1)
