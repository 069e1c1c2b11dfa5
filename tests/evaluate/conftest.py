"""Small easy rooms, made once for the tests of this folder."""

from dataclasses import replace

import pytest

from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.cases import CaseContent
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.rooms_cases import RoomsSettings, rooms_benchmark

EASY = RoomsSettings(
    rooms=20,
    grounding=20,
    navigation=0,
    absent=0,
    context_frames=41,
    frames=41,
    difficulty=0.0,
    quality=0.2,
    rays=2,
    cloud_points=500,
)


@pytest.fixture(scope="session")
def easy_cases() -> list[CaseContent]:
    benchmark = rooms_benchmark("easy", EASY)
    return list(open_contents(benchmark).of(benchmark.cases))


@pytest.fixture(scope="session")
def tiny_benchmark() -> Benchmark:
    """One room, two cases a task."""
    whole = open_benchmark("rooms:tiny")
    one = whole.cases[0].scene_id
    return replace(whole, cases=tuple(case for case in whole.cases if case.scene_id == one))


@pytest.fixture(scope="session")
def tiny_contents(tiny_benchmark) -> list[CaseContent]:
    return list(open_contents(tiny_benchmark).of(tiny_benchmark.cases))
