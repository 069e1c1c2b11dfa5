"""Atomic writes and the names on disk."""

import errno
import os
import stat
from pathlib import Path

import pytest

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import RunLayout, StoreLayout, atomic_path, read_json, write_json


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_writes_whole_files_and_folders(tmp_path):
    with atomic_path(tmp_path / "a" / "b.txt") as temporary:
        assert temporary.suffix == ".txt"  # writers that go by the suffix still do
        temporary.write_text("new")
        assert names(tmp_path / "a") == [temporary.name]
    assert (tmp_path / "a/b.txt").read_text() == "new"
    for content in ("first", "second"):
        with atomic_path(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert names(tmp_path / "folder") == ["second"]
    assert names(tmp_path) == ["a", "folder"]


def test_file_mode_follows_the_umask(tmp_path):
    write_json(tmp_path / "a.json", 1)
    (tmp_path / "b.json").write_text("1")
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == stat.S_IMODE((tmp_path / "b.json").stat().st_mode)


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError])
def test_any_failure_leaves_what_was(tmp_path, as_folder, raised):
    target = tmp_path / "target"
    target.write_text("old")

    def interrupted():
        with atomic_path(target) as temporary:
            if as_folder:
                temporary.mkdir()
                (temporary / "part").write_text("half")
            else:
                temporary.write_text("half")
            raise raised

    with pytest.raises(raised):
        interrupted()
    assert names(tmp_path) == ["target"]
    assert target.read_text() == "old"


def test_a_full_disk_is_explained(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("old")

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"a.json could not be written: the disk is full. Free space"):
        write_json(tmp_path / "a.json", {"a": 1})
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_impossible_places_are_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"a.json cannot be written \((Not a directory|File exists)\)"):
        write_json(tmp_path / "file" / "a.json", 1)
    with pytest.raises(InputError, match=r"cannot be written \(File name too long\)"):
        write_json(tmp_path / ("n" * 300), 1)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"folder cannot be written \(Is a directory\)"):
        write_json(tmp_path / "folder", 1)


def test_errors_about_other_files_pass_unchanged(tmp_path):
    """A missing input read while writing must not be blamed on the output."""

    def copy():
        with atomic_path(tmp_path / "out") as temporary:
            temporary.write_bytes((tmp_path / "input").read_bytes())

    with pytest.raises(FileNotFoundError, match="input"):
        copy()
    assert names(tmp_path) == []


def test_json_round_trip_and_errors(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"b": [1, 2.5, None, "ü"]})
    assert read_json(file) == {"b": [1, 2.5, None, "ü"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(file, float("nan"))
    assert read_json(file) == {"b": [1, 2.5, None, "ü"]}
    file.write_text('{\n"a": }')
    with pytest.raises(InputError, match=r"a.json, line 2: not valid JSON"):
        read_json(file)
    file.write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match=r"a.json is not a JSON text file"):
        read_json(file)
    with pytest.raises(InputError, match=r"b.json does not exist"):
        read_json(tmp_path / "b.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)


def test_names_on_disk():
    store, run = StoreLayout(Path("s")), RunLayout(Path("r"))
    assert [str(p) for p in (store.index, store.shard(3))] == [
        "s/index.parquet",
        "s/shards/shard-000003.safetensors",
    ]
    assert [str(p) for p in (run.config, run.checkpoint(100), run.tensorboard, run.preview(5, "a"), run.latest)] == [
        "r/config.json",
        "r/checkpoints/step-00000100",
        "r/tensorboard",
        "r/previews/step-00000005-a.mp4",
        "r/latest",
    ]


def test_latest_checkpoint(tmp_path):
    run = RunLayout(tmp_path)
    assert run.steps() == []
    assert run.latest_checkpoint() is None
    for step in (20, 100, 3):
        run.checkpoint(step).mkdir(parents=True)
    (run.checkpoints / ".tmp-0000-step-00000200").mkdir()  # one that was being written when the run was killed
    assert run.steps() == [3, 20, 100]
    run.set_latest(20)
    assert run.latest_checkpoint() == run.checkpoint(20)
    for wrong in ("step-00000999", "../checkpoints", "", "."):
        run.latest.write_text(wrong)
        with pytest.raises(InputError, match="latest names"):
            run.latest_checkpoint()
