"""Rooms while training: what a step sees depends on the step alone."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from video4spatial.data.rooms import HELD_OUT_SEED, training_videos
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import InputError
from video4spatial.storage.latents import LatentStore
from video4spatial.train.config import StreamConfig
from video4spatial.train.stream import (
    VALIDATION_SEED,
    LatentRooms,
    RoomPool,
    encode_video,
    fingerprint,
    validation_seeds,
)
from video4spatial.train.workers import render_clips


def pool_of(stream: StreamConfig, render=training_videos, recall=lambda seed: None) -> RoomPool:
    def finish(seed, videos):
        return seed, videos[0].clip.frames[:3]

    return RoomPool(stream, render, finish, recall, show_progress=False)


@pytest.fixture(scope="module")
def stream(tiny_rooms) -> StreamConfig:
    return StreamConfig(rooms=tiny_rooms, pool=2, rooms_per_step=0.5, workers=1)


def test_a_step_sees_the_same_rooms_however_it_is_reached(stream):
    """One pool that jumps ahead, as a resumed run does, goes back and walks on, against rooms rendered here."""
    with pool_of(stream) as rooms:
        for step in (4, 0, 1, 2, 4):
            found = rooms.at(step)
            assert [seed for seed, _ in found] == [step // 2, step // 2 + 1]
            for seed, frames in found:
                np.testing.assert_array_equal(frames, training_videos(seed, stream.rooms)[0].clip.frames[:3])


def test_workers_start_light():
    """Rendering needs no torch; with it each of many workers would take half a gigabyte and half a minute."""
    code = "import sys, video4spatial.train.workers; print(sorted({'torch', 'diffusers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("first", "pool"), [(0, 7), (VALIDATION_SEED - 7, 7), (5, VALIDATION_SEED - 5)])
def test_seeds_start_where_asked_and_never_reach_validation(tiny_rooms, first, pool):
    stream = StreamConfig(rooms=tiny_rooms, first_seed=first, pool=pool, rooms_per_step=1.0)
    rooms = pool_of(stream)
    assert rooms.seeds(0) == range(first, first + pool)
    for step in (1, 3, 8, 1000, VALIDATION_SEED - first - pool, VALIDATION_SEED, 10**9 + 1):
        seeds = rooms.seeds(step)
        assert len(seeds) == pool
        assert seeds.start >= 0
        assert seeds.stop <= VALIDATION_SEED


def test_pools_that_would_reach_validation_are_refused(tiny_rooms):
    with pytest.raises(InputError, match="training seeds end at"):
        pool_of(StreamConfig(rooms=tiny_rooms, first_seed=VALIDATION_SEED - 3, pool=4))


def test_validation_stays_between_training_and_the_held_out_rooms():
    assert validation_seeds(3) == range(VALIDATION_SEED, VALIDATION_SEED + 3)
    with pytest.raises(InputError, match="validation_rooms"):
        validation_seeds(HELD_OUT_SEED - VALIDATION_SEED + 1)


def test_nothing_known_is_rendered_again(stream):
    """Neither now nor ahead: no worker is even started."""
    rooms = pool_of(stream, recall=lambda seed: (seed, None))
    for step in range(6):
        rooms.at(step)
    assert not rooms._coming
    rooms.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory, tiny_rooms, codec):
    """A stream with an empty store, asked once."""
    stream = StreamConfig(rooms=tiny_rooms, pool=2, workers=1, store=str(tmp_path_factory.mktemp("store")))
    rooms = LatentRooms(stream, codec, show_progress=False)
    first = rooms.at(0)
    rooms.close()
    return stream, first


def test_latents_from_the_store_are_those_of_rendering(filled, codec, tiny_rooms, monkeypatch):
    stream, first = filled
    monkeypatch.setattr("video4spatial.train.stream.encode_video", None)  # any rendering would now fail
    rooms = LatentRooms(stream, codec, show_progress=False)
    again = rooms.at(0)
    rooms.close()
    monkeypatch.undo()
    here = [encode_video(video, codec) for seed in range(2) for video in training_videos(seed, tiny_rooms)]
    assert [v.video_id for v in first] == [v.video_id for v in again] == [v.video_id for v in here]
    for one, two, three in zip(first, again, here, strict=True):
        for name in ("video", "image"):
            index = range(one.latents)
            assert torch.equal(one.read(name, index), two.read(name, index))
            torch.testing.assert_close(one.read(name, index), three.read(name, index), rtol=0, atol=2e-3)
        np.testing.assert_array_equal(one.c2w, two.c2w)
        assert one.intrinsics == two.intrinsics
        assert (one.sentences, one.tail_latents, one.size) == (two.sentences, two.tail_latents, two.size)


def test_the_store_is_whole(filled, codec):
    stream, first = filled
    store = LatentStore(f"{stream.store}/{fingerprint(codec, stream.rooms)}")
    assert store.verify() == len(first)


def test_another_vae_or_other_rooms_are_other_latents(codec, tiny_rooms, tiny_vae):
    base = fingerprint(codec, tiny_rooms)
    assert fingerprint(LatentCodec(tiny_vae), tiny_rooms) == base
    assert fingerprint(codec, dataclasses.replace(tiny_rooms, fov=60.0)) != base
    old = tiny_vae.config.latents_std
    try:
        tiny_vae.register_to_config(latents_std=[2 * s for s in old])  # the same weights, other statistics
        assert fingerprint(LatentCodec(tiny_vae), tiny_rooms) != base
    finally:
        tiny_vae.register_to_config(latents_std=old)
    with torch.no_grad():
        bias = tiny_vae.quant_conv.bias[0].clone()
        tiny_vae.quant_conv.bias[0] += 1e-3
        assert fingerprint(codec, tiny_rooms) != base
        tiny_vae.quant_conv.bias[0] = bias


def test_clips_for_the_vae(tiny_rooms):
    clips = render_clips(2, tiny_rooms, clips=3, length=9)
    assert clips.shape == (3, 9, 32, 64, 3)
    np.testing.assert_array_equal(clips, render_clips(2, tiny_rooms, clips=3, length=9))
    whole = np.concatenate([video.clip.frames for video in training_videos(2, tiny_rooms)])
    np.testing.assert_array_equal(clips[0], whole[-9:])
