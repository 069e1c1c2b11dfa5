"""The code of the pages runs: page by page, block by block, as a reader would, in an empty folder with a walk-through.

Commands run in this process, by the same function that the program ``video4spatial`` calls; other lines of a shell
block run in bash. Blocks that a page marks "not run" have been parsed (test_commands.py); here their imports are made
at least. All together about 100 seconds of processor time (two cores of an AMD EPYC, one thread).
"""

import ast
import contextlib
import io
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_blocks import PAGES, ROOT, Block, blocks, commands, ours

from video4spatial.cli import main

WALK = ["rooms", "7", "walk.mp4", "--size", "96x64", "--difficulty", "0.3", "--frames", "81"]
PATH = "x,y,z,yaw,pitch,roll\n0,0,0,0,0,0\n0,0,1,0.6,0,0\n"


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """What every page may take its reader to have: walk.mp4 and path.csv, from the quickstart."""
    folder = tmp_path_factory.mktemp("reader")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert main(WALK) == 0
    (folder / "path.csv").write_text(PATH)
    return folder


def runnable(page: Path) -> bool:
    return any(block.language in ("sh", "python") for block in blocks(page))


@pytest.mark.parametrize("page", [p for p in PAGES if runnable(p)], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_runs(page, reader, tmp_path, monkeypatch):
    shutil.copytree(reader, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as Python does for a script in this folder
    names: dict = {"__name__": "page"}
    for block in blocks(page):
        if block.before:
            exec(compile(block.before, f"before {block}", "exec"), names)
        if block.title:
            (tmp_path / block.title).write_text(block.text)
            monkeypatch.delitem(sys.modules, Path(block.title).stem, raising=False)
        if block.language == "python":
            exec(compile(imports_of(block) if block.not_run else block.text, str(block), "exec"), names)
        elif block.language == "sh" and not block.not_run:
            run_shell(block)


def imports_of(block: Block) -> ast.Module:
    """A block's imports by themselves: that the names exist can always be checked."""
    tree = ast.parse(block.text)
    return ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])


def run_shell(block: Block) -> None:
    smaller = dict(block.smaller)
    verbs = [words[0] for found in commands(block.text) if (words := ours(found))]
    assert set(smaller) <= set(verbs), f"{block}: it has no command {set(smaller) - set(verbs)}"
    for line in block.text.replace("\\\n", " ").splitlines():
        parsed = commands(line)
        if not parsed:
            continue
        arguments = ours(parsed[0]) if len(parsed) == 1 else None
        if arguments is None:
            assert not any(map(ours, parsed)), f"{block}: one command of ours a line, by itself"
            subprocess.run(["bash", "-euc", line], check=True)
            continue
        options = smaller.get(arguments[0], "")
        if options != "not run":
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                code = main([*arguments, *shlex.split(options)])
            assert code == 0, f"{block}: {line}\n{said.getvalue()}"


def test_a_page_that_does_not_run_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text('```sh\nvideo4spatial ground nowhere.mp4 "the red chair" -o out.mp4\n```\n')
    with pytest.raises(AssertionError, match=r"page\.md:2"):
        run_shell(blocks(page)[0])
    page.write_text("<!-- not run: an example -->\n```python\nfrom video4spatial import Nothing\n\nprint(1 / 0)\n```\n")
    (block,) = blocks(page)
    assert len(imports_of(block).body) == 1
    with pytest.raises(ImportError, match="Nothing"):
        exec(compile(imports_of(block), "page", "exec"), {})
