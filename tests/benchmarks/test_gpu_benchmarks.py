"""The GPU benchmarks, tiny, on the CPU: they finish, and the plan's memory is within 15 % of what they measure."""

import argparse
import importlib
import json
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(name: str, monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> dict:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    importlib.import_module(name).main(["--tiny", "--out", str(out), *options])
    return json.loads(out.read_text())


def within(case: dict) -> bool:
    return abs(case["predicted_to_measured"] - 1) <= 0.15


def test_sampling_of_every_mode(monkeypatch, tmp_path):
    report = run("full_size", monkeypatch, tmp_path / "r.json", "--steps", "3", "--repeats", "2")
    from video4spatial.sample.modes import MODES

    cases = {case["name"]: case for case in report["cases"]}
    assert {"exact, batched", "exact, sequential", *MODES} <= cases.keys()
    done = {name: case for name, case in cases.items() if "failed" not in case}
    assert {name for name in cases if "fp8-matmul" not in name} == done.keys()
    assert all(within(case) for case in done.values()), {name: c["predicted_to_measured"] for name, c in done.items()}
    assert done["exact, sequential"]["peak_allocated"] < done["exact, batched"]["peak_allocated"]
    assert done["cached-context"]["tflop_a_step"] < done["exact, batched"]["tflop_a_step"]
    assert "compute capability 8.9" in cases["fp8-matmul"]["failed"]
    assert report["stock"]["peak_allocated"] > done["exact, batched"]["peak_allocated"]
    assert len(report["kernels"]) == 15
    for phase in ("encode", "decode"):
        measured = report["clip"][phase]
        assert abs(measured["peak_predicted"] / measured["peak_allocated"] - 1) <= 0.15
    assert {"device", "command", "commit", "packages"} <= report["machine"].keys()


def test_a_training_step_of_each_kind(monkeypatch, tmp_path):
    report = run("train_step", monkeypatch, tmp_path / "r.json", "--repeats", "1")
    cases = report["cases"]
    assert not [case for case in cases if "failed" in case]
    assert all(within(case) for case in cases), [(case["name"], case["predicted_to_measured"]) for case in cases]
    paper = cases[0]
    assert paper["trains"] == "attention"
    assert paper["model_tflop_a_sample"] < paper["tflop_a_sample"]
    kept = next(case for case in cases if "no checkpointing" in case["name"])
    assert kept["peak_allocated"] > 1.2 * paper["peak_allocated"]
    assert len(report["kernels"]) == 15


def test_half_precision_as_on_a_gpu(monkeypatch, tmp_path):
    """The precision that a GPU runs in: a product of two different ones fails on any device."""
    report = run("full_size", monkeypatch, tmp_path / "f.json", "--steps", "2", "--repeats", "1", "--dtype", "bfloat16")
    assert {case["name"] for case in report["cases"] if "failed" in case} == {
        case["name"] for case in report["cases"] if "fp8-matmul" in case["name"]
    }
    assert report["stock"]["seconds_a_step"] > 0
    assert report["clip"]["seconds"] > 0
    trained = run("train_step", monkeypatch, tmp_path / "t.json", "--repeats", "1", "--dtype", "bfloat16")
    assert not [case for case in trained["cases"] if "failed" in case]


def test_the_cases_of_a_gpu_run(monkeypatch):
    """Those that the tiny run leaves out."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = [case.name for case in importlib.import_module("train_step").cases(tiny=False)]
    assert len(set(names)) == len(names) == 10
    assert {"attention layers (the paper), 8-bit AdamW, batch 1", "everything, 8-bit AdamW, batch 1"} <= set(names)
    cases = importlib.import_module("full_size").cases(compile_blocks=True)
    assert "exact, batched, compiled" in {case.name for case in cases}
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), AssertionError("only bfloat16")])
def test_a_case_that_fails_is_a_result(monkeypatch, tmp_path, error):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    probe = importlib.import_module("device_probe")
    options = ["--tiny", "--out", str(tmp_path / "r.json")]
    one = probe.Run("some", argparse.ArgumentParser(), options, repeats=1)
    one.report["cases"] = [{"name": "first"}, {"name": "second"}]
    with one.part(one.report["cases"][0]):
        raise error
    with one.part(one.report["cases"][1]):
        one.report["cases"][1]["seconds"] = 1.0
    written = json.loads((tmp_path / "r.json").read_text())
    assert str(error) in written["cases"][0]["failed"]
    assert written["cases"][1] == {"name": "second", "seconds": 1.0}


def test_no_time_is_said_and_written(monkeypatch, tmp_path):
    report = run("full_size", monkeypatch, tmp_path / "r.json", "--steps", "2", "--repeats", "1", "--minutes", "0")
    assert [case["name"] for case in report["cases"]] == ["exact, batched"]
    assert {"exact, sequential", "whole clip"} <= set(report["unmeasured"])


def test_the_rate_reached_goes_into_the_planners_table(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from video4spatial.sample import devices

    table = tmp_path / "devices.json"
    table.write_text(devices.TABLE.read_text())
    probe = importlib.import_module("device_probe")
    assert probe.record_share(table, "NVIDIA H100 80GB HBM3", 494.5) == "H100"
    monkeypatch.setattr(devices, "TABLE", table)
    h100 = devices.find_device("H100")
    assert h100.share == 0.5
    assert "measured" in h100.basis
    assert len(devices.known_devices()) == len(json.loads(table.read_text()))
    with pytest.raises(SystemExit, match="add its row"):
        probe.record_share(table, "Abacus 9000", 1.0)
