"""Frames by number, against decoding from the start."""

import pickle

import av
import numpy as np
import pytest
from PIL import Image

from video4spatial.schema import Clip, InputError
from video4spatial.storage.seek import ImageFolder, SeekableVideo, open_seekable
from video4spatial.storage.video import read_video, write_video


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """320 frames, none like another: more than one of x264's groups of 250, with B-frames in them."""
    steps = np.random.default_rng(0).normal(0, 8, (320, 32, 48, 3))
    return (np.cumsum(steps, axis=0) % 256).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_any_frame_is_the_one_that_decoding_from_the_start_gives(tmp_path, noise, suffix):
    file = tmp_path / f"a.{suffix}"
    write_video(file, Clip(noise, 30.0))
    whole = read_video(file).frames
    video = SeekableVideo(file)
    assert (len(video), video.size) == (320, (48, 32))
    np.testing.assert_allclose(video.timestamps, np.arange(320) / 30, atol=1.1e-3)
    rng = np.random.default_rng(1)
    for indices in ([319], [0], [250, 249, 251], [5, 5, 4], rng.integers(0, 320, 12), range(100, 108), range(108, 116)):
        np.testing.assert_array_equal(video.read(indices), whole[list(indices)])
    copy = pickle.loads(pickle.dumps(video))  # as a worker process gets it, with the file open here
    np.testing.assert_array_equal(copy.read([300, 2]), whole[[300, 2]])
    video.close()
    np.testing.assert_array_equal(video.read([77]), whole[[77]])


def test_reading_near_the_end_does_not_decode_from_the_start(tmp_path, noise):
    write_video(tmp_path / "a.mp4", Clip(noise, 30.0))
    video = SeekableVideo(tmp_path / "a.mp4")
    decoded = []
    video._container.seek(0)
    video._decoded = None
    real = video._container.decode
    opened = type("Counting", (), {"seek": video._container.seek, "close": video._container.close})()
    opened.decode = lambda stream: (decoded.append(frame.pts) or frame for frame in real(stream))
    video._container = opened
    video.read([300, 301, 302])
    assert 3 <= len(decoded) <= 53  # from frame 250, the keyframe, on; and once, not for each frame anew


def test_files_that_are_no_whole_videos(tmp_path, noise):
    with pytest.raises(InputError, match=r"missing.mp4 does not exist"):
        SeekableVideo(tmp_path / "missing.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputError, match=r"empty.mp4 cannot be read"):
        SeekableVideo(tmp_path / "empty.mp4")
    write_video(tmp_path / "a.mkv", Clip(noise, 30.0))
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    cut = SeekableVideo(tmp_path / "cut.mkv")
    assert 100 < len(cut) < 320
    np.testing.assert_array_equal(cut.read([60]), read_video(tmp_path / "a.mkv", start=60, max_frames=1).frames)
    write_video(tmp_path / "a.mp4", Clip(noise, 30.0))
    broken = bytearray((tmp_path / "a.mp4").read_bytes())
    third = len(broken) // 3
    broken[third : third + 9999] = bytes(9999)
    (tmp_path / "broken.mp4").write_bytes(broken)
    video = SeekableVideo(tmp_path / "broken.mp4")
    with pytest.raises(InputError, match=r"broken.mp4"):
        video.read(range(200))
    after = read_video(tmp_path / "a.mp4", start=255, max_frames=2).frames  # beyond the damage and the next keyframe
    np.testing.assert_array_equal(video.read([255, 256]), after)


def test_numbers_out_of_range(tmp_path, noise):
    write_video(tmp_path / "a.mp4", Clip(noise[:9], 30.0))
    video = SeekableVideo(tmp_path / "a.mp4")
    for outside in (-1, 9):
        with pytest.raises(InputError, match=f"has no frame {outside}: its 9 frames"):
            video.read([0, outside])
    assert video.read([]).shape == (0, 32, 48, 3)


def test_sound_is_not_taken_for_video(tmp_path):
    with av.open(tmp_path / "a.mkv", "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(InputError, match="no video stream"):
        SeekableVideo(tmp_path / "a.mkv")


def test_a_folder_of_images(tmp_path, noise):
    for number, frame in enumerate(noise[:12]):
        Image.fromarray(frame).save(tmp_path / f"f{number}.png")
    folder = open_seekable(tmp_path, fps=10)
    assert isinstance(folder, ImageFolder)
    np.testing.assert_allclose(folder.timestamps, np.arange(12) / 10)
    np.testing.assert_array_equal(folder.read([11, 2]), noise[[11, 2]])
    Image.fromarray(noise[0, :16]).save(tmp_path / "f5.png")
    with pytest.raises(InputError, match=r"f5.png is 48x16, but the first image is 48x32"):
        folder.read([5])
