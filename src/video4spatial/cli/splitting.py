"""split: what is held out for evaluation."""

import argparse

from video4spatial.cli.command import AddCommand
from video4spatial.schema import InputError


def add_commands(command: AddCommand) -> None:
    """split."""
    split = command("split", run_split, "Hold out environments of stores for evaluation, whole ones, by a seed.")
    split.add_argument("stores", nargs="+", metavar="STORE", help="prepared stores, curated or not")
    split.add_argument("--held-out", type=int, metavar="N", help="how many environments; default 18, the paper's")
    split.add_argument("--seed", type=int, default=0, help="which ones; default %(default)s")
    split.add_argument("--out", metavar="FILE", help="write their ids, one a line")
    split.add_argument("--file", metavar="FILE", help="instead: those that this file lists; says what each side has")


def run_split(options: argparse.Namespace) -> None:
    from video4spatial.commands.split import split_stores
    from video4spatial.storage.artifacts import require_writable

    if options.file is None and options.out is None:
        raise InputError("--out is missing: name the file to write the held-out environments to, or give --file")
    if options.file is not None and (options.out is not None or options.held_out is not None):
        raise InputError("--file lists what is held out already: leave out --out and --held-out")
    if options.out is not None:
        require_writable(options.out)
    count = 18 if options.held_out is None else options.held_out
    print("\n".join(split_stores(options.stores, count, options.seed, options.out, options.file)))
    if options.out is not None:
        print(f"{options.out}: give it to prepare as --leave-out, and to train as --set data.evaluation={options.out}")
