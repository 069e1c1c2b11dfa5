"""Agreement with the paper's directions: by hand, and that nothing gets lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.evaluate.beside_paper import beside_paper
from video4spatial.evaluate.directions import FEWEST, Agreement, agreement, directions, tally
from video4spatial.evaluate.statistics import Interval


@pytest.mark.parametrize(
    ("paper", "interval", "of", "verdict"),
    [
        (1, (0.3, 0.1, 0.5), 20, Agreement.AGREES),
        (-1, (0.3, 0.1, 0.5), 20, Agreement.DISAGREES),
        (-1, (-0.3, -0.5, -0.1), 20, Agreement.AGREES),
        (1, (-0.3, -0.5, -0.1), 20, Agreement.DISAGREES),
        (1, (0.3, -0.1, 0.5), 20, Agreement.UNDECIDED),
        (1, (0.3, 0.0, 0.5), 20, Agreement.UNDECIDED),
        (1, (0.0, 0.0, 0.0), 20, Agreement.UNDECIDED),
        (0, (0.3, 0.1, 0.5), 20, Agreement.UNDECIDED),
        (1, (0.3, 0.3, 0.3), FEWEST - 1, Agreement.UNDECIDED),
        (1, (0.3, 0.3, 0.3), FEWEST, Agreement.AGREES),
        (1, None, 0, Agreement.NOT_MEASURED),
    ],
)
def test_verdicts(paper, interval, of, verdict):
    found, reason = agreement(paper, None if interval is None else Interval(*interval), of)
    assert found is verdict
    assert bool(reason) == (verdict in (Agreement.UNDECIDED, Agreement.NOT_MEASURED))


@given(st.sampled_from([-1, 0, 1]), st.floats(-1, 1), st.floats(0, 1), st.integers(1, 40))
def test_turning_both_signs_changes_nothing(paper, mean, half, of):
    there, back = Interval(mean, mean - half, mean + half), Interval(-mean, -mean - half, -mean + half)
    assert agreement(paper, there, of)[0] is agreement(-paper, back, of)[0]


def row(label, method, paper=None, words=None, not_run=None):
    return {"label": label, "method": method, "paper": paper or {}, "words": words or {}, "not_run": not_run} | {
        "note": ""
    }


EXPERIMENT = {
    "title": "Grounding",
    "source": "Table 0",
    "says": "",
    "seeds": [0],
    "columns": ["sd", "if"],
    "rows": [
        row("Ours", "full", {"sd": 0.1, "if": 0.7}),
        row("worse", "worse", {"sd": 0.3, "if": 0.5}),
        row("faked", "faked", {"sd": 0.3, "if": 0.5}),
        row("words", "words", words={"sd": 1}),
        row("elsewhere", None, {"sd": 0.2, "if": 0.9}, not_run="made elsewhere"),
        row("ours alone", "held"),
    ],
}
RESULTS = {
    "tables": {
        "grounding": {
            "methods": {
                name: {"columns": {"sd": {"mean": sd}, "if": {"mean": rate}}}
                for name, sd, rate in (
                    ("full", 0.2, 0.6),
                    ("worse", 0.5, 0.2),
                    ("faked", 0.6, 0.9),
                    ("words", 0.1, 0.6),
                )
            },
            "differences": {
                "full - worse": {
                    "sd": {"mean": -0.3, "low": -0.4, "high": -0.2, "of": 20},
                    "if": {"mean": 0.4, "low": -0.1, "high": 0.9, "of": 20},
                },
                "full - faked": {
                    "sd": {"mean": -0.4, "low": -0.5, "high": -0.3, "of": 20},
                    "if": {"mean": -0.3, "low": -0.4, "high": -0.2, "of": 20},
                },
                "full - words": {"sd": {"mean": 0.1, "low": 0.05, "high": 0.2, "of": 20}},
            },
        }
    }
}


def test_directions_of_an_experiment():
    found = {(one.label, one.key): one for one in directions(EXPERIMENT, RESULTS)}
    verdicts = {key: one.agreement.value for key, one in found.items()}
    assert verdicts == {
        ("worse", "sd"): "agrees",
        ("worse", "if"): "undecided",
        ("faked", "sd"): "agrees",
        ("faked", "if"): "disagrees",
        ("words", "sd"): "disagrees",
        ("elsewhere", "sd"): "not measured",
        ("elsewhere", "if"): "not measured",
    }
    assert found["worse", "sd"].ours == Interval(0.3, 0.2, 0.4)
    assert found["worse", "sd"].difference == pytest.approx(0.2)
    assert found["words", "sd"].difference is None
    assert found["elsewhere", "sd"].reason == "not run"
    assert tally(list(found.values())) == {"agrees": 2, "disagrees": 2, "undecided": 1, "not measured": 2}


def test_the_table_beside_the_papers():
    text = beside_paper(EXPERIMENT, RESULTS)
    assert "| worse | 0.5000 (0.3000) ✓ | 0.2000 (0.5000) ? |" in text
    assert "| elsewhere | – (0.2000) | – (0.9000) |" in text
    assert "- elsewhere: made elsewhere" in text
    assert "- faked, if: below full in the paper, here +0.3000 [+0.2000, +0.4000] over 20 cases" in text
    assert "2 agrees, 2 disagrees, 1 undecided, 2 not measured" in text
