"""Whole runs by the command line on two processes (gloo, CPU): as one process trains, killed, resumed, elsewhere."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from train.test_parallel import torchrun
from train.test_resume import logged, run

from video4spatial.storage.artifacts import RunLayout, read_json
from video4spatial.train.checkpoint import sha256
from video4spatial.train.config import TransformerRun, to_dict

STEPS = 8
NEAR = 2e-5  # float32 sums in another order, over a few steps


@pytest.fixture(scope="session")
def shared_run(stored_run: TransformerRun) -> TransformerRun:
    """A step of four examples: one process takes two micro-batches, two processes take one each."""
    optim = dataclasses.replace(stored_run.optim, name="adamw", decay=0.0, ema=0.9)
    data = dataclasses.replace(stored_run.data, held_out=0.3)
    return dataclasses.replace(
        stored_run,
        steps=STEPS,
        batch=2,
        global_batch=4,
        checkpointing=True,
        log_every=1,
        checkpoint_every=2,
        keep_checkpoints=10,
        validate_every=4,
        data=data,
        optim=optim,
    )


def recipe(folder: Path, config: TransformerRun) -> str:
    """``config`` as a recipe file of one's own."""
    file = folder / "mine.py"
    file.write_text(
        "import json\nfrom video4spatial.train.config import TransformerRun, from_dict\n\n\n"
        f"def run():\n    return from_dict(TransformerRun, json.loads({json.dumps(to_dict(config))!r}))\n"
    )
    return f"{file}:run"


def validated(root: Path) -> dict[int, dict[str, float]]:
    """The validation figures of each step that has some."""
    lines = [json.loads(line) for line in (root / "log.jsonl").read_text().splitlines()]
    figures = [(line["step"], {k: v for k, v in line.items() if k.startswith("validation/")}) for line in lines]
    return {step: values for step, values in figures if values}


def train(processes: int, *arguments: str) -> subprocess.CompletedProcess:
    command = torchrun(processes, "-m", "video4spatial.cli", "train", *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def straight(shared_run, tmp_path_factory) -> Path:
    """Two processes, never stopped."""
    folder = tmp_path_factory.mktemp("straight")
    done = train(2, recipe(folder, shared_run), "--out", str(folder / "run"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("finished at step") == 1, "only the main process reports"
    return folder / "run"


@pytest.mark.slow
def test_two_processes_train_as_one_does(shared_run, straight, tmp_path):
    alone = run(shared_run, tmp_path / "alone")
    expected, found = logged(tmp_path / "alone"), logged(straight)
    assert sorted(found) == list(range(1, STEPS + 1))
    assert [found[s] for s in sorted(found)] == pytest.approx([expected[s] for s in sorted(expected)], rel=NEAR)
    figures, judged = validated(straight), validated(tmp_path / "alone")
    assert sorted(figures) == [4, 8]
    for step, values in judged.items():
        assert figures[step] == pytest.approx(values, rel=NEAR, abs=NEAR)
    progress = read_json(RunLayout(straight).latest_checkpoint() / "progress.json")
    assert (progress["step"], progress["processes"], len(progress["files"])) == (STEPS, 2, 2)

    exported = load_file(straight / "transformer" / "diffusion_pytorch_model.safetensors")
    assert set(exported) == set(alone.task.model.state_dict())
    for name, weight in alone.average.weights.items():
        torch.testing.assert_close(exported[name], weight, rtol=1e-3, atol=2e-5)
    assert (straight / "pipeline" / "model_index.json").is_file()


@pytest.mark.slow
def test_a_run_of_two_goes_on_in_one_process(shared_run, straight, tmp_path):
    """From the middle of it, since a checkpoint can be chosen."""
    shutil.copytree(straight, tmp_path / "run")
    (tmp_path / "run" / "log.jsonl").unlink()
    RunLayout(tmp_path / "run").set_latest(4)
    run(shared_run, tmp_path / "run", resume=True)
    expected, found = logged(straight), logged(tmp_path / "run")
    assert sorted(found) == [5, 6, 7, 8]
    assert [found[s] for s in sorted(found)] == pytest.approx([expected[s] for s in sorted(found)], rel=NEAR)


def wait_for_step(root: Path, step: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 200
    while not (root / "log.jsonl").exists() or max(logged(root), default=0) < step:
        assert process.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(process: subprocess.Popen) -> list[int]:
    """The processes that torchrun started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"video4spatial" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds torchrun's processes in /proc")
def test_a_rank_killed_mid_run_then_resumed_has_the_very_losses(shared_run, straight, tmp_path):
    endless = dataclasses.replace(shared_run, steps=10**6)
    root = tmp_path / "run"
    command = torchrun(2, "-m", "video4spatial.cli", "train", recipe(tmp_path, endless), "--out", str(root))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_step(root, 5, process)
        victim = workers_of(process)[-1]
        os.kill(victim, signal.SIGKILL)
        assert process.wait(timeout=120) != 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    began = read_json(RunLayout(root).latest_checkpoint() / "progress.json")["step"]
    assert began >= 2
    (root / "log.jsonl").rename(root / "before.jsonl")

    total = began + 3
    done = train(2, "--resume", str(root), "--set", f"steps={total}")
    assert done.returncode == 0, done.stderr[-3000:]
    found, expected = logged(root), logged(straight)
    assert sorted(found) == [began + 1, began + 2, began + 3]
    before = [json.loads(line) for line in (root / "before.jsonl").read_text().splitlines() if line.endswith("}")]
    everything = {line["step"]: line["loss"] for line in before if "loss" in line} | found
    overlapping = sorted(set(everything) & set(expected))
    assert len(overlapping) >= 5
    assert [everything[s] for s in overlapping] == [expected[s] for s in overlapping]
    assert not list((root / "checkpoints").glob(".tmp-*"))


@pytest.mark.slow
def test_what_one_process_cannot_read_is_told_by_all(shared_run, encoded_store, tmp_path):
    """Rank 1's store has an index but no latents, as on a machine that lacks its copy: rank 0 does not wait for it."""
    bare = tmp_path / "bare"
    shutil.copytree(encoded_store, bare)
    for shard in (bare / "shards").iterdir():
        shard.unlink()
    file = tmp_path / "mine.py"
    file.write_text(
        "import json\nimport os\n\nfrom video4spatial.train.config import TransformerRun, from_dict\n\n\ndef run():\n"
        f"    values = json.loads({json.dumps(to_dict(shared_run))!r})\n"
        f"    if os.environ['RANK'] == '1':\n        values['data']['roots'] = [{str(bare)!r}]\n"
        "    return from_dict(TransformerRun, values)\n"
    )
    done = train(2, f"{file}:run", "--out", str(tmp_path / "run"))
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if f"{bare}/shards/" in line]
    assert len(told) == 1, done.stderr[-3000:]  # both raise it, the main process says it
    assert "is missing: restore it" in told[0]


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_every_process(shared_run, straight, tmp_path):
    """A weight turned into NaN in a checkpoint; the failure leaves its state, its step and its examples."""
    root = tmp_path / "run"
    shutil.copytree(straight, root)
    layout = RunLayout(root)
    layout.set_latest(4)
    folder = layout.checkpoint(4)
    progress = read_json(folder / "progress.json")
    for name in progress["files"]:
        path = folder / name
        with safe_open(path, "pt") as file:
            metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        tensors["model/proj_out.bias"].fill_(float("nan"))
        save_file(tensors, path, metadata)
        progress["files"][name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    (folder / "progress.json").write_text(json.dumps(progress))

    done = train(2, "--resume", str(root))
    assert done.returncode != 0
    assert "the loss is nan at step 4: lower optim.lr, and resume from" in done.stderr
    failed = RunLayout(root / "failure").latest_checkpoint()
    saved = read_json(failed / "progress.json")
    assert saved["step"] == 4
    assert len(saved["examples"]) == 4
    assert all("[" in example and "<" in example for example in saved["examples"])
    assert layout.latest_checkpoint() == folder
