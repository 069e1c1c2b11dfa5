"""Small easy rooms, made once for the tests of this folder."""

import pytest
from video4spatial.evaluate.benchmark import GroundingCase, grounding_cases

from video4spatial.data.rooms import RoomsConfig

EASY = RoomsConfig(frames=41, tail_frames=8, difficulty=0.0, quality=0.2, rays=2)


@pytest.fixture(scope="session")
def easy() -> RoomsConfig:
    return EASY


@pytest.fixture(scope="session")
def easy_cases() -> list[GroundingCase]:
    return list(grounding_cases(20, EASY, 41))
