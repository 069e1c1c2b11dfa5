"""ScanNet++ scenes as they come when something went wrong: each kind of damage has its outcome, in words."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scannetpp_tree import DEPTH, LENS, SCENE_ID, Walk, walk, write_frames, write_photos, write_release

from video4spatial.data.runs import unbroken_runs
from video4spatial.data.scannetpp import ScanNetPP, ScanNetPPOptions, ScanNetPPScene
from video4spatial.data.scene import BadScene
from video4spatial.geometry.timed import is_posed
from video4spatial.schema import InputError


@pytest.fixture(scope="module")
def made(tiny_room) -> Walk:
    return walk(tiny_room, 8)


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return write_release(tmp_path / "release", made)


def opened(folder: Path, **options) -> ScanNetPPScene:
    return ScanNetPPScene(folder, ScanNetPPOptions(**options))


def cut(path: Path, share: float = 0.6) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def edit(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def poses_of(folder: Path) -> Path:
    return folder / "iphone" / "pose_intrinsic_imu.json"


@pytest.mark.parametrize("name", ["rgb.mkv", "rgb.mp4", "pose_intrinsic_imu.json"])
@pytest.mark.parametrize("share", [None, 0, 0.1, 0.6, 0.97])
def test_needed_files_missing_empty_or_cut_off(made, tmp_path, name, share):
    folder = write_release(tmp_path, made, video="rgb.mp4" if name == "rgb.mp4" else "rgb.mkv")
    path = folder / "iphone" / name
    if share is None:
        path.unlink()
        name = name.replace("mp4", "mkv")
    else:
        cut(path, share)
    with pytest.raises(BadScene, match=f"scene {SCENE_ID}.*{name}"):
        opened(folder).frames([0, 7])


def test_a_video_cut_off_in_its_middle(folder, made):
    write_frames(folder / "iphone" / "rgb.mkv", made.rgb[:4], np.arange(4) / 60)
    with pytest.raises(BadScene, match="has 4 frames, but there are poses up to frame 7: the video is cut off"):
        opened(folder)


@pytest.mark.parametrize("source", ["colmap", "nerfstudio"])
def test_other_poses_missing_or_empty(folder, source):
    path = folder / "iphone" / {"colmap": "colmap/images.txt", "nerfstudio": "nerfstudio/transforms.json"}[source]
    path.write_text("")
    with pytest.raises(BadScene, match=f"{path.name} is empty"):
        opened(folder, poses=source)
    path.unlink()
    with pytest.raises(BadScene, match=f"{path.name} is missing"):
        opened(folder, poses=source)
    assert len(opened(folder)) == 8  # the others are not touched


def test_depth_missing_is_said_and_none(folder):
    (folder / "iphone" / "depth.bin").unlink()
    scene = opened(folder)
    assert scene.depth([0]) is None
    assert "depth.bin is missing: no depth" in scene.remarks
    with pytest.raises(BadScene, match=r"depth\.bin"):
        scene.sightings(0)


@pytest.mark.parametrize("variant", sorted(DEPTH))
@pytest.mark.parametrize("share", [0.0, 0.003, 0.5, 0.999])
def test_depth_cut_off(folder, made, variant, share):
    path = folder / "iphone" / "depth.bin"
    path.write_bytes(DEPTH[variant](made.depth))
    cut(path, share)
    with pytest.raises(BadScene, match=rf"scene {SCENE_ID}.*depth\.bin"):
        opened(folder).depth([0])
    scene = opened(folder, depth=False)  # what has no need of it goes on
    assert scene.depth([0]) is None
    assert scene.frames([0]).shape == (1, 240, 320, 3)


def test_depth_damaged_inside(folder, made):
    path = folder / "iphone" / "depth.bin"
    data = bytearray(path.read_bytes())
    first = struct.unpack("<I", data[:4])[0]
    data[8 + first : 8 + first + 400] = bytes(400)
    path.write_bytes(bytes(data))
    scene = opened(folder)
    assert scene.depth([0, 2]).max() > 1
    with pytest.raises(BadScene, match="depth of frame 1 is damaged"):
        scene.depth([1])
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(BadScene, match="neither one deflate stream nor frames"):
        opened(folder)


@pytest.mark.parametrize("variant", sorted(DEPTH))
def test_depth_of_another_length(folder, made, variant):
    path = folder / "iphone" / "depth.bin"
    path.write_bytes(DEPTH[variant](made.depth[:7]))
    seen = opened(folder).depth([6, 7])  # one off is the dataset's own slack: no depth there
    assert seen[0].max() > 1
    assert seen[1].max() == 0
    path.write_bytes(DEPTH[variant](made.depth[:5]))
    with pytest.raises(BadScene, match=r"has 5 frames and rgb\.mkv 8: depth\.bin is cut off"):
        opened(folder).depth([0])
    path.write_bytes(DEPTH[variant](np.concatenate([made.depth, made.depth[:3]])))
    with pytest.raises(BadScene, match=r"has 11 frames and rgb\.mkv 8: rgb\.mkv is cut off"):
        opened(folder).depth([0])


def test_one_pose_too_few_or_too_many(folder, made):
    """As in scene 5a269ba6fe, whose video has one frame more than it has poses (toolkit issue 104)."""
    edit(poses_of(folder), lambda frames: frames.pop("frame_000007"))
    scene = opened(folder)
    assert len(scene) == 8
    assert is_posed(scene.c2w).tolist() == [True] * 7 + [False]
    assert scene.remarks == ["1 of 8 frames have no pose"]
    assert (np.diff(scene.timestamps) > 0).all()
    write_frames(folder / "iphone" / "rgb.mkv", made.rgb[:6], np.arange(6) / 60)
    scene = opened(folder, depth=False)
    assert is_posed(scene.c2w).all()
    assert scene.remarks == ["1 poses are beyond the video's 6 frames: left out"]


def test_poses_that_cannot_be_used(folder, made):
    def spoil(frames: dict) -> None:
        frames["frame_000001"]["aligned_pose"][0][3] = float("nan")
        frames["frame_000002"]["aligned_pose"] = np.eye(4).tolist()
        frames["frame_000003"]["aligned_pose"] = (made.c2w[3] * 2).tolist()
        frames["frame_000004"]["aligned_pose"] = [[1, 2], [3, "four"]]
        del frames["frame_000006"]

    edit(poses_of(folder), spoil)
    scene = opened(folder)
    assert np.flatnonzero(is_posed(scene.c2w)).tolist() == [0, 5, 7]
    np.testing.assert_allclose(scene.c2w[[0, 5, 7]], made.c2w[[0, 5, 7]])
    text = " ".join(scene.remarks)
    assert "2 missing or not finite, 1 the identity, 1 not rigid" in text
    assert "5 of 8 frames have no pose" in text
    assert [len(run) for run in unbroken_runs(scene)] == [1, 1, 1]
    with pytest.raises(BadScene, match="frame 2 has no pose"):
        scene.sightings(2)
    filled = opened(folder, max_gap=0.1)
    assert is_posed(filled.c2w).all()
    assert np.abs(filled.c2w[6, :3, 3] - made.c2w[6, :3, 3]).max() < 0.15


@pytest.mark.parametrize("value", ["identity", "nan"])
def test_no_pose_at_all(folder, value):
    pose = np.eye(4) if value == "identity" else np.full((4, 4), np.nan)

    def spoil(frames: dict) -> None:
        for frame in frames.values():
            frame["aligned_pose"] = pose.tolist()

    edit(poses_of(folder), spoil)
    with pytest.raises(BadScene, match="no pose can be used"):
        opened(folder)
    assert is_posed(opened(folder, poses="colmap").c2w).sum() == 4  # the remedy it names


def test_poses_without_alignment_are_not_taken_for_aligned_ones(folder):
    def spoil(frames: dict) -> None:
        for frame in frames.values():
            del frame["aligned_pose"]

    edit(poses_of(folder), spoil)
    with pytest.raises(BadScene, match="has no aligned_pose: fetch version 2"):
        opened(folder)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"frame_000000": 3}', '{"DSC01": {}}', '{"frame_1": {}, "frame_01": {}}']
)
def test_pose_files_of_another_kind(folder, content):
    poses_of(folder).write_text(content)
    with pytest.raises(BadScene, match=r"pose_intrinsic_imu\.json"):
        opened(folder)


def test_variable_frame_rate(made, tmp_path):
    times = [0.0, 0.016, 0.034, 0.05, 0.15, 0.167, 0.183, 0.2]  # a stall after frame 3
    folder = write_release(tmp_path, made, times=times)
    scene = opened(folder)
    np.testing.assert_allclose(scene.timestamps, times, atol=1e-6)
    assert scene.fps == pytest.approx(60, abs=3)
    assert [(run.start, run.stop) for run in unbroken_runs(scene)] == [(0, 4), (4, 8)]
    away = np.abs(scene.frames([5])[0].astype(float) - made.rgb).mean(axis=(1, 2, 3))
    assert away.argmin() == 5
    from_video = opened(folder, poses="colmap")  # no phone's clock there: the video's own, to the millisecond
    np.testing.assert_allclose(from_video.timestamps, times, atol=2e-3)


def test_clocks(folder):
    def stop(frames: dict) -> None:
        frames["frame_000003"]["timestamp"] = frames["frame_000002"]["timestamp"]

    def lose(frames: dict) -> None:
        for index in (0, 3, 7):
            frames[f"frame_{index:06d}"]["timestamp"] = None

    edit(poses_of(folder), lose)
    np.testing.assert_allclose(opened(folder).timestamps, np.arange(8) / 60, atol=2e-3)
    edit(poses_of(folder), stop)
    with pytest.raises(BadScene, match="timestamp of frame 3"):
        # frame 3 had none; it has frame 2's now
        opened(folder)


def test_lenses(folder):
    def breathe(frames: dict) -> None:
        for index, frame in enumerate(frames.values()):
            frame["intrinsic"][0][0] = LENS.fx * (1 + 0.01 * (index - 3.5))
        del frames["frame_000002"]["intrinsic"]

    def of_another_size(frames: dict) -> None:
        for frame in frames.values():
            frame["intrinsic"] = (np.array(frame.get("intrinsic", LENS.matrix)) * 6).tolist()

    edit(poses_of(folder), breathe)
    scene = opened(folder)
    assert scene.intrinsics_of(7).fx == pytest.approx(LENS.fx * 1.035)
    assert any("focal length varies by 7" in remark for remark in scene.remarks)
    with pytest.raises(BadScene, match="frame 2 has no intrinsic"):
        scene.intrinsics_of(2)
    assert scene.sightings(2)
    edit(poses_of(folder), of_another_size)
    with pytest.raises(BadScene, match="principal point"):
        opened(folder)
    path = folder / "iphone" / "colmap" / "cameras.txt"
    path.write_text(path.read_text().replace("320 240", "1920 1440"))
    with pytest.raises(BadScene, match="1920x1440"):
        opened(folder, poses="colmap")


def test_names_of_frames(folder):
    path = folder / "iphone" / "colmap" / "images.txt"
    text = path.read_text()
    path.write_text(text.replace("video/frame_000002.jpg", "iphone/frame_000003.jpg"))
    assert np.flatnonzero(is_posed(opened(folder, poses="colmap").c2w)).tolist() == [0, 3, 4, 6]
    path.write_text(text.replace("frame_000002.jpg", "DSC00002.JPG"))
    with pytest.raises(BadScene, match="DSC00002"):
        opened(folder, poses="colmap")
    path.write_text(text.replace("frame_000002.jpg", "frame_000004.jpg"))
    with pytest.raises(BadScene, match="frame 4 twice"):
        opened(folder, poses="colmap")


def test_depth_of_zeros_only(folder, made):
    (folder / "iphone" / "depth.bin").write_bytes(DEPTH["lz4"](np.zeros_like(made.depth)))
    scene = opened(folder)
    assert (scene.depth([3]) == 0).all()
    assert scene.sightings(3) == {}


def test_annotations(folder):
    scans = folder / "scans"
    annotation, segments, mesh = (
        scans / name for name in ("segments_anno.json", "segments.json", "mesh_aligned_0.05_semantic.ply")
    )
    whole = annotation.read_bytes()
    count = len(opened(folder).objects)
    annotation.write_bytes(whole.replace(b'"fridge"', b'"fr\xffdge"'))
    with pytest.raises(BadScene, match=rf"scene {SCENE_ID}.*segments_anno\.json is not a JSON text"):
        _ = opened(folder).objects
    assert opened(folder, objects=False).objects == []
    assert opened(folder).frames([1]).shape == (1, 240, 320, 3)
    annotation.write_bytes(whole[:-40])
    with pytest.raises(BadScene, match="not valid JSON"):
        _ = opened(folder).objects
    annotation.write_bytes(whole.replace(b'"fridge"', '"Kühlschrank"'.encode()))
    assert "Kühlschrank" in {o.category for o in opened(folder).objects}
    segments.write_text(json.dumps({"segIndices": [1, 2, 3]}))
    with pytest.raises(BadScene, match="fetch both again"):
        _ = opened(folder).objects
    segments.write_text(json.dumps({"segIndices": ["a"]}))
    with pytest.raises(BadScene, match="not a list of whole numbers"):
        _ = opened(folder).objects
    cut(mesh, 0.1)
    with pytest.raises(BadScene, match="cut off or damaged"):
        _ = opened(folder).objects
    annotation.unlink()
    scene = opened(folder)
    assert scene.objects == []
    assert "segments_anno.json is missing: no objects" in scene.remarks
    annotation.write_bytes(whole)
    assert count > 10


def test_boxes_of_the_annotation_serve_without_a_mesh(folder, made):
    for path in (folder / "scans").glob("*.ply"):
        path.unlink()
    truth = {o.id + 10: o.corners for o in made.room.objects}
    for found in opened(folder).objects:
        np.testing.assert_allclose(found.corners, truth[found.object_id], atol=1e-9)

    def strip(content: dict) -> None:
        del content["segGroups"][2]["obb"]

    edit(folder / "scans" / "segments_anno.json", strip)
    with pytest.raises(BadScene, match=r"has no obb, and .*\.ply is missing"):
        _ = opened(folder).objects


def test_photographs(folder, made):
    release = ScanNetPP(folder.parents[1])
    with pytest.raises(BadScene, match=r"transforms_undistorted\.json is missing"):
        release.open_photos(SCENE_ID)
    write_photos(folder, made)
    dslr = folder / "dslr"
    undistorted = dslr / "nerfstudio" / "transforms_undistorted.json"

    def spoil(content: dict) -> None:
        content["frames"][0]["is_bad"] = True

    edit(undistorted, spoil)
    (dslr / "resized_undistorted_images" / "DSC01003.JPG").unlink()
    photos = release.open_photos(SCENE_ID)
    assert photos.names == ["DSC01006.JPG"]
    np.testing.assert_allclose(photos.c2w, made.c2w[[6]])
    assert len(photos.remarks) == 2
    (dslr / "resized_undistorted_images" / "DSC01006.JPG").write_bytes(b"\xff\xd8")
    with pytest.raises(BadScene, match=r"DSC01006\.JPG cannot be read"):
        photos.frames([0])
    edit(undistorted, lambda content: content.update(camera_model="OPENCV_FISHEYE"))
    with pytest.raises(BadScene, match=r"OPENCV_FISHEYE images, which are not read: run .*dslr\.undistort"):
        release.open_photos(SCENE_ID)
    undistorted.unlink()
    with pytest.raises(BadScene, match="fisheye images only"):
        release.open_photos(SCENE_ID)


def test_splits(folder):
    root = folder.parents[1]
    release = ScanNetPP(root)
    path = root / "splits" / "mine.txt"
    path.write_bytes(b"\xef\xbb\xbf" + f"{SCENE_ID}\r\n\r\n{SCENE_ID}\r\n".encode())
    assert release.split("mine") == [SCENE_ID]
    for content, message in ((b"../../etc\n", "line 1"), (b"\xff\xfe", "as text"), (b"", "lists no scenes")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            release.split("mine")
    with pytest.raises(InputError, match="choose a split"):
        release.split("absent")
    with pytest.raises(BadScene, match="not on disk"):
        release.open("..")
    with pytest.raises(InputError, match="no folder data"):
        ScanNetPP(root / "splits")


def test_a_bad_scene_is_reported_and_the_next_is_read(folder):
    root = folder.parents[1]
    (root / "data" / "00000000aa").mkdir()
    bad = []
    scenes = list(ScanNetPP(root).scenes(on_bad=lambda scene_id, error: bad.append((scene_id, str(error)))))
    assert [scene.files.scene_id for scene in scenes] == [SCENE_ID]
    ((scene_id, message),) = bad
    assert scene_id == "00000000aa"
    assert "scene 00000000aa" in message
    assert "rgb.mkv is missing" in message
    with pytest.raises(BadScene, match="00000000aa"):
        list(ScanNetPP(root).scenes())
