"""Training from the command line to a pipeline that samples."""

import json
import re

import numpy as np
import pytest

from video4spatial.cli import main
from video4spatial.commands.export import forget_origins
from video4spatial.commands.train import make_task
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout
from video4spatial.storage.video import read_video, write_video
from video4spatial.train.config import override
from video4spatial.train.parallel import Ranks
from video4spatial.train.recipes import load_recipe


@pytest.mark.slow
def test_a_vae_then_a_transformer_then_a_video(tmp_path, tiny_walk, capfd):
    """The whole chain as a user runs it: the transformer trains on the VAE just trained, and answers."""
    vae, run, store = tmp_path / "vae", tmp_path / "run", tmp_path / "latents"
    settings = ["steps=2", "validate_every=2", "checkpoint_every=2", "clips_a_room=1"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", "rooms:tiny_vae", "--out", str(vae), *arguments]) == 0
    assert (vae / "vae" / "config.json").is_file()

    keep = ["--set", f"vae={vae}", "--set", f"stream.store={store}"]
    keep += ["--set", "context_attention=causal", "--set", "null_context=none", "--set", "drop=0.5"]
    assert main(["train", "rooms:tiny_transformer", "--out", str(run), *keep, "--set", "steps=3"]) == 0
    layout = RunLayout(run)
    assert layout.latest_checkpoint() == layout.checkpoint(3)
    sheets = sorted(file.name for file in layout.previews.iterdir())
    assert [re.sub(r"\D", "", name) for name in sheets] == ["00000003"]

    pipeline = Video4SpatialPipeline.from_pretrained(run / "pipeline")
    config = pipeline.config
    assert (config.width, config.height, config.frames, config.tail_frames) == (64, 32, 17, 8)
    assert (config.context_latents, config.context_gap) == (3, 50)
    assert (config.context_attention, config.null_context) == ("causal", "none")  # as it was trained
    statistics = json.loads((vae / "vae" / "config.json").read_text())["latents_std"]
    assert pipeline.vae.config.latents_std == statistics
    write_video(tmp_path / "walk.mp4", tiny_walk.clip)
    asked = ["navigate", str(tmp_path / "walk.mp4"), "forward", "-o", str(tmp_path / "a.mp4")]
    assert main([*asked, "--model", str(run / "pipeline"), "--steps", "2"]) == 0
    first = read_video(tmp_path / "a.mp4").frames
    assert first.shape == (17, 32, 64, 3)

    assert main(["train", "--resume", str(run), "--set", "steps=4", "--set", "previews=false"]) == 0
    assert layout.latest_checkpoint() == layout.checkpoint(4)
    assert main([*asked, "--model", str(run / "pipeline"), "--steps", "2"]) == 0
    assert (read_video(tmp_path / "a.mp4").frames != first).any()
    assert "Traceback" not in capfd.readouterr().err
    losses = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert np.isfinite([line["loss"] for line in losses if "loss" in line]).all()
    assert [line["step"] for line in losses if "loss" in line] == [1, 2, 3, 4]


def test_a_saved_pipeline_does_not_say_where_its_parts_came_from(pipeline_folder, tmp_path):
    pipeline = Video4SpatialPipeline.from_pretrained(pipeline_folder)
    forget_origins(pipeline)
    pipeline.save_pretrained(str(tmp_path))
    configs = list(tmp_path.rglob("*.json"))
    assert len(configs) >= 5
    assert not [file for file in configs if str(pipeline_folder) in file.read_text()]


@pytest.mark.parametrize(("recipe", "frames", "tail"), [("grounding:tiny", 17, 8), ("navigation:tiny", 13, 0)])
def test_a_run_fed_by_a_store_ends_in_a_whole_pipeline(
    recipe, frames, tail, stored_run, pipeline_folder, tiny_walk, tmp_path, capfd
):
    """The paper's path at tiny size: attention-only, bf16, checkpointing, accumulation; parts copied, not loaded."""
    (store,) = stored_run.data.roots
    settings = [f"data.roots={store}", f"vae={pipeline_folder}", f"start={pipeline_folder}", "steps=3"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", recipe, "--out", str(tmp_path / "run"), *arguments]) == 0
    errors = capfd.readouterr().err
    assert "Traceback" not in errors

    out = tmp_path / "run" / "pipeline"
    for part in ("vae", "text_encoder", "tokenizer"):
        for file in (pipeline_folder / part).iterdir():
            assert (out / part / file.name).read_bytes() == file.read_bytes()
    pipeline = Video4SpatialPipeline.from_pretrained(out)
    config = pipeline.config
    assert (config.width, config.height, config.fps, config.frames, config.tail_frames) == (64, 32, 16.0, frames, tail)
    assert (config.steps, config.guidance, config.context_latents, config.context_gap) == (4, 5.0, 3, 50)
    assert config.fov == pytest.approx(72.0, abs=1e-2)
    assert str(tmp_path) not in "".join(file.read_text() for file in out.rglob("*.json"))
    answer = pipeline(pipeline.encode_context(tiny_walk.clip), path="forward", steps=2)
    assert answer.frames.shape == (frames, 32, 64, 3)
    start = Video4SpatialPipeline.from_pretrained(pipeline_folder).transformer.bfloat16().state_dict()
    trained = pipeline.transformer.bfloat16().state_dict()
    changed = {name for name, weight in trained.items() if not weight.equal(start[name])}
    assert changed
    assert not {name for name in changed if "attn" not in name and "camera" not in name}


def test_what_many_processes_cannot_share_is_refused_at_once():
    pair = Ranks(0, 2)
    with pytest.raises(InputError, match=r"stream.store has one writer.*precompute"):
        make_task(override(load_recipe("rooms:tiny_transformer"), ["stream.store=runs/latents"]), pair)
    with pytest.raises(InputError, match="a VAE trains in one process"):
        make_task(load_recipe("rooms:tiny_vae"), pair)


def test_at_names_a_checkpoint_and_goes_with_resume(capsys):
    assert main(["train", "rooms:tiny_vae", "--at", "3"]) == 2
    assert "--at goes with --resume" in capsys.readouterr().err
