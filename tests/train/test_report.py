"""Where figures go, and who writes them."""

import json
import sys
import types

import pytest

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout
from video4spatial.train.config import VaeRun
from video4spatial.train.parallel import Ranks
from video4spatial.train.report import Reporter


def test_the_main_process_writes_a_log_and_tensorboard(tmp_path):
    layout = RunLayout(tmp_path / "run")
    with Reporter(layout, VaeRun()) as reporter:
        reporter.log(3, 90.0, {"loss": 0.5})
        reporter.log(4, 120.0, {"loss": 0.25})
    lines = [json.loads(line) for line in layout.log.read_text().splitlines()]
    assert lines == [{"step": 3, "minutes": 1.5, "loss": 0.5}, {"step": 4, "minutes": 2.0, "loss": 0.25}]
    assert list(layout.tensorboard.iterdir())


def test_a_resumed_run_tells_each_step_once(tmp_path):
    """The run was killed after step 5, in the middle of a line; its checkpoint is of step 3."""
    layout = RunLayout(tmp_path / "run")
    with Reporter(layout, VaeRun()) as reporter:
        for step in range(1, 6):
            reporter.log(step, 60.0 * step, {"loss": 0.5})
    layout.log.write_text(layout.log.read_text() + '{"step": 6, "min')
    with Reporter(layout, VaeRun(), step=3) as reporter:
        reporter.log(4, 300.0, {"loss": 0.25})
    lines = [json.loads(line) for line in layout.log.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.25)]


def test_other_processes_write_nothing(tmp_path):
    with Reporter(RunLayout(tmp_path / "run"), VaeRun(), Ranks(rank=1)) as reporter:
        reporter.log(1, 1.0, {"loss": 1.0})
    assert not (tmp_path / "run").exists()


def test_wandb_that_is_not_there_is_named_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with (
        pytest.raises(InputError, match=r"wandb=mine is set, but wandb is not installed.*pip install wandb"),
        Reporter(RunLayout(tmp_path / "run"), VaeRun(wandb="mine")),
    ):
        pass


def test_wandb_gets_the_configuration_and_every_figure(tmp_path, monkeypatch):
    """Against a stand-in of the service's client: names and order of what it is given."""
    calls = []

    class Client(types.SimpleNamespace):
        def log(self, figures, step):
            calls.append(("log", step, figures))

        def finish(self):
            calls.append(("finish",))

    def init(**given):
        calls.append(("init", given["project"], given["id"], given["resume"], given["config"]["kind"]))
        return Client()

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    with Reporter(RunLayout(tmp_path / "run7"), VaeRun(wandb="mine")) as reporter:
        reporter.log(5, 1.0, {"loss": 2.0})
    assert calls == [("init", "mine", "run7", "allow", "vae"), ("log", 5, {"loss": 2.0}), ("finish",)]
