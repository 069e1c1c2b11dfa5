"""What mkdocs runs while it builds the site: the options of every command, and the check that nothing public is bare.

The commands' pages are made from the parser itself, so that they cannot be out of date.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "src"))

from public_names import undocumented  # noqa: E402  (mkdocs puts this file's folder on the path)

from video4spatial.cli import build_parser  # noqa: E402

COMMANDS = "<!-- every command -->"
log = logging.getLogger("mkdocs.hooks.video4spatial")


def on_pre_build(**_: Any) -> None:
    """A public name without a docstring is a warning, and so an error of a strict build."""
    for name in undocumented():
        log.warning("%s is public and has no docstring", name)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the page of the commands."""
    return markdown.replace(COMMANDS, command_tables()) if COMMANDS in markdown else markdown


def on_post_page(output: str, **_: Any) -> str:
    """The theme's search dialog has no name for those who hear the page."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def command_tables() -> str:
    """A section a command: what it does, and a table of its options for each of their groups."""
    parts = []
    for name, parser in command_parsers().items():
        parts.append(f"## {name}\n\n{_text(parser.description)}")
        for group in parser._action_groups:
            shown = [a for a in group._group_actions if a.help != argparse.SUPPRESS and a.dest != "help"]
            if shown:
                title = {"positional arguments": "argument", "options": "option"}.get(group.title or "", group.title)
                rows = "\n".join(_row(parser, action) for action in shown)
                parts.append(f"| {_text(title)} | |\n|---|---|\n{rows}")
    return "\n\n".join(parts)


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, and of commands below commands as "prepare rooms"."""
    found: dict[str, argparse.ArgumentParser] = {}

    def walk(parser: argparse.ArgumentParser, name: str) -> None:
        below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if name:
            found[name] = parser
        for action in below:
            for word, sub in action.choices.items():
                walk(sub, f"{name} {word}".strip())

    walk(build_parser(), "")
    return found


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    help_text = _text(parser._get_formatter()._expand_help(action) if action.help else "")
    if isinstance(action, argparse._SubParsersAction):
        return f"| {', '.join(map(_code, action.choices))} | {help_text} |"
    value = parser._get_formatter()._format_args(action, action.metavar or action.dest.upper())
    if action.nargs == 0:
        value = ""
    *short, last = action.option_strings or [""]
    names = [*map(_code, short), _code(f"{last} {value}".strip())]
    return f"| {', '.join(names)} | {help_text} |"


def _code(words: str) -> str:
    return "`" + words.replace("|", "\\|") + "`"


def _text(words: str | None) -> str:
    return (words or "").replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
