"""report: what was measured, to be looked at."""

import argparse

from video4spatial.cli.command import AddCommand


def add_commands(command: AddCommand) -> None:
    """report."""
    report = command("report", run_report, "Make one page (and its Markdown twin) of evaluated folders.")
    report.add_argument("folders", nargs="+", metavar="DIR", help="what evaluate or experiment left")
    report.add_argument("--out", required=True, metavar="FILE.html", help="the page: self-contained, clips inside")
    report.add_argument("--markdown", metavar="FILE.md", help="the same tables as Markdown")
    report.add_argument("--metric", metavar="COLUMN", help="rank examples by this (default: the first that differs)")
    report.add_argument("--method", metavar="NAME", help="whose examples are shown; default: full")


def run_report(options: argparse.Namespace) -> None:
    from video4spatial.storage.artifacts import require_writable

    for path in (options.out, options.markdown):
        if path is not None:
            require_writable(path)
    from video4spatial.commands.report import write_report

    print(write_report(options.folders, options.out, options.markdown, options.metric, options.method))
