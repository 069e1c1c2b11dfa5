"""Spatial Distance and Instruction Following as metrics: what they say of true, still and random videos."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from video4spatial.evaluate.benchmarks import open_contents
from video4spatial.evaluate.detector import RoomsDetector
from video4spatial.evaluate.following_metric import InstructionFollowing
from video4spatial.evaluate.generated import GeneratedFolder, Video, VideoOutcome
from video4spatial.evaluate.judge import Answer, Verdict
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.metric import Score
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.perceptual import LPIPS
from video4spatial.evaluate.quality_metrics import ImagingQualityMetric, LPIPSMetric
from video4spatial.evaluate.rooms_judge import RoomsJudge
from video4spatial.evaluate.run import Evaluation, measured
from video4spatial.evaluate.spatial_metric import SpatialMetric
from video4spatial.schema import Box, Clip, InputError
from video4spatial.storage.video import write_video


def shown(content, frames):
    case = content.case
    return Video("m", case.case_id, 0, VideoOutcome.OK, frames=frames, tail_frames=case.tail_frames, fps=16.0)


@pytest.fixture(scope="module")
def of_task(tiny_contents):
    return lambda task: next(content for content in tiny_contents if content.case.task == task)


@pytest.fixture(scope="module")
def spatial():
    return SpatialMetric()


def test_a_true_walk_is_near_the_scene_and_follows_its_path(of_task, spatial):
    content = of_task("navigation")
    score = spatial(content, shown(content, content.truth.frames))
    assert score.values["sd_scored"] is True
    assert score.values["sd"] < 0.15  # 64x32 pixels
    assert score.values["camera_degrees"] < 2
    assert score.values["camera_metres"] < 0.1
    assert score.notes["outcome"] == "scored"
    still = spatial(content, shown(content, np.repeat(content.truth.frames[:1], 17, axis=0)))
    assert still.values["camera_metres"] > 0.2
    assert score.values["lost"] == 0
    prefix = spatial(content, shown(content, content.truth.frames[:9]))
    assert prefix.values["camera_metres"] < 0.1


def test_what_cannot_be_registered_has_an_outcome(of_task, spatial):
    content = of_task("grounding")
    noise = np.random.default_rng(0).integers(0, 256, content.truth.frames.shape, dtype=np.uint8)
    score = spatial(content, shown(content, noise))
    assert isinstance(score, Score)
    assert (score.values["sd"], score.values["sd_scored"]) == (None, False)
    assert (score.notes["outcome"], score.values["lost"]) == ("lost", 1)
    assert score.values["camera_metres"] is None  # grounding follows no path


def test_a_reconstructor_that_cannot_says_why(of_task):
    content = of_task("grounding")
    found = measured(SpatialMetric("colmap"), content, shown(content, content.truth.frames))
    assert isinstance(found, NotComputed)
    assert "too small for SIFT" in found.reason or "pycolmap" in found.reason
    with pytest.raises(InputError, match=r"spatial\.weights"):
        SpatialMetric("vggt")
    with pytest.raises(InputError, match="use one of auto"):
        SpatialMetric("moon")


@pytest.mark.parametrize("kind", ["black", "grey", "noise"])
def test_worthless_videos_have_no_camera_no_distance_and_no_target(of_task, spatial, kind):
    walk, ground, absent = (of_task(task) for task in ("navigation", "grounding", "absent"))
    size = ground.truth.frames.shape[1:]

    def video(content):
        count = len(content.truth.frames) if content.truth else content.case.frames
        level = {"black": 0, "grey": 128, "noise": 0}[kind]
        frames = np.full((count, *size), level, np.uint8)
        if kind == "noise":
            frames = np.random.default_rng(0).integers(0, 256, frames.shape, dtype=np.uint8)
        return shown(content, frames)

    score = spatial(walk, video(walk))
    assert score.values == {
        "sd": None,
        "sd_scored": False,
        "lost": 1.0,
        "camera_degrees": None,
        "camera_metres": None,
    }
    assert (score.notes["outcome"], bool(score.notes["camera"])) == ("lost", True)
    metric = InstructionFollowing()
    found = metric(ground, video(ground))
    assert (found.values["if"], found.values["shown"]) == (False, False)
    assert found.notes["outcome"] == "answered"
    assert found.notes["reason"]
    none = metric(absent, video(absent)).values
    assert (none["false_shown"], none["false_followed"]) == (False, False)


def test_imaging_quality_is_of_the_systems_own_pixels(of_task):
    """Not of what resizing to the benchmark's leaves of them; the box tail aside."""

    class Width:
        name = "width"

        def __call__(self, frame):
            return float(frame.shape[2])

    content = of_task("grounding")
    tail = content.case.tail_frames
    metric = ImagingQualityMetric()
    metric.scorer = Width()
    video = shown(content, content.truth.frames)
    assert metric(content, video).values["iq"] == content.truth.frames.shape[2] / 100
    own = np.zeros((len(video.frames), 90, 160, 3), np.uint8)
    score = metric(content, replace(video, own=own))
    assert (score.values["iq"], score.notes["size"]) == (1.6, "160x90")
    assert len(replace(video, own=own).own_moving) == len(own) - tail


def test_the_rooms_judge_is_the_default(of_task):
    metric = InstructionFollowing()
    content = of_task("grounding")
    black = metric(content, shown(content, np.zeros_like(content.truth.frames)))
    assert (black.values["if"], black.values["shown"], black.values["false_shown"]) == (False, False, None)
    absent = of_task("absent")
    frames = np.zeros((absent.case.frames, 32, 64, 3), np.uint8)
    values = metric(absent, shown(absent, frames)).values
    assert values["if"] is None
    assert values["false_followed"] <= values["false_shown"]
    assert "rooms detector" in metric.settings["judge"]


def test_settings_tell_weights_by_their_content(tmp_path):
    """Kept figures are found again by settings: a file of the same name with other weights makes other settings."""
    judge = RoomsJudge(RoomsDetector.load())
    assert judge.identity == InstructionFollowing().settings["judge"]
    before = judge.identity
    other = RoomsDetector.load()
    with torch.no_grad():
        next(other.net.parameters()).view(-1)[0] += 1
    assert RoomsJudge(other).identity != before

    (tmp_path / "model.safetensors").write_bytes(b"one")
    told = SpatialMetric("vggt", str(tmp_path)).settings
    assert told == SpatialMetric("vggt", str(tmp_path)).settings
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert SpatialMetric("vggt", str(tmp_path)).settings != told
    with pytest.raises(InputError, match="nowhere"):
        _ = SpatialMetric("vggt", str(tmp_path / "nowhere")).settings

    trunk = tmp_path / "trunk.safetensors"
    seen = []
    for seed in range(2):
        torch.manual_seed(seed)
        save_file({f"features.{name}": value for name, value in LPIPS("alex").features.state_dict().items()}, trunk)
        seen.append(LPIPSMetric(str(trunk)).settings)
    assert seen[0] != seen[1]
    assert seen[0]["measure"] == seen[1]["measure"] == "LPIPS (alex)"
    assert LPIPSMetric().settings == {"measure": "none"}


class Somebody:
    """A judge as somebody else would write it: it says what it is told to."""

    def __init__(self, *verdicts):
        self.identity, self.verdict_list = "somebody", list(verdicts)

    def verdicts(self, clips):
        for _ in clips:
            yield self.verdict_list.pop(0)


def test_a_judge_that_is_away_is_asked_again(tmp_path, tiny_benchmark, tiny_contents, of_task):
    content = of_task("grounding")
    folder = GeneratedFolder(tmp_path)
    write_video(folder.video("m", content.case.case_id), Clip(content.truth.frames, 16.0), lossless=True)
    part = Benchmark(**{**vars(tiny_benchmark), "cases": (content.case,)})

    metric = InstructionFollowing()
    found = Verdict.answered(Box(20, 10, 44, 22), 64, 32)
    metric.judge = Somebody(Verdict(Answer.UNAVAILABLE, reason="down"), found)
    rows = [next(Evaluation(folder, part, open_contents(part), [metric]).rows()) for _ in range(3)]
    assert rows[0].not_computed == {"following": "unavailable: down"}
    assert [row.values["if"] for row in rows] == [None, True, True]  # the third comes from what was kept
    metric.judge = Somebody(Verdict(Answer.NONSENSE, reason="prose"))
    nonsense = metric(content, shown(content, content.truth.frames))
    assert nonsense.values["if"] is False
    assert nonsense.notes == {"outcome": "nonsense", "reason": "prose"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"judge": "me"}, "use one of rooms, server, local"),
        ({"judge": "local"}, "following.model"),
        ({"judge": "server", "model": "qwen"}, "following.server"),
        ({"server": "http://x/v1"}, "following.server"),
    ],
)
def test_judges_that_cannot_be_asked_are_refused_at_once(settings, told):
    with pytest.raises(InputError, match=told):
        InstructionFollowing(**settings)
