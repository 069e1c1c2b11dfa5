"""The journal: shared by processes, and whole again after any kill."""

import fcntl
import json
import multiprocessing
import os
import random
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from video4spatial.schema import InputError
from video4spatial.storage.journal import Journal

fork = multiprocessing.get_context("fork")


def text(number: int) -> str:
    """Now and then long, so that a kill can fall into the middle of a line."""
    return f'{number} \n"ü' * (1 if number % 3 else 20_000)


def write(path: Path, numbers: range) -> None:
    journal = Journal(path)
    there = {record["number"] for _, record in journal.news()}
    for number in numbers:
        if number not in there:
            journal.append({"number": number, "text": text(number)})


def contents(path: Path) -> dict[int, str]:
    return {record["number"]: record["text"] for _, record in Journal(path).news()}


def test_what_is_written_is_read_and_found_again(tmp_path):
    path = tmp_path / "new" / "j.jsonl"
    reader, writer = Journal(path), Journal(path)
    assert list(reader.news()) == []
    writer.append({"a": 1})
    writer.append({"b": "x\ny"})
    places = list(reader.news())
    assert [record for _, record in places] == [{"a": 1}, {"b": "x\ny"}]
    assert list(reader.news()) == []
    reader.append({"c": None})
    assert [record for _, record in reader.news()] == [{"c": None}]
    assert reader.read(places[1][0]) == {"b": "x\ny"}


def test_many_processes_write_at_once(tmp_path):
    path = tmp_path / "j.jsonl"
    writers = [fork.Process(target=write, args=(path, range(40 * i, 40 * i + 40))) for i in range(4)]
    for writer in writers:
        writer.start()
    seen, reader = 0, Journal(path)
    while any(writer.is_alive() for writer in writers):
        seen += sum(1 for _ in reader.news())
    for writer in writers:
        writer.join()
    assert seen + sum(1 for _ in reader.news()) == 160
    assert reader.damaged == 0
    assert contents(path) == {number: text(number) for number in range(160)}


def test_a_writer_waits_for_the_one_who_writes(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.append({"number": 0, "text": "x"})
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=journal.append, args=({"number": 1, "text": "y"},))
        thread.start()
        thread.join(timeout=0.1)
        assert thread.is_alive()
        assert contents(path) == {0: "x"}
        fcntl.flock(other, fcntl.LOCK_UN)
        thread.join(timeout=60)
    assert contents(path) == {0: "x", 1: "y"}


def test_killed_at_random_moments_then_resumed_it_holds_the_same(tmp_path):
    path, rng = tmp_path / "j.jsonl", random.Random(7)
    kills = 0
    for _ in range(20):
        writer = fork.Process(target=write, args=(path, range(300)))
        writer.start()
        time.sleep(rng.uniform(0.002, 0.03))
        before = contents(path)
        writer.kill()
        writer.join()
        kills += writer.exitcode == -9
        after = contents(path)
        assert before.items() <= after.items()  # nothing that was there is ever lost
    assert kills >= 5
    write(path, range(300))
    assert contents(path) == {number: text(number) for number in range(300)}
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    assert len(lines) - damaged(path) == 300  # and nothing is written twice


def damaged(path: Path) -> int:
    journal = Journal(path)
    list(journal.news())
    return journal.damaged


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_line_cut_anywhere_is_passed_over_and_costs_nothing_else(tmp_path, cut):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.append({"number": 0, "text": "whole"})
    journal.append({"number": 1, "text": "a line to be cut"})
    end = path.read_bytes().index(b"\n") + 1
    os.truncate(path, end + cut)
    assert contents(path) == {0: "whole"}
    Journal(path).append({"number": 2, "text": "after"})
    assert contents(path) == {0: "whole", 2: "after"}
    assert damaged(path) == 1


@pytest.mark.parametrize("rubbish", [b"\0" * 100, b"\xff\xfe\n", b"[1]\n", b"[" * 100_000 + b"\n", b"12\n"])
def test_rubbish_is_passed_over(tmp_path, rubbish):
    path = tmp_path / "j.jsonl"
    path.write_bytes(rubbish)
    Journal(path).append({"number": 0, "text": "x"})
    assert contents(path) == {0: "x"}
    assert damaged(path) == 1


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.append({"number": 0, "text": "x"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.raises(InputError, match=r"j\.jsonl could not be written: the disk is full"):
            journal.append({"number": 1, "text": "y" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_bytes() == json.dumps({"number": 0, "text": "x"}, separators=(",", ":")).encode() + b"\n"
    journal.append({"number": 2, "text": "z"})
    assert contents(path) == {0: "x", 2: "z"}


def test_a_file_that_shrinks_is_an_error(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.append({"number": 0})
    list(journal.news())
    os.truncate(path, 0)
    with pytest.raises(InputError, match="became shorter"):
        list(journal.news())


def test_a_folder_is_no_journal(tmp_path):
    with pytest.raises(InputError, match="cannot be"):
        Journal(tmp_path).append({})
    with pytest.raises(InputError, match="cannot be read"):
        list(Journal(tmp_path).news())
