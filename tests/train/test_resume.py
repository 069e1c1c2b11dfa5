"""Runs that are stopped and resumed have the very losses of runs that never were."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from video4spatial.commands.train import KINDS, train_run
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout, read_json
from video4spatial.train.checkpoint import Checkpointer
from video4spatial.train.config import TransformerRun, to_dict
from video4spatial.train.loop import Trainer, choose_device, read_config
from video4spatial.train.transformer import TransformerTask


def logged(root: Path) -> dict[int, float]:
    """The loss after each step; a later line of a step replaces an earlier one."""
    lines = [json.loads(line) for line in (root / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def run(config: TransformerRun, root: Path, resume: bool = False) -> Trainer:
    with contextlib.closing(TransformerTask(config, show_progress=False)) as task:
        trainer = Trainer(task, config, root)
        if resume:
            trainer.resume()
        trainer.run()
    return trainer


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_resumed_losses_are_identical(tiny_run, tmp_path, optimiser):
    """N steps at once; k steps, a new process's worth of new objects, then on to N."""
    optim = dataclasses.replace(tiny_run.optim, name=optimiser, decay=0.0)
    stream = dataclasses.replace(tiny_run.stream, rooms_per_step=0.2)  # the window of rooms moves at step 5
    config = dataclasses.replace(tiny_run, optim=optim, stream=stream, steps=8, validation_rooms=1)
    straight = run(config, tmp_path / "straight")
    run(dataclasses.replace(config, steps=3), tmp_path / "parts")
    resumed = run(config, tmp_path / "parts", resume=True)

    expected, found = logged(tmp_path / "straight"), logged(tmp_path / "parts")
    assert sorted(expected) == list(range(1, 9))
    assert found == expected
    assert len(set(expected.values())) == 8
    other = dict(resumed.task.model.named_parameters())
    for name, p in straight.task.model.named_parameters():
        assert torch.equal(p, other[name]), name
    for name, weight in straight.average.weights.items():
        assert torch.equal(weight, resumed.average.weights[name]), name


@pytest.mark.slow
def test_a_run_stopped_by_sigint_goes_on_identically(tiny_run, tmp_path):
    values = to_dict(dataclasses.replace(tiny_run, optim=dataclasses.replace(tiny_run.optim, decay=0.0), steps=10**6))
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "import json\nfrom video4spatial.train.config import TransformerRun, from_dict\n\n\n"
        f"def run():\n    return from_dict(TransformerRun, json.loads({json.dumps(values)!r}))\n"
    )
    root = tmp_path / "stopped"
    command = [sys.executable, "-m", "video4spatial.cli", "train", f"{recipe}:run", "--out", str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (root / "log.jsonl").exists() or len((root / "log.jsonl").read_text().splitlines()) < 3:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert "stopped at step" in output
    assert "Traceback" not in output

    steps = read_json(RunLayout(root).latest_checkpoint() / "progress.json")["step"]
    assert steps >= 3
    total = steps + 3
    train_run(None, str(root), None, None, [f"steps={total}"])
    config = dataclasses.replace(tiny_run, optim=dataclasses.replace(tiny_run.optim, decay=0.0), steps=total)
    run(config, tmp_path / "straight")
    assert logged(root) == logged(tmp_path / "straight")


def test_a_loss_that_is_no_number_stops_the_run(tiny_run, tmp_path):
    config = dataclasses.replace(tiny_run, steps=2)
    with contextlib.closing(TransformerTask(config, show_progress=False)) as task:
        with torch.no_grad():
            task.model.proj_out.bias.fill_(float("nan"))
        with pytest.raises(InputError, match=r"the loss is nan at step 0: lower optim.lr"):
            Trainer(task, config, tmp_path / "run").run()
    assert RunLayout(tmp_path / "run").latest_checkpoint() is None


def test_a_gradient_that_is_no_number_never_reaches_the_weights(tiny_run, tmp_path):
    """The examples named are those of every micro-batch."""
    config = dataclasses.replace(tiny_run, steps=2, batch=2, global_batch=4)
    with contextlib.closing(TransformerTask(config, show_progress=False)) as task:
        trainer = Trainer(task, config, tmp_path / "run")
        task.model.proj_out.weight.register_hook(lambda gradient: gradient * float("inf"))
        before = {name: p.detach().clone() for name, p in task.model.named_parameters()}
        with pytest.raises(InputError, match=r"the gradient is (nan|inf) at step 0"):
            trainer.run()
        failed = RunLayout(tmp_path / "run" / "failure").latest_checkpoint()
        assert len(read_json(failed / "progress.json")["examples"]) == 4
        for name, p in task.model.named_parameters():
            assert torch.equal(p, before[name])


def test_the_last_step_is_saved_once(tiny_run, tmp_path, monkeypatch):
    """Also where its number is one at which a checkpoint is due."""
    saved = []
    start = Checkpointer.start

    def count(self, state, step, progress):
        saved.append(step)
        start(self, state, step, progress)

    monkeypatch.setattr(Checkpointer, "start", count)
    run(dataclasses.replace(tiny_run, steps=4, checkpoint_every=2), tmp_path / "even")
    run(dataclasses.replace(tiny_run, steps=3, checkpoint_every=2), tmp_path / "odd")
    assert saved == [2, 4, 2, 3]


def test_nothing_to_resume(tiny_run, tmp_path):
    with pytest.raises(InputError, match=r"config.json does not exist"):
        read_config(tmp_path, KINDS)
    (tmp_path / "config.json").write_text(json.dumps(to_dict(tiny_run) | {"kind": "nonsense"}))
    with pytest.raises(InputError, match="is not a run's configuration"):
        read_config(tmp_path, KINDS)
    (tmp_path / "config.json").write_text(json.dumps(to_dict(tiny_run)))
    assert read_config(tmp_path, KINDS) == tiny_run
    with pytest.raises(InputError, match="holds no checkpoint"):
        train_run(None, str(tmp_path), None, None, [])


def test_a_folder_that_holds_a_run_is_not_run_over(tiny_run, tmp_path):
    run(dataclasses.replace(tiny_run, steps=1), tmp_path / "run")
    with pytest.raises(InputError, match=r"holds a run already: go on with it by --resume"):
        train_run("rooms:tiny_transformer", None, str(tmp_path / "run"), None, [])


def test_minutes_end_a_run(tiny_run, tmp_path):
    config = dataclasses.replace(tiny_run, steps=10**6, minutes=1e-4)
    trainer = run(config, tmp_path / "run")
    assert 1 <= trainer.step < 50
    assert trainer.progress >= 1


def test_devices_that_are_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="sees no CUDA GPU"):
        choose_device("cuda:1")
    with pytest.raises(InputError, match="use auto, cpu, cuda"):
        choose_device("nonsense")
