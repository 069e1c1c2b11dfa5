"""Several processes measure what one does, and nothing twice."""

import json
from dataclasses import replace

import pytest

from video4spatial.commands.evaluate import evaluate_folder
from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.evaluate.metrics import make_metrics
from video4spatial.schema import Clip, InputError
from video4spatial.storage.video import write_video


@pytest.fixture
def answered(tmp_path):
    """Two folders with the same videos: the true ones of two rooms, one of them missing."""
    whole = open_benchmark("rooms:tiny", cases=2)
    part = replace(whole, cases=tuple(case for case in whole.cases if case.task != "absent"))
    folders = [GeneratedFolder(tmp_path / name) for name in ("one", "two")]
    for content in list(open_contents(part).of(part.cases))[1:]:
        for folder in folders:
            path = folder.video("ground-truth", content.case.case_id)
            write_video(path, Clip(content.truth.frames, 16.0), lossless=True)
    for folder in folders:
        part.save(folder.root)
    return folders


def test_processes_give_the_same_results(answered, capsys):
    one, two = answered
    names, settings = ["fidelity", "following", "box", "dynamic-degree"], ["dynamic-degree.flow=dis"]
    alone = evaluate_folder(one, make_metrics(names, settings), progress=False)
    shared = evaluate_folder(two, make_metrics(names, settings), progress=False, workers=2, metric_settings=settings)
    assert shared == alone
    assert len({row["case_id"].split("-")[0] for row in shared["rows"]}) == 2  # two scenes, so both had something to do
    assert shared["tables"]["grounding"]["methods"]["ground-truth"]["videos"] == {"ok": 1, "missing": 1}
    for journal in two.scores.glob("*/*.jsonl"):
        keys = [json.loads(line)["key"] for line in journal.read_text().splitlines()]
        assert len(keys) == len(set(keys)), "measured twice"
    with pytest.raises(InputError, match="at least 1"):
        evaluate_folder(two, make_metrics(names, settings), progress=False, workers=0, metric_settings=settings)
