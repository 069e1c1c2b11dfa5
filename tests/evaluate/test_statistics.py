"""Intervals: known cases, and what must hold for any."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video4spatial.evaluate.statistics import bootstrap_interval, paired_difference, paired_test, rate_interval
from video4spatial.schema import InputError

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


@settings(deadline=None, max_examples=40)
@given(st.lists(numbers, min_size=1, max_size=30))
def test_the_interval_holds_the_mean_and_stays_within_the_values(values):
    mean, low, high = bootstrap_interval(values, resamples=400)
    assert low - 1e-9 <= mean <= high + 1e-9
    assert min(values) - 1e-9 <= low
    assert high <= max(values) + 1e-9
    assert mean == pytest.approx(np.mean(values), abs=1e-9)


def test_agrees_with_the_normal_interval_where_that_holds():
    values = np.random.default_rng(3).normal(20, 2, 400)
    mean, low, high = bootstrap_interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(mean - half, abs=0.02)
    assert high == pytest.approx(mean + half, abs=0.02)


def test_shrinks_with_the_cases_and_grows_with_the_level():
    values = np.random.default_rng(4).normal(0, 1, 640)
    few, many = bootstrap_interval(values[:40]), bootstrap_interval(values)
    assert few.high - few.low > 3 * (many.high - many.low)
    wide = bootstrap_interval(values[:40], level=0.99)
    assert wide.low < few.low < few.high < wide.high


def test_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(5)
    intervals = [bootstrap_interval(rng.exponential(1, 32), resamples=400) for _ in range(200)]
    assert 0.86 < np.mean([low <= 1 <= high for _, low, high in intervals]) < 0.98


def test_deterministic_in_the_seed():
    values = [1.0, 2.0, 5.0, 9.0]
    assert bootstrap_interval(values, seed=7) == bootstrap_interval(values, seed=7)
    skewed = np.random.default_rng(0).exponential(1, 50)
    assert bootstrap_interval(skewed, seed=7) != bootstrap_interval(skewed, seed=8)


def test_pairing_takes_away_what_cases_share():
    rng = np.random.default_rng(6)
    hardness = rng.normal(0, 5, 32)
    a, b = hardness + 1 + rng.normal(0, 0.1, 32), hardness
    mean, low, high = paired_difference(a, b)
    assert 0.9 < low < mean < high < 1.1
    assert paired_difference(b, a).mean == pytest.approx(-mean)
    with pytest.raises(InputError, match="cannot be paired"):
        paired_difference(a, b[:-1])


def test_rates():
    rate = rate_interval([True] * 24 + [False] * 8)
    assert rate.mean == 0.75
    assert rate.low == pytest.approx(0.59, abs=0.04)
    assert rate.high == pytest.approx(0.91, abs=0.04)


def test_rates_that_all_agree_are_not_certain():
    assert rate_interval([True] * 32).low == pytest.approx(0.025 ** (1 / 32))
    assert rate_interval([False] * 32).high == pytest.approx(1 - 0.025 ** (1 / 32))
    with pytest.raises(InputError, match="truth values"):
        rate_interval(np.array([0.5, 1.0]))


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")], np.ones((2, 1))])
def test_missing_values_are_never_dropped_in_silence(values):
    with pytest.raises(InputError):
        bootstrap_interval(values)


def test_options_out_of_range():
    for options in ({"level": 1.0}, {"level": 0.0}, {"resamples": 0}):
        with pytest.raises(InputError):
            bootstrap_interval([1.0, 2.0], **options)


def by_brute_force(a, b):
    """Every pattern of signs, one after the other."""
    difference = [x - y for x, y in zip(a, b, strict=True)]
    far = abs(sum(difference))
    sums = [
        abs(sum(s * d for s, d in zip(signs, difference, strict=True))) for signs in product((1, -1), repeat=len(a))
    ]
    return sum(total >= far - 1e-9 for total in sums) / len(sums)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=8))
def test_the_paired_test_looks_at_every_pattern_of_signs(pairs):
    a, b = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    assert paired_test(a, b) == pytest.approx(by_brute_force(a, b), abs=1e-12)
    assert paired_test(b, a) == paired_test(a, b)


def test_the_paired_test_of_rates_is_mcnemars_at_any_number_of_cases():
    a, b = [1.0] * 9 + [0.0] + [1.0] * 90, [0.0] * 9 + [1.0] + [1.0] * 90  # 9 wins, 1 loss, 90 alike
    assert paired_test(a, b) == pytest.approx(2 * (1 + 10) / 2**10)


def test_drawn_patterns_come_near_the_exact_p_value():
    rng = np.random.default_rng(5)
    values = np.round(rng.normal(0.25, 0.5, 14), 3)
    exact = paired_test(values, np.zeros(14))
    many = np.concatenate([values, rng.normal(0, 1e-7, 6)])  # six more that decide nothing: now patterns are drawn
    assert exact == pytest.approx(by_brute_force(values, np.zeros(14)), abs=1e-12)
    assert paired_test(many, np.zeros(20)) == pytest.approx(exact, abs=0.015)
    assert paired_test(many, np.zeros(20)) == paired_test(many, np.zeros(20))


def test_the_paired_test_is_right_as_often_as_it_says():
    rng = np.random.default_rng(6)
    found = [paired_test(rng.normal(0, 1, 10), np.zeros(10)) for _ in range(300)]
    assert 0.02 < np.mean(np.array(found) <= 0.05) < 0.085
    assert paired_test(np.full(40, 0.3) + rng.normal(0, 0.1, 40), np.zeros(40)) == pytest.approx(1 / 10_001)


def test_the_paired_test_of_nothing_and_of_odd_input():
    assert paired_test([1.0, 2.0], [1.0, 2.0]) == 1.0
    with pytest.raises(InputError, match="cannot be paired"):
        paired_test([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="NaN"):
        paired_test([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(InputError, match="draws"):
        paired_test([1.0], [0.0], draws=0)
