"""The path being edited: steps and undo, limits, what a drag is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from video4spatial.app.editor.edit import MAX_WAYPOINTS, PathEdit
from video4spatial.geometry.paths import Waypoint, interpolate
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.schema import InputError

place, angle = st.floats(-5, 5), st.floats(-3, 3)
waypoint = st.builds(Waypoint, place, place, place, angle, st.floats(-1.2, 1.2), angle)


class Steps(RuleBasedStateMachine):
    """Any sequence of steps, compared with a plain list of all states that were."""

    @initialize(waypoints=st.lists(waypoint, min_size=1, max_size=4))
    def begin(self, waypoints):
        self.path = PathEdit(waypoints, frames=9)
        self.past, self.future = [], []

    def step(self, change, *arguments):
        before = self.path.waypoints
        try:
            change(*arguments)
        except InputError:
            assert self.path.waypoints == before
            return
        if self.path.waypoints != before:
            self.past.append(before)
            self.future = []

    @rule(point=st.none() | waypoint)
    def add(self, point):
        self.step(self.path.add, point)

    @rule(index=st.integers(-1, 10), point=st.none() | waypoint)
    def insert(self, index, point):
        self.step(self.path.insert, index, point)

    @rule(index=st.integers(-1, 10))
    def remove(self, index):
        self.step(self.path.remove, index)

    @rule(index=st.integers(-1, 10), x=st.floats(), y=place, z=place)
    def move(self, index, x, y, z):
        self.step(self.path.move, index, x, y, z)

    @rule(index=st.integers(-1, 10), yaw=st.floats(), pitch=angle, roll=angle)
    def turn(self, index, yaw, pitch, roll):
        self.step(self.path.turn, index, yaw, pitch, roll)

    @rule(points=st.lists(waypoint, max_size=11))
    def replace_all(self, points):
        self.step(self.path.replace_all, points)

    @rule(index=st.integers(0, 8), points=st.lists(waypoint, min_size=1, max_size=4))
    def drag(self, index, points):
        def dragged():
            self.path.begin_gesture()
            try:
                for point in points:
                    self.path.place(index, point.pose)
            finally:
                self.path.end_gesture()

        self.step(dragged)

    @precondition(lambda self: self.past)
    @rule()
    def undo(self):
        self.future.append(self.path.waypoints)
        assert self.path.undo()
        assert self.path.waypoints == self.past.pop()

    @precondition(lambda self: self.future)
    @rule()
    def redo(self):
        self.past.append(self.path.waypoints)
        assert self.path.redo()
        assert self.path.waypoints == self.future.pop()

    @invariant()
    def holds(self):
        assert self.path.can_undo == bool(self.past)
        assert self.path.can_redo == bool(self.future)
        assert 1 <= len(self.path) <= 9
        np.testing.assert_array_equal(self.path.poses(), interpolate(self.path.waypoints, 9))


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_added_a_metre_ahead_inserted_half_way():
    path = PathEdit([Waypoint(yaw=np.pi / 2)])
    assert path.add() == 1
    np.testing.assert_allclose(path.waypoints[1].row, (1, 0, 0, np.pi / 2, 0, 0), atol=1e-12)
    path.put(1, Waypoint(x=1.0))
    assert path.insert(1) == 1
    np.testing.assert_allclose(path.waypoints[1].row, (0.5, 0, 0, np.pi / 4, 0, 0), atol=1e-12)
    assert path.insert(3) == 3
    assert len(path) == 4


def test_a_drag_is_one_step_and_keeps_angles_as_written():
    """Yaw 200 degrees is not rewritten to -160 by a drag that only moves."""
    path = PathEdit([Waypoint(), Waypoint(yaw=np.radians(200))])
    path.begin_gesture()
    for x in (0.1, 0.2, 0.3):
        path.place(1, pose_from_waypoint([x, 0, 0], np.radians(200)))
    path.end_gesture()
    assert path.waypoints[1].row == (0.3, 0, 0, np.radians(200), 0, 0)
    path.place(1, pose_from_waypoint([0.3, 0, 0], np.radians(100), 0.2))
    np.testing.assert_allclose(path.waypoints[1].row, (0.3, 0, 0, np.radians(100), 0.2, 0), atol=1e-12)
    path.undo()
    path.undo()
    assert path.waypoints == [Waypoint(), Waypoint(yaw=np.radians(200))]
    assert not path.undo()
    assert path.redo()
    assert path.waypoints[1].x == 0.3


def test_undo_in_the_middle_of_a_drag_takes_the_drag_back():
    path = PathEdit()
    path.begin_gesture()
    path.move(0, 1, 2, 3)
    path.undo()
    assert path.waypoints == [Waypoint()]


@given(st.lists(waypoint, min_size=1, max_size=5), st.integers(-3, 12))
def test_frames(waypoints, frames):
    path = PathEdit(waypoints)
    if frames < len(waypoints):
        with pytest.raises(InputError, match=f"give {len(waypoints)} to"):
            path.set_frames(frames)
        assert path.frames == 81
    else:
        path.set_frames(frames)
        assert path.poses().shape == (frames, 4, 4)


def test_steps_that_no_longer_fit_are_forgotten():
    path = PathEdit([Waypoint(z=float(z)) for z in range(5)])
    path.replace_all([Waypoint()])
    path.move(0, 1, 0, 0)
    path.set_frames(3)
    assert path.undo()
    assert path.waypoints == [Waypoint()]
    assert not path.undo()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.move(1, 101, 0, 0), r"waypoint 1: x is 101 m, give a place within 100 m"),
        (lambda path: path.move(1, 0, float("nan"), 0), "waypoint 1: y is nan, give a finite number"),
        (lambda path: path.turn(0, 0, 0, 7), "waypoint 0: roll is 401.07 degrees, give at most a full turn"),
        (lambda path: path.remove(2), "there is no waypoint 2: the path has 0 to 1"),
        (lambda path: path.insert(3), "cannot be inserted at 3: give 0 to 2"),
        (lambda path: path.replace_all([]), f"0 waypoints: give 1 to {MAX_WAYPOINTS}"),
        (lambda path: path.replace_all([Waypoint()] * 65), f"65 waypoints: give 1 to {MAX_WAYPOINTS}"),
        (lambda path: path.place(0, np.diag([1.0, 1.0, -1.0, 1.0])), "waypoint 0: pose 0 is left-handed"),
        (lambda path: path.set_frames(1), "1 frames for 2 waypoints: give 2 to"),
        (lambda path: PathEdit(frames=0), "a path of 0 frames: give 1 to"),
        (lambda path: PathEdit([Waypoint()] * 3, frames=2), "3 waypoints: give 1 to 2 for a path of 2 frames"),
    ],
)
def test_refused(change, message):
    path = PathEdit([Waypoint(), Waypoint(z=1.0)])
    with pytest.raises(InputError, match=message):
        change(path)
    assert path.waypoints == [Waypoint(), Waypoint(z=1.0)]
    assert not path.can_undo


def test_the_start_alone_cannot_be_removed():
    with pytest.raises(InputError, match="move it instead"):
        PathEdit().remove(0)
