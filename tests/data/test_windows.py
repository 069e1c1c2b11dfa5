"""Which latents are target and which context: no leaks, whatever the lengths."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from video4spatial.data.windows import available_context, choose_context, draw_target
from video4spatial.schema import InputError

MODES = ["scattered", "contiguous", "uniform"]
lengths = st.integers(1, 200)
seeds = st.integers(0, 2**32 - 1)


@given(lengths, lengths, seeds)
def test_targets_lie_within_the_video(latents, length, seed):
    rng = np.random.default_rng(seed)
    if latents < length:
        with pytest.raises(InputError, match=f"a video of {latents} latents is too short for a target of {length}"):
            draw_target(latents, length, rng)
        return
    start, stop = draw_target(latents, length, rng)
    assert 0 <= start < stop <= latents
    assert stop - start == length


def test_every_place_is_drawn():
    rng = np.random.default_rng(0)
    assert {draw_target(7, 4, rng) for _ in range(200)} == {(0, 4), (1, 5), (2, 6), (3, 7)}


@given(lengths, st.integers(0, 220), st.integers(1, 30), st.integers(0, 200), st.sampled_from(MODES), seeds)
def test_context_never_overlaps_the_target(latents, start, length, count, mode, seed):
    start = min(start, latents - 1)
    target = (start, min(start + length, latents))
    available = available_context(latents, target)
    try:
        index = choose_context(available, count, mode, np.random.default_rng(seed))
    except InputError:
        assert mode == "contiguous"
        assert count > max(start, latents - target[1])
        return
    assert len(index) == min(count, len(available))
    assert set(index) <= set(range(latents)) - set(range(*target))
    assert (np.diff(index) > 0).all()


@given(lengths, st.integers(1, 200), seeds)
def test_contiguous_context_is_one_run(latents, count, seed):
    assume(count < latents)
    index = choose_context(np.arange(latents), count, "contiguous", np.random.default_rng(seed))
    assert (np.diff(index) == 1).all()
    assert len(index) == count


def test_contiguous_context_may_lie_on_either_side_of_the_target():
    available = available_context(20, (8, 12))
    rng = np.random.default_rng(0)
    firsts = {int(choose_context(available, 4, "contiguous", rng)[0]) for _ in range(300)}
    assert firsts == {0, 1, 2, 3, 4, 12, 13, 14, 15, 16}
    with pytest.raises(InputError, match="no run of 9 contiguous"):
        choose_context(available, 9, "contiguous", rng)


@given(lengths, st.integers(2, 200))
def test_uniform_context_reaches_both_ends_and_is_even(latents, count):
    assume(count <= latents)
    index = choose_context(np.arange(latents), count, "uniform")
    assert (index[0], index[-1]) == (0, latents - 1)
    assert len(set(index)) == count
    steps = np.diff(index)
    assert steps.max() - steps.min() <= 1


def test_scattered_context_is_scattered_and_repeatable():
    first, again, other = (
        choose_context(np.arange(100), 12, "scattered", np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()
    assert (np.diff(first) > 1).any()


def test_modes_that_draw_need_a_generator():
    for mode in ("scattered", "contiguous"):
        with pytest.raises(ValueError, match="give it a generator"):
            choose_context(np.arange(9), 2, mode)


def test_another_videos_latents_are_all_available():
    assert available_context(5, None).tolist() == [0, 1, 2, 3, 4]
