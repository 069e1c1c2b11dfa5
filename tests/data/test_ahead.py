"""Reading ahead: exact order whatever the threads do, errors where they belong, nothing left behind."""

import itertools
import threading
import time

import pytest

from video4spatial.data.ahead import ReadAhead
from video4spatial.schema import InputError


def counting(key: int):
    return itertools.count(key + 1)


@pytest.mark.parametrize("readers", [1, 3, 8])
@pytest.mark.parametrize("ahead", [1, 5])
def test_the_order_is_that_of_the_asking(readers, ahead):
    """Early keys take longest, so that threads finish out of order."""

    def make(key: int) -> int:
        time.sleep(0.004 * (key % 4 == 0))
        return key * key

    read = ReadAhead(make, counting, readers, ahead)
    assert [read(key) for key in range(20)] == [key * key for key in range(20)]
    assert read(3) == 9  # out of turn, as after a resumed run's first step
    assert [read(key) for key in (4, 5)] == [16, 25]
    read.close()


def test_it_reads_ahead_but_only_so_far():
    made: list[int] = []
    read = ReadAhead(lambda key: made.append(key) or key, counting, readers=2, ahead=3)
    read(0)
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert sorted(made) == [0, 1, 2, 3]
    read(1)
    read.close()
    assert sorted(made) in ([0, 1, 2, 3], [0, 1, 2, 3, 4])  # closing may drop what had not begun
    assert len(made) == len(set(made))


def test_an_error_is_raised_where_its_key_is_asked_for():
    def make(key: int) -> int:
        if key == 2:
            raise InputError("shard 7 is damaged")
        return key

    read = ReadAhead(make, counting, readers=2, ahead=4)
    assert [read(0), read(1)] == [0, 1]
    with pytest.raises(InputError, match="shard 7 is damaged"):
        read(2)
    assert read(3) == 3
    read.close()


def test_no_thread_is_left():
    before = set(threading.enumerate())
    read = ReadAhead(lambda key: key, counting, readers=4, ahead=8)
    read(0)
    read.close()
    assert set(threading.enumerate()) == before
