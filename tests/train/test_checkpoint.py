"""Checkpoints: exact, whole or not at all, and honest about damage."""

import shutil

import pytest
import torch
from torch import nn

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout
from video4spatial.train import checkpoint
from video4spatial.train.checkpoint import load_checkpoint, save_checkpoint
from video4spatial.train.config import OptimConfig
from video4spatial.train.optim import MovingAverage, make_optimisers


class State:
    """A small model in training, with everything a checkpoint holds."""

    def __init__(self, seed: int, name: str = "muon", width: int = 6) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(4, width), nn.LayerNorm(width), nn.Linear(width, 2))
        self.average = MovingAverage(self.model, 0.9)
        self.optimisers = make_optimisers(self.model, OptimConfig(name=name, lr=0.01))

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

    def save(self, layout: RunLayout, step: int, **kwargs) -> None:
        save_checkpoint(layout, step, self.model, self.average, self.optimisers, {"elapsed": 1.5}, **kwargs)

    def load(self, layout: RunLayout) -> dict:
        return load_checkpoint(layout.latest_checkpoint(), self.model, self.average, self.optimisers)


@pytest.fixture
def layout(tmp_path) -> RunLayout:
    return RunLayout(tmp_path / "run")


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_restored_run_goes_on_as_if_never_stopped(layout, name):
    straight = State(0, name)
    straight.train(0, 5)
    straight.save(layout, 5)
    expected = straight.train(5, 5)

    resumed = State(99, name)
    assert resumed.load(layout) == {"step": 5, "elapsed": 1.5}
    assert resumed.train(5, 5) == expected
    for one, other in zip(straight.optimisers, resumed.optimisers, strict=True):
        theirs = other.state_dict()["state"]
        for number, entries in one.state_dict()["state"].items():
            for key, value in entries.items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(theirs[number][key])), key
    for key, weight in straight.average.weights.items():
        assert torch.equal(weight, resumed.average.weights[key])


def test_before_the_first_step_there_is_no_optimiser_state(layout):
    State(0).save(layout, 0)
    resumed = State(1)
    resumed.load(layout)
    assert resumed.train(0, 3) == State(0).train(0, 3)


def test_the_last_few_are_kept(layout):
    state = State(0)
    for step in (3, 6, 9, 12):
        state.save(layout, step, keep=2)
    assert layout.steps() == [9, 12]
    assert layout.latest_checkpoint() == layout.checkpoint(12)


def test_a_run_taken_back_to_an_earlier_checkpoint_keeps_what_it_saves(layout):
    """Someone points `latest` to an earlier step, since the later ones went astray."""
    state = State(0)
    for step in (10, 20, 30):
        state.save(layout, step, keep=3)
    layout.set_latest(10)
    state.save(layout, 15, keep=2)
    assert layout.latest_checkpoint() == layout.checkpoint(15)
    assert {10, 15} <= set(layout.steps())


@pytest.mark.parametrize(
    "file", ["model.safetensors", "average.safetensors", "optimiser-0.safetensors", "optimiser-1.safetensors"]
)
@pytest.mark.parametrize("damage", ["cut", "gone", "garbage"])
def test_damage_is_named(layout, file, damage):
    state = State(0)
    state.train(0, 1)
    state.save(layout, 1)
    path = layout.checkpoint(1) / file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20] if damage == "cut" else b"\x00garbage" * 9)
    with pytest.raises(InputError, match=rf"{file} is missing or damaged"):
        State(0).load(layout)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": "x"}', "\x00"])
def test_damaged_progress_is_named(layout, content):
    State(0).save(layout, 1)
    (layout.checkpoint(1) / "progress.json").write_text(content)
    with pytest.raises(InputError, match=r"progress.json"):
        State(0).load(layout)


def test_checkpoints_of_other_models_and_optimisers_are_refused(layout):
    state = State(0)
    state.train(0, 1)
    state.save(layout, 1)
    with pytest.raises(InputError, match="does not fit this run's configuration"):
        State(0, width=7).load(layout)
    with pytest.raises(InputError, match="saved with another optimiser"):
        State(0, name="adamw").load(layout)
    other = RunLayout(layout.root.with_name("other"))
    adamw = State(0, name="adamw")
    adamw.train(0, 1)
    adamw.save(other, 1)
    with pytest.raises(InputError, match=r"does not fit|missing"):
        State(0, name="muon").load(other)


def test_optimiser_state_of_another_shape_is_refused(layout):
    state = State(0)
    state.train(0, 1)
    state.save(layout, 1)
    wider = RunLayout(layout.root.with_name("wider"))
    more = State(0, width=7)
    more.train(0, 1)
    more.save(wider, 1)
    shutil.copy(wider.checkpoint(1) / "optimiser-0.safetensors", layout.checkpoint(1))
    with pytest.raises(InputError, match="does not fit"):
        State(0).load(layout)


def test_a_failure_while_saving_leaves_the_previous_checkpoint(layout, monkeypatch):
    state = State(0)
    state.train(0, 2)
    state.save(layout, 2)
    expected = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    state.train(2, 2)
    real, calls = checkpoint.save_file, []

    def fails_late(tensors, path):
        calls.append(path)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", fails_late)
    for step in (4, 2):  # a new one; over the old one
        calls.clear()
        with pytest.raises(RuntimeError, match="out of memory"):
            state.save(layout, step)
        assert layout.steps() == [2]
        assert sorted(f.name for f in layout.checkpoints.iterdir()) == ["step-00000002"]
        resumed = State(5)
        assert resumed.load(layout)["step"] == 2
        for name, p in resumed.model.named_parameters():
            assert torch.equal(p, expected[name])


def test_nothing_is_pickled(layout):
    State(0).save(layout, 1)
    assert {f.suffix for f in layout.root.rglob("*") if f.is_file()} == {".safetensors", ".json", ""}
