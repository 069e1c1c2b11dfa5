"""Any success of n repeats, against all the ways to draw them."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.evaluate.repeats import any_success, any_success_of_cases
from video4spatial.schema import InputError

repeats = st.lists(st.sampled_from([True, False, None, 0.0, 1.0]), min_size=1, max_size=7)


@given(repeats, st.data())
def test_it_is_the_mean_over_all_draws(of, data):
    count = data.draw(st.integers(1, len(of)))
    drawn = [any(bool(value) for value in chosen) for chosen in combinations(of, count)]
    assert any_success(of, count) == pytest.approx(sum(drawn) / len(drawn))


@given(repeats)
def test_more_repeats_never_fail_more_often(of):
    rates = [any_success(of, count) for count in range(1, len(of) + 1)]
    assert rates == sorted(rates)
    assert rates[-1] == float(any(of))


def test_by_hand():
    assert any_success([True, False, False], 1) == pytest.approx(1 / 3)
    assert any_success([True, False, False], 2) == pytest.approx(2 / 3)
    assert any_success_of_cases({"a": [False, True], "b": [False]}, 2) == {"a": 1.0, "b": 0.0}
    for count in (0, 3):
        with pytest.raises(InputError, match="cannot be drawn"):
            any_success([True, False], count)
