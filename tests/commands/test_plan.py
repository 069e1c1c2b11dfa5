import json

import pytest

from video4spatial.cli import main


def test_plan_prints_phases_and_proposals(capsys, tmp_path):
    out = tmp_path / "plan.json"
    assert main(["plan", "--gpu", "12GB", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "does NOT fit" in printed
    assert "--offload group" in printed
    assert "13,520 tokens" in printed
    written = json.loads(out.read_text())
    assert not written["estimate"]["fits"]
    assert all(proposal["fits"] for proposal in written["proposals"])
    assert written["estimate"]["peak_bytes"] == max(p["peak_bytes"] for p in written["estimate"]["phases"].values())


def test_plan_says_what_its_seconds_rest_on(capsys):
    assert main(["plan", "--gpu", "RTX 4090", "--context-latents", "680", "--faster", "cached-context"]) == 0
    printed = capsys.readouterr().out
    assert "predicted at an assumed 50% of 165.2 TFLOP/s" in printed
    assert "75,504 tokens" in printed


def test_plan_of_a_shipped_model(capsys):
    assert main(["plan", "--gpu", "24GB", "--model", "rooms-small", "--guidance", "1"]) == 0
    printed = capsys.readouterr().out
    assert "33 frames of 96x64" in printed
    assert "guided" not in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gpu", "abacus"], "--gpu is 'abacus'"),
        (["--gpu", "24GB", "--frames", "10"], "4k"),
        (["--gpu", "24GB", "--size", "100x100"], "32"),
        (["--gpu", "24GB", "--guidance", "-1"], "--guidance"),
        (["--gpu", "24GB", "--model", "nothing"], "nothing"),
        (["--gpu", "24GB", "--faster", "nothing"], "nothing"),
        (["--gpu", "24GB", "--steps", "0"], "steps"),
        (["--gpu", "24GB", "--context-latents", "-1"], "context-latents"),
    ],
)
def test_bad_options_are_explained(capsys, options, said):
    assert main(["plan", *options]) == 2
    assert said in capsys.readouterr().err
