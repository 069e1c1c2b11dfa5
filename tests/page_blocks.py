"""The code of the pages, as a reader finds it: fenced blocks with what a page says of how they are run.

What stands in an HTML comment right above a block is for the tests, and no reader sees it:

    <!-- not run: REASON -->                 read by the parser or compiled, and no more
    <!-- run smaller: VERB OPTIONS; ... -->  these options are added to the block's commands of that verb; ``not run``
                                             in place of options leaves those commands out
    <!-- before:                             Python that makes what the reader is taken to have
    ... -->

A block with a title (```csv title="walk.csv") is a file of that name.
"""

import argparse
import importlib.util
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from video4spatial.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"(?P<comments>(?:^<!--(?:(?!-->).)*-->\n)*)^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.M | re.S,
)
_COMMENT = re.compile(r"<!-- ?(not run|run smaller|before): ?(.*?) ?-->", re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line`` is that of its first line of code."""

    page: str
    line: int
    language: str
    text: str
    title: str = ""
    not_run: str = ""
    before: str = ""
    smaller: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order; a bare fence has the language ""."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name
    found = []
    for match in _BLOCK.finditer(text):
        said = dict(_COMMENT.findall(match["comments"]))
        verbs = [part.strip().partition(" ") for part in said.get("run smaller", "").split(";") if part.strip()]
        code = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.M)
        found.append(
            Block(
                name,
                text.count("\n", 0, match.start("text")) + 1,
                match["language"],
                code,
                match["title"] or "",
                said.get("not run", ""),
                said.get("before", ""),
                tuple((verb, options) for verb, _, options in verbs),
            )
        )
    return found


def commands(text: str) -> list[list[str]]:
    """The words of every command in shell text; comments, continued lines and ``;``, ``&``, ``|`` are understood."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|"):
                found += [words] if words else []
                words = []
            else:
                words.append(word)
    return found


def ours(words: list[str]) -> list[str] | None:
    """The arguments of a command that is ours, started by itself or through ``-m video4spatial.cli``; else None."""
    if words[0] == "video4spatial":
        return words[1:]
    if "video4spatial.cli" in words:
        return words[words.index("video4spatial.cli") + 1 :]
    return None


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Every command with its parser."""
    return next(dict(a.choices) for a in build_parser()._actions if isinstance(a.choices, dict))


def docs_script(name: str) -> ModuleType:
    """A script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
