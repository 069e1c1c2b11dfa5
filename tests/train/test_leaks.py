"""The leak check: training in an environment of the evaluation ends before the first step, and says what to do."""

import dataclasses
import json

import pytest
import torch

from video4spatial.cli import main
from video4spatial.schema import InputError
from video4spatial.storage.latents import LatentWriter
from video4spatial.train.config import StoreConfig
from video4spatial.train.leaks import is_held_out_room, require_no_leak
from video4spatial.train.sources import split
from video4spatial.train.transformer import TransformerTask


@pytest.fixture
def store(tmp_path):
    """Makes a store with a video of each environment named."""

    def make(name: str, *environments: str) -> str:
        with LatentWriter(tmp_path / name) as writer:
            for environment in environments:
                tensors = {"video": torch.zeros(48, 3, 2, 4)}
                writer.add(f"{name}-{environment}", environment, tensors, fps=20, size=(64, 32))
        return str(tmp_path / name)

    return make


def test_disjoint_stores_pass(store, tmp_path):
    (tmp_path / "held.txt").write_text("d\n")
    data = StoreConfig((store("train", "a", "b"),), validation=(store("judge", "c"),))
    require_no_leak(data)
    require_no_leak(dataclasses.replace(data, evaluation=(str(tmp_path / "held.txt"), store("test", "e"))))


def test_an_environment_of_a_file(store, tmp_path):
    (tmp_path / "held.txt").write_text("# two\nd\nb\n")
    data = StoreConfig((store("more", "x"), store("train", "a", "b")), evaluation=(str(tmp_path / "held.txt"),))
    with pytest.raises(InputError, match=r"train holds environment b, for evaluation \(.*held.txt.*--leave-out"):
        split(data)


def test_environments_of_a_store(store):
    data = StoreConfig((store("train", *"abcdefgh"),), evaluation=(store("test", *"bcdefgh"),))
    with pytest.raises(InputError, match=r"train holds 7 environments: b, c, d, e, f and 2 more, for evaluation"):
        require_no_leak(data)


def test_held_out_rooms_always(store):
    for number in (1_000_000, 1_000_123):
        with pytest.raises(InputError, match=rf"holds environment room{number}, held out.*rooms of smaller seeds"):
            require_no_leak(StoreConfig((store(f"rooms{number}", "room7", f"room{number}"),)))
    require_no_leak(StoreConfig((store("rooms", "room7", "room999999"),)))
    assert not is_held_out_room("room1000000b")
    assert not is_held_out_room("bedroom1000000")


def test_a_store_prepared_of_the_held_out_alone(store, tmp_path):
    root = store("eval", "a", "b")
    origin = tmp_path / "eval" / "origin.json"
    origin.write_text(json.dumps({"source": {"kind": "scannetpp"}, "only": ["a", "b"], "leave_out": []}))
    with pytest.raises(InputError, match=r"2 environments: a, b, for evaluation as it seems.*data.evaluation=FILE"):
        require_no_leak(StoreConfig((root,)))
    (tmp_path / "held.txt").write_text("z\n")
    require_no_leak(StoreConfig((root,), evaluation=(str(tmp_path / "held.txt"),)))  # told what is held out
    for harmless in ({"only": None, "leave_out": ["c"]}, {"made_of": "x"}):
        origin.write_text(json.dumps(harmless))
        require_no_leak(StoreConfig((root,)))


def test_validation_apart_from_training(store):
    data = StoreConfig((store("train", "a", "b"),), validation=(store("judge", "c", "b"),))
    with pytest.raises(InputError, match=r"train holds environment b, which data.validation \(.*judge\) holds as well"):
        split(data)


def test_what_names_no_environments(store, tmp_path):
    train = store("train", "a")
    with pytest.raises(InputError, match=r"none.txt does not exist"):
        require_no_leak(StoreConfig((train,), evaluation=(str(tmp_path / "none.txt"),)))
    with pytest.raises(InputError, match=r"is a folder, but no store"):
        require_no_leak(StoreConfig((train,), evaluation=(str(tmp_path),)))


def test_training_precomputing_and_dry_runs_end_at_the_start(stored_run, tmp_path, capsys):
    held = tmp_path / "held.txt"
    held.write_text("room3\n")
    (root,) = stored_run.data.roots
    data = dataclasses.replace(stored_run.data, evaluation=(str(held),))
    with pytest.raises(InputError, match="holds environment room3"):
        TransformerTask(dataclasses.replace(stored_run, data=data))
    settings = ["--set", f"data.roots={root}", "--set", f"data.evaluation={held}"]
    for command in (
        ["train", "grounding:tiny", "--dry-run", "--gpus", "1"],
        ["precompute", "grounding:tiny", "--out", root],
    ):
        assert main([*command, *settings]) == 2
        assert "holds environment room3, for evaluation" in capsys.readouterr().err
