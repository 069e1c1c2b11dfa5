"""Best of N: which seed's clip is kept, what is told of all of them, and the command line around it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from video4spatial.cli import main
from video4spatial.commands.best_of import best_of, missing_of, table_of
from video4spatial.commands.verifier import judge_of, knows_rooms_only, scene_of, verifier_for
from video4spatial.evaluate.judge import Answer, JudgedClip, Verdict
from video4spatial.evaluate.repeats import any_success
from video4spatial.evaluate.verify import GROUNDING, Verifier, rank
from video4spatial.geometry.formats import load_path
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import Box, InputError
from video4spatial.storage.video import read_video, write_video

SOFA = "the red sofa"
MIDDLE, ASIDE = Box(24, 10, 40, 22), Box(0, 10, 8, 22)


@dataclass
class Scripted:
    """A judge whose verdicts were written beforehand: a box, None (not there) or "away"."""

    script: list[Box | str | None]
    shown: list[np.ndarray] = field(default_factory=list)
    identity: str = "scripted"

    def verdicts(self, clips: Iterable[JudgedClip]) -> Iterator[Verdict]:
        for clip in clips:
            said = self.script[len(self.shown)]
            self.shown.append(clip.frame)
            if said == "away":
                yield Verdict(Answer.UNAVAILABLE, reason="the server is away")
            else:
                yield Verdict.answered(said, clip.frame.shape[1], clip.frame.shape[0])


@pytest.fixture(scope="module")
def scene(tiny_pipeline, tiny_walk):
    return tiny_pipeline.encode_context(tiny_walk.clip)


@pytest.fixture(scope="module")
def tailless(tiny_pipeline):
    """The same pipeline without a box tail, so that a scripted judge alone decides."""
    names = ("width", "height", "fps", "frames", "context_latents", "steps", "guidance")
    known = {name: tiny_pipeline.config[name] for name in names}
    pipeline = Video4SpatialPipeline(**tiny_pipeline.components, **known, tail_frames=0)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def asked(pipeline, scene, script, count=None, **more):
    judge = Scripted(script)
    best = best_of(pipeline, scene, count or len(script), Verifier(judge), instruction=SOFA, steps=1, **more)
    return best, judge


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ([None, MIDDLE, MIDDLE], 1),  # of equals the lower seed
        ([None, ASIDE, None], 1),  # there, though not centred, is better than nowhere
        (["away", None, "away"], 1),  # a "no" is worth more than no answer
        (["away", "away"], 0),
        ([ASIDE, MIDDLE, None], 1),
    ],
)
def test_which_is_kept(tailless, scene, script, kept):
    best, judge = asked(tailless, scene, script, seed=40)
    assert (best.kept, best.best.seed) == (kept, 40 + kept)
    assert [candidate.seed for candidate in best.candidates] == list(range(40, 40 + len(script)))
    assert best.passed is (MIDDLE in script)
    alone = tailless(scene, SOFA, steps=1, seed=40 + kept)
    np.testing.assert_array_equal(best.result.frames, alone.frames)
    np.testing.assert_array_equal(judge.shown[kept], alone.frames[-1])
    order = [rank(candidate.checks, GROUNDING) for candidate in best.candidates]
    assert order.index(min(order)) == kept


def test_success_by_n_is_the_rule_of_repeats(tailless, scene):
    best, _ = asked(tailless, scene, [None, MIDDLE, ASIDE, MIDDLE])
    assert best.success_by_n["followed"] == [any_success([False, True, False, True], n) for n in (1, 2, 3, 4)]
    assert best.success_by_n["followed"] == pytest.approx([0.5, 5 / 6, 1, 1])
    assert best.to_dict()["best_of"]["success_by_n"]["passed"] == [0.5, 0.8333, 1, 1]


def test_it_ends_at_the_first_that_passed(tailless, scene):
    best, judge = asked(tailless, scene, [None, MIDDLE, MIDDLE, MIDDLE], stop_at_first=True)
    assert len(judge.shown) == len(best.candidates) == 2
    assert best.passed
    assert best.to_dict()["best_of"] | {"asked": 4, "made": 2} == best.to_dict()["best_of"]
    with pytest.raises(InputError, match="nothing to go by"):
        best_of(tailless, scene, 3, Verifier(), instruction=SOFA, steps=1, stop_at_first=True)


def test_a_caller_sees_each_and_may_end_it(tailless, scene):
    class Cancelled(Exception):
        pass

    seen = []

    def look(candidate, result):
        seen.append((candidate.seed, result.frames.shape))
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        asked(tailless, scene, [None] * 4, on_candidate=look)
    assert [seed for seed, _ in seen] == [0, 1]


def test_nothing_passes_is_not_found(tiny_pipeline, scene):
    """An untrained model draws no box: the answer says so, and every seed's scores are told."""
    best = best_of(tiny_pipeline, scene, 2, Verifier(), instruction=SOFA, steps=1, seed=3)
    answer = best.to_dict()
    assert (best.passed, best.result.found, answer["found"], answer["box"]) == (False, None, False, None)
    assert best.result.settings["seed"] == best.best.seed == 3
    assert [c["seed"] for c in answer["candidates"]] == [3, 4]
    assert all(c["scores"]["box_found"] is False for c in answer["candidates"])
    assert all(c["missing"]["followed"] == "no judge was asked" for c in answer["candidates"])
    json.dumps(answer, allow_nan=False)
    table = table_of(best)
    assert table.row_count == 2
    assert "judge: there" not in [column.header for column in table.columns]  # no seed has it
    assert "judge: there, centred, judge: there: no judge was asked" in list(missing_of(best))


@pytest.mark.parametrize("count", [0, 65])
def test_how_many(tiny_pipeline, scene, count):
    with pytest.raises(InputError, match=f"best-of is {count}: give from 1 to 64"):
        best_of(tiny_pipeline, scene, count, Verifier(), instruction=SOFA)


# From names to a verifier


def test_the_default_judge_is_told_with_its_reason(tiny_pipeline):
    assert knows_rooms_only(tiny_pipeline)
    verifier, notes = verifier_for(tiny_pipeline, "the red armchair")
    assert verifier.judge is not None
    assert verifier.judge.identity.startswith("rooms detector")
    assert notes == ["judge: the detector of rooms (the model knows rooms' words only)"]
    judge, told = judge_of(tiny_pipeline, "the shiny zeppelin")
    assert judge is None
    assert told.startswith("no judge: ")
    assert judge_of(tiny_pipeline, SOFA, "none") == (None, "no judge, as asked")
    assert verifier_for(tiny_pipeline)[0] == Verifier()  # navigation needs none
    with pytest.raises(InputError, match="zeppelin"):
        judge_of(tiny_pipeline, "the shiny zeppelin", "rooms")
    with pytest.raises(InputError, match="--judge is 'oracle': use rooms, none, or the address"):
        judge_of(tiny_pipeline, SOFA, "oracle")


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("nerf", "--reconstructor is 'nerf': use one of rooms=SEED"),
        ("rooms", "use one of"),
        ("rooms=x", "use one of"),
        ("colmap=weights", "use one of"),
        ("vggt", "use one of"),
        ("rooms=7:2", "difficulty is 2"),
    ],
)
def test_reconstructors_that_there_are_not(tiny_pipeline, way, told):
    with pytest.raises(InputError, match=told):
        scene_of(tiny_pipeline, way)


def test_colmap_needs_the_walk_and_says_when_it_is_too_small(tiny_pipeline, tiny_walk):
    with pytest.raises(InputError, match="needs the walk-through's video"):
        scene_of(tiny_pipeline, "colmap")
    pytest.importorskip("pycolmap")
    with pytest.raises(InputError, match="too small for SIFT"):
        verifier_for(tiny_pipeline, reconstructor="colmap", context=tiny_walk.clip)


# The command line


@pytest.fixture(scope="module")
def walk(tmp_path_factory, tiny_walk):
    file = tmp_path_factory.mktemp("videos") / "walk.mp4"
    write_video(file, tiny_walk.clip)
    return str(file)


@pytest.fixture
def model(pipeline_folder) -> list[str]:
    return ["--model", str(pipeline_folder), "--steps", "1"]


def test_ground(walk, model, tmp_path, capsys):
    out, answer, kept = tmp_path / "a.mp4", tmp_path / "a.json", tmp_path / "all"
    asked = ["ground", walk, SOFA, "-o", str(out), "--json", str(answer), "--seed", "5", *model]
    assert main([*asked, "--best-of", "2", "--keep-all", str(kept)]) == 0
    content = json.loads(answer.read_text())
    printed = capsys.readouterr()
    assert "judge: the detector of rooms" in printed.err
    assert "best of 2" in printed.err
    assert "not found: none of 2 seeds passed the checks for 'the red sofa'; seed" in printed.out
    assert [c["seed"] for c in content["candidates"]] == [5, 6]
    assert sorted(file.name for file in kept.iterdir()) == [
        f"seed-00000{seed}.{kind}" for seed in (5, 6) for kind in ("json", "mp4")
    ]
    seed = content["best_of"]["kept_seed"]
    np.testing.assert_array_equal(read_video(kept / f"seed-00000{seed}.mp4").frames, read_video(out).frames)
    assert json.loads((kept / "seed-000006.json").read_text())["scores"] == content["candidates"][1]["scores"]


def test_navigate_exports_what_was_asked_and_what_is_seen(walk, model, tmp_path, capsys):
    out, paths = tmp_path / "a.mp4", tmp_path / "paths"
    asked = ["navigate", walk, "forward", "--metres", "0.5", "-o", str(out), *model]
    assert main([*asked, "--export-path", str(paths), "--json", str(tmp_path / "a.json")]) == 0
    assert "no recovered path is exported: no reconstructor was given" in capsys.readouterr().err
    assert "candidates" not in json.loads((tmp_path / "a.json").read_text())
    exported = load_path(paths / "asked" / "path.ros.yaml")
    assert len(exported) == 17
    assert exported.intrinsics.width == 64
    np.testing.assert_allclose(exported.c2w[-1, :3, 3], [0, 0, 0.5], atol=1e-6)
    again = ["navigate", walk, str(paths / "asked" / "path.ros.yaml"), "-o", str(tmp_path / "b.mp4"), *model]
    assert main(again) == 0
    np.testing.assert_array_equal(read_video(out).frames, read_video(tmp_path / "b.mp4").frames)

    # A clip of an untrained model shows no place: the room is known, but the camera is not found in it, or far off.
    assert main([*asked, "--export-path", str(paths), "--reconstructor", "rooms=3:0.1", "--best-of", "2"]) == 0
    told = json.loads((paths / "path.json").read_text())
    if told["recovered"] is None:
        assert told["recovered_missing"]
    else:
        assert told["recovered"]["scale"] == "metric"


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("ground", ["--keep-all", "x"], "--keep-all belongs to --best-of"),
        ("navigate", ["--stop-at-first"], "--stop-at-first belongs to --best-of"),
        ("ground", ["--best-of", "0"], "--best-of is 0"),
        ("navigate", ["--best-of", "2", "--stop-at-first"], "--stop-at-first needs --reconstructor"),
        ("ground", ["--export-path", "x"], "--export-path needs --reconstructor"),
        ("navigate", ["--export-path", __file__], "which is a file: name a folder"),
        ("ground", ["--judge", "oracle"], "--judge is 'oracle'"),
        ("navigate", ["--reconstructor", "nerf"], "--reconstructor is 'nerf'"),
    ],
)
def test_refusals(walk, model, tmp_path, capsys, command, options, told):
    asked = SOFA if command == "ground" else "still"
    assert main([command, walk, asked, "-o", str(tmp_path / "a.mp4"), *model, *options]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
