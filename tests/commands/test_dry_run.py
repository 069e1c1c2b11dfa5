"""The dry run: the real model of the recipe on the meta device, counted, and what the formulas say of it."""

import dataclasses
import re

import pytest

from video4spatial.cli import main
from video4spatial.commands.dry_run import dry_run, meta_transformer
from video4spatial.model.cost import TransformerShape
from video4spatial.model.cost.training import trained_parameters
from video4spatial.model.cost.transformer import parameters
from video4spatial.schema import InputError
from video4spatial.train.config import StoreConfig
from video4spatial.train.recipes import load_recipe
from video4spatial.train.step import select_trained

WAN, CAMERA = 4_999_787_712, 24 * 4 * 3072


def figure(lines: list[str], pattern: str) -> float:
    found = [match.group(1) for line in lines if (match := re.search(pattern, line))]
    assert len(found) == 1, (pattern, lines)
    return float(found[0].replace(",", ""))


@pytest.mark.parametrize(
    ("recipe", "tokens", "samples"),
    [("grounding:paper", (42 + 46) * 104, 3_200_000), ("navigation:paper", (42 + 41) * 104, 1_600_000)],
)
def test_the_papers_runs(recipe, tokens, samples):
    config = load_recipe(recipe)
    model = meta_transformer(config)
    assert all(p.is_meta for p in model.parameters())
    shape = TransformerShape.from_config(model.config)
    assert sum(p.numel() for p in model.parameters()) == parameters(shape) == WAN + CAMERA
    assert select_trained(model, config.train) == trained_parameters(shape, config.train) == 2 * 1_133_015_040 + CAMERA

    lines = dry_run(config, 8, "H100")
    assert figure(lines, r"parameters ([\d.]+)B") == pytest.approx(5.0, abs=1e-3)
    assert figure(lines, r"([\d.]+)B train") == pytest.approx(2.266, abs=1e-3)
    assert figure(lines, r"([\d,]+) tokens a sample") == tokens
    assert figure(lines, r"([\d,]+) samples$") == samples
    assert figure(lines, r"memory a GPU +([\d.]+) GB") < 75
    days = figure(lines, r"predicted ([\d.]+) days on 8 GPUs")
    assert days == pytest.approx(2 * figure(dry_run(config, 16, "H100"), r"predicted ([\d.]+) days"), abs=0.11)
    assert any(line.startswith("fits: ") for line in lines)
    assert any("stores/train is not there yet" in line for line in lines)


def test_variants_change_what_they_say():
    base, lora, long = (dry_run(load_recipe(f"grounding:{name}")) for name in ("paper", "lora", "long_context"))
    assert figure(lora, r"([\d.]+)B train") < 0.1
    memory = r"memory a GPU +([\d.]+) GB"
    assert figure(lora, memory) < figure(base, memory)
    assert figure(long, r"([\d,]+) tokens a sample") == (336 + 46) * 104
    assert "4,966 on each of 8 GPUs" in "\n".join(long)
    one = dry_run(dataclasses.replace(load_recipe("grounding:paper"), checkpointing=False), 1, "RTX4090")
    assert any(line.startswith("DOES NOT FIT") for line in one)
    eight_bit = dataclasses.replace(load_recipe("grounding:paper").optim, name="adamw8bit")
    less = dry_run(dataclasses.replace(load_recipe("grounding:paper"), optim=eight_bit))
    states = r"optimiser states +([\d.]+) GB"
    assert figure(less, states) < 0.27 * figure(base, states)


def test_the_stores_facts(stored_run, encoded_store, tmp_path):
    window = dataclasses.replace(stored_run.window, context=(9, 10))
    data = StoreConfig(roots=(str(encoded_store), str(tmp_path / "nowhere")))
    text = "\n".join(dry_run(dataclasses.replace(stored_run, data=data, window=window), 1))
    assert "10 videos" in text
    assert "of 5 environments" in text
    assert re.search(r"10 with poses, 0 clips, \d+ sentences", text)
    assert re.search(r"by itself: 10 of 10 videos are too short: 'room\d-\d' has \d latents left for context, 10", text)
    assert "nowhere is not there yet" in text
    assert "at 64x32" in text
    assert "have no embedding" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grounding:paper", "--gpus", "7"], "cannot share evenly"),
        (["grounding:paper", "--gpu", "H1"], "give its memory, such as 24GB, or one of H100"),
        (["grounding:long_context", "--gpus", "4"], "give a multiple of context_parallel, which is 8"),
        (["grounding:paper", "--set", "base=someone/else"], "fetch it and give --set base=FOLDER"),
        (["rooms:vae_cpu"], "does not train a transformer"),
        ([], "--dry-run is of a RECIPE"),
    ],
)
def test_mistakes_are_named(arguments, message, capfd):
    assert main(["train", *arguments, "--dry-run"]) == 2
    assert message in capfd.readouterr().err


def test_memory_is_told_for_a_gpu_of_which_only_that_is_known(capfd):
    assert main(["train", "grounding:paper", "--dry-run", "--gpu", "24GB"]) == 0
    printed = capfd.readouterr().out
    assert "fits: 10.7 of 24 GB" in printed
    assert "days: name a GPU" in printed


def test_the_command_prints_it(capfd):
    assert main(["train", "navigation:tiny", "--dry-run", "--gpus", "2", "--gpu", "A100 80GB"]) == 0
    printed = capfd.readouterr().out
    assert "predicted" in printed
    assert "8 samples = 2 a micro-batch x 2 micro-batches x 2 data-parallel groups" in printed


def test_unknown_sizes_are_refused():
    with pytest.raises(InputError, match=r"no transformer is there; see docs/loading\.md"):
        meta_transformer(dataclasses.replace(load_recipe("grounding:paper"), base="./nowhere"))
