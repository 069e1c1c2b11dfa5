"""Real small files through FFmpeg."""

import errno
import os
import subprocess
import sys
from itertools import islice

import av
import numpy as np
import pytest
from PIL import Image

from video4spatial.schema import Clip, InputError
from video4spatial.storage.artifacts import require_writable
from video4spatial.storage.video import (
    count_frames,
    iter_frames,
    probe,
    read_video,
    require_video_name,
    video_bytes,
    write_video,
)

SIZE = {"frames": 9, "width": 48, "height": 32}


def moving(frames=9, height=32, width=48):
    """A grey ramp with a bright square that moves right; quadrants differ, so that turns show."""
    picture = np.zeros((frames, height, width, 3), np.uint8)
    picture[...] = np.linspace(20, 120, width, dtype=np.uint8)[:, None]
    picture[:, : height // 2, : width // 2, 2] = 200
    for t in range(frames):
        picture[t, 16:28, 4 * t : 4 * t + 8] = 230
    return picture


def close(a, b, mean=6.0):
    assert a.shape == b.shape
    assert np.abs(a.astype(int) - b.astype(int)).mean() < mean


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_round_trip(tmp_path, suffix):
    file = tmp_path / f"new/clip.{suffix}"
    write_video(file, Clip(moving(), 24.0), crf=4)
    clip = read_video(file)
    close(clip.frames, moving())
    assert clip.fps == pytest.approx(24, rel=1e-3)
    info = probe(file)
    assert vars(info) | {"fps": 0} == SIZE | {"fps": 0}
    assert info.fps == pytest.approx(24, rel=1e-3)
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_written_as_promised(tmp_path):
    write_video(tmp_path / "a.mp4", Clip(moving(), 29.97))
    with av.open(tmp_path / "a.mp4") as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert float(container.streams.video[0].average_rate) == pytest.approx(29.97)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # faststart: plays before it is all there


def test_start_stride_and_max_frames(tmp_path):
    write_video(tmp_path / "a.mp4", Clip(moving(), 24.0), crf=4)
    whole = read_video(tmp_path / "a.mp4").frames
    clip = read_video(tmp_path / "a.mp4", max_frames=3, start=1, stride=3)
    np.testing.assert_array_equal(clip.frames, whole[[1, 4, 7]])
    assert clip.fps == pytest.approx(8)
    assert len(read_video(tmp_path / "a.mp4", max_frames=100, start=7)) == 2
    with pytest.raises(InputError, match=r"a.mp4 has no frame 9"):
        read_video(tmp_path / "a.mp4", start=9)
    for wrong in ({"start": -1}, {"stride": 0}, {"max_frames": 0}):
        with pytest.raises(InputError, match="give"):
            read_video(tmp_path / "a.mp4", **wrong)


def test_iter_frames_streams(tmp_path):
    """The file can be removed once the first frame is out of it: nothing is read ahead by us, nothing held open."""
    write_video(tmp_path / "a.mp4", Clip(moving(), 24.0), crf=4)
    frames = iter_frames(tmp_path / "a.mp4")
    close(next(frames), moving()[0])
    frames.close()
    assert len(list(islice(iter_frames(tmp_path / "a.mp4", stride=2), 10))) == 5


def test_frames_passed_are_told_and_counted(tmp_path):
    write_video(tmp_path / "a.mp4", Clip(moving(), 24.0), crf=4)
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(9):
        Image.new("RGB", (8, 8), (i, i, i)).save(folder / f"{i}.png")
    for path in (tmp_path / "a.mp4", folder):
        passed = []
        frames = iter_frames(path, start=2, stride=3, on_decoded=passed.append)
        next(frames)
        assert passed == [1, 2, 3]
        assert len(list(frames)) == 2
        assert passed == list(range(1, 10))
        assert count_frames(path) == probe(path).frames == 9


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path, degrees):
    """A phone video: stored turned, with the angle that turns it upright (counterclockwise) in the header."""
    upright = moving()
    stored = np.rot90(upright, -degrees // 90, axes=(1, 2))
    with av.open(tmp_path / "a.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "4"})
        stream.height, stream.width = stored.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("PyAV before 18 cannot write such a file")
        stream.set_display_rotation(degrees)
        for frame in stored:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    close(read_video(tmp_path / "a.mp4").frames, upright)
    assert vars(probe(tmp_path / "a.mp4")) == SIZE | {"fps": 24.0}


def test_folder_of_images_is_a_video(tmp_path):
    frames = moving(11)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame_{t}.png")  # frame_10 comes after frame_9
    (tmp_path / "notes.txt").write_text("not an image")
    clip = read_video(tmp_path)
    np.testing.assert_array_equal(clip.frames, frames)
    assert vars(probe(tmp_path)) == {"frames": 11, "width": 48, "height": 32, "fps": 16.0}
    half = read_video(tmp_path, start=1, stride=2, max_frames=4)
    np.testing.assert_array_equal(half.frames, frames[[1, 3, 5, 7]])
    assert half.fps == 8


def test_images_are_turned_by_exif_and_made_rgb(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying: to be turned 90 degrees clockwise
    Image.fromarray(np.rot90(moving()[0])).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_video(tmp_path).frames[0], moving()[0])
    Image.new("LA", (48, 32), (7, 255)).save(tmp_path / "b.png")
    assert (read_video(tmp_path).frames[1] == 7).all()


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        read_video(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 6)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b.png is 8x6, but the first image is 8x8"):
        read_video(tmp_path)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(InputError, match=r"b.png cannot be read as an image"):
        read_video(tmp_path)


def test_bad_files(tmp_path):
    file = tmp_path / "a.mp4"
    for reads in (read_video, probe):
        with pytest.raises(InputError, match=r"a.mp4 does not exist"):
            reads(file)
    for content in (b"", b"hello, this is no video" * 40):
        file.write_bytes(content)
        for reads in (read_video, probe):
            with pytest.raises(InputError, match=r"a.mp4 cannot be read as a video"):
                reads(file)
    write_video(file, Clip(moving(), 24.0))
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"a.mp4"):
        assert len(read_video(file)) == 9


def test_sound_alone_is_no_video(tmp_path):
    with av.open(tmp_path / "a.wav", "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(InputError, match=r"a.wav has no video stream"):
        read_video(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("a.mp4", (2, 31, 48, 3), {}, "48x31 has an odd side.*48x30"),
        ("a.mp4", (0, 32, 48, 3), {}, "no frames"),
        ("a.gif", (2, 32, 48, 3), {}, r"a.gif: videos are written to .mp4"),
        ("a.mp4", (2, 32, 48, 3), {"crf": 60}, "crf is 60"),
    ],
)
def test_write_refuses(tmp_path, name, shape, options, message):
    with pytest.raises(InputError, match=message):
        write_video(tmp_path / name, Clip(np.zeros(shape, np.uint8)), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"a.mp4 could not be written: the disk is full"):
        write_video(tmp_path / "a.mp4", Clip(moving(), 24.0))
    assert list(tmp_path.iterdir()) == []


def test_a_limit_hit_inside_ffmpeg_leaves_nothing(tmp_path):
    """The real thing: the system refuses the bytes while FFmpeg writes (a file size limit stands in for the disk)."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 96, 3), dtype=np.uint8)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        with pytest.raises(InputError, match=r"a.mp4 could not be written: the disk is full"):
            write_video(tmp_path / "a.mp4", Clip(noise, 24.0), crf=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_names_that_can_be_written_are_told_beforehand_and_nothing_is_made(tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"kept")
    for name in ("a.mp4", "new/deeper/a.MKV", "old.mp4"):
        require_video_name(tmp_path / name)
    require_writable(tmp_path / "new/a.json")
    assert [f.name for f in tmp_path.iterdir()] == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"kept"


def test_names_that_cannot_be_written_are_told_beforehand(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    for name, message in (
        ("a.gif", r"a.gif: videos are written to .mp4"),
        ("a", r"a: videos are written to .mp4"),
        ("file/a.mp4", r"file/a.mp4 cannot be written .*file is a file"),
        ("folder.mp4", r"folder.mp4 is a folder"),
    ):
        with pytest.raises(InputError, match=message):
            require_video_name(tmp_path / name)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as the superuser may write anywhere
    with pytest.raises(InputError, match=r"new/a.mp4 may not be written .*read-only"):
        require_video_name(tmp_path / "new/a.mp4")


def test_videos_as_bytes_are_the_same_whatever_memory_held_before():
    code = (
        "import hashlib, numpy as np; from video4spatial.schema import Clip; "
        "from video4spatial.storage.video import video_bytes; "
        "ramp = np.linspace(0, 255, 288).astype(np.uint8)[None, :, None]; "
        "frames = [np.broadcast_to(np.roll(ramp, 12 * min(n, 8), 1), (192, 288, 3)).copy() for n in range(17)]; "
        "[frame[36:144, 48:180].__setitem__(slice(0, 3), (255, 0, 0)) for frame in frames[9:]]; "
        "print(hashlib.sha256(video_bytes(Clip(np.stack(frames), 8.0))).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MALLOC_PERTURB_": fill},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for fill in ("1", "85", "170")
    }
    assert len(said) == 1


def test_videos_as_bytes_play(tmp_path):
    frames = np.stack([np.full((32, 48, 3), 20 * n, np.uint8) for n in range(9)])
    (tmp_path / "clip.mp4").write_bytes(video_bytes(Clip(frames, 8.0)))
    again = read_video(tmp_path / "clip.mp4")
    assert again.fps == 8.0
    assert again.frames.shape == frames.shape
    assert np.abs(again.frames.astype(int) - frames).mean() < 3
    with pytest.raises(InputError, match="even sides"):
        video_bytes(Clip(frames[:, :31], 8.0))
    with pytest.raises(InputError, match="0 frames"):
        video_bytes(Clip(frames[:0], 8.0))
