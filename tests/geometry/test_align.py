"""Umeyama by axioms and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.geometry.align import umeyama
from video4spatial.geometry.poses import rotation_from_angles
from video4spatial.schema import InputError

seeds = st.integers(0, 2**32 - 1)


def test_by_hand():
    """Twice the size, a quarter turn about z (x to y), moved by (1, 2, 3)."""
    source = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    target = np.array([[1.0, 2, 3], [1, 4, 3], [-1, 2, 3], [1, 2, 5]])
    scale, rotation, t = umeyama(source, target)
    assert scale == pytest.approx(2)
    np.testing.assert_allclose(rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(t, [1, 2, 3], atol=1e-12)


@given(seeds, st.floats(0.01, 100), st.booleans())
def test_recovers_any_similarity(seed, scale, planar):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(8, 3)) * [1, 1, 0 if planar else 1]  # points of one plane determine it, too
    rotation, t = rotation_from_angles(*rng.uniform(-1.5, 1.5, 3)), rng.normal(size=3)
    got_scale, got_rotation, got_t = umeyama(source, scale * source @ rotation.T + t)
    assert got_scale == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(got_rotation, rotation, atol=1e-6)
    np.testing.assert_allclose(got_t, t, atol=1e-5 * max(1, scale))


@given(seeds)
def test_without_scale_keeps_size_and_is_best(seed):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    scale, rotation, t = umeyama(source, target, with_scale=False)
    assert scale == 1.0
    error = ((source @ rotation.T + t - target) ** 2).sum()
    nudge = rotation @ rotation_from_angles(*rng.normal(0, 0.05, 3))
    assert ((source @ nudge.T + target.mean(0) - nudge @ source.mean(0) - target) ** 2).sum() >= error - 1e-9


@given(seeds)
def test_a_reflection_is_answered_by_a_rotation(seed):
    source = np.random.default_rng(seed).normal(size=(7, 3))
    _, rotation, _ = umeyama(source, source * [-1, 1, 1])
    assert np.linalg.det(rotation) == pytest.approx(1)


line = np.outer(np.arange(5.0), [1, 2, 3])
spread = np.random.default_rng(0).normal(size=(5, 3))


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (spread[:2], spread[:2], "at least 3"),
        (line, spread, "source points lie on one line"),
        (spread, line + 7, "target points lie on one line"),
        (np.ones((5, 3)), spread, "in one place"),
        (spread, np.where(np.eye(5, 3) > 0, np.nan, spread), "NaN"),
    ],
)
def test_degenerate(source, target, message):
    with pytest.raises(InputError, match=message):
        umeyama(source, target)
