"""Answers are found again by what was asked, by nothing else."""

import dataclasses

import numpy as np
import pytest

from video4spatial.curate.prompts import DESCRIPTION, describe_clip, list_objects
from video4spatial.schema import InputError
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.cache import AnswerCache, content_key
from video4spatial.vlm.question import FrameSource, Question, RawAnswer, VLMUnavailable

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)


def test_the_key_is_model_prompt_schema_and_pixels():
    base = list_objects(FRAMES[0])
    moved = dataclasses.replace(base, source=FrameSource("elsewhere", (5,)))
    assert content_key("m", moved) == content_key("m", list_objects(FRAMES[0].copy()))
    dotted = FRAMES[0].copy()
    dotted[5, 7, 2] ^= 1
    others = [
        ("m2", base),
        ("m", dataclasses.replace(base, prompt=base.prompt + " ")),
        ("m", dataclasses.replace(base, answer=DESCRIPTION)),
        ("m", list_objects(dotted)),
        ("m", list_objects(FRAMES[0].reshape(8, 6, 3))),
        ("m", list_objects(FRAMES[0], "pixels")),
        ("m", describe_clip(FRAMES, "chair", [1, 2, 3, 4])),
        ("m", describe_clip(FRAMES[::-1], "chair", [1, 2, 3, 4])),
        ("m", describe_clip(FRAMES, "chair", [1, 2, 3, 5])),
    ]
    keys = {content_key(*other) for other in others} | {content_key("m", base)}
    assert len(keys) == len(others) + 1
    strided = np.concatenate([FRAMES[0], FRAMES[1]], axis=1)[:, :8]
    assert content_key("m", list_objects(strided)) == content_key("m", base)


def test_two_caches_on_one_file_see_each_other(tmp_path):
    one, other = AnswerCache(tmp_path / "a"), AnswerCache(tmp_path / "a")
    key = content_key("m", list_objects(FRAMES[0]))
    assert other.get(key) is None
    one.put(key, RawAnswer("für \ud800 you", "length"), "m")
    assert (
        other.get(key) == one.get(key) == AnswerCache(tmp_path / "a").get(key) == RawAnswer("für \ud800 you", "length")
    )
    other.put(key, RawAnswer("later"), "m")
    assert AnswerCache(tmp_path / "a").get(key) == RawAnswer("für \ud800 you", "length")  # the first one counts
    assert len(AnswerCache(tmp_path / "a")) == 1


def test_another_file_is_not_taken_for_a_cache(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(InputError, match=r"log\.jsonl holds something else"):
        AnswerCache(tmp_path / "log.jsonl")


class Moody:
    """Answers with the first pixel; fails at one question."""

    identity, concurrency = "moody", 3

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at, self.seen = fails_at, []

    def ask(self, question: Question) -> RawAnswer:
        number = int(question.images[0][0, 0, 0])
        self.seen.append(number)
        if number == self.fails_at:
            raise VLMUnavailable("gone")
        return RawAnswer(str(number))


def numbered(count: int) -> list[Question]:
    return [list_objects(np.full((2, 2, 3), i, np.uint8)) for i in range(count)]


def test_an_error_comes_in_its_turn_and_everything_answered_is_kept(tmp_path):
    asker = Asker(Moody(fails_at=5), AnswerCache(tmp_path / "a"))
    given = []
    with pytest.raises(VLMUnavailable, match="gone"):
        given.extend(raw.text for _, raw in asker.answers(numbered(20)))
    assert given == ["0", "1", "2", "3", "4"]
    kept = set(asker.vlm.seen) - {5}
    assert len(AnswerCache(tmp_path / "a")) == len(kept) >= 5

    again = Asker(Moody(), AnswerCache(tmp_path / "a"))
    assert [raw.text for _, raw in again.answers(numbered(20))] == [str(i) for i in range(20)]
    assert set(again.vlm.seen) == set(range(20)) - kept
    assert len(again.vlm.seen) == again.asked == 20 - len(kept)


def test_a_caller_that_stops_early_keeps_what_was_on_its_way(tmp_path):
    asker = Asker(Moody(), AnswerCache(tmp_path / "a"))
    answers = asker.answers(numbered(20))
    next(answers)
    answers.close()
    assert len(AnswerCache(tmp_path / "a")) == len(asker.vlm.seen) == asker.asked
