"""Spatial Distance against a slow, readable reference, by axioms, and its outcomes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed, Reconstruction, anchor_indices
from video4spatial.evaluate.spatial import (
    SceneCloud,
    Similarity,
    SpatialOutcome,
    SpatialResult,
    frame_distances,
    icp,
    measure,
    spatial_distance,
    summarise,
    thinned,
)
from video4spatial.geometry.poses import pose_from_waypoint, rotation_from_angles
from video4spatial.schema import InputError, Intrinsics

seeds = st.integers(0, 2**32 - 1)
LENS = Intrinsics.from_horizontal_fov(72, 32, 32)


def reference_distance(frames, cloud):
    """SD as the paper writes it, one point after the other."""
    worst = 0.0
    for points in frames:
        total = 0.0
        for p in points:
            total += min(math.dist(p, q) for q in cloud)
        worst = max(worst, total / len(points))
    return worst


def box_surface(count, seed=0):
    """Points on the faces of a 4 x 3 x 2.5 box."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (count, 3))
    axis = rng.integers(3, size=count)
    points[np.arange(count), axis] = rng.integers(2, size=count)
    return points * [4, 3, 2.5]


def case(seed=0, frames=4, points=60):
    """A reconstruction in the scene's own frame, exact but for noise in the points; its anchors; the cloud."""
    rng = np.random.default_rng(seed)
    cloud = box_surface(4000)
    c2w = np.stack([pose_from_waypoint(rng.uniform(1, 2, 3), *rng.normal(0, 0.4, 3)) for _ in range(frames + 6)])
    made = Reconstruction(
        points=[cloud[rng.integers(len(cloud), size=points)] + rng.normal(0, 0.03, (points, 3)) for _ in range(frames)],
        c2w=c2w[:frames],
        found=np.ones(frames, bool),
        anchor_points=[cloud[rng.integers(len(cloud), size=200)] for _ in range(6)],
        anchor_c2w=c2w[frames:],
        intrinsics=LENS,
    )
    return made, Anchors(np.zeros((6, 32, 32, 3), np.uint8), c2w[frames:], LENS), SceneCloud(cloud)


def test_by_hand():
    """Two frames: the first on the cloud; the second 3 and 4 metres off it, which is 3.5 on average."""
    cloud = SceneCloud(np.array([[0.0, 0, 0], [10, 0, 0]]))
    distance = frame_distances([np.array([[0.0, 0, 0]]), np.array([[0.0, 3, 0], [10, 0, 4]])], cloud)
    assert distance.tolist() == [0.0, 3.5]
    with pytest.raises(InputError, match="empty"):
        SceneCloud(np.empty((0, 3)))


@given(seeds)
def test_agrees_with_the_slow_reference(seed):
    rng = np.random.default_rng(seed)
    cloud, frames = rng.normal(size=(40, 3)), [rng.normal(size=(n, 3)) for n in (1, 7, 12)]
    distance = frame_distances([*frames, np.empty((0, 3))], SceneCloud(cloud))
    assert np.nanmax(distance) == pytest.approx(reference_distance(frames, cloud), rel=1e-12)
    assert np.isnan(distance[3])


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 20))
def test_the_frame_and_scale_of_the_reconstruction_do_not_matter(seed, scale):
    made, anchors, cloud = case(seed)
    rng = np.random.default_rng(seed)
    before = spatial_distance(made, anchors, cloud)
    turn, t = rotation_from_angles(*rng.uniform(-1.5, 1.5, 3)), rng.normal(0, 5, 3)
    after = spatial_distance(made.transformed(scale, turn, t), anchors, cloud)
    assert before.outcome is after.outcome is SpatialOutcome.SCORED
    assert after.distance == pytest.approx(before.distance, abs=1e-4)
    assert after.scale == pytest.approx(before.scale / scale, rel=1e-3)


def test_generated_points_never_take_part_in_registration():
    """A video whose geometry is swollen against the anchors' is not shrunk to fit."""
    made, anchors, cloud = case()
    distances = []
    for factor in (1.0, 1.1, 1.2, 1.4):
        points = [part * factor for part in made.points]
        distances.append(spatial_distance(Reconstruction(**{**vars(made), "points": points}), anchors, cloud).distance)
    assert distances == sorted(distances)
    assert distances[-1] > 10 * distances[0]


@settings(max_examples=12)
@given(seeds)
def test_icp_undoes_a_small_similarity(seed):
    rng = np.random.default_rng(seed)
    cloud = SceneCloud(box_surface(6000))
    points = box_surface(1500, 1)
    off = Similarity(
        float(rng.uniform(0.98, 1.02)), rotation_from_angles(*rng.normal(0, 0.01, 3)), rng.normal(0, 0.02, 3)
    )
    before = cloud.distances(off(points)).mean()
    found = icp(off(points), cloud, Similarity(1.0, np.eye(3), np.zeros(3)))
    assert np.linalg.norm(found(off(points)) - points, axis=1).mean() < 0.02
    assert cloud.distances(found(off(points))).mean() <= before + 1e-12


def test_the_maximum_is_over_frames_and_named():
    made, anchors, cloud = case()
    made.points[2] = made.points[2] + [0, 0, 9]
    result = spatial_distance(made, anchors, cloud)
    assert result.worst == 2
    assert result.distance == max(result.per_frame) > 5


def test_thinning_keeps_the_spread():
    points = np.random.default_rng(0).uniform(size=(20000, 3))
    thin = thinned(points, 500)
    assert thin.shape == (500, 3)
    assert len(np.unique(thin, axis=0)) == 500
    octants = np.bincount((thin > 0.5) @ [1, 2, 4], minlength=8)
    assert octants.min() > 50  # of 62.5 each
    np.testing.assert_array_equal(thinned(points[:5], 500), points[:5])


def test_thinning_changes_sd_little():
    cloud = SceneCloud(box_surface(20000))
    points = [box_surface(6000, 3) + np.random.default_rng(1).normal(0, 0.05, (6000, 3))]
    whole, thin = frame_distances(points, cloud, 10**6), frame_distances(points, cloud, 1024)
    assert abs(whole[0] - thin[0]) < 0.002


def test_every_failure_is_an_outcome_and_totals_add_up():
    made, anchors, cloud = case()
    lost = Reconstruction(**{**vars(made), "found": np.zeros(4, bool)})
    line = made.anchor_c2w.copy()
    line[:, :3, 3] = np.outer(np.arange(6), [1, 0, 0])
    straight = Reconstruction(**{**vars(made), "anchor_c2w": line})
    shuffled = Reconstruction(**{**vars(made), "anchor_c2w": made.anchor_c2w[::-1], "anchor_points": []})
    empty = Reconstruction(**{**vars(made), "points": [np.empty((0, 3))] * 4})
    results = [
        spatial_distance(one, anchors, cloud)
        for one in (made, NotReconstructed("no texture"), lost, straight, shuffled, empty)
    ]
    assert [result.outcome for result in results] == [
        SpatialOutcome.SCORED,
        SpatialOutcome.NOT_RECONSTRUCTED,
        SpatialOutcome.LOST,
        SpatialOutcome.NOT_REGISTERED,
        SpatialOutcome.NOT_REGISTERED,
        SpatialOutcome.NO_POINTS,
    ]
    assert [bool(result.reason) for result in results] == [False, *[True] * 5]
    assert [result.distance is None for result in results] == [False, *[True] * 5]
    summary = summarise(results)
    assert sum(summary.outcomes.values()) == len(results)
    assert summary.outcomes[SpatialOutcome.NOT_REGISTERED] == 2
    assert [result.lost for result in results] == [0, 1, 1, 0, 0, 0]
    assert summary.mean == results[0].distance
    assert summary.within_20cm == summary.within_10cm == pytest.approx(1 / 6)
    with pytest.raises(InputError, match="no results"):
        summarise([])


def test_lost_frames_are_counted_and_cannot_hide_what_they_show():
    """Half may be lost, placed between the others; a tenth may have no points, which no maximum sees."""
    made, anchors, cloud = case(frames=20)

    def without(lost: int, bare: int) -> SpatialResult:
        points = [np.empty((0, 3))] * bare + made.points[bare:]
        return spatial_distance(replace(made, found=np.arange(20) >= lost, points=points), anchors, cloud)

    assert (without(10, 0).outcome, without(11, 0).outcome) == (SpatialOutcome.SCORED, SpatialOutcome.LOST)
    assert without(3, 0).lost == pytest.approx(0.15)
    assert without(11, 0).lost == pytest.approx(0.55)
    assert (without(2, 2).outcome, without(3, 3).outcome) == (SpatialOutcome.SCORED, SpatialOutcome.NO_POINTS)
    assert "15% of the frames have no point" in without(3, 3).reason
    hidden = replace(made, found=np.arange(20) != 5, points=[*made.points[:5], made.points[5] + 9, *made.points[6:]])
    assert spatial_distance(hidden, anchors, cloud).worst == 5  # a lost frame's points count


def test_rates_are_over_all_videos():
    results = [SpatialResult(SpatialOutcome.SCORED, d) for d in (0.05, 0.15, 0.3)]
    results.append(SpatialResult(SpatialOutcome.NOT_REGISTERED, None, "lost"))
    summary = summarise(results)
    assert summary.mean == pytest.approx(0.5 / 3)
    assert (summary.within_20cm, summary.within_10cm) == (0.5, 0.25)


def test_measure_asks_the_reconstructor():
    made, anchors, cloud = case()

    class Known:
        name = "known"

        def __call__(self, frames, anchors):
            return made if frames.any() else NotReconstructed("black")

    frames = np.ones((4, 32, 32, 3), np.uint8)
    assert measure(frames, anchors, cloud, Known()).distance == spatial_distance(made, anchors, cloud).distance
    assert measure(frames * 0, anchors, cloud, Known()).reason == "black"


def test_anchors_are_spread_over_the_source():
    assert anchor_indices(337)[:2] == [0, 9]
    assert len(anchor_indices(337)) == 40
    assert anchor_indices(337)[-1] == 336
    assert anchor_indices(5) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="at least 3"):
        anchor_indices(2)
    with pytest.raises(InputError, match="poses"):
        Anchors(np.zeros((2, 32, 32, 3), np.uint8), np.tile(np.eye(4), (3, 1, 1)), LENS)
    with pytest.raises(InputError, match="another size"):
        Anchors(np.zeros((3, 16, 32, 3), np.uint8), np.tile(np.eye(4), (3, 1, 1)), LENS)
