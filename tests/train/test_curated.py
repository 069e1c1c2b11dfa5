"""Training from a prepared and curated store, to a pipeline."""

import contextlib
import dataclasses
import json
import shutil

import pytest
import torch
from curated_store import make_curated

from video4spatial.cli import main
from video4spatial.commands.dry_run import store_facts
from video4spatial.model.frozen import vae_fingerprint
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.scene_shards import SceneShards
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


def config_of(root, pipeline_folder, *more: str):
    settings = [f"data.roots={root}", f"vae={pipeline_folder}", f"start={pipeline_folder}", "data.held_out=0.0", *more]
    return override(load_recipe("grounding:curated_tiny"), settings)


def test_what_is_judged_by_is_known_to_serve_at_the_start(store, tmp_path, tokenizer, text_encoder, pipeline_folder):
    plain = make_curated(tmp_path, clip_frames=17, tail=2)
    shutil.rmtree(plain / "clips")
    shards = SceneShards(plain)
    for path in list(shards.layout.shards.iterdir()):
        path.unlink()
    shards.write("judge", "elsewhere", {"video": torch.zeros(48, 20, 2, 4)}, fps=20, size=(64, 32))
    shards.reindex()
    precompute_text(plain, tokenizer, text_encoder, show_progress=False)
    config = config_of(store, pipeline_folder, f"data.validation={plain}")
    with pytest.raises(InputError, match=r"judged by .*no video in the store ends at a described object"):
        TransformerTask(config)


def test_latents_of_another_vae_are_refused(tmp_path, tokenizer, text_encoder, pipeline_folder, codec):
    root = make_curated(tmp_path, clip_frames=17, tail=2)
    precompute_text(root, tokenizer, text_encoder, show_progress=False)
    told = StoreLayout(root).origin
    told.write_text(json.dumps({"fingerprint": "0123456789ab"}))
    with pytest.raises(InputError, match=r"was encoded by another VAE than that of .*: set vae= to what"):
        TransformerTask(config_of(root, pipeline_folder))
    told.write_text(json.dumps({"fingerprint": vae_fingerprint(codec)}))
    TransformerTask(config_of(root, pipeline_folder)).close()


def test_sentences_of_clips_must_be_embedded(tmp_path, tokenizer, text_encoder, pipeline_folder):
    root = make_curated(tmp_path, clip_frames=17, tail=2)
    precompute_text(root, tokenizer, text_encoder, show_progress=False)
    for file in (root / "clips" / "shards").iterdir():
        file.unlink()
    make_curated(root, clip_frames=17, tail=2, sentences=("another",))
    config = config_of(root, pipeline_folder)
    with pytest.raises(InputError, match="no text embedding of 'another'"), contextlib.closing(TransformerTask(config)):
        pass
