"""What may be uploaded: every refusal has its reason, and nothing is judged by its name."""

import numpy as np
import pytest

from video4spatial.app.guard import Limits, UploadError, check_video
from video4spatial.schema import Clip, InputError
from video4spatial.storage.video import write_video

LIMITS = Limits(megabytes=1, seconds=2, frames=60)


@pytest.fixture
def clip(noise_frames):
    return Clip(noise_frames, 16.0)


def refused(path, limits=LIMITS, **options):
    with pytest.raises(UploadError) as caught:
        check_video(path, limits, **options)
    return caught.value.reason, str(caught.value)


def test_a_video_passes_with_its_facts(tmp_path, clip):
    write_video(tmp_path / "walk.mp4", clip)
    checked = check_video(tmp_path / "walk.mp4", LIMITS)
    assert (checked.frames, checked.width, checked.height, checked.fps) == (21, 64, 32, 16.0)
    assert checked.words == "21 frames, 64x32, 16 a second, 1.3 s"


def test_the_content_counts_not_the_name(tmp_path, clip):
    write_video(tmp_path / "walk.mkv", clip)
    (tmp_path / "walk.mkv").rename(tmp_path / "walk.txt")
    assert check_video(tmp_path / "walk.txt", LIMITS).frames == 21


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, I am a text file\n" * 100,
        b"\x00" * 5000,
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
    ],
    ids=["empty", "text", "zeros", "playlist", "concat", "dash"],
)
def test_other_files_named_mp4_are_not_videos(tmp_path, content):
    (tmp_path / "walk.mp4").write_bytes(content)
    reason, message = refused(tmp_path / "walk.mp4")
    assert reason == "not a video"
    assert "walk.mp4" in message


def test_a_picture_is_not_a_video(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 32)).save(tmp_path / "picture.png")
    assert refused(tmp_path / "picture.png")[0] == "not a video"


def test_a_cut_off_video(tmp_path, clip):
    write_video(tmp_path / "walk.mkv", clip)
    whole = (tmp_path / "walk.mkv").read_bytes()
    (tmp_path / "walk.mkv").write_bytes(whole[:300])
    assert refused(tmp_path / "walk.mkv")[0] == "not a video"


@pytest.mark.parametrize(("frames", "told"), [(1, "1 frame:"), (4, "4 frames:")])
def test_too_short(tmp_path, clip, frames, told):
    write_video(tmp_path / "walk.mp4", Clip(clip.frames[:frames], 16.0))
    reason, message = refused(tmp_path / "walk.mp4")
    assert reason == "too short"
    assert told in message
    assert "at least 5" in message


def test_too_long_in_seconds_or_frames(tmp_path):
    still = np.zeros((70, 32, 64, 3), np.uint8)
    write_video(tmp_path / "slow.mp4", Clip(still[:20], 8.0))
    write_video(tmp_path / "fast.mp4", Clip(still, 60.0))
    assert refused(tmp_path / "slow.mp4")[0] == "too long"
    assert refused(tmp_path / "fast.mp4")[0] == "too long"


def test_too_large(tmp_path):
    with (tmp_path / "walk.mp4").open("wb") as file:
        file.truncate(2_000_000_000)  # sparse: nothing is read of it
    reason, message = refused(tmp_path / "walk.mp4")
    assert reason == "too large"
    assert "2000 MB" in message


def test_too_many_pixels(tmp_path, clip):
    write_video(tmp_path / "walk.mp4", clip)
    assert refused(tmp_path / "walk.mp4", Limits(pixels=64 * 31))[0] == "too many pixels"


def test_the_name_that_people_gave_is_told(tmp_path):
    assert "my walk.mp4" in refused(tmp_path / "8f3a.mp4", name="my walk.mp4")[1]


@pytest.mark.parametrize("option", [{"megabytes": 0}, {"seconds": -1}, {"seconds": float("nan")}])
def test_limits_are_above_nothing(option):
    with pytest.raises(InputError, match="--max-"):
        Limits(**option)
