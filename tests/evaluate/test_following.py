"""Camera-following error by hand and by axioms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.evaluate.following import following_error
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.schema import InputError


def path(count=4):
    return np.stack([pose_from_waypoint([0, 0, 0.5 * k], yaw=0.1 * k) for k in range(count)])


def test_by_hand():
    """One frame 0.3 m too far left, one turned by 10 degrees."""
    asked = path()
    got = asked.copy()
    got[1] = pose_from_waypoint([0, 0, 0], 0.0) @ asked[1]
    got[1, 0, 3] -= 0.3
    got[3] = got[3] @ pose_from_waypoint([0, 0, 0], yaw=np.radians(10))
    result = following_error(got, np.ones(4, bool), asked)
    assert result.metres == pytest.approx(0.1)
    assert result.most_metres == pytest.approx(0.3)
    assert result.degrees == pytest.approx(10 / 3)
    assert result.most_degrees == pytest.approx(10)
    assert result.found == 1


@given(st.integers(0, 2**32 - 1))
def test_where_the_path_begins_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    elsewhere = pose_from_waypoint(rng.normal(0, 3, 3), *rng.normal(0, 1, 3))
    result = following_error(elsewhere @ path(), np.ones(4, bool), path())
    assert result.metres == pytest.approx(0, abs=1e-9)
    assert result.degrees == pytest.approx(0, abs=1e-5)


def test_frames_that_were_not_found_do_not_count():
    got = path()
    got[2, :3, 3] += 100
    result = following_error(got, np.array([True, True, False, True]), path())
    assert result.metres == pytest.approx(0, abs=1e-12)
    assert result.found == pytest.approx(2 / 3)


def test_what_cannot_be_told_has_a_reason():
    assert "first frame" in following_error(path(), np.array([False, True, True, True]), path()).reason
    alone = following_error(path(), np.array([True, False, False, False]), path())
    assert "no frame but the first" in alone.reason
    assert alone.metres is None
    with pytest.raises(InputError, match="4 recovered poses"):
        following_error(path(), np.ones(4, bool), path(5))
