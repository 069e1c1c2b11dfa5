"""The held-out cases: what they promise to a model and to a judge."""

import json
from dataclasses import replace

import numpy as np
import pytest
from video4spatial.evaluate.benchmark import grounding_cases, navigation_cases

from video4spatial.data.rooms import HELD_OUT_SEED
from video4spatial.geometry.boxes import centre_rule, iou, read_red_box
from video4spatial.rooms import object_box
from video4spatial.schema import InputError


def test_navigation_goes_on_from_the_context(easy):
    for case in navigation_cases(2, easy, 17):
        assert case.room_seed >= HELD_OUT_SEED
        assert (len(case.context), len(case.path), len(case.truth)) == (41, 17, 17)
        assert (case.truth.frames[0] == case.context.frames[-1]).all()
        room = easy.room(case.room_seed)
        assert (room.render(case.path.c2w[[0, 9]], case.path.intrinsics).rgb == case.truth.frames[[0, 9]]).all()
        steps = np.linalg.norm(np.diff(case.path.c2w[:, :3, 3], axis=0), axis=1)
        assert 0.1 < steps.sum() < 2  # it walks on


def test_navigation_is_deterministic_whatever_the_count(easy):
    several, one = list(navigation_cases(2, easy, 17)), next(navigation_cases(1, easy, 17))
    assert [case.room_seed for case in several] == [HELD_OUT_SEED, HELD_OUT_SEED + 1]
    assert (one.context.frames == several[0].context.frames).all()
    assert (one.path.c2w == several[0].path.c2w).all()
    later = next(navigation_cases(1, easy, 17, first_seed=several[1].room_seed))
    assert (later.truth.frames == several[1].truth.frames).all()


def test_grounding_is_deterministic(easy, easy_cases):
    again = list(grounding_cases(2, easy, 41))
    for case, same in zip(easy_cases, again, strict=False):
        assert case.to_manifest() == same.to_manifest()
        assert (case.truth.frames == same.truth.frames).all()
        assert (case.context.frames == same.context.frames).all()


def test_grounding_asks_for_what_was_seen_and_ends_there(easy_cases):
    seeds = [case.room_seed for case in easy_cases]
    assert seeds == sorted(set(seeds))
    assert seeds[0] >= HELD_OUT_SEED
    for case in easy_cases:
        seen = case.room.instances(case.context_c2w, case.intrinsics) == case.object_id
        assert seen.mean(axis=(1, 2)).max() >= 0.005
        assert np.allclose(case.truth_c2w[0], case.context_c2w[-1])
        assert len(case.context) == len(case.truth) == 41
        assert np.abs(case.truth.frames[0].astype(int) - case.context.frames[-1]).mean() < 1
        last = case.room.instances(case.truth_c2w[-1:], case.intrinsics)[0]
        box = object_box(last, case.object_id)
        assert box is not None
        assert iou(case.box, box) > 0.85  # the truth's own box is read from a supersampled rendering
        assert centre_rule(case.box, 96, 64)
        made = case.room.object(case.object_id)
        assert case.target.removeprefix("the ") == f"{made.colour} {made.category}".strip()
        read = read_red_box(case.truth.frames[-case.tail_frames :], case.truth.frames[-case.tail_frames - 2 :][:2])
        assert read is None or iou(read[0], case.box) > 0.6


def test_manifests_are_json(easy, easy_cases):
    for case in (easy_cases[0], next(navigation_cases(1, easy, 17))):
        manifest = case.to_manifest()
        assert json.loads(json.dumps(manifest)) == manifest
        assert manifest["room_seed"] == case.room_seed


def test_rooms_that_are_trained_on_are_refused(easy):
    for make in (navigation_cases, grounding_cases):
        with pytest.raises(InputError, match="trained on"):
            make(1, easy, 17, first_seed=HELD_OUT_SEED - 1)
        with pytest.raises(InputError, match="at least 1"):
            make(0, easy, 17)
        with pytest.raises(InputError, match="4k\\+1"):
            make(1, easy, 18)
        with pytest.raises(InputError, match="4k\\+1"):
            make(1, replace(easy, frames=40), 17)
    with pytest.raises(InputError, match="box tail"):
        grounding_cases(1, easy, 9)
