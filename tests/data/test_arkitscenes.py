"""ARKitScenes read back from trees written in its format: geometry for every way the iPad was held, and hard cases."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from arkitscenes_tree import PERIOD, ROLLED, ARKitVideoFixture, add_row, annotation, traj_line, write_video

from video4spatial.data.arkitscenes import ARKitOptions, ARKitScene, ARKitScenes
from video4spatial.data.runs import unbroken_runs
from video4spatial.data.scene import BadScene, Scene
from video4spatial.geometry.agreement import depth_agreement
from video4spatial.geometry.boxes import iou
from video4spatial.geometry.boxes3d import seen_box
from video4spatial.geometry.cameras import project, unproject_depth
from video4spatial.geometry.poses import invert, pose_from_waypoint
from video4spatial.geometry.timed import is_posed
from video4spatial.rooms import object_box, tour
from video4spatial.schema import InputError, Intrinsics

SKIES = list(ROLLED)
SMALL = Intrinsics(53.0, 52.9, 32.3, 23.6, 64, 48)
TICKS = [0, 8, 20, 34, 46, 60]  # 60 Hz ticks of the frames written; poses are at every sixth: 0, 60 exact, 20 the worst


@pytest.fixture(scope="module")
def tree(tmp_path_factory, tiny_room) -> dict:
    """Four videos of one visit, one for each sky direction, each from another walk; the last spans the folds."""
    root = tmp_path_factory.mktemp("arkitscenes")
    written = {}
    for number, sky in enumerate(SKIES):
        c2w = tour(tiny_room, 61, seed=number, fps=60)
        fold = "Validation" if sky == "Right" else "Training"
        name, highres = f"4106902{number}", sky == "Left"
        written[sky] = write_video(
            root, tiny_room, c2w, name, "422203", sky, fold, frames=TICKS, highres=highres, start=6845.70605696 + number
        )
    return {"root": root, "written": written}


@pytest.fixture(scope="module")
def scenes(tree) -> dict[str, ARKitScene]:
    dataset = ARKitScenes(tree["root"])
    return {sky: dataset.open(fixture.folder.name) for sky, fixture in tree["written"].items()}


@pytest.fixture
def small(tmp_path, tiny_room) -> ARKitVideoFixture:
    """One small unpainted video, held upright: 19 frames at 30 Hz, 7 poses."""
    c2w = tour(tiny_room, 37, seed=5, fps=60)
    return write_video(tmp_path, tiny_room, c2w, "41000001", "7", lens=SMALL, paint=False)


def opened(fixture: ARKitVideoFixture, **options) -> ARKitScene:
    return ARKitScenes(fixture.folder.parents[2], ARKitOptions(**options)).open(fixture.folder.name)


def painted_error(points, there: ARKitScene, index: int, depth: np.ndarray) -> tuple[float, float, float]:
    """World points against a painted frame: median error in pixels and relative to depth, and the share in view.

    ``depth`` of that frame tells which points are hidden there (more than 5 % behind what is seen).
    """
    k = there.intrinsics
    pixels, far = project(points, there.c2w[index], k)
    inside = (far > 0) & (pixels >= 0).all(axis=1) & (pixels < [k.width, k.height]).all(axis=1)
    points, pixels, far = points[inside], pixels[inside], far[inside]
    small = np.floor(pixels * [depth.shape[1] / k.width, depth.shape[0] / k.height]).astype(int)
    seen = np.abs(depth[small[:, 1], small[:, 0]] - far) < 0.05 * far
    points, pixels, far = points[seen], np.floor(pixels[seen]).astype(int), far[seen]
    painted = there.frames([index])[0][pixels[:, 1], pixels[:, 0]] / 256 * PERIOD
    apart = np.mod(points - painted + PERIOD / 2, PERIOD) - PERIOD / 2
    distance = np.linalg.norm(apart, axis=1)
    if not len(distance):
        return float("nan"), float("nan"), 0.0
    return float(np.median(distance * k.fx / far)), float(np.median(distance / far)), float(inside.mean())


@pytest.mark.parametrize("sky", SKIES)
def test_a_video_is_upright_whichever_way_the_ipad_was_held(tree, scenes, tiny_room, sky):
    scene, written = scenes[sky], tree["written"][sky]
    assert isinstance(scene, Scene)
    assert (scene.sky, scene.remarks) == (sky, [])
    assert (len(scene), scene.environment_id) == (len(TICKS), "arkit-visit-422203")
    size = (480, 640) if sky in ("Left", "Right") else (640, 480)
    assert (scene.intrinsics.width, scene.intrinsics.height) == size
    assert scene.frames([2, 0]).shape == (2, size[1], size[0], 3)
    assert scene.depth([1]).shape == (1, size[1] * 2 // 5, size[0] * 2 // 5)
    np.testing.assert_allclose(scene.c2w[[0, 5]], written.c2w[[0, 5]], atol=1e-6)  # ticks with a pose of their own
    np.testing.assert_allclose(scene.c2w[:, :3, 3], written.c2w[:, :3, 3], atol=0.006)
    turn = invert(scene.c2w) @ written.c2w
    assert np.degrees(np.arccos(np.clip((np.trace(turn[:, :3, :3], axis1=1, axis2=2) - 1) / 2, -1, 1))).max() < 0.15
    truth = tiny_room.render(written.c2w[:1], scene.depth_intrinsics, 1)
    assert np.median(np.abs(scene.depth([0])[0] - truth.depth[0])) < 0.001


@pytest.mark.parametrize("sky", SKIES)
def test_frames_depth_and_poses_reproject_into_one_another(scenes, sky):
    scene = scenes[sky]
    depth = scene.depth(range(len(scene)))
    errors = []
    for a in range(len(scene)):
        points = unproject_depth(depth[a], scene.c2w[a], scene.depth_intrinsics)[depth[a] > 0]
        errors += [painted_error(points, scene, b, depth[b]) for b in range(len(scene))]
    pixels, share, in_view = np.array(errors).T
    print(f"{sky}: median {np.median(pixels):.2f} px (worst pair {pixels.max():.2f}), {np.median(share):.2%} of depth")
    assert np.median(pixels) < 1
    assert np.median(share) < 0.01
    assert in_view.min() > 0.2


def test_videos_of_one_visit_agree(scenes):
    """Context from one video and target from another: the points of one are where the other's pixels say."""
    pairs = 0
    for sky, scene in scenes.items():
        depth = scene.depth([0, 5])
        for other_sky, other in scenes.items():
            if sky == other_sky:
                continue
            for a, index in enumerate((0, 5)):
                seen = other.depth([index])[0]
                points = unproject_depth(depth[a], scene.c2w[index], scene.depth_intrinsics)[depth[a] > 0]
                pixels, _, in_view = painted_error(points, other, index, seen)
                if not in_view > 0.1:  # they look at different places
                    continue
                pairs += 1
                assert pixels < 1, (sky, other_sky)
                lenses = scene.depth_intrinsics, other.depth_intrinsics
                poses = scene.c2w[index], other.c2w[index]
                share, error = depth_agreement(depth[a], poses[0], lenses[0], seen, poses[1], lenses[1])
                assert share > 0.2
                assert error < 0.01
                elsewhere = pose_from_waypoint([0.2, 0.0, 0.2], 0.15) @ poses[1]  # not the same frame of reference
                _, worse = depth_agreement(depth[a], poses[0], lenses[0], seen, elsewhere, lenses[1])
                assert not worse < 3 * error
    assert pairs >= 6


@pytest.mark.parametrize("sky", SKIES)
def test_boxes_project_onto_their_objects(tree, scenes, tiny_room, sky):
    """Against the instance masks of the true upright camera."""
    scene, objects = scenes[sky], tree["written"][sky].objects
    assert [o.category for o in scene.objects] == [o.category for o in objects]
    masks = tiny_room.instances(tree["written"][sky].c2w, scene.intrinsics)
    checked = 0
    for index, mask in enumerate(masks):
        boxes = [seen_box(found.corners, scene.c2w[index], scene.intrinsics) for found in scene.objects]
        for number, made in enumerate(objects):
            truth = object_box(mask, made.id)
            if truth is None or (mask == made.id).sum() < 400:
                continue
            box = boxes[number]
            assert box is not None
            rows, columns = np.nonzero(mask == made.id)
            margin = 3
            inside = (columns >= box.x0 - margin) & (columns <= box.x1 + margin)
            inside &= (rows >= box.y0 - margin) & (rows <= box.y1 + margin)
            assert inside.mean() > 0.99
            if iou(box, truth) > 0.8:  # nothing stands before it: of all boxes its own fits best
                best = max(range(len(boxes)), key=lambda n: 0 if boxes[n] is None else iou(boxes[n], truth))
                assert best == number
                checked += 1
    assert checked >= 2


def test_highres_depth_where_there_is_some(tree):
    scene = opened(tree["written"]["Left"], depth="highres_depth")
    depth = scene.depth(range(len(TICKS)))
    assert depth.shape == (len(TICKS), 1920, 1440)
    assert [bool(image.any()) for image in depth] == [tick % 6 == 0 for tick in TICKS]
    low = opened(tree["written"]["Left"]).depth([0])[0]
    whole = depth[0][3::15, 3::15][:128, :96]  # every fifteenth pixel; low has 7.5
    assert np.median(np.abs(low[::2, ::2] - whole) / whole) < 0.01
    assert opened(tree["written"]["Up"], depth="highres_depth").depth([0]) is None


def test_confidence_masks_depth(tree, scenes):
    sure = opened(tree["written"]["Right"], min_confidence=2)
    depth, masked, confidence = scenes["Right"].depth([0]), sure.depth([0]), sure.confidence([0])
    assert set(np.unique(confidence)) == {0, 1, 2}
    assert (masked[confidence < 2] == 0).all()
    np.testing.assert_array_equal(masked[confidence == 2], depth[confidence == 2])


def test_visits_and_folds(tree, tmp_path):
    dataset = ARKitScenes(tree["root"] / "raw")
    assert [video.video_id for video in dataset] == [f"4106902{n}" for n in range(4)]
    assert dataset.fold("arkit-visit-422203") == "Validation"  # one of its four videos is
    assert dataset.of_fold("Training") == []
    assert len(dataset.of_fold("Validation")) == 4
    for video_id, visit, fold in (("1", "10.0", "Training"), ("2", "NA", "Training"), ("3", "NA", "Validation")):
        (tmp_path / "raw" / fold / video_id).mkdir(parents=True)
        add_row(tmp_path, video_id, visit, "NA", fold)
    add_row(tmp_path, "4", "10", "Up", "Training")
    (tmp_path / "raw/Training/9").mkdir()
    dataset = ARKitScenes(tmp_path)
    assert {video.video_id: video.environment_id for video in dataset} == {
        "1": "arkit-visit-10",
        "2": "arkit-video-2",
        "3": "arkit-video-3",
    }
    assert (dataset.absent, dataset.unlisted) == (["4"], ["9"])
    assert dataset.rows["4"].environment_id == "arkit-visit-10"
    assert [video.video_id for video in dataset.of_fold("Training")] == ["1", "2"]
    with pytest.raises(BadScene, match=r"video 4 is listed but .*Training/4 is absent: .*--video_id 4"):
        dataset.open("4")
    with pytest.raises(BadScene, match=r"video 9 is not in .*metadata.csv"):
        dataset.open("9")
    with pytest.raises(BadScene, match=r"vga_wide holds 0 frames: fetch vga_wide of 1"):
        dataset.open("1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        (b"", "has no column"),
        (b"video_id,visit_id,fold\n", "lists no videos"),
        (b"video_id,visit_id,fold\n41,7,Trai", "cut off"),
        (b"video_id,visit_id,fold\n41,x7,Training\n", "'x7' is not an id"),
        (b"video_id,visit_id,fold\n41,7,Training\n41,8,Training\n", "listed twice"),
        (b"video_id,visit_id,fold,sky_direction\n41,7,Training,North\n", "sky_direction is 'North'"),
        (b"video_id,visit_id,fold\n41,7\xff,Training\n", "not UTF-8"),
    ],
)
def test_bad_metadata(tmp_path, text, message):
    (tmp_path / "raw/Training").mkdir(parents=True)
    if text is not None:
        (tmp_path / "raw/metadata.csv").write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        ARKitScenes(tmp_path)
    assert "metadata.csv" in str(caught.value)
    with pytest.raises(InputError, match="holds neither Training nor Validation"):
        ARKitScenes(tmp_path / "raw/Training")


def test_a_whole_video_is_one_run(small, tiny_room):
    scene = opened(small)
    assert (len(scene), scene.remarks) == (19, [])
    assert scene.fps == pytest.approx(30, rel=0.01)
    assert np.diff(scene.timestamps).min() > 0.03
    (run,) = unbroken_runs(scene, at_least=19)
    assert run.video_id == "41000001"
    seen = tiny_room.render(small.c2w[:1], SMALL, 1).rgb
    np.testing.assert_array_equal(scene.frames([0]), seen)
    assert scene.intrinsics == SMALL
    assert scene.intrinsics_of(3) == SMALL


def rewrite_traj(fixture: ARKitVideoFixture, change) -> Path:
    path = fixture.folder / "lowres_wide.traj"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return path


def test_frames_without_a_pose_inside_a_video(small):
    """Poses come every 0.1 s; with two of them lost the gap is 0.3 s, over which nothing is interpolated."""
    rewrite_traj(small, lambda lines: [*lines[:2], *lines[4:]])
    scene = opened(small)
    posed = is_posed(scene.c2w)
    assert posed[:4].all()
    assert not posed[5:11].any()
    assert posed[12:].all()
    assert any("frames have no pose" in remark for remark in scene.remarks)
    runs = unbroken_runs(scene)
    assert [run.start for run in runs][:2] == [0, 12]
    assert all(is_posed(run.c2w).all() for run in runs)
    assert runs[1].video_id == "41000001-000012"
    assert runs[1].environment_id == "arkit-visit-7"
    np.testing.assert_array_equal(runs[1].frames([1]), scene.frames([13]))
    np.testing.assert_array_equal(runs[1].depth([1]), scene.depth([13]))
    assert len(runs[1].objects) == len(small.objects)
    with pytest.raises(IndexError, match="reach beyond"):
        runs[0].frames([len(runs[0])])
    with pytest.raises(BadScene, match=r"41000001: its longest run with poses has .* frames of 19, a clip needs 161"):
        unbroken_runs(scene, at_least=161)
    assert is_posed(opened(small, max_gap=0.35).c2w).all()


def test_lost_frames_break_a_run(small):
    for path in sorted((small.folder / "vga_wide").iterdir())[6:9]:
        path.unlink()
    scene = opened(small)
    assert len(scene) == 16
    assert scene.fps == pytest.approx(30, rel=0.01)
    assert [(run.start, run.stop) for run in unbroken_runs(scene)] == [(0, 6), (6, 16)]


def test_nan_and_identity_poses_are_left_out(small):
    def spoil(lines):
        seconds = [line.split()[0] for line in lines]
        return [lines[0], f"{seconds[1]} nan nan nan nan nan nan", f"{seconds[2]} 0 0 0 0 0 0", lines[3], *lines[3:]]

    rewrite_traj(small, spoil)
    scene = opened(small, max_gap=0.35)
    assert [remark.split(", left")[0] for remark in scene.remarks[:3]] == [
        "lowres_wide.traj: 1 of 8 poses hold NaN or infinity",
        "lowres_wide.traj: 1 of 8 poses are the identity",
        "lowres_wide.traj: 1 of 8 poses repeat a time",
    ]
    np.testing.assert_allclose(scene.c2w[4, :3, 3], small.c2w[4, :3, 3], atol=0.05)  # interpolated over the hole
    assert not is_posed(opened(small).c2w)[4]


def test_the_pose_within_five_milliseconds_is_taken_as_it_is(small):
    first = (small.folder / "lowres_wide.traj").read_text().split()[0]
    rewrite_traj(small, lambda lines: [traj_line(float(first) + 0.0049, small.c2w[0]), *lines[1:]])
    np.testing.assert_allclose(opened(small).c2w[0], small.c2w[0], atol=1e-6)
    rewrite_traj(small, lambda lines: [traj_line(float(first) + 0.0061, small.c2w[0]), *lines[1:]])
    assert not is_posed(opened(small).c2w)[0]  # nothing is extrapolated


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "lowres_wide.traj is missing: fetch it"),
        (lambda path: path.write_text(""), "lowres_wide.traj is empty"),
        (
            lambda path: path.write_text(path.read_text()[:-30]),
            r"lowres_wide.traj, line 7: .* is it cut off",
        ),
        (lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()), "lowres_wide.traj is not text"),
        (lambda path: path.write_text("1 0.1 0 0 1 0 0\n2 0.1 0 0 1 0 0\n"), "no pose at the time of any frame"),
    ],
)
def test_bad_trajectories(small, change, message):
    change(small.folder / "lowres_wide.traj")
    with pytest.raises(BadScene, match=message):
        opened(small)


def test_one_of_the_videos_without_trajectory(small, tmp_path):
    """It still serves where no poses are needed; metadata.csv tells its sky."""
    known = "47334522"
    folder = tmp_path / "raw/Training" / known
    shutil.copytree(small.folder, folder)
    for path in [*folder.rglob("41000001_*")]:
        path.rename(path.with_name(path.name.replace("41000001", known)))
    (folder / "lowres_wide.traj").unlink()
    (folder / f"{known}_3dod_annotation.json").unlink()
    add_row(tmp_path, known, "NA", "Left", "Training")
    scene = ARKitScenes(tmp_path).open(known)
    assert (scene.c2w, scene.objects, scene.sky) == (None, [], "Left")
    assert scene.frames([0]).shape == (1, 64, 48, 3)
    assert "24 videos without trajectory" in scene.remarks[0]
    (run,) = unbroken_runs(scene, at_least=19)
    assert run.c2w is None
    table = tmp_path / "raw/metadata.csv"
    table.write_text(table.read_text().replace("Left", "NA"))
    with pytest.raises(BadScene, match=f"{known}: neither poses nor metadata.csv tell where the sky is"):
        ARKitScenes(tmp_path).open(known)
    assert ARKitScenes(tmp_path, ARKitOptions(sky="Down")).open(known).sky == "Down"


def test_poses_come_before_metadata_about_the_sky(tmp_path, tiny_room):
    c2w = tour(tiny_room, 13, seed=5, fps=60)
    made = write_video(tmp_path, tiny_room, c2w, "41098184", "7", "Left", lens=SMALL, paint=False, said_sky="Up")
    scene = opened(made)
    assert scene.sky == "Left"
    assert scene.remarks == ["metadata.csv has the sky Up, the poses Left: the poses are followed"]
    assert (opened(made, sky="metadata").sky, opened(made, sky="Right").sky) == ("Up", "Right")


@pytest.mark.parametrize("folder", ["vga_wide", "lowres_depth", "confidence"])
@pytest.mark.parametrize("damage", ["empty", "cut", "other size", "other kind"])
def test_damaged_images_are_named(small, folder, damage):
    path = sorted((small.folder / folder).iterdir())[3]
    data = path.read_bytes()
    if damage in ("empty", "cut"):
        path.write_bytes(data[: len(data) // 2 if damage == "cut" else 0])
    elif damage == "other size":
        shutil.copy(sorted((small.folder / ("vga_wide" if folder != "vga_wide" else "confidence")).iterdir())[3], path)
    elif folder == "vga_wide":
        path.write_text("not an image")
    else:
        other = "confidence" if folder == "lowres_depth" else "lowres_depth"
        shutil.copy(sorted((small.folder / other).iterdir())[3], path)
    scene = opened(small)
    read = {"vga_wide": scene.frames, "lowres_depth": scene.depth, "confidence": scene.confidence}[folder]
    read([0, 1, 2, 4])
    with pytest.raises(BadScene, match=path.name):
        read([2, 3])


def test_missing_depth_is_zero_and_no_depth_is_none(small):
    sorted((small.folder / "lowres_depth").iterdir())[3].unlink()
    depth = opened(small).depth([2, 3])
    assert depth[0].any()
    assert not depth[1].any()
    shutil.rmtree(small.folder / "lowres_depth")
    assert opened(small).depth([2, 3]) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not hold six numbers"),
        ("64 48 53.0 52.9 32.3", "does not hold six numbers"),
        ("64 48 nan 52.9 32.3 23.6", "a lens that cannot be"),
        ("64 48 -5 52.9 32.3 23.6", "a lens that cannot be"),
        ("640 480 530 530 320 240", "is of .* images, vga_wide is"),
    ],
)
def test_bad_lenses(small, text, message):
    path = sorted((small.folder / "vga_wide_intrinsics").iterdir())[0]
    path.write_text(text)
    with pytest.raises(BadScene, match=message) as caught:
        opened(small)
    assert "vga_wide_intrinsics" in str(caught.value)
    shutil.rmtree(path.parent)
    with pytest.raises(BadScene, match=r"vga_wide_intrinsics has no .pincam"):
        opened(small)


def test_the_lens_is_the_median_and_each_frame_has_its_own(small):
    files = sorted((small.folder / "vga_wide_intrinsics").iterdir())
    files[3].write_text("64 48 58.0 57.9 32.3 23.6")
    files[5].unlink()
    later = files[6]
    later.rename(later.with_name(f"41000001_{float(later.stem.split('_')[1]) + 0.001:.3f}.pincam"))  # as the toolkit
    scene = opened(small)
    assert scene.intrinsics == SMALL
    assert scene.intrinsics_of(3).fx == 58
    assert scene.intrinsics_of(6) == SMALL
    assert "the focal length varies by 9.4%: the median is used" in scene.remarks
    with pytest.raises(BadScene, match=r"has no .pincam within"):
        scene.intrinsics_of(5)


def spoiled(objects, **changed) -> bytes:
    """The annotation with a value of its second box changed, or without it."""
    content = annotation(objects)
    box = content["data"][1]["segments"].pop("obbAligned")
    if changed:
        content["data"][1]["segments"]["obbAligned"] = box | changed
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda o: b"", "is not a 3DOD annotation"),
        (lambda o: json.dumps(annotation(o)).encode()[:200], "is not a 3DOD annotation"),
        (lambda o: b"[]", "is not a 3DOD annotation"),
        (lambda o: json.dumps(annotation(o)).encode().replace(b"fridge", b"fr\xffidge"), "is not UTF-8"),
        (lambda o: spoiled(o), "object 2 has no whole obbAligned box"),
        (lambda o: spoiled(o, centroid=[1, 2]), "object 2 has no whole"),
        (
            lambda o: spoiled(o, axesLengths=[1, 0, 1]),
            "object 2 .* cannot",
        ),
        (
            lambda o: spoiled(o, normalizedAxes=[1] * 9),
            "object 2 .* cannot",
        ),
    ],
)
def test_bad_annotations(small, text, message):
    """Known when objects are first asked for; the video itself can be read, and opened without objects."""
    path = small.folder / "41000001_3dod_annotation.json"
    path.write_bytes(text(small.objects))
    scene = opened(small)
    scene.frames([0])
    with pytest.raises(BadScene, match=message) as caught:
        _ = scene.objects
    assert path.name in str(caught.value)
    assert opened(small, objects=False).objects == []


def test_annotations_that_are_not_there(small):
    path = small.folder / "41000001_3dod_annotation.json"
    path.write_text(json.dumps({"data": [], "skipped": True}))
    assert opened(small).objects == []
    path.unlink()
    scene = opened(small)
    assert (scene.objects, scene.remarks) == ([], ["41000001_3dod_annotation.json is missing: no objects"])


def test_options_that_are_not_there():
    with pytest.raises(InputError, match="depth is 'ultrawide': choose one of lowres_depth, highres_depth"):
        ARKitOptions(depth="ultrawide")


def test_a_stray_file_is_named(small):
    (small.folder / "vga_wide" / "._41000001_6845.706.png").touch()  # macOS leaves such
    assert len(opened(small)) == 19
    (small.folder / "vga_wide" / "cover.png").touch()
    with pytest.raises(BadScene, match=r"cover.png is not named 41000001_SECONDS.png"):
        opened(small)
