import pytest

from video4spatial.rooms import Room, make_room
from video4spatial.schema import Intrinsics


@pytest.fixture(scope="session")
def rooms() -> list[Room]:
    """Six furnished rooms with coarse light."""
    return [make_room(seed, quality=0.3, rays=2) for seed in (0, 1, 2, 3, 7, 11)]


@pytest.fixture(scope="session")
def room(rooms: list[Room]) -> Room:
    return rooms[4]


@pytest.fixture(scope="session")
def camera() -> Intrinsics:
    return Intrinsics.from_horizontal_fov(72.0, 96, 64)
