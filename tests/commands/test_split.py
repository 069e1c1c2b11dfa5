"""``video4spatial split``: counts of both sides, and a file that the other commands take."""

import pytest
from curated_store import make_curated

from video4spatial.cli import main
from video4spatial.data.splits import read_split


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(make_curated(tmp_path_factory.mktemp("curated")))


def test_environments_are_held_out_whole(store, tmp_path, capsys):
    out = tmp_path / "held.txt"
    assert main(["split", store, "--held-out", "1", "--seed", "0", "--out", str(out)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert read_split(out) == ("cell",)
    assert told[0] == "held out: 1 environments, 1 videos (0.00 hours), 1 clips"
    assert told[1] == "to train: 1 environments, 2 videos (0.00 hours), 2 clips"
    assert "--leave-out" in told[2]
    again = tmp_path / "again.txt"
    assert main(["split", store, "--held-out", "1", "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()
    assert out.read_text().startswith("# video4spatial split: 1 of 2 environments held out, seed 0\n# of ")


def test_a_file_by_hand_is_counted(store, tmp_path, capsys):
    mine = tmp_path / "mine.txt"
    mine.write_text("cell\n")
    assert main(["split", store, "--file", str(mine)]) == 0
    assert "to train: 1 environments, 2 videos" in capsys.readouterr().out
    mine.write_text("cell\nattic\n")
    assert main(["split", store, "--file", str(mine)]) == 2
    assert "mine.txt, line 2: 1 of 2 ids belong to no environment here: attic" in capsys.readouterr().err
    mine.write_text("cell\nplace\n")
    assert main(["split", store, "--file", str(mine)]) == 2
    assert "holds out all 2 environments" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out is missing"),
        (["--out", "x.txt"], "18 environments cannot be held out of 2"),
        (["--out", "x.txt", "--file", "y.txt"], "leave out --out and --held-out"),
    ],
)
def test_options_that_do_not_go_together(store, arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["split", store, *arguments]) == 2
    assert message in capsys.readouterr().err
