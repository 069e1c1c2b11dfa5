"""A VLM as the judge, over the wire to a stub and through a tiny random Qwen3-VL: every case gets one outcome."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from vlm.stub_server import HEIGHT, WIDTH, Reply, StubServer, numbered

from video4spatial.evaluate.following_instructions import following
from video4spatial.evaluate.judge import Answer, JudgedClip
from video4spatial.evaluate.vlm_judge import VLMJudge, is_it_there, read_where, where_is_it
from video4spatial.schema import Box, InputError
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.cache import AnswerCache
from video4spatial.vlm.question import RawAnswer
from video4spatial.vlm.server import ServerVLM

SOON = {"retry-after-ms": "5"}
YES, NO = Reply('{"present": true}'), Reply('{"present": false}')
BOX = Reply('{"bbox_2d": [400, 400, 600, 600]}')
ASIDE = Reply('```json\n[{"bbox_2d": [0, 400, 200, 600], "label": "chair"}]\n```')
BROKEN = Reply(status=500, headers=SOON)


def clip(number: int) -> JudgedClip:
    """A video whose judged frame holds its number; the frames of its tail hold another."""
    frames = np.stack([numbered(k).images[0] for k in (0, number, 999, 999)])
    return JudgedClip(frames, "the red chair", 2)


def judge(stub: StubServer, folder: Path, **options) -> VLMJudge:
    settings = {"concurrency": 1, "timeout": 0.5, "retries": 2, "rejections": 99} | options
    return VLMJudge(Asker(ServerVLM("stub", stub.url, **settings), AnswerCache(folder / "answers")))


#: what is answered in turn, what it comes to, and whether it is found and a success
SCRIPT: list[tuple[list[Reply], Answer, tuple[bool, bool]]] = [
    ([YES, BOX], Answer.ANSWERED, (True, True)),
    ([YES, ASIDE], Answer.ANSWERED, (True, False)),
    ([NO], Answer.ANSWERED, (False, False)),
    ([BROKEN, YES, BROKEN, BOX], Answer.ANSWERED, (True, True)),
    ([Reply(delay=0.7), YES, BOX], Answer.ANSWERED, (True, True)),
    ([Reply('```json\n{"present": False}\n```')], Answer.ANSWERED, (False, False)),
    ([Reply("Yes, there is a red chair.")], Answer.NONSENSE, (False, False)),
    ([Reply('{"present": "yes"}')], Answer.NONSENSE, (False, False)),
    ([Reply('{"present": 1}')], Answer.NONSENSE, (False, False)),
    ([Reply("[true]")], Answer.NONSENSE, (False, False)),
    ([Reply("")], Answer.NONSENSE, (False, False)),
    ([Reply('{"present": tr', finish="length")], Answer.NONSENSE, (False, False)),
    ([YES, Reply("in the middle")], Answer.NONSENSE, (False, False)),
    ([YES, Reply('{"bbox_2d": []}')], Answer.NONSENSE, (False, False)),
    ([YES, Reply("[]")], Answer.NONSENSE, (False, False)),
    ([YES, Reply('[{"bbox_2d": [1, 1, 2, 2]}, {"bbox_2d": [1, 1, 2, 2]}]')], Answer.NONSENSE, (False, False)),
    ([YES, Reply('{"bbox_2d": [400, 400, 600, 1001]}')], Answer.NONSENSE, (False, False)),
    ([YES, Reply('{"bbox_2d": [600, 400, 400, 600]}')], Answer.NONSENSE, (False, False)),
    ([YES, Reply('{"bbox_2d": [400, 400, 400, 600]}')], Answer.NONSENSE, (False, False)),
    ([Reply("I'm sorry, but I can't help with that.")], Answer.REFUSED, (False, False)),
    ([YES, Reply(None, refusal="I will not.")], Answer.REFUSED, (False, False)),
    ([Reply(status=400)], Answer.REJECTED, (False, False)),
    ([YES, Reply(raw=b"[1, 2]")], Answer.REJECTED, (False, False)),
]


def scripted(number: int, attempt: int) -> Reply:
    replies = SCRIPT[number][0]
    return replies[min(attempt, len(replies) - 1)]


def test_every_case_has_one_outcome_and_the_totals_add_up(tmp_path: Path):
    with StubServer(scripted) as stub:
        verdicts = list(judge(stub, tmp_path).verdicts(clip(i) for i in range(len(SCRIPT))))
        assert stub.asked.total() == sum(len(replies) for replies, _, _ in SCRIPT)
    assert [verdict.outcome for verdict in verdicts] == [outcome for _, outcome, _ in SCRIPT]
    assert [(verdict.found, verdict.success) for verdict in verdicts] == [found for _, _, found in SCRIPT]
    assert verdicts[0].box == Box(0.4 * WIDTH, 0.4 * HEIGHT, 0.6 * WIDTH, 0.6 * HEIGHT)
    assert verdicts[0].raw == f"{YES.content}\n{BOX.content}"
    assert all(verdict.reason for verdict in verdicts if verdict.outcome is not Answer.ANSWERED)
    scores = following(verdicts)
    assert scores.outcomes == Counter(outcome for _, outcome, _ in SCRIPT) | dict.fromkeys(
        (Answer.UNAVAILABLE, Answer.UNUSABLE), 0
    )
    assert sum(scores.outcomes.values()) == scores.cases == len(SCRIPT)
    assert (scores.found, scores.unjudged) == (4, 2)
    assert scores.rate.mean == pytest.approx(3 / len(SCRIPT))


def test_what_is_asked(tmp_path: Path):
    with StubServer(lambda _, attempt: BOX if attempt else YES) as stub:
        next(judge(stub, tmp_path).verdicts([clip(7)]))
    first, second = (body["messages"][0]["content"][1]["text"] for body in stub.bodies)
    assert stub.asked == Counter({7: 2})  # the frame ahead of the tail, both times
    assert first == is_it_there(clip(7).frame, "the red chair").prompt
    assert second == where_is_it(clip(7).frame, "the red chair").prompt
    assert all('"the red chair"' in text for text in (first, second))
    assert [body["response_format"]["json_schema"]["name"] for body in stub.bodies] == ["present", "where"]


def test_a_server_that_is_down_is_an_outcome_of_every_case(tmp_path: Path):
    with StubServer(lambda *_: YES) as stub:
        down = stub
    verdicts = list(judge(down, tmp_path, retries=0).verdicts(clip(i) for i in range(3)))
    assert [verdict.outcome for verdict in verdicts] == [Answer.UNAVAILABLE] * 3
    assert "cannot be reached" in verdicts[2].reason
    assert following(verdicts).unjudged == 3


def test_one_that_dies_loses_nothing_and_judging_again_asks_the_rest(tmp_path: Path):
    served = 0

    def behave(_: int, attempt: int) -> Reply:
        nonlocal served
        served += 1
        return (BOX if attempt else YES) if served <= 6 else Reply(status=503, headers=SOON)

    with StubServer(behave) as stub:
        verdicts = list(judge(stub, tmp_path, retries=0).verdicts(clip(i) for i in range(4)))
        assert [verdict.outcome for verdict in verdicts] == [Answer.ANSWERED] * 2 + [Answer.UNAVAILABLE] * 2
        stub.asked.clear()
        stub.behave = lambda *_: BOX
        again = judge(stub, tmp_path, retries=0)
        assert all(verdict.success for verdict in again.verdicts(clip(i) for i in range(4)))
        assert stub.asked == Counter({2: 1, 3: 1})


def test_a_wrong_model_is_an_error_not_an_outcome(tmp_path: Path):
    with StubServer(lambda *_: Reply(status=404)) as stub, pytest.raises(InputError, match="answers 404"):
        list(judge(stub, tmp_path).verdicts([clip(0)]))


def test_boxes_in_pixels_of_what_the_model_sees():
    box = read_where(RawAnswer('{"bbox_2d": [0, 0, 210, 126]}'), 416, 256, "pixels")  # it sees 420 x 252
    assert box == Box(0, 0, 208, 128)


def test_no_clips_no_questions(tmp_path: Path):
    with StubServer(lambda *_: YES) as stub:
        assert list(judge(stub, tmp_path).verdicts([])) == []
    assert not stub.asked


def test_a_tiny_random_qwen_judges(tmp_path: Path):
    """The real classes in a process of their own: the tokens are random, so it talks nonsense, and that is counted."""
    worker = [sys.executable, str(Path(__file__).with_name("tiny_vlm_judge.py")), str(tmp_path)]
    quiet = os.environ | {"TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(worker, capture_output=True, text=True, env=quiet, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["outcomes"] == ["nonsense", "nonsense"]
    assert report["texts"][0] != report["texts"][1]  # it looks at the frames
    assert report["same_again"]
    assert (report["asked"], report["remembered"]) == (2, 2)
