"""The server back end against a loopback stub: every outcome counted, nothing lost, nothing asked twice."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from vlm.stub_server import HEIGHT, WIDTH, Reply, StubServer, good, numbered

from video4spatial.curate.answers import Outcome, parse_objects
from video4spatial.curate.prompts import OBJECTS
from video4spatial.schema import InputError
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.cache import AnswerCache
from video4spatial.vlm.question import RawAnswer, VLMUnavailable
from video4spatial.vlm.server import ServerVLM

SOON = {"retry-after-ms": "5"}  # the client waits half a second otherwise
BUSY = Reply(status=429, headers=SOON)
BROKEN = Reply(status=500, headers=SOON)


def outcome(raw: RawAnswer) -> Outcome:
    return parse_objects(raw, WIDTH, HEIGHT).outcome


def outcomes(asker: Asker, count: int) -> list[Outcome]:
    return [outcome(raw) for _, raw in asker.answers(numbered(i) for i in range(count))]


#: what is answered (the last one again and again), what it comes to, whether it is kept
SCRIPT: list[tuple[list[Reply], Outcome, bool]] = [
    ([Reply(good())], Outcome.FOUND, True),
    ([Reply(f"```json\n{good()}\n```")], Outcome.FOUND, True),
    ([Reply("[{'bbox_2d': [1, 2, 3, 4], 'label': 'chair',}]")], Outcome.FOUND, True),
    ([BUSY, BUSY, Reply(good())], Outcome.FOUND, True),
    ([BROKEN, Reply(good())], Outcome.FOUND, True),
    ([Reply(status=503, headers=SOON), Reply("")], Outcome.EMPTY, True),
    ([Reply(hang_up=True), Reply(good())], Outcome.FOUND, True),
    ([Reply(good(), cut=True), Reply(good())], Outcome.FOUND, True),
    ([Reply(delay=0.7), Reply(good())], Outcome.FOUND, True),
    ([Reply('{"objects": []}')], Outcome.NOTHING, True),
    ([Reply("")], Outcome.EMPTY, True),
    ([Reply(None)], Outcome.EMPTY, True),
    ([Reply("There is a chair in the middle.")], Outcome.MALFORMED, True),
    ([Reply('{"things": [1]}')], Outcome.MALFORMED, True),
    ([Reply('{"objects": [{"bbox_2d": "1 2 3 4", "label": "chair"}]}')], Outcome.MALFORMED, True),
    ([Reply(good()[:-7])], Outcome.TRUNCATED, True),
    ([Reply(good(), finish="length")], Outcome.TRUNCATED, True),
    ([Reply(good(bbox_2d=(400, 400, 600, 1001)))], Outcome.OUT_OF_RANGE, True),
    ([Reply(good(bbox_2d=(600, 400, 400, 600)))], Outcome.SWAPPED, True),
    ([Reply("I'm sorry, but I can't help with that.")], Outcome.REFUSED, True),
    ([Reply(None, refusal="I will not.")], Outcome.REFUSED, True),
    ([Reply("", finish="content_filter")], Outcome.REFUSED, True),
    ([Reply(status=400)], Outcome.REJECTED, False),
    ([Reply(status=413)], Outcome.REJECTED, False),
    ([Reply(raw=b"[1, 2]")], Outcome.REJECTED, False),
    ([Reply(raw=b'{"choices": []}')], Outcome.REJECTED, False),
    ([Reply(raw=b'{"choices": [{"mess')], Outcome.REJECTED, False),
    ([Reply(raw=b"<html>", headers={"Content-Type": "text/html"})], Outcome.REJECTED, False),
]


def scripted(number: int, attempt: int) -> Reply:
    replies = SCRIPT[number][0]
    return replies[min(attempt, len(replies) - 1)]


def test_every_outcome_is_counted_and_a_rerun_asks_only_what_was_not_kept(tmp_path: Path):
    expected = [outcome for _, outcome, _ in SCRIPT]
    kept = [keep for _, _, keep in SCRIPT]
    with StubServer(scripted) as stub:
        asker = Asker(
            ServerVLM("stub", stub.url, concurrency=4, timeout=0.5, rejections=99), AnswerCache(tmp_path / "a")
        )
        assert outcomes(asker, len(SCRIPT)) == expected
        assert asker.asked == len(SCRIPT)
        assert asker.vlm.requests == stub.asked.total() == sum(len(replies) for replies, _, _ in SCRIPT)

        stub.asked.clear()
        again = Asker(ServerVLM("stub", stub.url, timeout=0.5, rejections=99), AnswerCache(tmp_path / "a"))
        first_replies = [i for i, (replies, _, _) in enumerate(SCRIPT) if len(replies) > 1]
        assert all(kept[i] for i in first_replies)  # so that what is asked again is answered the same again
        assert outcomes(again, len(SCRIPT)) == expected
        assert sorted(stub.asked) == [i for i, keep in enumerate(kept) if not keep]
        assert (again.asked, again.remembered) == (kept.count(False), kept.count(True))


def test_the_request_is_what_the_protocol_says():
    with StubServer(lambda *_: Reply(good())) as stub:
        ServerVLM("some-model", stub.url, max_tokens=77).ask(numbered(300))
    (body,) = stub.bodies
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("some-model", 77, 0.0)
    assert body["response_format"]["json_schema"]["schema"] == OBJECTS.schema
    assert [part["type"] for part in body["messages"][0]["content"]] == ["image_url", "text"]
    assert body["messages"][0]["content"][1]["text"] == numbered(300).prompt
    assert list(stub.asked) == [300]


def test_as_many_at_once_as_allowed_and_in_order(tmp_path: Path):
    with StubServer(lambda number, _: Reply(good(f"chair {number}"), delay=0.03 * (5 - number % 5))) as stub:
        asker = Asker(ServerVLM("stub", stub.url, concurrency=3), AnswerCache(tmp_path / "a"))
        labels = [
            parse_objects(raw, WIDTH, HEIGHT).objects[0].label
            for _, raw in asker.answers(numbered(i) for i in range(15))
        ]
    assert labels == [f"chair {i}" for i in range(15)]
    assert stub.most_open == 3


def test_questions_are_taken_only_as_there_is_room(tmp_path: Path):
    taken: list[int] = []

    def questions():
        for i in range(100):
            taken.append(i)
            yield numbered(i)

    with StubServer(lambda *_: Reply(good())) as stub:
        answers = Asker(ServerVLM("stub", stub.url, concurrency=2), AnswerCache(tmp_path / "a")).answers(questions())
        next(answers)
        answers.close()
    assert len(taken) <= 5


def test_the_same_question_at_the_same_time_is_asked_once(tmp_path: Path):
    with StubServer(lambda *_: Reply(good(), delay=0.1)) as stub:
        asker = Asker(ServerVLM("stub", stub.url), AnswerCache(tmp_path / "a"))
        answers = [raw.text for _, raw in asker.answers(numbered(0) for _ in range(5))]
    assert answers == [good()] * 5
    assert stub.asked == Counter({0: 1})
    assert (asker.asked, asker.remembered) == (1, 4)


def test_retry_after_is_waited_for():
    replies = [Reply(status=429, headers={"Retry-After": "1"}), Reply(good())]  # by itself it waits 0.5 s at the most
    with StubServer(lambda _, attempt: replies[attempt]) as stub:
        assert outcome(ServerVLM("stub", stub.url).ask(numbered(0))) is Outcome.FOUND
    (_, first), (_, second) = stub.times
    assert second - first >= 1.0


def test_the_rate_limit_counts_retries_too():
    with StubServer(lambda _, attempt: Reply(good()) if attempt else BUSY) as stub:
        vlm = ServerVLM("stub", stub.url, requests_per_minute=600)
        began = time.monotonic()
        for i in range(3):
            vlm.ask(numbered(i))
    assert vlm.requests == 6
    assert stub.times[-1][1] - began >= 5 * 0.1


def test_a_server_that_dies_loses_nothing_and_a_rerun_asks_only_the_missing(tmp_path: Path):
    alive = True
    served: set[int] = set()

    def behave(number: int, _: int) -> Reply:
        nonlocal alive
        alive = alive and len(served) < 7
        if not alive:
            return Reply(status=503, headers=SOON)
        served.add(number)
        return Reply(good(f"chair {number}"))

    with StubServer(behave) as stub:
        asker = Asker(ServerVLM("stub", stub.url, concurrency=3, retries=2), AnswerCache(tmp_path / "a"))
        given = []
        with pytest.raises(VLMUnavailable, match=r"503 after all retries.*run again"):
            given.extend(number for number, _ in enumerate(asker.answers(numbered(i) for i in range(20))))
        assert len(given) <= 7
        kept = AnswerCache(tmp_path / "a")
        assert len(kept) == len(served) == 7

        before, stub.behave = dict(stub.asked), lambda number, _: Reply(good(f"chair {number}"))
        again = Asker(ServerVLM("stub", stub.url, concurrency=3), AnswerCache(tmp_path / "a"))
        assert outcomes(again, 20) == [Outcome.FOUND] * 20
        new = {number for number, count in stub.asked.items() if count > before.get(number, 0)}
    assert new == set(range(20)) - served
    assert (again.asked, again.remembered) == (13, 7)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(hang_up=True), "cannot be reached"),
        (Reply(delay=0.5), "no answer in time"),
        (BUSY, "still answers 429"),
    ],
)
def test_what_does_not_pass_has_a_name(reply: Reply, message: str):
    with StubServer(lambda *_: reply) as stub, pytest.raises(VLMUnavailable, match=message):
        ServerVLM("stub", stub.url, retries=1, timeout=0.2).ask(numbered(0))
    assert stub.asked.total() == 2


def test_no_server_at_all():
    with StubServer(lambda *_: Reply(good())) as stub:
        url = stub.url
    with pytest.raises(VLMUnavailable, match=r"127\.0\.0\.1.*cannot be reached"):
        ServerVLM("stub", url, retries=0).ask(numbered(0))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_model_or_key_is_not_asked_again(status: int):
    with StubServer(lambda *_: Reply(status=status)) as stub, pytest.raises(InputError, match=f"answers {status}.*key"):
        ServerVLM("stub", stub.url).ask(numbered(0))
    assert stub.asked.total() == 1


def test_a_server_that_takes_no_question_ends_the_run(tmp_path: Path):
    with StubServer(lambda *_: Reply(status=400)) as stub:
        asker = Asker(ServerVLM("stub", stub.url, concurrency=1, rejections=4), AnswerCache(tmp_path / "a"))
        with pytest.raises(VLMUnavailable, match="rejected 4 questions in a row"):
            outcomes(asker, 50)
    assert stub.asked.total() <= 5


def test_now_and_then_a_rejected_question_does_not_end_it(tmp_path: Path):
    with StubServer(lambda number, _: Reply(good()) if number % 2 else Reply(status=400)) as stub:
        asker = Asker(ServerVLM("stub", stub.url, concurrency=1, rejections=2), AnswerCache(tmp_path / "a"))
        assert Counter(outcomes(asker, 10)) == {Outcome.FOUND: 5, Outcome.REJECTED: 5}


def test_nothing_lost_by_kills_and_only_what_was_open_is_asked_again(tmp_path: Path):
    """A process that asks is killed (-9) five times; the sixth finishes. Same answers as if nothing had happened."""
    count, concurrency = 40, 2
    with StubServer(lambda number, _: Reply(good(f"chair {number}"), delay=0.02)) as stub:
        command = [sys.executable, str(Path(__file__).with_name("asking_worker.py")), stub.url, str(tmp_path / "a")]
        command += [str(count), str(concurrency)]
        kills = 0
        for goal in (2, 9, 17, 26, 33):
            worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            while len(stub.asked) < goal and worker.poll() is None:
                time.sleep(0.001)
            worker.kill()
            kills += worker.wait() == -9
        assert kills == 5
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [f"chair{i}" for i in range(count)]
        assert stub.asked.total() <= count + kills * concurrency
        assert set(stub.asked) == set(range(count))
    assert len(AnswerCache(tmp_path / "a")) == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, "http://localhost:8000/v1"),
        ({"concurrency": 0}, "must be positive"),
        ({"requests_per_minute": 0}, "above 0"),
    ],
)
def test_bad_settings(options: dict, message: str):
    with pytest.raises(InputError, match=message):
        ServerVLM(**{"model": "stub", "base_url": "http://127.0.0.1:9/v1", **options})
