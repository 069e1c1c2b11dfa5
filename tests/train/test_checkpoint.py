"""Checkpoints: exact, whole or not at all, and honest about damage."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import nn

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout
from video4spatial.train.checkpoint import Checkpointer, load_checkpoint
from video4spatial.train.config import OptimConfig
from video4spatial.train.optim import MovingAverage, make_optimisers
from video4spatial.train.parallel import Ranks
from video4spatial.train.state import TrainingState


class Run:
    """A small model in training, with everything a checkpoint holds."""

    def __init__(self, seed: int, name: str = "muon", width: int = 6) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(4, width), nn.LayerNorm(width), nn.Linear(width, 2))
        self.average = MovingAverage(self.model, 0.9)
        self.optimisers = make_optimisers(self.model, OptimConfig(name=name, lr=0.01))
        self.state = TrainingState(self.model, self.average, self.optimisers)

    def train(self, first: int, steps: int) -> list[float]:
        losses = []
        for step in range(first, first + steps):
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            loss = (self.model(x) - x[:, :2]).square().mean()
            for optimiser in self.optimisers:
                optimiser.zero_grad()
            loss.backward()
            for optimiser in self.optimisers:
                optimiser.step()
            self.average.update(self.model, step)
            losses.append(loss.item())
        return losses

    def save(self, layout: RunLayout, step: int, keep: int = 2) -> None:
        saver = Checkpointer(layout, Ranks(), keep)
        saver.start(self.state, step, {"elapsed": 1.5})
        saver.finish()

    def load(self, layout: RunLayout) -> dict:
        return load_checkpoint(layout.latest_checkpoint(), self.state, Ranks())


@pytest.fixture
def layout(tmp_path) -> RunLayout:
    return RunLayout(tmp_path / "run")


def only_shard(folder: Path) -> Path:
    (file,) = folder.glob("*.safetensors")
    return file


@pytest.mark.parametrize(("name", "width"), [("muon", 6), ("adamw", 6), ("adamw8bit", 2048)])
def test_a_restored_run_goes_on_as_if_never_stopped(layout, name, width):
    straight = Run(0, name, width)
    straight.train(0, 5)
    straight.save(layout, 5)
    expected = straight.train(5, 5)

    resumed = Run(99, name, width)
    progress = resumed.load(layout)
    assert (progress["step"], progress["elapsed"], progress["processes"]) == (5, 1.5, 1)
    assert resumed.train(5, 5) == expected
    theirs = resumed.state.tensors()
    for key, value in straight.state.tensors().items():
        assert torch.equal(value, theirs[key]), key
    if name == "adamw8bit":
        assert any(key.endswith("exp_avg.codes") for key in theirs), "nothing was large enough for 8 bits"


def test_eight_bit_states_go_on_under_plain_adamw(layout):
    """The other way round too: the numbers are the same, only how they are kept differs."""
    for kept, other in (("adamw8bit", "adamw"), ("adamw", "adamw8bit")):
        one = Run(0, kept, 2048)
        one.train(0, 4)
        one.save(layout, 4)
        two = Run(1, other, 2048)
        two.load(layout)
        assert two.train(4, 3) == pytest.approx(one.train(4, 3), rel=0.02)


def test_before_the_first_step_there_is_no_optimiser_state(layout):
    Run(0).save(layout, 0)
    resumed = Run(1)
    resumed.load(layout)
    assert resumed.train(0, 3) == Run(0).train(0, 3)


def test_what_is_saved_is_the_moment_that_saving_began(layout):
    """The state is copied before ``start`` returns: training goes on meanwhile."""
    run = Run(0, "adamw")
    run.train(0, 2)
    expected = {name: tensor.clone() for name, tensor in run.state.tensors().items()}
    saver = Checkpointer(layout, Ranks())
    saver.start(run.state, 2, {})
    run.train(2, 5)
    saver.finish()
    resumed = Run(3, "adamw")
    resumed.load(layout)
    for name, tensor in resumed.state.tensors().items():
        assert torch.equal(tensor, expected[name]), name


def test_the_last_few_are_kept(layout):
    run = Run(0)
    for step in (3, 6, 9, 12):
        run.save(layout, step, keep=2)
    assert layout.steps() == [9, 12]
    assert layout.latest_checkpoint() == layout.checkpoint(12)


def test_a_run_taken_back_to_an_earlier_checkpoint_keeps_what_it_saves(layout):
    """Someone points `latest` to an earlier step, since the later ones went astray."""
    run = Run(0)
    for step in (10, 20, 30):
        run.save(layout, step, keep=3)
    layout.set_latest(10)
    run.save(layout, 15, keep=2)
    assert layout.latest_checkpoint() == layout.checkpoint(15)
    assert {10, 15} <= set(layout.steps())


@pytest.mark.parametrize("damage", ["cut", "gone", "garbage", "one bit", "header"])
def test_damage_is_named_and_the_checkpoint_before_is_offered(layout, damage):
    run = Run(0)
    run.train(0, 1)
    run.save(layout, 1)
    run.train(1, 1)
    run.save(layout, 2)
    path = only_shard(layout.checkpoint(2))
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "one bit":
        content[-5] ^= 1
        path.write_bytes(content)
    elif damage == "header":
        content[20] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[:-20] if damage == "cut" else b"\x00garbage" * 9)
    with pytest.raises(InputError, match=rf"{path.name} is (missing|damaged).*step 1 is whole: resume with --at 1"):
        Run(0).load(layout)
    assert load_checkpoint(layout.checkpoint(1), Run(0).state, Ranks())["step"] == 1

    only_shard(layout.checkpoint(1)).unlink()
    with pytest.raises(InputError, match="no earlier checkpoint is whole"):
        Run(0).load(layout)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": "x"}', '{"step": 1}', "\x00"])
def test_damaged_progress_is_named(layout, content):
    Run(0).save(layout, 1)
    (layout.checkpoint(1) / "progress.json").write_text(content)
    with pytest.raises(InputError, match=r"progress.json"):
        Run(0).load(layout)


def test_checkpoints_of_other_models_and_optimisers_are_refused(layout):
    run = Run(0)
    run.train(0, 1)
    run.save(layout, 1)
    with pytest.raises(InputError, match=r"does not fit this run's configuration: \d+ of another shape \(model/0"):
        Run(0, width=7).load(layout)
    with pytest.raises(InputError, match="of another optimiser"):
        Run(0, name="adamw").load(layout)
    shorter = Run(0)
    shorter.model[2].bias.requires_grad_(False)
    shorter.state = TrainingState(shorter.model, MovingAverage(shorter.model, 0.9), shorter.optimisers)
    with pytest.raises(InputError, match=r"unexpected \(average/2.bias, model/2.bias"):
        shorter.load(layout)
    shorter.save(layout, 2)
    with pytest.raises(InputError, match=r"2 missing \(average/2.bias, model/2.bias"):
        Run(0).load(layout)


def test_a_failure_while_saving_leaves_the_previous_checkpoint(layout, monkeypatch):
    run = Run(0)
    run.train(0, 2)
    run.save(layout, 2)
    expected = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    run.train(2, 2)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    for step in (4, 2):  # a new one; over the old one
        with monkeypatch.context() as patch:
            patch.setattr(dcp.HuggingFaceStorageWriter, "write_data", full)
            with pytest.raises(InputError, match=r"could not be written.*the disk is full"):
                run.save(layout, step)
        assert layout.steps() == [2]
        resumed = Run(5)
        assert resumed.load(layout)["step"] == 2
        for name, p in resumed.model.named_parameters():
            assert torch.equal(p, expected[name])
    run.save(layout, 4)
    assert sorted(f.name for f in layout.checkpoints.iterdir()) == ["step-00000002", "step-00000004"]


def test_what_an_interrupted_save_left_is_removed(layout):
    run = Run(0)
    run.save(layout, 1)
    shutil.copytree(layout.checkpoint(1), layout.checkpoints / ".tmp-step-00000002")
    assert layout.steps() == [1]
    Checkpointer(layout, Ranks())
    assert [f.name for f in layout.checkpoints.iterdir()] == ["step-00000001"]


def test_nothing_is_pickled(layout):
    Run(0).save(layout, 1)
    assert {f.suffix for f in layout.root.rglob("*") if f.is_file()} == {".safetensors", ".json", ""}
    listing = json.loads((layout.checkpoint(1) / "progress.json").read_text())["files"]
    assert list(listing) == [only_shard(layout.checkpoint(1)).name]
