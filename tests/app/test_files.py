"""The private folder: nobody else's to read, and gone at the end."""

import os
import stat

from video4spatial.app.files import CACHE_VARIABLE, private_folder


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_goes_with_the_context(tmp_path, monkeypatch):
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    with private_folder(tmp_path) as files:
        assert os.environ[CACHE_VARIABLE] == str(files.uploads)
        (files.session() / "walk.mp4").write_bytes(b"1")
        (files.uploads / "left.mp4").write_bytes(b"2")
    assert list(tmp_path.iterdir()) == []
    assert CACHE_VARIABLE not in os.environ


def test_the_variable_is_put_back(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, "/somewhere")
    with private_folder(tmp_path):
        pass
    assert os.environ[CACHE_VARIABLE] == "/somewhere"


def test_only_the_owner_may_look(tmp_path):
    with private_folder(tmp_path) as files:
        assert {mode(files.root), mode(files.uploads), mode(files.sessions), mode(files.session())} == {0o700}


def test_an_upload_that_two_sessions_use_goes_with_the_last(tmp_path):
    with private_folder(tmp_path) as files:
        folder = files.uploads / "hash"
        folder.mkdir()
        upload = folder / "walk.mp4"
        upload.write_bytes(b"1")
        first, second = files.claim(upload), files.claim(upload)
        files.release(first)
        assert upload.exists()
        files.release(second)
        assert not upload.exists()
        assert not folder.exists()


def test_a_copy_with_the_same_content_as_anothers_leaves_that_alone(tmp_path):
    """Gradio names the folder of a copy by its content, so two sessions' files can lie in one."""
    with private_folder(tmp_path) as files:
        folder = files.uploads / "hash"
        folder.mkdir()
        for name in ("mine.mp4", "theirs.mp4"):
            (folder / name).write_bytes(b"1")
        files.forget(["mine.mp4"])
        assert [file.name for file in folder.iterdir()] == ["theirs.mp4"]
        files.forget(["theirs.mp4"])
        assert not folder.exists()


def test_nothing_outside_the_uploads_is_removed(tmp_path):
    own = tmp_path / "own.mp4"
    own.write_bytes(b"1")
    with private_folder(tmp_path) as files:
        files.release(files.claim(own))
    assert own.exists()


def test_copies_are_forgotten_by_their_names(tmp_path):
    with private_folder(tmp_path) as files:
        for name in ("a.mp4", "b.mp4"):
            (files.uploads / name[0]).mkdir()
            (files.uploads / name[0] / name).write_bytes(b"1")
        files.forget(["a.mp4"])
        assert [file.name for file in files.uploads.rglob("*.mp4")] == ["b.mp4"]
