"""Training from a prepared and curated store, to a pipeline."""

import contextlib
import dataclasses
import json

import pytest
from curated_store import make_curated

from video4spatial.cli import main
from video4spatial.commands.dry_run import store_facts
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError
from video4spatial.train.config import override
from video4spatial.train.precompute import precompute_text
from video4spatial.train.recipes import load_recipe
from video4spatial.train.transformer import TransformerTask


@pytest.fixture(scope="module")
def store(tmp_path_factory, tokenizer, text_encoder):
    root = make_curated(tmp_path_factory.mktemp("curated"), clip_frames=17, tail=2)
    assert precompute_text(root, tokenizer, text_encoder, show_progress=False) == 3  # the clips' two, and none
    return root


def test_two_steps_and_a_pipeline(store, pipeline_folder, tmp_path, capfd):
    settings = [f"data.roots={store}", f"vae={pipeline_folder}", f"start={pipeline_folder}", "steps=2"]
    settings += ["data.held_out=0.0", "global_batch=4"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", "grounding:curated_tiny", "--out", str(tmp_path / "run"), *arguments]) == 0
    assert "Traceback" not in capfd.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss_grounding" in line] == [1, 2]
    config = Video4SpatialPipeline.from_pretrained(tmp_path / "run" / "pipeline").config
    assert (config.frames, config.tail_frames, config.width, config.height) == (25, 8, 64, 32)


def test_the_facts_of_a_dry_run(store):
    config = override(load_recipe("grounding:curated_tiny"), [f"data.roots={store}"])
    (facts,), size = store_facts(config)
    assert "3 videos" in facts
    assert "of 2 environments" in facts
    assert "3 with poses, 3 clips, 2 sentences" in facts
    assert size == (64, 32)
    long = dataclasses.replace(config, window=dataclasses.replace(config.window, context=(16,), other_video=0.0))
    assert "2 videos and clips are left out, for lack of context" in store_facts(long)[0][1]


def test_sentences_of_clips_must_be_embedded(tmp_path, tokenizer, text_encoder, pipeline_folder):
    root = make_curated(tmp_path, clip_frames=17, tail=2)
    precompute_text(root, tokenizer, text_encoder, show_progress=False)
    for file in (root / "clips" / "shards").iterdir():
        file.unlink()
    make_curated(root, clip_frames=17, tail=2, sentences=("another",))
    settings = [f"data.roots={root}", f"vae={pipeline_folder}", f"start={pipeline_folder}", "data.held_out=0.0"]
    config = override(load_recipe("grounding:curated_tiny"), settings)
    with pytest.raises(InputError, match="no text embedding of 'another'"), contextlib.closing(TransformerTask(config)):
        pass
