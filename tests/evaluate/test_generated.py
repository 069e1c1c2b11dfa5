"""Videos from anywhere: each case has an outcome, whatever lies in the folder."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from video4spatial.evaluate.cases import Case
from video4spatial.evaluate.generated import GeneratedFolder, VideoOutcome
from video4spatial.evaluate.method_info import MethodInfo, at_length
from video4spatial.schema import Clip, InputError
from video4spatial.storage.video import read_video, write_video

CASE = Case("room1-grounding-0", "grounding", "room1", 25, 8, 0, target="the red sofa")
PATH = Case("room1-navigation-0", "navigation", "room1", 17, 0, 1)
SIZE = (64, 32)


@pytest.fixture
def folder(tmp_path) -> GeneratedFolder:
    (tmp_path / "veo-3").mkdir()
    return GeneratedFolder(tmp_path)


def noise(frames, width=64, height=32):
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def put(folder, frames, case=CASE, fps=16.0, repeat=0):
    write_video(folder.video("veo-3", case.case_id, repeat), Clip(frames, fps), lossless=True)


def read(folder, case=CASE, repeat=0):
    return folder.read("veo-3", case, SIZE, 16.0, repeat)


def test_lossless_videos_come_back_bit_for_bit(folder):
    frames = noise(25)
    put(folder, frames)
    video = read(folder)
    assert video.outcome is VideoOutcome.OK
    assert (video.frames == frames).all()
    assert (len(video.moving), len(video.tail), video.fps) == (17, 8, 16.0)
    put(folder, noise(17, 31, 21), PATH)  # no side need be even
    assert read_video(folder.video("veo-3", PATH.case_id)).size == (31, 21)


def test_a_folder_of_images_is_a_video(folder):
    images = folder.method("veo-3") / CASE.case_id
    images.mkdir()
    frames = noise(25)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(images / f"{number}.png")
    video = read(folder)
    assert (video.frames == frames).all()
    before = video.fingerprint
    Image.fromarray(frames[3]).save(images / "4.png")
    assert read(folder).fingerprint != before


def test_what_is_wrong_has_a_name(folder):
    assert read(folder).outcome is VideoOutcome.MISSING
    for frames, outcome in (
        (noise(24), VideoOutcome.WRONG_LENGTH),
        (noise(1), VideoOutcome.WRONG_LENGTH),
        (noise(25, 32, 64), VideoOutcome.WRONG_SIZE),
    ):
        put(folder, frames)
        video = read(folder)
        assert video.outcome is outcome
        assert video.reason
        assert len(video.frames) == 0
    for junk in (b"", b"not a video", folder.video("veo-3", CASE.case_id).read_bytes()[:400]):
        folder.video("veo-3", CASE.case_id).write_bytes(junk)
        assert read(folder).outcome is VideoOutcome.UNREADABLE
    folder.video("veo-3", CASE.case_id).unlink()
    (folder.method("veo-3") / CASE.case_id).mkdir()
    assert read(folder).outcome is VideoOutcome.UNREADABLE
    folder.said("veo-3", CASE.case_id).write_text("{")
    assert read(folder).outcome is VideoOutcome.UNREADABLE
    folder.said("veo-3", CASE.case_id).write_text(json.dumps({"not_applicable": "no paths"}))
    assert read(folder).outcome is VideoOutcome.NOT_APPLICABLE


def describe(folder, **content):
    (folder.method("veo-3") / "method.json").write_text(json.dumps(content))


def test_other_sizes_and_lengths_are_taken_where_that_is_said(folder):
    describe(folder, tail_frames=0, size="fit", length="resample")
    put(folder, noise(48, 128, 72), fps=24.0)
    video = read(folder)
    assert video.outcome is VideoOutcome.OK
    assert video.frames.shape == (17, 32, 64, 3)
    assert len(video.moving) == 17
    assert video.own.shape == (17, 72, 128, 3)  # its own pixels, for what judges those
    assert np.array_equal(video.own_moving, video.own)
    assert video.fps == 16.0
    describe(folder, length="prefix")
    put(folder, noise(9), PATH)
    prefix = read(folder, PATH)
    assert len(prefix.frames) == 9
    assert prefix.own is None
    assert prefix.own_moving is prefix.frames or np.array_equal(prefix.own_moving, prefix.moving)
    put(folder, noise(33), PATH)
    assert len(read(folder, PATH).frames) == 17
    put(folder, noise(1), PATH)
    assert read(folder, PATH).outcome is VideoOutcome.WRONG_LENGTH
    describe(folder, size="fit", length="resample")
    put(folder, noise(1), PATH)
    assert read(folder, PATH).outcome is VideoOutcome.WRONG_LENGTH  # one frame is no video


@pytest.mark.parametrize(
    "content", [{"size": "any"}, {"length": 3}, {"tail_frames": -1}, {"tails": 2}, {"settings": 1}]
)
def test_bad_method_files_are_errors(folder, content):
    describe(folder, **content)
    with pytest.raises(InputError, match=r"method\.json"):
        MethodInfo.load(folder.method("veo-3"))


def test_names_of_methods(folder):
    (folder.root / "scores").mkdir()
    (folder.root / ".hidden").mkdir()
    assert folder.methods() == ["veo-3"]
    for name in ("scores", "../x", "", "a/b", ".x"):
        with pytest.raises(InputError, match="folder"):
            folder.method(name)


def test_repeats_are_counted(folder):
    assert folder.repeats("veo-3", [CASE.case_id]) == 1
    for repeat in (0, 2):
        put(folder, noise(25), repeat=repeat)
    put(folder, noise(25), Case("other", "grounding", "s", 25, 8, 0), repeat=7)
    assert folder.repeats("veo-3", [CASE.case_id]) == 3
    assert [read(folder, repeat=r).outcome.value for r in range(3)] == ["ok", "missing", "ok"]


@given(st.integers(2, 40), st.integers(2, 40))
def test_lengths(have, wanted):
    frames = np.arange(have)
    whole = at_length(frames, wanted, "resample")
    assert len(whole) == wanted
    assert (whole[0], whole[-1]) == (0, have - 1)
    assert (np.diff(whole) >= 0).all()
    assert len(at_length(frames, wanted, "prefix")) == min(have, wanted)
    exact = at_length(frames, wanted, "exact")
    assert (exact is None) == (have != wanted)
