"""A scene encoded once, and what an answer looks like."""

import json
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from video4spatial.sample import session
from video4spatial.sample.session import ContextStream, EncodedScene, Result, encode_scene, load_first_frame, seeded
from video4spatial.schema import Box, Clip, Found, InputError
from video4spatial.storage.video import probe, read_video, write_video


def numbered(count: int, fps: float = 16.0, height: int = 32, width: int = 64) -> Clip:
    """Frame i is of grey i."""
    frames = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, height, width, 3))
    return Clip(np.ascontiguousarray(frames), fps)


def greys(frames: np.ndarray) -> list[int]:
    assert (frames == frames[:, :1, :1, :1]).all()
    return frames[:, 0, 0, 0].tolist()


def load_context(video, width: int, height: int, fps: float) -> tuple[np.ndarray, float]:
    """All frames of the stream."""
    stream = ContextStream(video, width, height, fps)
    frames = np.stack(list(stream))
    assert len(frames) == len(stream)
    return frames, stream.fps


@pytest.mark.parametrize(
    ("count", "fps", "kept", "rate"),
    [
        (9, 16.0, list(range(9)), 16.0),
        (12, 16.0, list(range(3, 12)), 16.0),  # the start is cut, so that 4k + 1 are left
        (5, 16.0, [0, 1, 2, 3, 4], 16.0),
        (20, 32.0, [3, 5, 7, 9, 11, 13, 15, 17, 19], 16.0),  # thinned from the end
        (9, 8.0, list(range(9)), 8.0),  # a slower one is taken as it is
        (15, 48.0, [2, 5, 8, 11, 14], 16.0),
    ],
)
def test_context_is_thinned_to_the_models_rate_and_keeps_its_end(count, fps, kept, rate):
    frames, found = load_context(numbered(count, fps), 64, 32, 16.0)
    assert greys(frames) == kept
    assert found == rate


def test_too_short_videos_are_refused_with_what_is_enough():
    with pytest.raises(InputError, match=r"the context video has 4 frames at 16 fps.* at least 5 frames"):
        load_context(numbered(4), 64, 32, 16.0)
    with pytest.raises(InputError, match=r"has 8 frames at 32 fps, 4 at the model's 16: give .* at least 10 frames"):
        load_context(numbered(8, 32.0), 64, 32, 16.0)


def test_files_arrays_and_other_sizes(tmp_path):
    clip = numbered(9, height=64, width=128)
    write_video(tmp_path / "a.mp4", clip, crf=1)
    for video in (clip, clip.frames, tmp_path / "a.mp4", str(tmp_path / "a.mp4")):
        frames, fps = load_context(video, 64, 32, 16.0)
        assert frames.shape == (9, 32, 64, 3)
        assert fps == pytest.approx(16.0)
        assert np.abs(frames.mean((1, 2, 3)) - np.arange(9)).max() < 2
    with pytest.raises(InputError, match="uint8"):
        load_context(clip.frames / 255, 64, 32, 16.0)


@pytest.fixture
def walk(tmp_path):
    """60 frames at 48 fps, so that every third is kept: 17 of them, from frame 11 on."""
    file = tmp_path / "walk.mp4"
    write_video(file, numbered(60, 48.0), crf=1)
    return file


def test_files_are_thinned_from_their_end_too(walk):
    frames, fps = load_context(walk, 64, 32, 16.0)
    assert np.abs(frames.mean((1, 2, 3)) - np.arange(11, 60, 3)).max() < 2
    assert fps == pytest.approx(16.0)


@pytest.mark.parametrize("told", [57, 59, 61, 66, 3])
def test_a_file_that_is_wrong_about_its_frames_is_counted(walk, codec, monkeypatch, told):
    """What it says of itself decides where reading starts; the end must be kept all the same."""
    right = encode_scene(ContextStream(walk, 64, 32, 16.0), codec, None)
    true = probe(walk)
    monkeypatch.setattr(session, "probe", lambda path: replace(true, frames=told))
    stream = ContextStream(walk, 64, 32, 16.0)
    if told > 3:  # too short to be used by its own word: counted at once
        with pytest.raises(session.CountError, match="60 frames"):
            list(stream)
    scene = encode_scene(stream, codec, None)
    assert torch.equal(scene.latents, right.latents)
    np.testing.assert_array_equal(scene.first_frame, right.first_frame)
    with pytest.raises(InputError, match="had 58 frames and now 60: is it still being written"):
        list(stream.recounted(58))


def test_progress_is_told_and_frames_are_not_kept(codec, tmp_path):
    """A long video: its frames must be gone when the next ones are encoded."""
    alive: list[weakref.ref] = []
    most = 0

    class Watched(ContextStream):
        def __iter__(self):
            nonlocal most
            for frame in super().__iter__():
                owner = frame if frame.base is None else frame.base
                alive.append(weakref.ref(owner))
                most = max(most, sum(ref() is not None for ref in alive))
                yield frame

    write_video(tmp_path / "long.mp4", numbered(101), crf=30)
    told = []
    stream = Watched(tmp_path / "long.mp4", 64, 32, 16.0)
    encode_scene(stream, codec, None, lambda done, total: told.append((done, total)))
    assert told == [(1, 101), *((done, 101) for done in range(5, 102, 4))]
    assert most < 10


def test_first_frames(tmp_path):
    Image.new("RGBA", (128, 64), (200, 10, 20, 255)).save(tmp_path / "a.png")
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), np.full((64, 128, 3), (200, 10, 20), np.uint8)):
        frame = load_first_frame(image, 64, 32)
        assert frame.shape == (32, 64, 3)
        assert (frame == [200, 10, 20]).all()
    (tmp_path / "b.png").write_text("no image")
    for name in ("b.png", "missing.png"):
        with pytest.raises(InputError, match=f"{name} cannot be read as an image"):
            load_first_frame(tmp_path / name, 64, 32)


def test_a_scene_starts_where_its_video_ends(codec, noise_frames):
    stream = ContextStream(noise_frames, 64, 32, 16.0)
    scene = encode_scene(stream, codec, None)
    assert len(scene) == 6
    np.testing.assert_array_equal(scene.first_frame, noise_frames[-1])
    torch.testing.assert_close(scene.first, codec.encode_images(noise_frames[-1:]))
    torch.testing.assert_close(scene.latents, codec.encode(noise_frames))
    other = encode_scene(stream, codec, noise_frames[3])
    torch.testing.assert_close(other.first, codec.encode_images(noise_frames[3:4]))
    assert torch.equal(other.latents, scene.latents)


def test_context_is_picked_evenly_with_its_indices():
    latents = torch.arange(11.0).view(1, 11, 1, 1).expand(48, 11, 2, 4)
    scene = EncodedScene(latents, torch.zeros(48, 1, 2, 4), np.zeros((32, 64, 3), np.uint8), 16.0)
    picked, index = scene.context(5)
    assert index.tolist() == [0, 2, 5, 8, 10]
    assert picked[0, :, 0, 0].tolist() == index.tolist()
    assert scene.context(99)[1].tolist() == list(range(11))
    none, index = scene.context(0)
    assert none.shape == (48, 0, 2, 4)
    assert index.dtype == torch.int64
    with pytest.raises(InputError, match="context-latents is -1"):
        scene.context(-1)


def test_answers_say_what_was_found_and_what_was_not(tmp_path):
    frames = numbered(9).frames
    found = Result(frames, 16.0, "ground", {"seed": 3}, Found(Box(1.0, 2.0, 30.456, 20.0), 8, "the sofa", 0.91234))
    found.save_json(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "task": "ground",
        "frames": 9,
        "fps": 16.0,
        "width": 64,
        "height": 32,
        "found": True,
        "box": [1.0, 2.0, 30.46, 20.0],
        "frame": 8,
        "confidence": 0.9123,
        "label": "the sofa",
        "settings": {"seed": 3},
    }
    missed = Result(frames, 16.0, "ground", {}).to_dict()
    assert (missed["found"], missed["box"]) == (False, None)
    assert "confidence" not in missed
    assert "found" not in Result(frames, 16.0, "navigate", {}).to_dict()
    assert found.box == Box(1.0, 2.0, 30.456, 20.0)
    assert Result(frames, 16.0, "ground", {}).box is None
    found.save(tmp_path / "a.mp4")
    assert len(read_video(tmp_path / "a.mp4")) == 9


def test_seeds():
    assert torch.equal(torch.rand(3, generator=seeded(5)), torch.rand(3, generator=seeded(5)))
    for seed in (-1, 2**63):
        with pytest.raises(InputError, match=f"seed is {seed}"):
            seeded(seed)


def test_context_is_spread_or_one_run_that_the_seed_chooses(tiny_pipeline, tiny_walk):
    scene = tiny_pipeline.encode_context(tiny_walk.clip)
    spread = scene.context(4)[1].tolist()
    assert spread == [0, 3, 7, 10]
    runs = {tuple(scene.context(4, "contiguous", seed)[1].tolist()) for seed in range(8)}
    assert len(runs) > 1
    assert all(run == tuple(range(run[0], run[0] + 4)) for run in runs)
    assert scene.context(4, "contiguous", 3)[1].tolist() == scene.context(4, "contiguous", 3)[1].tolist()
    assert scene.context(99, "contiguous")[1].tolist() == list(range(11))
