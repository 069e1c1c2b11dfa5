"""Sessions with the real small model: every way an ask can end."""

import json
import re
import threading
import zipfile
from types import SimpleNamespace

import pytest
import torch

from video4spatial.app import shown
from video4spatial.app.asked import Asked, Outcome
from video4spatial.app.compare import compared
from video4spatial.app.guard import UploadError
from video4spatial.app.route import Preset
from video4spatial.app.running import Cancelled, Done, Job, Step, follow
from video4spatial.app.shown import address
from video4spatial.app.studio import Studio
from video4spatial.schema import InputError
from video4spatial.storage.video import probe

BED = Asked(instruction="the black bed", steps=4)
TURN = Asked(route=Preset("turn-left", 30), steps=2)


@pytest.fixture
def studio(small_pipeline, files):
    studio = Studio(small_pipeline, files)
    yield studio
    studio.close()


def encoded(studio, walk, key="one"):
    session = studio.session(key)
    events = list(session.encode(session.check(walk)))
    assert isinstance(events[-1], Done)
    return session


def ended(session, asked, job=None) -> Outcome:
    *_, last = session.ask(asked, job)
    assert isinstance(last, Done)
    return last.result


def test_a_session_from_upload_to_files(studio, walk_file):
    session = encoded(studio, walk_file)
    assert session.context is not None
    assert len(session.context.scene) == len(session.context.pictures) == 11
    made = list(session.ask(BED))
    steps = [event for event in made if isinstance(event, Step)]
    assert [step.done for step in steps] == [1, 2, 3, 4]
    assert [len(step.pictures) for step in steps] == [0, 4, 0, 0], "a preview, and none at the last step"
    outcome = ended(session, TURN)
    assert outcome.state == "done"
    assert outcome.asked.words == "turn-left 30 degrees"
    assert probe(outcome.files["video"]).frames == int(studio.pipeline.config.frames)
    with zipfile.ZipFile(outcome.files["path"]) as archive:
        assert {"asked/transforms.json", "asked/path.tum", "asked/colmap/images.txt"} <= set(archive.namelist())
    assert json.loads(outcome.files["answer"].read_text())["settings"]["steps"] == 2
    assert session.pace is not None


def test_not_found_is_an_outcome(studio, walk_file):
    session = encoded(studio, walk_file)
    for seed in range(6):
        outcome = ended(session, Asked(instruction="the red bed", steps=4, seed=seed))
        if outcome.state == "not found":
            break
    assert outcome.state == "not found"
    assert outcome.message.startswith("not found: no box was drawn for the red bed")
    assert outcome.made
    assert outcome.to_json()["found"] is False


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked(instruction="quux"), "knows none of these words"),
        (Asked(instruction="the black bed", frames=12), "4k\\+1"),
        (Asked(route=Preset("still"), best_of=2), "best of N cannot tell"),
    ],
)
def test_what_the_pipeline_refuses_is_an_outcome(studio, walk_file, asked, told):
    session = encoded(studio, walk_file)
    outcome = ended(session, asked)
    assert outcome.state == "refused"
    with pytest.raises(ValueError, match=told):
        raise ValueError(outcome.message)
    assert ended(session, TURN).state == "done"


def test_asking_before_there_is_a_context(studio):
    session = studio.session("one")
    assert ended(session, BED).message == "there is no walk-through yet: give a video first"
    assert session.alive() == []


def test_cancel_stops_at_the_next_step(studio, walk_file):
    session = encoded(studio, walk_file)
    events = []
    for event in session.ask(Asked(instruction="the black bed", steps=50)):
        events.append(event)
        if len(events) == 2:
            assert session.cancel() == 1
    assert events[-1].result.state == "cancelled"
    assert len(events) < 10
    assert not events[-1].result.made
    assert session.cancel() == 0
    assert ended(session, TURN).state == "done"


def test_cancel_reaches_an_ask_that_waits(studio, walk_file):
    session = encoded(studio, walk_file)
    job = session.new_job("ground")
    assert session.cancel() == 1
    outcome = ended(session, BED, job)
    assert (outcome.state, outcome.message) == ("cancelled", "cancelled, before it began")


def test_an_abandoned_ask_frees_the_model(studio, walk_file):
    session = encoded(studio, walk_file)
    events = session.ask(Asked(instruction="the black bed", steps=200))
    next(events)
    events.close()
    assert studio.turn.acquire(timeout=60)
    studio.turn.release()


def test_a_fault_of_ours_is_an_outcome(studio, walk_file, monkeypatch, caplog):
    session = encoded(studio, walk_file)
    for error, told in ((RuntimeError("boom"), "RuntimeError: boom"), (torch.OutOfMemoryError(), "out of memory")):

        def broken(*_, error=error, **__):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(type(studio.pipeline), "__call__", broken)
            outcome = ended(session, BED)
        assert outcome.state == "failed"
        assert told in outcome.message
    assert "Traceback" in caplog.text
    assert ended(session, TURN).state == "done"


def test_an_earlier_ask_keeps_its_walk_through(studio, walk_file):
    session = encoded(studio, walk_file)
    outcome = ended(session, TURN)
    assert outcome.seen is not None
    assert len(outcome.seen.frames) == len(outcome.answer["settings"]["context_index"])
    card = shown.outcome(outcome)
    assert address(session.context.video) in card
    encoded(studio, walk_file)
    assert session.context.video != outcome.seen.video
    assert shown.outcome(outcome) == card
    assert outcome.seen.video.exists()


def test_old_asks_go_with_gradios_copies_of_them(studio, walk_file, files, monkeypatch):
    monkeypatch.setattr("video4spatial.app.session.MOST_ASKS", 1)
    session = encoded(studio, walk_file)
    video = ended(session, TURN).files["video"]
    copy = files.uploads / "hash" / video.name
    copy.parent.mkdir()
    copy.write_bytes(video.read_bytes())
    ended(session, TURN)
    assert len(session.asks) == 1
    assert not video.exists()
    assert not copy.exists()


def test_what_comes_late_begins_no_session(studio, walk_file):
    """A tab was closed while its events still waited."""
    pytest.importorskip("gradio")
    from video4spatial.app.events import Events

    events, gone = Events(studio), SimpleNamespace(session_hash="gone")
    assert len(list(events.follow(gone))) == len(list(events.follow_context(gone))) == 1
    assert "nothing to cancel" in events.stop(gone)
    assert events.plan(gone, "the bed", "", 0, 1, None, None, None, None) == ""
    assert studio.sessions == {}


def test_another_seed_than_the_last_there_is(studio, walk_file):
    pytest.importorskip("gradio")
    from video4spatial.app.events import Events

    session = encoded(studio, walk_file)
    number = ended(session, Asked(instruction="quux", seed=2**63 - 1)).number
    told, _ = Events(studio).again(SimpleNamespace(_data={"ask": number}), SimpleNamespace(session_hash=session.key))
    assert "seed is 9223372036854775808" in told


def test_sessions_do_not_mix(studio, walk_file):
    first, second = encoded(studio, walk_file, "one"), studio.session("two")
    ended(first, TURN)
    assert second.context is None
    assert second.asks == []
    assert first.folder != second.folder
    assert studio.session("one") is first


def test_the_end_of_a_session_removes_its_files(studio, walk_file, files):
    session = encoded(studio, walk_file)
    ended(session, TURN)
    assert any(session.folder.iterdir())
    studio.end("one")
    assert not session.folder.exists()
    assert list(files.sessions.iterdir()) == []
    assert walk_file.exists(), "a file that is no upload is left alone"
    studio.end("one")
    studio.end(None)


def test_the_end_of_a_session_stops_what_runs(studio, walk_file, files):
    session = encoded(studio, walk_file)
    outcome = []
    asking = threading.Thread(target=lambda: outcome.append(ended(session, Asked(instruction="the bed", steps=500))))
    asking.start()
    while not (session.jobs and session.jobs[-1].step):
        asking.join(0.01)
    studio.end("one")
    asking.join(60)
    assert outcome[0].state == "cancelled"
    assert not session.folder.exists()


def test_a_bad_upload_is_owned_and_refused(studio, files):
    upload = files.uploads / "x" / "walk.mp4"
    upload.parent.mkdir()
    upload.write_text("no video")
    with pytest.raises(UploadError):
        studio.session("one").check(upload)
    studio.end("one")
    assert not upload.exists()


def test_too_many_sessions(studio):
    studio.most_sessions, studio.idle_minutes = 2, 60
    studio.session("one")
    studio.session("two")
    with pytest.raises(InputError, match="come back later"):
        studio.session("three")
    studio.idle_minutes = 0
    assert studio.session("three").key == "three"
    with pytest.raises(InputError, match="which session"):
        studio.session(None)


def test_a_room_made_here(studio):
    session = studio.session("one")
    events = list(session.make_room(3))
    assert {"building the room", "rendering the room", "encoding the walk-through"} <= {
        event.doing for event in events if isinstance(event, Step)
    }
    assert session.context is not None
    assert session.context.targets
    assert studio.suggestions(session) == list(session.context.targets)
    outcome = ended(session, Asked(instruction=session.context.targets[0], steps=1, best_of=2))
    assert outcome.state in ("found", "not found")
    assert [c["seed"] for c in outcome.answer["candidates"]] == [0, 1]


def test_a_job_waits_for_its_turn_and_gives_it_back():
    turn = threading.Lock()
    with turn:
        job = Job("ground")
        events = follow(job, turn, lambda tell: 1)
        job.stop.set()
        with pytest.raises(Cancelled):
            list(events)
    for event in follow(job := Job("ground"), turn, lambda tell: 1):
        assert (event, job.state) == (Done(1), "over")
    with pytest.raises(ZeroDivisionError):
        list(follow(Job("ground"), turn, lambda tell: 1 / 0))
    assert not turn.locked()


def test_who_waits_is_told_how_many_are_ahead(studio):
    first, second = studio.session("one"), studio.session("two")
    jobs = [first.new_job("ground"), second.new_job("encode"), second.new_job("navigate"), first.new_job("ground")]
    assert [len(studio.ahead(job)) for job in jobs] == [0, 1, 2, 3]
    assert "Starting." in shown.ahead(studio.ahead(jobs[0]))
    assert "1 ask ahead." in shown.ahead(studio.ahead(jobs[1]))
    assert "2 asks and 1 walk-through ahead." in shown.ahead(studio.ahead(jobs[3]))
    jobs[0].state = "over"
    jobs[1].stop.set()
    assert "1 ask ahead." in shown.ahead(studio.ahead(jobs[3]))


def test_two_clips_side_by_side(studio, walk_file):
    session = encoded(studio, walk_file)
    ended(session, TURN)
    assert compared(session.asks) == ""
    ended(session, Asked(instruction="quux"))  # refused: there is nothing to show
    assert compared(session.asks) == ""
    ended(session, Asked(instruction="the <b>bed</b>", steps=1))
    pair = compared(session.asks)
    assert re.findall(r'<option value="(\d)"[^>]* selected>', pair) == ["1", "3"]
    assert pair.count("<option") == 4
    assert "the &lt;b&gt;bed&lt;/b&gt;, seed 0" in pair
    assert pair.count(address(session.asks[0].files["video"])) == 2
