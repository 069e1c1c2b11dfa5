"""The held-out evaluation of a pipeline, at tiny size."""

import argparse
import json

import pytest
from video4spatial.evaluate.heldout import GROUNDING_METHODS, NAVIGATION_METHODS

from video4spatial.commands.evaluate import commit, evaluate_pipeline
from video4spatial.sample.pipeline import Video4SpatialPipeline


@pytest.fixture(scope="module")
def longer(tiny_pipeline):
    """The tiny pipeline with clips long enough to walk to something."""
    return Video4SpatialPipeline(
        **tiny_pipeline.components, width=64, height=32, fps=16.0, frames=33, tail_frames=8, context_latents=4, steps=2
    )


def test_every_method_is_measured_on_every_case(longer, tmp_path, capsys):
    options = argparse.Namespace(model="tiny", cases=1, out=str(tmp_path / "out"), steps=1, guidance=2.0, seed=0)
    table = evaluate_pipeline(longer, options)
    assert set(table["navigation"]["methods"]) == set(NAVIGATION_METHODS)
    assert set(table["grounding"]["methods"]) == set(GROUNDING_METHODS)
    assert table["settings"]["given"] == {"model": "tiny", "steps": 1, "guidance": 2.0, "commit": commit()}
    written = json.loads((tmp_path / "out" / "table.json").read_text())
    assert written["navigation"] == table["navigation"]
    assert "| full |" in capsys.readouterr().out
    seeds = [case["room_seed"] for task in ("navigation", "grounding") for case in table["manifest"][task]]
    assert min(seeds) >= 1_000_000
    ceiling = table["navigation"]["methods"]["vae_reconstruction"]["psnr"]
    full = table["navigation"]["methods"]["full"]["psnr"]
    assert ceiling != full
