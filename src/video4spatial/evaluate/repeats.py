"""Asking more than once (paper, supplement 6.4 and Figure 13): a case succeeds if any of its repeats does."""

from collections.abc import Mapping, Sequence
from math import comb

from video4spatial.evaluate.metric import Value
from video4spatial.schema import InputError


def any_success(repeats: Sequence[Value], count: int) -> float:
    """The chance that ``count`` of these ``repeats``, drawn without replacement, hold a success:

        1 - C(R - s, n) / C(R, n),    R repeats, s of them successes, n = count,

    which uses every repeat at every n (Chen et al., "Evaluating Large Language Models Trained on Code", 2021). With
    n = R it is whether any succeeded. A repeat without a value is no success.

    Raises:
        InputError: ``count`` is not between 1 and the number of repeats.
    """
    if not 1 <= count <= len(repeats):
        raise InputError(f"{count} of {len(repeats)} repeats cannot be drawn: make more videos with --repeats")
    failures = sum(not value for value in repeats)
    return 1 - comb(failures, count) / comb(len(repeats), count)


def any_success_of_cases(cases: Mapping[str, Sequence[Value]], count: int) -> dict[str, float]:
    """``any_success`` of each case; of a case with fewer repeats than ``count``, with all that it has."""
    return {case: any_success(of, min(count, len(of))) for case, of in cases.items()}
