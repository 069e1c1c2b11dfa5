"""Many processes compute what one computes: sharded weights, split sequences, and both at once (gloo, CPU)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from train.reshard_worker import Run

from video4spatial.schema import InputError
from video4spatial.train.parallel import Ranks, join

WORKER = Path(__file__).parent / "parallel_worker.py"


def torchrun(processes: int, *command: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *command]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "context_parallel", "checkpointing", "case"),
    [
        (2, 1, "checkpointing", "joint"),
        (2, 2, "plain", "joint"),
        (4, 2, "checkpointing", "joint"),
        (2, 1, "checkpointing", "causal"),
        (2, 2, "plain", "dropped"),
    ],
    ids=["fsdp", "ulysses", "fsdp-and-ulysses", "fsdp-causal", "ulysses-dropped"],
)
def test_gradients_are_those_of_one_process(tmp_path, processes, context_parallel, checkpointing, case):
    out = tmp_path / "report.json"
    command = torchrun(processes, str(WORKER), str(context_parallel), checkpointing, str(out), case)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(out.read_text())
    assert report["loss"] == pytest.approx(report["expected"], rel=1e-6)
    assert report["weights"], "the gathered weights are not those that were spread"
    assert report["rows"] == 96 // processes
    assert len(report["errors"]) > 50
    worst = max(report["errors"], key=report["errors"].get)
    assert report["errors"][worst] < 1e-5, worst


def test_processes_that_do_not_share_out(monkeypatch):
    assert join(torch.device("cpu")) == Ranks()
    with pytest.raises(InputError, match=r"context_parallel is 2, but there are 1 processes"):
        join(torch.device("cpu"), 2)
    monkeypatch.setenv("WORLD_SIZE", "6")
    with pytest.raises(InputError, match=r"context_parallel is 4, but there are 6 processes"):
        join(torch.device("cpu"), 4)


def test_ranks_of_a_context_parallel_group_share_a_batch():
    ranks = [Ranks(rank, 8, rank, context=2) for rank in range(8)]
    assert [r.data_rank for r in ranks] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {r.data_size for r in ranks} == {4}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adamw", "adamw8bit"])
def test_checkpoints_go_on_with_another_number_of_processes(tmp_path, name):
    one = Run(0, name, Ranks())
    straight = one.train(0, 3)
    one.save(tmp_path / "one", 3)
    straight += one.train(3, 3)

    out = tmp_path / "report.json"
    worker = str(WORKER.with_name("reshard_worker.py"))
    command = torchrun(2, worker, name, str(tmp_path / "one"), str(tmp_path / "two"), str(out))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(out.read_text())

    near = 1e-5 if name == "adamw" else 1e-3  # a last bit can move an 8-bit code to its neighbour
    assert report["straight"] == pytest.approx(straight, rel=near)
    assert report["from_two"] == report["straight"][3:], "the same number of processes goes on exactly"
    assert report["from_one"] == pytest.approx(straight[3:], rel=near)
    resumed = Run(9, name, Ranks())
    resumed.load(tmp_path / "two")
    assert resumed.train(3, 3) == pytest.approx(straight[3:], rel=near)
    if name == "adamw8bit":
        eight_bit = {key.split("/")[1] for key in resumed.state.tensors() if key.endswith("exp_avg.codes")}
        assert eight_bit == {"table", "blocks.0.weight", "blocks.1.weight", "small.weight"}
