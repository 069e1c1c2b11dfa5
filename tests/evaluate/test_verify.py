"""What is checked of one clip of several, in which order clips are preferred, and the path that a clip shows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.evaluate.judge import Answer, JudgedClip, Verdict
from video4spatial.evaluate.known_scene import USUAL_DEPTH, KnownScene, reconstructed_context
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.path_consistency import path_consistency
from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed, Reconstruction, transformed_poses
from video4spatial.evaluate.recovered import Recovered, scale_to
from video4spatial.evaluate.spatial import SceneCloud
from video4spatial.evaluate.verify import GROUNDING, NAVIGATION, NO_JUDGE, NO_SCENE, Checks, Verifier, rank
from video4spatial.geometry.boxes import box_tail
from video4spatial.geometry.cameras import unproject_depth
from video4spatial.geometry.paths import preset
from video4spatial.geometry.poses import pose_from_waypoint, relative_to
from video4spatial.schema import Box, CameraPath, InputError

TAIL = 8
CENTRAL, ASIDE = Box(22, 8, 44, 26), Box(1, 8, 17, 26)


@dataclass(frozen=True)
class Sure:
    """A judge that sees the target in one box, whatever it is shown; or one that is away."""

    box: Box | None = None
    away: bool = False
    identity: str = "sure"

    def verdicts(self, clips: Iterable[JudgedClip]) -> Iterator[Verdict]:
        for clip in clips:
            height, width = clip.frame.shape[:2]
            gone = Verdict(Answer.UNAVAILABLE, reason="the server is away")
            yield gone if self.away else Verdict.answered(self.box, width, height)


@pytest.fixture(scope="module")
def moving(tiny_walk):
    return tiny_walk.clip.frames[:9]


def with_tail(moving, box: Box | None):
    tail = np.repeat(moving[-1:], TAIL, axis=0) if box is None else box_tail(moving[-1], box, TAIL)
    return np.concatenate([moving, tail])


@pytest.mark.parametrize(
    ("box", "found", "centred"), [(CENTRAL, True, True), (ASIDE, True, False), (None, False, False)]
)
def test_a_box_alone(moving, box, found, centred):
    checks = Verifier().grounding(with_tail(moving, box), TAIL, "the red sofa")
    assert (checks.values["box_found"], checks.values["box_centred"]) == (found, centred)
    assert checks.passed is centred
    assert checks.missing["followed"] == NO_JUDGE
    assert checks.missing["sd"] == NO_SCENE
    assert isinstance(checks.recovered, NotComputed)


@pytest.mark.parametrize(
    ("drawn", "seen", "passed"),
    [(CENTRAL, CENTRAL, True), (CENTRAL, ASIDE, False), (ASIDE, CENTRAL, False), (None, CENTRAL, False)],
)
def test_box_and_judge_must_both_agree(moving, drawn, seen, passed):
    checks = Verifier(Sure(seen)).grounding(with_tail(moving, drawn), TAIL, "the red sofa")
    assert checks.passed is passed
    assert checks.values["shown"] is True
    if drawn is None:
        assert checks.missing["box_overlap"] == "no red box"
    else:
        assert (checks.values["box_overlap"] > 0.5) == (drawn == seen)


def test_a_judge_alone_and_none_at_all(moving):
    assert Verifier(Sure(CENTRAL)).grounding(moving, 0, "the red sofa").passed is True
    assert Verifier(Sure(None)).grounding(moving, 0, "the red sofa").passed is False
    checks = Verifier().grounding(moving, 0, "the red sofa")
    assert checks.passed is None
    assert checks.missing["passed"] == "neither a box nor a judge to go by"


def test_a_judge_that_is_away_passes_nothing(moving):
    checks = Verifier(Sure(away=True)).grounding(with_tail(moving, CENTRAL), TAIL, "the red sofa")
    assert checks.passed is False
    assert checks.missing["followed"] == "unavailable: the server is away"


def checks_of(order):
    values = st.booleans() | st.floats(-5, 5)
    return st.dictionaries(st.sampled_from([step.key for step in order]), values).map(Checks)


@pytest.mark.parametrize("order", [GROUNDING, NAVIGATION])
@settings(max_examples=50)
@given(data=st.data())
def test_what_is_missing_counts_below_every_value(order, data):
    """Taking a value away never makes a clip better, and the order goes by its first difference."""
    checks = data.draw(checks_of(order))
    for key in checks.values:
        assert rank(checks, order) < rank(Checks({k: v for k, v in checks.values.items() if k != key}), order)
    other = data.draw(checks_of(order))
    for step in order:
        a, b = (c.values.get(step.key) for c in (checks, other))
        if a != b:
            better = b is None or (a is not None and (a < b if step.better == "lower" else a > b))
            assert (rank(checks, order) < rank(other, order)) == better
            return
    assert rank(checks, order) == rank(other, order)


# Navigation: the place, the camera


@dataclass
class Oracle:
    """Reconstructs frames of one walk by its true depth and poses, in a frame of its own: turned, shifted, scaled."""

    frames: np.ndarray
    depth: np.ndarray
    c2w: np.ndarray
    lens: object
    lost: frozenset[int] = frozenset()
    name: str = "oracle"

    def __call__(self, frames, anchors: Anchors) -> Reconstruction | NotReconstructed:
        places = {frame.tobytes(): k for k, frame in enumerate(self.frames)}
        mine, theirs = ([places[frame.tobytes()] for frame in part] for part in (frames, anchors.frames))

        def seen(which):
            return [unproject_depth(self.depth[k], self.c2w[k], self.lens).reshape(-1, 3) for k in which]

        made = Reconstruction(
            points=seen(mine),
            c2w=self.c2w[mine],
            found=np.array([k not in self.lost for k in mine]),
            anchor_points=seen(theirs),
            anchor_c2w=self.c2w[theirs],
            intrinsics=self.lens,
        )
        turn = pose_from_waypoint([1.0, -2.0, 0.5], 0.7, 0.2, -0.4)
        return made.transformed(3.7, turn[:3, :3], turn[:3, 3])


class GivesUp:
    name = "gives up"

    def __call__(self, frames, anchors: Anchors) -> Reconstruction | NotReconstructed:
        return NotReconstructed("no two frames match")


@pytest.fixture(scope="module")
def oracle(tiny_room, tiny_walk) -> Oracle:
    rendered = tiny_room.render(tiny_walk.c2w, tiny_walk.intrinsics)
    return Oracle(
        rendered.rgb, rendered.depth.astype(np.float64), tiny_walk.c2w.astype(np.float64), tiny_walk.intrinsics
    )


@pytest.fixture(scope="module")
def metric(oracle, tiny_room) -> KnownScene:
    anchors = Anchors(oracle.frames[::4], oracle.c2w[::4], oracle.lens)
    return KnownScene(oracle, anchors, SceneCloud(tiny_room.point_cloud(60_000).points), "metric")


def test_a_camera_that_follows_its_path_passes(oracle, metric):
    clip, asked = oracle.frames[5:30], CameraPath(relative_to(oracle.c2w[5:30]), oracle.lens)
    checks = Verifier(None, metric).navigation(clip, asked)
    assert checks.passed is True
    assert checks.values["camera"] < 0.05
    assert checks.values["sd"] < 0.05
    assert isinstance(checks.recovered, Recovered)
    assert checks.recovered.scale == "metric"
    np.testing.assert_allclose(checks.recovered.c2w, asked.c2w, atol=0.05)
    first = unproject_depth(oracle.depth[5], np.eye(4), oracle.lens).reshape(-1, 3)
    np.testing.assert_allclose(checks.recovered.points[: len(first)], first, atol=0.1)


def test_one_that_does_not_fails(oracle, metric):
    still = CameraPath(np.tile(np.eye(4), (25, 1, 1)), oracle.lens)
    checks = Verifier(None, metric).navigation(oracle.frames[5:30], still)
    assert checks.passed is False
    assert checks.values["camera"] > 0.5


def test_frames_that_are_lost(oracle, metric):
    """A few are put between their neighbours; where half are, or the first, there is no comparing."""
    asked = CameraPath(relative_to(oracle.c2w[5:30]), oracle.lens)

    def looked(lost):
        scene = KnownScene(Oracle(*vars(oracle).values()), metric.anchors, metric.cloud, "metric")
        scene.reconstructor.lost = frozenset(lost)
        return Verifier(None, scene).navigation(oracle.frames[5:30], asked)

    few = looked([10, 11])
    assert few.passed is True
    assert np.flatnonzero(~few.recovered.found).tolist() == [5, 6]
    np.testing.assert_allclose(few.recovered.c2w, asked.c2w, atol=0.2)
    many = looked(range(10, 30))
    assert many.passed is False
    assert many.missing["camera"] == "only 20% of the frames were found in the scene; 50% must be"
    begin = looked([5])
    assert begin.passed is False
    assert begin.recovered == NotComputed("the first frame was not found in the scene")


def test_the_walk_through_itself_as_the_place(oracle):
    """No truth: the walk-through's own reconstruction. Its scale is that of the asked path, or of its usual depth."""
    scene = reconstructed_context(oracle.frames, oracle.lens, oracle)
    assert isinstance(scene, KnownScene)
    assert scene.scale == "arbitrary"
    truth = relative_to(oracle.c2w[5:30])
    checks = Verifier(None, scene).navigation(oracle.frames[5:30], CameraPath(truth, oracle.lens))
    assert checks.passed is True
    assert checks.values["sd"] < 0.05
    assert checks.recovered.scale == "asked path"
    np.testing.assert_allclose(checks.recovered.c2w, truth, atol=0.05)
    grounding = Verifier(None, scene).grounding(with_tail(oracle.frames[5:30], CENTRAL), TAIL, "the red sofa")
    path = grounding.recovered
    assert isinstance(path, Recovered)
    assert path.scale == "arbitrary"
    ratio = np.linalg.norm(path.c2w[-1, :3, 3]) / np.linalg.norm(truth[-1, :3, 3])
    depth = np.median(oracle.depth[::2][:40])
    assert ratio == pytest.approx(USUAL_DEPTH / depth, rel=0.1)


def test_a_walk_through_that_cannot_be_reconstructed(oracle, moving):
    with pytest.raises(InputError, match="too few to reconstruct"):
        reconstructed_context(oracle.frames[:5], oracle.lens, oracle)

    reason = reconstructed_context(oracle.frames, oracle.lens, GivesUp())
    assert isinstance(reason, NotReconstructed)
    checks = Verifier(None, reason).navigation(moving, CameraPath(np.tile(np.eye(4), (9, 1, 1)), oracle.lens))
    assert checks.passed is None
    assert checks.missing["sd"] == "the walk-through could not be reconstructed: no two frames match"


@given(st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_a_scale_comes_from_the_asked_path(factor, seed):
    rng = np.random.default_rng(seed)
    asked = relative_to(np.stack([pose_from_waypoint(rng.normal(size=3), *rng.uniform(-1, 1, 3)) for _ in range(5)]))
    own = transformed_poses(asked, 1 / factor, np.eye(3), np.zeros(3))
    assert scale_to(own, asked) == pytest.approx(factor)
    assert scale_to(own, np.tile(np.eye(4), (5, 1, 1))) is None
    assert scale_to(np.tile(np.eye(4), (5, 1, 1)), asked) is None


# Navigation without a reconstructor


@pytest.mark.parametrize("asked", ["turn-left", "look-around"])
def test_true_motion_explains_more_than_another(tiny_room, oracle, asked):
    paths = {name: preset(name, 17, 40.0) for name in (asked, "turn-right")} | {"still": np.tile(np.eye(4), (17, 1, 1))}
    frames = tiny_room.render(oracle.c2w[0] @ paths[asked], oracle.lens).rgb
    found = {name: path_consistency(frames, CameraPath(c2w, oracle.lens)) for name, c2w in paths.items()}
    assert found[asked] > 0.5
    assert found[asked] > max(value for name, value in found.items() if name != asked) + 0.2


def test_consistency_of_nothing(oracle):
    grey = np.full((9, 32, 64, 3), 128, np.uint8)
    still = np.tile(np.eye(4), (9, 1, 1))
    assert path_consistency(grey, CameraPath(still, oracle.lens)) == 0.0
    assert path_consistency(oracle.frames[:1].repeat(9, 0), CameraPath(still, oracle.lens)) == pytest.approx(1)
    turned = np.stack([pose_from_waypoint([0, 0, 0], yaw=2.0 * (k % 3)) for k in range(9)])
    assert isinstance(path_consistency(oracle.frames[:9], CameraPath(turned, oracle.lens)), NotComputed)
    with pytest.raises(InputError, match="9 frames and 8 poses"):
        path_consistency(oracle.frames[:9], CameraPath(still[:8], oracle.lens))
