"""The table's figures by hand, and that what is missing shows."""

import json

import numpy as np
import pytest

from video4spatial.evaluate.marked import Outcome
from video4spatial.evaluate.table import CaseResult, GroundingResult, grounding_table, markdown, navigation_table
from video4spatial.schema import InputError

LEVELS = {"full": 22.0, "first_frame_only": 18.5, "vae_reconstruction": 30.0}


def navigation(levels=LEVELS, cases=6):
    return [
        CaseResult(method, f"navigation-{case}", level + case, (level + case) / 100)
        for case in range(cases)
        for method, level in levels.items()
    ]


def grounding(method, outcomes, **more):
    return [
        GroundingResult(method, f"g{case}", outcome is not None, 0.5 if outcome else 0.0, outcome, **more)
        for case, outcome in enumerate(outcomes)
    ]


def test_navigation_means_differences_and_ceiling():
    table = navigation_table(navigation())
    assert table["cases"] == 6
    assert table["methods"]["full"]["psnr"]["mean"] == pytest.approx(24.5)
    assert table["methods"]["full"]["psnr"]["low"] < 24.5 < table["methods"]["full"]["psnr"]["high"]
    difference = table["differences"]["full - first_frame_only"]["psnr"]
    assert difference == pytest.approx({"mean": 3.5, "low": 3.5, "high": 3.5})  # the same in every case
    assert list(table["differences"]) == ["full - first_frame_only"]  # the ceiling is no rival
    assert table["ceiling_gap"]["ssim"]["mean"] == pytest.approx(0.08)
    assert table["values"]["full"]["navigation-3"] == [25.0, 0.25]
    assert json.loads(json.dumps(table)) == table


def test_the_order_of_cases_does_not_matter():
    rows = navigation()
    shuffled = [rows[k] for k in np.random.default_rng(0).permutation(len(rows))]
    assert navigation_table(shuffled) == navigation_table(rows)


@pytest.mark.parametrize("spoil", [lambda rows: rows[:-1], lambda rows: [*rows, rows[0]], lambda rows: []])
def test_missing_or_doubled_cases_are_refused(spoil):
    with pytest.raises(InputError):
        navigation_table(spoil(navigation()))


def test_grounding_rates_and_what_they_are_taken_over():
    right, wrong, unsure = Outcome.RIGHT, Outcome.WRONG_CATEGORY, Outcome.UNDECIDED
    full = grounding("full", [right, right, right, wrong, unsure, None, None, right])
    rival = grounding("no_guidance", [None] * 8)
    truth = grounding("ground_truth", [right] * 8, centred=True, colour_agrees=True)
    table = grounding_table(full + rival + truth)
    row = table["methods"]["full"]
    assert (row["found"]["mean"], row["found"]["of"]) == (6 / 8, 8)
    assert (row["right"]["mean"], row["right"]["of"]) == (4 / 8, 8)
    assert (row["right_of_decided"]["mean"], row["right_of_decided"]["of"]) == (4 / 5, 5)
    assert (row["decided"]["mean"], row["decided"]["of"]) == (5 / 6, 6)
    assert row["colour_agrees"] is None  # no target had a colour word: no rate, rather than 0
    assert row["outcomes"] == {"right": 4, "wrong_colour": 0, "wrong_category": 1, "nothing": 0, "undecided": 1}
    empty = table["methods"]["no_guidance"]
    assert (empty["found"]["mean"], empty["right_of_decided"], empty["centred"]) == (0, None, None)
    assert table["methods"]["ground_truth"]["right"]["low"] < 1  # 8 of 8 is not certainty
    assert list(table["differences"]) == ["full - no_guidance"]
    assert table["differences"]["full - no_guidance"]["right"]["mean"] == 0.5
    assert table["values"]["full"]["g5"] == "no_box"


def test_results_survive_json():
    for row in (navigation()[0], *grounding("full", [Outcome.RIGHT, None], marked="red chair", likeness=9.25)):
        assert type(row).from_json(json.loads(json.dumps(row.to_json()))) == row


def test_markdown_shows_every_method_and_figure():
    table = {
        "navigation": navigation_table(navigation()),
        "grounding": grounding_table(grounding("full", [Outcome.RIGHT] * 4) + grounding("no_guidance", [None] * 4)),
    }
    text = markdown(table)
    assert "| full | 24.50 [" in text
    assert "| vae_reconstruction - full | 8.00 [8.00, 8.00] | 0.080 [0.080, 0.080] |" in text
    assert "| no_guidance | 0.00 [0.00, 0.60] (4) | 0.00 [0.00, 0.60] (4) | – |" in text
    tables = [[line for line in part.splitlines() if line.startswith("|")] for part in text.split("## ")[1:]]
    assert [len({line.count("|") for line in lines}) for lines in tables] == [1, 1]  # no ragged row
    assert "Grounding" not in markdown({"navigation": table["navigation"]})
