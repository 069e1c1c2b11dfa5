"""Batches: deterministic, and made of exactly the latents, poses and sentences they claim."""

import dataclasses

import numpy as np
import pytest
import torch

from video4spatial.data.dataset import ExampleSampler, WindowConfig
from video4spatial.data.latent_videos import MemoryVideo, StoreVideo, open_store, open_stores
from video4spatial.geometry.camera_maps import camera_maps
from video4spatial.geometry.poses import relative_to
from video4spatial.schema import CameraPath, InputError
from video4spatial.storage.latents import LatentStore, LatentWriter
from video4spatial.train.stream import encode_video, keep_video

WINDOW = WindowConfig(target=5, context=(3,), other_video=0.5, navigation=0.5)


def tagged(video_id: str, environment: str, encoded: MemoryVideo, tag: int, sentences=True) -> MemoryVideo:
    """Latents that say where they come from: channel 0 is the tag, channel 1 the index, channel 2 tells images."""
    latents = encoded.latents
    tensors = []
    for kind in range(2):
        latent = torch.randn(48, latents, 2, 4, generator=torch.Generator().manual_seed(tag))
        latent[0], latent[1], latent[2] = tag, torch.arange(latents)[:, None, None], kind
        tensors.append(latent)
    words = (f"sentence {tag}", f"other {tag}") if sentences else ()
    lens, size = encoded.intrinsics, encoded.size
    return MemoryVideo(video_id, environment, *tensors, encoded.c2w, lens, size, words, 2 if sentences else 0)


@pytest.fixture(scope="module")
def encoded(tiny_grounding, codec) -> MemoryVideo:
    return encode_video(tiny_grounding, codec)


@pytest.fixture(scope="module")
def videos(encoded) -> list[MemoryVideo]:
    """Two videos of one room, one of another; the last ends at nothing."""
    return [tagged("a", "r1", encoded, 1), tagged("b", "r1", encoded, 2), tagged("c", "r2", encoded, 3, False)]


def equal(first, second) -> bool:
    tensors = all(
        torch.equal(getattr(first, name), getattr(second, name))
        for name in ("context", "context_index", "target", "camera")
    )
    return tensors and first.sentences == second.sentences


def test_the_same_step_is_the_same_batch_in_any_order(videos):
    one, two = ExampleSampler(videos, WINDOW, 7), ExampleSampler(videos, WINDOW, 7)
    later = two.batch(9, 4)
    assert equal(one.batch(3, 4), two.batch(3, 4))
    assert equal(one.batch(9, 4), later)


def test_other_steps_seeds_and_ranks_are_other_batches(videos):
    sampler = ExampleSampler(videos, WINDOW, 7)
    base = sampler.batch(3, 4)
    assert not equal(base, sampler.batch(4, 4))
    assert not equal(base, sampler.batch(3, 4, part=1))
    assert not equal(base, ExampleSampler(videos, WINDOW, 8).batch(3, 4))


def test_a_steps_batch_is_the_same_however_it_is_shared(videos):
    """Eight examples at once, as two parts, as eight: one context length, the same examples."""
    sampler = ExampleSampler(videos, dataclasses.replace(WINDOW, context=(0, 2, 3)), 7)
    for step in range(3):
        whole = sampler.batch(step, 8)
        for size in (1, 4):
            parts = [sampler.batch(step, size, part) for part in range(8 // size)]
            for name in ("context", "context_index", "target", "camera"):
                assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
            assert [i for part in parts for i in part.ids] == whole.ids


def test_ids_say_what_an_example_is_made_of(videos):
    by_id = {video.video_id: video for video in videos}
    batch = ExampleSampler(videos, WINDOW).batch(0, 32).to("cpu")
    assert len(set(batch.ids)) > 8
    for row, name in enumerate(batch.ids):
        target, source = name.split("<")
        video, window = target.rstrip("]").split("[")
        start, stop = map(int, window.split(":"))
        expected = by_id[video].tensors["video"][:, start + 1 : stop].float()
        assert torch.equal(batch.target[row, :, 1:], expected)
        assert torch.equal(batch.context[row], by_id[source].tensors["video"][:, batch.context_index[row]].float())


def test_stores_that_do_not_go_together_are_refused(tmp_path, videos):
    for name, some in (("one", videos[:1]), ("same", videos[:2]), ("empty", [])):
        with LatentWriter(tmp_path / name) as writer:
            for video in some:
                keep_video(writer, video, 16.0)
    other = MemoryVideo("z", "r9", *videos[0].tensors.values(), None, None, (96, 64))
    with LatentWriter(tmp_path / "larger") as writer:
        keep_video(writer, other, 16.0)
    names = {name: str(tmp_path / name) for name in ("one", "same", "larger", "empty")}
    with pytest.raises(InputError, match=r"video 'a' is in .*one and in .*same"):
        open_stores([names["one"], names["same"]])
    with pytest.raises(InputError, match=r"larger holds 96x64 videos, .*one 64x32 ones"):
        open_stores([names["one"], names["larger"]])
    with pytest.raises(InputError, match="is not a latent store"):
        open_stores([names["empty"]])
    assert [v.video_id for v in open_stores([names["same"]])] == ["a", "b"]


def test_latents_are_those_of_their_indices(videos):
    """Context latents are the video's own at their indices; the target's first is an image's, the rest follow."""
    sampler = ExampleSampler(videos, WINDOW)
    batch = sampler.batch(0, 64).to("cpu")
    assert batch.context.shape == (64, 48, 3, 2, 4)
    assert batch.target.shape == (64, 48, 5, 2, 4)
    by_tag = {int(video.tensors["video"][0, 0, 0, 0]): video for video in videos}
    shared = 0
    for row in range(64):
        source, wanted = by_tag[int(batch.context[row, 0, 0, 0, 0])], by_tag[int(batch.target[row, 0, 0, 0, 0])]
        assert source.environment_id == wanted.environment_id
        assert torch.equal(batch.context[row], source.tensors["video"][:, batch.context_index[row]].float())
        start = int(batch.target[row, 1, 0, 0, 0])
        assert torch.equal(batch.target[row, :, 0], wanted.tensors["image"][:, start].float())
        assert torch.equal(batch.target[row, :, 1:], wanted.tensors["video"][:, start + 1 : start + 5].float())
        index = batch.context_index[row]
        assert index.max() < source.latents - source.tail_latents  # a box tail is no context
        if source is wanted:
            assert not ((index >= start) & (index < start + 5)).any()
            shared += 1
    assert 10 < shared < 64


def test_grounding_ends_with_the_tail_and_has_no_camera(videos):
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, navigation=0.0)).batch(0, 16)
    assert not batch.camera.any()
    for row in range(16):
        tag, start = int(batch.target[row, 0, 0, 0, 0]), int(batch.target[row, 1, 0, 0, 0])
        assert start + 5 == videos[0].latents
        assert batch.sentences[row] in videos[tag - 1].sentences
    assert len(set(batch.sentences)) == 4


def test_navigation_has_no_sentence_and_keeps_off_the_tail(videos):
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, navigation=1.0)).batch(0, 32)
    assert batch.sentences == [""] * 32
    starts = {0: set(), 2: set()}
    for row in range(32):
        tag = int(batch.target[row, 0, 0, 0, 0])
        starts[2 if tag < 3 else 0].add(int(batch.target[row, 1, 0, 0, 0]))
    assert max(starts[2]) + 5 <= videos[0].latents - 2
    assert batch.camera.abs().amax(dim=(1, 2, 3, 4)).min() > 0


def camera_of(video, start: int, origin: int) -> torch.Tensor:
    poses = relative_to(video.c2w[4 * start : 4 * start + 17], origin)
    return torch.as_tensor(camera_maps(CameraPath(poses, video.intrinsics), *video.size))


@pytest.mark.parametrize("random", [True, False])
def test_the_zero_pose_is_one_of_the_targets_frames(videos, random):
    """Its moments are then zero; without random zero pose it is the first."""
    window = dataclasses.replace(WINDOW, navigation=1.0, random_zero_pose=random)
    batch = ExampleSampler(videos, window).batch(0, 24)
    origins = []
    for row in range(24):
        tag, start = int(batch.target[row, 0, 0, 0, 0]), int(batch.target[row, 1, 0, 0, 0])
        matches = [o for o in range(17) if torch.equal(batch.camera[row], camera_of(videos[tag - 1], start, o))]
        assert len(matches) == 1
        moments = batch.camera[row].unflatten(0, (6, 4))[:3]
        frame = matches[0]
        latent, place = (0, 0) if frame == 0 else ((frame + 3) // 4, (frame + 3) % 4)
        assert moments[:, place, latent].abs().max() < 1e-6
        origins.append(frame)
    assert (len(set(origins)) > 5) is random
    assert random or set(origins) == {0}


def test_context_from_other_videos_follows_its_chance(videos):
    for chance, expected in ((0.0, 0), (1.0, 64)):
        window = dataclasses.replace(WINDOW, other_video=chance, navigation=0.0)
        batch = ExampleSampler(videos, window).batch(1, 64)
        other = (batch.context[:, 0, 0, 0, 0] != batch.target[:, 0, 0, 0, 0]).sum()
        assert other == expected


def test_no_context(videos):
    batch = ExampleSampler(videos, dataclasses.replace(WINDOW, context=(0,))).batch(0, 3)
    assert batch.context.shape == (3, 48, 0, 2, 4)
    assert batch.context_index.shape == (3, 0)


def test_lengths_of_context_vary_between_batches_only(videos):
    sampler = ExampleSampler(videos, dataclasses.replace(WINDOW, context=(0, 2, 3)))
    assert {sampler.batch(step, 2).context.shape[2] for step in range(20)} == {0, 2, 3}


def test_a_store_gives_the_batches_that_memory_gives(tmp_path, videos, encoded):
    with LatentWriter(tmp_path / "store") as writer:
        for video in videos:
            keep_video(writer, video, 16.0)
    store = LatentStore(tmp_path / "store")
    lazy = [StoreVideo(store, row) for row in store]
    for stored in (lazy, open_store(str(tmp_path / "store")), open_store(str(tmp_path / "store"), preload=False)):
        window = dataclasses.replace(WINDOW, context=(0, 3))
        for step in range(4):
            expected = ExampleSampler(videos, window).batch(step, 3)
            assert equal(ExampleSampler(stored, window).batch(step, 3), expected)
    assert lazy[0].tail_latents == 2
    assert lazy[0].sentences == videos[0].sentences


def test_too_little_for_the_window_is_refused(videos):
    """Before the first step: the video that is too short may be drawn after days."""
    for window in (
        dataclasses.replace(WINDOW, context=(1, 7), other_video=0.0),
        dataclasses.replace(WINDOW, context=(7,), other_video=0.9, navigation=0.0),
        dataclasses.replace(WINDOW, context=(7,), other_video=1.0, navigation=1.0),  # c is alone in its environment
    ):
        with pytest.raises(InputError, match=r"'[abc]' has \d latents left for context, 7 are asked for"):
            ExampleSampler(videos, window)
    borrowed = dataclasses.replace(WINDOW, context=(7,), other_video=1.0, navigation=0.0)
    assert ExampleSampler(videos, borrowed).batch(0, 8).context.shape[2] == 7
    with pytest.raises(InputError, match="grounding needs some"):
        ExampleSampler(videos[2:], WINDOW)
    with pytest.raises(InputError, match="navigation needs some"):
        ExampleSampler(videos, dataclasses.replace(WINDOW, navigation=1.0, target=12))


def test_encoding_a_video(tiny_grounding, codec, encoded):
    frames = tiny_grounding.clip.frames
    assert (encoded.latents, encoded.tail_latents) == (11, 2)
    assert encoded.tensors["video"].dtype == torch.float16
    torch.testing.assert_close(encoded.read("video", range(11)).float(), codec.encode(frames), atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(
        encoded.read("image", [3])[:, 0].float(), codec.encode(frames[12:13])[:, 0], atol=2e-3, rtol=1e-3
    )


@pytest.mark.parametrize("tail", [1, 4, 5, 8])
def test_every_latent_that_shows_the_box_belongs_to_the_tail(tiny_grounding, codec, tail):
    """Context must not show the red box: a latent is of the tail if any of its four frames is."""
    encoded = encode_video(dataclasses.replace(tiny_grounding, tail_frames=tail), codec)
    shown = {(frame + 3) // 4 for frame in range(41 - tail, 41)}
    assert encoded.tail_latents == len(shown)


def test_batches_move_to_a_device(videos):
    batch = ExampleSampler(videos, WINDOW).batch(0, 2)
    moved = batch.to("cpu")
    assert equal(batch, moved)
    assert len(moved) == 2
    assert np.isfinite(moved.target.numpy()).all()
