"""The whole evaluation over true rooms, with videos of known quality in the place of a model's."""

import json
from dataclasses import replace

import numpy as np
import pytest
from video4spatial.evaluate.heldout import GROUNDING_METHODS, NAVIGATION_METHODS, HeldOutEvaluation
from video4spatial.evaluate.measure import read_answer

from video4spatial.schema import InputError

NOISE = {"full": 4, "first_frame_only": 24, "no_guidance": 12}


class Painter:
    """Stands where a model would: the truth with noise; the worst method draws no box."""

    def __init__(self, stop_after=None):
        self.asked, self.stop_after = [], stop_after

    def __call__(self, method, case, seed):
        if self.stop_after is not None and len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append((method, case.case_id, seed))
        rng = np.random.default_rng([seed, NOISE[method]])
        frames = case.truth.frames + rng.normal(0, NOISE[method], case.truth.frames.shape)
        frames = frames.clip(0, 255).astype(np.uint8)
        found = None
        if hasattr(case, "object_id") and method != "first_frame_only":
            found = read_answer(frames, case)
        return frames, found


def darker(frames):
    return (frames * 0.995).astype(np.uint8)


@pytest.fixture
def evaluation(easy, tmp_path):
    return HeldOutEvaluation(
        easy,
        Painter(),
        darker,
        tmp_path / "out",
        settings={"model": "painter"},
        navigation=2,
        grounding=2,
        target_frames=17,
        grounding_frames=41,
        seed=5,
        sheet_cases=1,
        progress=False,
    )


def test_the_table_ranks_as_it_must(evaluation):
    table = evaluation.run()
    out = evaluation.out
    psnr = {method: row["psnr"]["mean"] for method, row in table["navigation"]["methods"].items()}
    assert tuple(psnr) == NAVIGATION_METHODS
    assert psnr["vae_reconstruction"] > psnr["full"] > psnr["no_guidance"] > psnr["first_frame_only"]
    assert psnr["full"] == pytest.approx(20 * np.log10(255 / 4), abs=0.7)
    assert psnr["first_frame_held"] < psnr["full"]
    grounding = table["grounding"]["methods"]
    assert tuple(grounding) == GROUNDING_METHODS
    assert grounding["ground_truth"]["right"]["mean"] == grounding["full"]["right"]["mean"] == 1
    assert grounding["first_frame_only"]["found"]["mean"] == 0
    assert json.loads((out / "table.json").read_text()) == table
    assert "| first_frame_held |" in (out / "table.md").read_text()
    assert (out / "sheet_navigation.png").stat().st_size > 1000
    assert (out / "sheet_grounding.png").stat().st_size > 1000
    assert [row["room_seed"] >= 1_000_000 for row in table["manifest"]["grounding"]] == [True, True]
    assert len(evaluation.generate.asked) == 2 * 3 + 2 * 3
    assert {seed for _, _, seed in evaluation.generate.asked} == {5, 6}


def test_a_stopped_run_goes_on_to_the_identical_table(evaluation, tmp_path):
    whole = evaluation.run()
    stopped = replace(evaluation, out=tmp_path / "again", generate=Painter(stop_after=8))
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    rest = Painter()
    resumed = replace(stopped, generate=rest).run()
    assert resumed == whole
    assert stopped.generate.asked + rest.asked == evaluation.generate.asked  # nothing twice, nothing left out
    for name in ("table.json", "table.md", "sheet_navigation.png", "sheet_grounding.png"):
        assert (tmp_path / "again" / name).read_bytes() == (evaluation.out / name).read_bytes()
    idle = Painter(stop_after=0)
    assert replace(stopped, generate=idle).run() == whole


def test_more_cases_may_follow_but_not_other_settings(evaluation):
    first = replace(evaluation, navigation=1, grounding=0).run()
    painter = Painter()
    table = replace(evaluation, generate=painter, grounding=0).run()
    assert table["manifest"]["navigation"][0] == first["manifest"]["navigation"][0]
    assert {case for _, case, _ in painter.asked} == {table["manifest"]["navigation"][1]["case_id"]}
    for change in ({"seed": 6}, {"settings": {"model": "other"}}, {"target_frames": 21}):
        with pytest.raises(InputError, match="choose another --out"):
            replace(evaluation, grounding=0, **change).run()


def test_videos_of_another_shape_are_refused(evaluation):
    short = replace(evaluation, generate=lambda method, case, seed: (case.truth.frames[:-4], None))
    with pytest.raises(InputError, match="full made uint8"):
        short.run()
    with pytest.raises(InputError, match="one or more"):
        replace(evaluation, navigation=0, grounding=0).run()
