"""Every command in README, docs and recipes is one that the parser takes; every block has a known language."""

import ast
import contextlib
import io
import json
import re

import pytest
import yaml
from page_blocks import PAGES, ROOT, Block, blocks, commands, ours, verbs

from video4spatial.cli import build_parser

BLOCKS = [block for page in PAGES for block in blocks(page)]
LANGUAGES = {"", "sh", "python", "csv", "json", "yaml", "text"}
OTHER_PROGRAMS = {  # options of other people's commands that the pages speak of
    "--limit-mm-per-prompt", "--max-model-len", "--requeue", "--shutdown-timeout", "--rdzv-endpoint", "--local-dir",
    "--video_id",
}  # fmt: skip


def refusal(arguments: list[str]) -> str:
    """What the parser says against a command; empty if it takes it."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            build_parser().parse_args(arguments)
        except SystemExit as end:
            return said.getvalue() if end.code else ""
    return ""


def commands_of(block: Block) -> list[list[str]]:
    return [ours_ for words in commands(block.text) if (ours_ := ours(words)) is not None]


def test_the_pages_are_read():
    assert {"README.md", "docs/quickstart.md"} <= {block.page for block in BLOCKS}
    assert sum(len(commands_of(block)) for block in BLOCKS if block.language == "sh") > 80


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_sound(block):
    """Its language is known; commands are taken by the parser, Python compiles, JSON and YAML can be read."""
    assert block.language in LANGUAGES
    for arguments in commands_of(block) if block.language == "sh" else []:
        assert not refusal(arguments), f"video4spatial {' '.join(arguments)}: {refusal(arguments)}"
    if block.language == "python":
        compile(block.text, str(block), "exec")
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.language], ids=str)
def test_fences_without_a_language_hold_no_commands(block):
    """A bare fence is for output and trees; a command in it would be checked by nobody."""
    assert not re.search(r"^(video4spatial|torchrun) ", block.text, re.M), "mark the block as sh"


def options_of_the_parser() -> set[str]:
    parsers, found = [build_parser()], set()
    while parsers:
        for action in parsers.pop()._actions:
            found.update(action.option_strings)
            parsers += (action.choices or {}).values() if isinstance(action.choices, dict) else []
    return found


def test_options_in_the_text_exist():
    benchmarks = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "benchmarks").glob("*.py"))
    known = options_of_the_parser() | OTHER_PROGRAMS | set(re.findall(r"\"(--[a-z][\w-]*)\"", benchmarks))
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for code in re.findall(r"`([^`\n]+)`", text):
            if code.split()[0] in {"python", "git", "pip", "evo_traj", "colmap", "ray"}:
                continue
            unknown = [o for o in re.findall(r"(?<![\w-])--[a-z][\w-]*", code) if o not in known]
            assert not unknown, f"{page.name} speaks of {unknown[0]} in `{code}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_in_the_text_exist(page):
    for word in re.findall(r"`video4spatial ([a-z]\w*)", page.read_text(encoding="utf-8")):
        assert word in verbs()


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.py")), ids=lambda recipe: recipe.name)
def test_commands_in_recipes_are_taken(recipe):
    tree = ast.parse(recipe.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef):
            text = "\n".join(re.findall(r"^\s*((?:video4spatial|torchrun) .*)", ast.get_docstring(node) or "", re.M))
            for arguments in filter(None, map(ours, commands(text))):
                assert not refusal(arguments), arguments


def test_what_is_wrong_is_found(tmp_path):
    """The check can fail: an option that is not there, a broken block, marks and continued lines are read."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: needs a GPU -->\n<!-- run smaller: ground --steps 2; evaluate not run -->\n```sh\n"
        "video4spatial ground walk.mp4 'the \"red\" # door' \\\n  -o out.mp4   # a comment\n"
        "A=1 torchrun --nproc-per-node 2 -m video4spatial.cli train rooms:tiny & video4spatial modes; echo done\n```\n"
        '\n```csv title="walk.csv"\nx,y\n```\n'
    )
    first, second = blocks(page)
    assert first.not_run == "needs a GPU"
    assert first.smaller == (("ground", "--steps 2"), ("evaluate", "not run"))
    assert (second.title, second.text) == ("walk.csv", "x,y\n")
    assert commands_of(first) == [
        ["ground", "walk.mp4", 'the "red" # door', "-o", "out.mp4"],
        ["train", "rooms:tiny"],
        ["modes"],
    ]
    assert not refusal(["modes"])
    assert "--colour" in refusal(["modes", "--colour"])
    assert "--best-of" in options_of_the_parser()


def test_every_verb_has_a_page():
    pages = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
    for verb in verbs():
        page = pages.get(f"docs/how-to/{verb}.md") or pages.get(f"docs/{verb}.md")
        assert page is not None, f"write docs/how-to/{verb}.md"
        assert re.search(rf"^video4spatial {verb}\b", page, re.M), f"the page of {verb} shows no command"
