"""The command line: one command a verb. Heavy imports happen inside the commands, so that help is instant."""

import argparse
import os
import sys

from video4spatial import __version__
from video4spatial.cli import (
    curating,
    experimenting,
    making,
    measuring,
    preparing,
    reporting,
    sampling,
    serving,
    splitting,
    training,
)
from video4spatial.cli.command import Run
from video4spatial.schema import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit code 2 and one line for anything the user gave that cannot be used."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options) or 0
    except InputError as error:
        if not error.told_elsewhere:
            print(f"video4spatial {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(
        prog="video4spatial",
        description="From a walk-through video alone: go to a named object, or follow a camera path, in that place.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Run, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(run=run)
        return sub

    for group in (
        sampling,
        serving,
        preparing,
        curating,
        splitting,
        training,
        measuring,
        experimenting,
        reporting,
        making,
    ):
        group.add_commands(command)
    return parser
