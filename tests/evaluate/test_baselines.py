"""Videos made without a model, and a benchmark that went through files."""

from dataclasses import replace

import numpy as np
import pytest

from video4spatial.evaluate.baselines import cells, hold_first_frame, nearest_cameras, nearest_poses, walk_on
from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.cases import CaseContent
from video4spatial.evaluate.fidelity import psnr
from video4spatial.evaluate.written import WrittenLayout, write_benchmark
from video4spatial.geometry.formats import load_path
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.schema import Clip, InputError
from video4spatial.storage.ply import read_vertices, write_vertices
from video4spatial.storage.video import read_video


def replaced(content, **values):
    """A case's content with some of it replaced."""
    names = ("context", "context_c2w", "first_frame", "truth", "truth_path", "intrinsics")
    kept = {name: getattr(content, name) for name in names}
    return type("Replaced", (CaseContent,), kept | values)(content.case, content.fps)


def of_task(contents, task):
    return next(content for content in contents if content.case.task == task)


def test_hold_first_frame():
    clip = Clip(np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3))
    held = hold_first_frame(clip, 5)
    assert held.shape == (5, 4, 4, 3)
    assert (held == clip.frames[0]).all()
    with pytest.raises(InputError):
        hold_first_frame(clip, 0)


def test_the_walk_goes_on_from_where_it_looks_like_the_first_frame(tiny_contents):
    content = of_task(tiny_contents, "grounding")
    start = replaced(content, first_frame=content.context.frames[20])
    frames, moving = walk_on(start), content.case.moving
    assert (frames[:moving] == content.context.frames[20 : 20 + moving]).all()
    assert (frames[moving:] == frames[moving - 1]).all()
    late = walk_on(replaced(content, first_frame=content.context.frames[38]))
    assert (late[2:] == content.context.frames[40]).all()  # the walk ends: its last frame is held


def test_oracle_poses_find_the_frames_they_were_taken_from(tiny_contents):
    content = of_task(tiny_contents, "navigation")
    walk = content.truth_path.__class__(content.context_c2w[10:27], content.intrinsics)
    frames = nearest_poses(replaced(content, truth_path=walk, first_frame=content.context.frames[10]))
    assert (frames == content.context.frames[10:27]).all()
    assert nearest_poses(of_task(tiny_contents, "absent")) is None


def test_nearest_cameras_weigh_metres_and_radians():
    among = np.stack(
        [pose_from_waypoint([0.0, 0, 1]), pose_from_waypoint([0.0, 0, 0], yaw=0.8), np.full((4, 4), np.nan)]
    )
    assert list(nearest_cameras(np.eye(4)[None], among)) == [1]  # 0.8 radians are nearer than a metre
    with pytest.raises(InputError, match="no context frame"):
        nearest_cameras(np.eye(4)[None], among[2:])


def test_cells_are_means():
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    assert cells(frames)[1, 0] == pytest.approx(frames[1, :2, :4].mean())
    assert cells(frames)[1, -1] == pytest.approx(frames[1, 30:, 60:].mean())
    with pytest.raises(InputError, match="too small"):
        cells(frames[:, :8])


def test_a_benchmark_goes_through_files_whole(tmp_path, tiny_benchmark, tiny_contents):
    """Lossless: what is read back is what was rendered, so that scores agree to the last digit."""
    seen = []
    write_benchmark(replace(tiny_benchmark, kind="source"), open_contents(tiny_benchmark), tmp_path, seen.append)
    assert len(seen) == len(tiny_benchmark.cases)
    written = open_benchmark(tmp_path)
    assert written.kind == "files"
    layout = WrittenLayout(tmp_path)
    for content, same in zip(open_contents(written).of(written.cases), tiny_contents, strict=True):
        assert (content.context.frames == same.context.frames).all()
        assert (content.first_frame == same.first_frame).all()
        assert np.allclose(content.context_c2w, same.context_c2w, atol=1e-12)
        assert np.allclose(content.anchors.c2w, same.anchors.c2w, atol=1e-12)
        assert np.abs(content.cloud - same.cloud).max() < 1e-6
        assert content.intrinsics == same.intrinsics
        assert content.box == same.box
        assert content.room is None
        if same.truth is None:
            assert content.truth is content.truth_path is None
            continue
        assert (content.truth.frames == same.truth.frames).all()
        assert np.allclose(content.truth_path.c2w, same.truth_path.c2w, atol=1e-12)
        asked = layout.case(content.case.case_id, "path.csv")
        assert asked.exists() == (content.case.task == "navigation")
        if asked.exists():
            path = load_path(asked, content.intrinsics)
            assert np.allclose(path.c2w[0], np.eye(4))
            assert len(path) == content.case.frames
        else:
            assert layout.case(content.case.case_id, "instruction.txt").read_text().strip() == content.case.sentence
    scene = tiny_benchmark.cases[0].scene_id
    assert read_video(layout.context(scene, "context.mp4")).size == (64, 32)
    layout.scene(scene, "cloud.ply").unlink()
    content = next(open_contents(written).of(written.cases))
    with pytest.raises(InputError, match=r"cloud\.ply"):
        _ = content.cloud


def test_point_clouds_survive_files(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32).astype(np.float64)
    write_vertices(tmp_path / "a.ply", points)
    assert (read_vertices(tmp_path / "a.ply") == points).all()


def test_the_oracle_beats_the_held_frame_where_the_walk_passed(tiny_contents):
    """A retrieval that knows the poses is better than nothing; else one of them is wrong."""
    gains = []
    for content in tiny_contents:
        if content.case.task == "navigation":
            walk = content.context
            path = content.truth_path.__class__(content.context_c2w[::2][:17], content.intrinsics)
            truth = walk.frames[::2][:17]
            found = nearest_poses(replaced(content, truth_path=path, first_frame=truth[0]))
            gains.append(psnr(found, truth) - psnr(hold_first_frame(Clip(truth, 16.0), 17), truth))
    assert min(gains) > 10
