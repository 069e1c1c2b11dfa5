"""Intervals: what a mean over few cases is worth (Efron, "Bootstrap Methods", 1979)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.stats import beta, binomtest

from video4spatial.schema import InputError

_BATCH = 1_000_000  # resampled values held at once
_ALL_SIGNS = 16  # differences up to which every pattern of signs is looked at
_SAME = 1e-12  # relative: sums as extreme as the one observed, whatever the order of adding


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: Sequence[float | int] | np.ndarray, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean of ``values`` and its percentile bootstrap interval: cases are drawn again, with replacement.

    Deterministic in ``seed``. One value, or equal ones, give an interval of no width. Raises ``InputError`` if there
    are none, one is NaN or infinite (nothing is dropped in silence), or an option is out of range.
    """
    sample = _checked(values, level)
    if resamples < 1:
        raise InputError(f"resamples is {resamples}: give at least 1")
    rng = np.random.default_rng(seed)
    rows = max(1, _BATCH // len(sample))
    means = [
        sample[rng.integers(len(sample), size=(min(rows, resamples - start), len(sample)))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def paired_difference(
    a: Sequence[float | int] | np.ndarray,
    b: Sequence[float | int] | np.ndarray,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of ``mean(a - b)``, case by case: what the cases have in common cancels out.

    Raises ``InputError`` if the lengths differ, and as ``bootstrap_interval`` does.
    """
    if len(a) != len(b):
        raise InputError(f"{len(a)} and {len(b)} values cannot be paired: give both for the same cases")
    return bootstrap_interval(_checked(a, level) - _checked(b, level), resamples, level, seed)


def paired_test(
    a: Sequence[float | int] | np.ndarray, b: Sequence[float | int] | np.ndarray, draws: int = 10_000, seed: int = 0
) -> float:
    """The p-value of ``mean(a - b)``: how often a mean at least as far from 0 comes up if each case's difference has
    its sign by the toss of a coin (Fisher, "The Design of Experiments", 1935, section 21). Two-sided.

    Exact where at most 16 differences are not 0 (every pattern of signs), and where all that are not 0 are equally
    large, as for rates (the binomial distribution: McNemar's exact test). Else ``draws`` patterns are drawn, the
    observed one counts among them, and the p-value is at least 1 / (draws + 1). 1 where no case differs. Deterministic
    in ``seed``. Raises ``InputError`` as ``paired_difference`` does.
    """
    if len(a) != len(b):
        raise InputError(f"{len(a)} and {len(b)} values cannot be paired: give both for the same cases")
    if draws < 1:
        raise InputError(f"draws is {draws}: give at least 1")
    difference = _checked(a, 0.5) - _checked(b, 0.5)
    difference = difference[difference != 0]  # a sign changes nothing there
    count, size = len(difference), np.abs(difference)
    if not count:
        return 1.0
    if np.ptp(size) <= _SAME * size.max():
        return float(binomtest(int((difference > 0).sum()), count).pvalue)
    far = abs(difference.sum()) - _SAME * size.sum()
    if count <= _ALL_SIGNS:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float((np.abs((2 * patterns - 1) @ size) >= far).mean())
    rng = np.random.default_rng(seed)
    rows = max(1, _BATCH // count)
    as_far = sum(
        int((np.abs((2 * rng.integers(2, size=(min(rows, draws - start), count)) - 1) @ size) >= far).sum())
        for start in range(0, draws, rows)
    )
    return (as_far + 1) / (draws + 1)


def rate_interval(
    outcomes: Sequence[bool] | np.ndarray, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The share of true ``outcomes`` and its interval.

    Bootstrap, except where all agree: drawing again cannot then show any doubt, so the exact bound is given (Clopper
    and Pearson, 1934; 32 of 32 may well be 89 %). Raises ``InputError`` for values that are not truth values, and as
    ``bootstrap_interval`` does.
    """
    if any(outcome not in (True, False) for outcome in outcomes):
        raise InputError("a rate is taken over truth values: give True or False for every case")
    sample = _checked([float(outcome) for outcome in outcomes], level)
    count = len(sample)
    if sample.all():
        return Interval(1.0, float(beta.ppf((1 - level) / 2, count, 1)), 1.0)
    if not sample.any():
        return Interval(0.0, 0.0, float(beta.ppf((1 + level) / 2, 1, count)))
    return bootstrap_interval(sample, resamples, level, seed)


def _checked(values: Sequence[float | int] | np.ndarray, level: float) -> Float64[np.ndarray, " n"]:
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or not len(sample):
        raise InputError(f"an interval needs a list of at least one value, not an array of shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise InputError(f"value {int(np.argmin(np.isfinite(sample)))} is NaN or infinite: measure it or leave it out")
    if not 0 < level < 1:
        raise InputError(f"level is {level}: give one between 0 and 1, such as 0.95")
    return sample
