"""Training from the command line to a pipeline that samples."""

import json
import re

import numpy as np
import pytest

from video4spatial.cli import main
from video4spatial.commands.export import forget_origins
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.storage.artifacts import RunLayout
from video4spatial.storage.video import read_video, write_video


@pytest.mark.slow
def test_a_vae_then_a_transformer_then_a_video(tmp_path, tiny_walk, capfd):
    """The whole chain as a user runs it: the transformer trains on the VAE just trained, and answers."""
    vae, run, store = tmp_path / "vae", tmp_path / "run", tmp_path / "latents"
    settings = ["steps=2", "validate_every=2", "checkpoint_every=2", "clips_a_room=1"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", "rooms:tiny_vae", "--out", str(vae), *arguments]) == 0
    assert (vae / "vae" / "config.json").is_file()

    keep = ["--set", f"vae={vae}", "--set", f"stream.store={store}"]
    assert main(["train", "rooms:tiny_transformer", "--out", str(run), *keep, "--set", "steps=3"]) == 0
    layout = RunLayout(run)
    assert layout.latest_checkpoint() == layout.checkpoint(3)
    sheets = sorted(file.name for file in layout.previews.iterdir())
    assert [re.sub(r"\D", "", name) for name in sheets] == ["00000003"]

    pipeline = Video4SpatialPipeline.from_pretrained(run / "pipeline")
    config = pipeline.config
    assert (config.width, config.height, config.frames, config.tail_frames) == (64, 32, 17, 8)
    assert (config.context_latents, config.context_gap) == (3, 50)
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
