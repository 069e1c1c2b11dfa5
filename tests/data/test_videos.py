"""Plain videos and folders of images as scenes."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from video4spatial.data.runs import unbroken_runs
from video4spatial.data.scene import BadScene, Scene
from video4spatial.data.videos import VideoScene, find_videos
from video4spatial.geometry.formats import FORMATS, save_path
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.geometry.timed import is_posed
from video4spatial.schema import CameraPath, Clip, InputError, Intrinsics
from video4spatial.storage.video import write_video

MILLISECOND = Fraction(1, 1000)
LENS = Intrinsics(50.0, 51.0, 23.0, 17.0, 48, 32)


def numbered(count: int) -> np.ndarray:
    """Frames that carry their number: the grey of frame n is 6 n."""
    frames = np.zeros((count, 32, 48, 3), np.uint8)
    frames += (6 * np.arange(count, dtype=np.uint8))[:, None, None, None]
    frames[:, :8, :8] = 255  # a corner, so that turns show
    return frames


def number_of(frames: np.ndarray) -> list[int]:
    return np.rint(frames[:, 12:, 12:].mean(axis=(1, 2, 3)) / 6).astype(int).tolist()


def walk(count: int) -> np.ndarray:
    return np.stack([pose_from_waypoint([0.1 * n, 0, 0.02 * n], 0.01 * n) for n in range(count)])


def write_at(path, frames, milliseconds, rotation=0):
    """A file whose frames are shown at given times."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "1"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = MILLISECOND
        if rotation:
            stream.set_display_rotation(rotation)
        for frame, when in zip(frames, milliseconds, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = int(when), MILLISECOND
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def test_a_plain_video_is_a_scene_without_poses(tmp_path):
    write_video(tmp_path / "kitchen.mp4", Clip(numbered(40), 30.0), crf=1)
    scene = VideoScene(tmp_path / "kitchen.mp4")
    assert isinstance(scene, Scene)
    assert (scene.video_id, scene.environment_id) == ("kitchen", "kitchen")
    assert (len(scene), scene.size, scene.remarks) == (40, (48, 32), [])
    assert scene.fps == pytest.approx(30)
    assert (scene.c2w, scene.intrinsics, scene.depth([0]), scene.objects) == (None, None, None, [])
    assert number_of(scene.frames([39, 0, 17])) == [39, 0, 17]
    np.testing.assert_allclose(np.diff(scene.timestamps), 1 / 30)


def test_a_lower_rate_takes_the_nearest_frames(tmp_path):
    write_video(tmp_path / "a.mp4", Clip(numbered(31), 30.0), crf=1)
    scene = VideoScene(tmp_path / "a.mp4", fps=10)
    assert number_of(scene.frames(range(len(scene)))) == list(range(0, 31, 3))
    assert scene.timestamps[-1] == pytest.approx(1)
    with pytest.raises(InputError, match=r"fps is 60, but .* has 30 frames a second"):
        VideoScene(tmp_path / "a.mp4", fps=60)


def test_variable_frame_rate_is_shown_evenly(tmp_path):
    """Frames 10 to 19 are lost: the ones beside the hole are held, and what follows keeps its time."""
    kept = np.r_[0:10, 20:40]
    write_at(tmp_path / "a.mp4", numbered(40)[kept], np.rint(kept * 1000 / 25))
    scene = VideoScene(tmp_path / "a.mp4")
    assert scene.fps == pytest.approx(25)
    assert "variable frame rate (steps of 40 to 440 ms)" in scene.remarks[0]
    assert len(scene) == 40
    shown = number_of(scene.frames(range(40)))
    assert shown[:10] == list(range(10))
    assert shown[20:] == list(range(20, 40))
    assert shown[10:20] == [9] * 5 + [20] * 5
    np.testing.assert_allclose(np.diff(scene.timestamps), 0.04)


def test_small_jitter_is_no_variable_rate(tmp_path):
    times = np.arange(30) * 33.333 + np.random.default_rng(0).integers(-4, 5, 30)
    write_at(tmp_path / "a.mp4", numbered(30), np.rint(times - times[0]))
    scene = VideoScene(tmp_path / "a.mp4")
    assert scene.remarks == []
    assert number_of(scene.frames(range(30))) == list(range(30))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_phone_video_comes_upright_and_is_posed_so(tmp_path, degrees):
    upright = numbered(8)
    write_at(tmp_path / "a.mov", np.rot90(upright, -degrees // 90, axes=(1, 2)), np.arange(8) * 40, degrees)
    save_path(tmp_path / "transforms.json", CameraPath(walk(8), LENS))
    scene = VideoScene(tmp_path / "a.mov", tmp_path / "transforms.json")
    assert scene.size == (48, 32)
    assert np.abs(scene.frames([3])[0].astype(int) - upright[3]).mean() < 3
    assert scene.intrinsics == LENS
    sideways = CameraPath(walk(8), Intrinsics(51.0, 50.0, 17.0, 23.0, 32, 48))  # of the stored, unturned images
    save_path(tmp_path / "transforms.json", sideways)
    with pytest.raises(BadScene, match=r"of 32x48 images, .*a.mov shows 48x32 ones: pose upright frames"):
        VideoScene(tmp_path / "a.mov", tmp_path / "transforms.json")


@pytest.mark.parametrize("format", FORMATS)
def test_a_camera_path_of_any_format_beside_it(tmp_path, format):
    write_video(tmp_path / "a.mp4", Clip(numbered(12), 30.0), crf=1)
    endings = {"colmap": "", "waypoints-csv": ".csv", "ros-yaml": ".yaml", "tum": ".txt", "realestate10k": ".txt"}
    path = tmp_path / f"p{endings.get(format, '.json')}"
    save_path(path, CameraPath(walk(12), LENS), format)
    scene = VideoScene(tmp_path / "a.mp4", path, LENS)
    np.testing.assert_allclose(scene.c2w, walk(12), atol=1e-6)
    np.testing.assert_allclose(scene.intrinsics.vector, LENS.vector)
    half = VideoScene(tmp_path / "a.mp4", path, LENS.resized(96, 64), fps=15)
    np.testing.assert_allclose(half.c2w, walk(12)[::2], atol=1e-6)
    np.testing.assert_allclose(half.intrinsics.vector, LENS.vector)
    if format in ("tum", "waypoints-csv", "waypoints-json"):
        with pytest.raises(BadScene, match="carries no intrinsics"):
            VideoScene(tmp_path / "a.mp4", path)
    else:
        assert VideoScene(tmp_path / "a.mp4", path).intrinsics.fx == pytest.approx(50)


def test_as_many_poses_as_frames(tmp_path):
    write_video(tmp_path / "a.mp4", Clip(numbered(12), 30.0), crf=1)
    save_path(tmp_path / "transforms.json", CameraPath(walk(11), LENS))
    with pytest.raises(BadScene, match=r"transforms.json has 11 poses, but .*a.mp4 has 12 frames: give one a frame"):
        VideoScene(tmp_path / "a.mp4", tmp_path / "transforms.json")
    with pytest.raises(BadScene, match=r"gone.json does not exist"):
        VideoScene(tmp_path / "a.mp4", tmp_path / "gone.json")


@pytest.mark.parametrize("format", ["colmap", "nerfstudio"])
def test_poses_go_to_the_images_they_name(tmp_path, format):
    """Reconstruction places some photographs only, and lists them in an order of its own."""
    (tmp_path / "photos").mkdir()
    for number, frame in enumerate(numbered(12)):
        Image.fromarray(frame).save(tmp_path / f"photos/frame_{number:06d}.jpg")
    poses = tmp_path / ("p" if format == "colmap" else "p.json")
    save_path(poses, CameraPath(walk(12), LENS), format)
    if format == "colmap":
        lines = (poses / "images.txt").read_text().splitlines()
        (poses / "images.txt").write_text("\n".join([lines[0], *lines[13:], *lines[1:9]]) + "\n")
    else:
        content = json.loads(poses.read_text())
        content["frames"] = content["frames"][6:] + content["frames"][:4]
        poses.write_text(json.dumps(content))
    scene = VideoScene(tmp_path / "photos", poses)
    assert is_posed(scene.c2w).tolist() == [n not in (4, 5) for n in range(12)]
    np.testing.assert_allclose(scene.c2w[6:], walk(12)[6:], atol=1e-6)
    np.testing.assert_allclose(scene.c2w[:4], walk(12)[:4], atol=1e-6)
    assert scene.remarks == ["2 of 12 images have no pose"]
    assert [(run.start, run.stop) for run in unbroken_runs(scene)] == [(0, 4), (6, 12)]
    (tmp_path / "photos/frame_000007.jpg").unlink()
    with pytest.raises(BadScene, match=r"has a pose of .*frame_000007.png, which is not in .*photos"):
        VideoScene(tmp_path / "photos", poses)


def test_a_video_shorter_than_a_clip_is_named(tmp_path):
    write_video(tmp_path / "short.mp4", Clip(numbered(12), 30.0), crf=1)
    (run,) = unbroken_runs(VideoScene(tmp_path / "short.mp4"), at_least=12)
    assert (len(run), run.video_id) == (12, "short")
    with pytest.raises(BadScene, match="short: its longest run has 12 frames of 12, a clip needs 161"):
        unbroken_runs(VideoScene(tmp_path / "short.mp4"), at_least=161)


def test_files_that_cannot_be_read_are_bad_scenes(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "nothing").mkdir()
    for name in ("empty.mp4", "nothing", "missing.mov"):
        with pytest.raises(BadScene, match=name):
            VideoScene(tmp_path / name)


def test_a_folder_is_a_place_its_videos_share(tmp_path):
    def put(name):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name, Clip(numbered(9), 30.0))

    for name in ("hall.mp4", "flat/kitchen.mov", "flat/bath.mkv"):
        put(name)
    (tmp_path / "photos").mkdir()
    for number, frame in enumerate(numbered(9)):
        Image.fromarray(frame).save(tmp_path / f"photos/frame_{number:06d}.jpg")
    (tmp_path / "notes.txt").touch()
    save_path(tmp_path / "flat/bath.poses.json", CameraPath(walk(9), LENS), "nerfstudio")
    save_path(tmp_path / "photos.poses", CameraPath(walk(9), LENS), "colmap")
    found = {video.path.name: video for video in find_videos(tmp_path)}
    places = {name: video.environment_id for name, video in found.items()}
    assert places == {"bath.mkv": "flat", "kitchen.mov": "flat", "hall.mp4": "hall", "photos": "photos"}
    assert found["hall.mp4"].poses is None
    assert found["bath.mkv"].open().c2w.shape == (9, 4, 4)
    photos = found["photos"].open(fps=4)
    assert (photos.fps, photos.video_id) == (4, "photos")
    assert photos.c2w.shape == (9, 4, 4)
    put("flat/hall.mov")
    with pytest.raises(InputError, match="have one name"):
        find_videos(tmp_path)
    with pytest.raises(InputError, match="holds no videos"):
        find_videos(tmp_path / "photos.poses")
