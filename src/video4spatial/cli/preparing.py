"""prepare: datasets to stores."""

import argparse

from video4spatial.cli.command import AddCommand, parse_size, quiet_libraries


def add_commands(command: AddCommand) -> None:
    """prepare."""
    prepare = command("prepare", run_prepare, "Encode the scenes of a dataset, of rooms or of videos into a store.")
    prepare.epilog = (
        "Stop it at any moment and run it again: it goes on. Exit code: 0 all well; 3 some scenes are bad (named, left "
        "out, tried again the next time) or damaged (--verify); 2 wrong input."
    )
    prepare.add_argument("source", metavar="SOURCE", help="scannetpp, arkitscenes, rooms or videos")
    prepare.add_argument("root", metavar="ROOT", help="the dataset's folder; for rooms a range of seeds, 0:16")
    prepare.add_argument("store", metavar="STORE", help="the folder to make, or to go on with")
    prepare.add_argument("--model", default="rooms-small", help="whose VAE encodes; default %(default)s")
    prepare.add_argument("--size", metavar="WxH", help="default: the model's own, 416x256 for a bare VAE")
    prepare.add_argument("--every", type=int, metavar="N", help="take every Nth frame; default 3 (rooms: 1)")
    prepare.add_argument(
        "--clip", type=int, default=161, metavar="FRAMES", help="taken frames without a break at least; %(default)s"
    )
    prepare.add_argument("--split", metavar="NAME", help="of ScanNet++ a split, of ARKitScenes Training or Validation")
    prepare.add_argument("--only", metavar="FILE", help="environment ids, one a line: these alone")
    prepare.add_argument("--leave-out", metavar="FILE", help="environment ids, one a line: not these")
    prepare.add_argument("--limit", type=int, metavar="N", help="the first N scenes only")
    prepare.add_argument("--tours", type=int, metavar="N", help="rooms: videos of each; default 2")
    prepare.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the source's reader (docs)"
    )
    prepare.add_argument("--workers", type=int, metavar="N", help="processes; default 1, with --ray all there are")
    prepare.add_argument(
        "--ray", nargs="?", const="local", metavar="ADDRESS", help="by Ray: on this machine, or the cluster there"
    )
    prepare.add_argument("--device", default="auto", help="auto, cpu or cuda; default %(default)s")
    prepare.add_argument("--strict", action="store_true", help="stop at the first bad scene")
    prepare.add_argument("--dry-run", action="store_true", help="say frames, hours, disk and time; write nothing")
    prepare.add_argument("--verify", action="store_true", help="read STORE back and name what is damaged")
    prepare.add_argument("--repair", action="store_true", help="with --verify: remove that, to be made anew")


def run_prepare(options: argparse.Namespace) -> int:
    quiet_libraries()
    from video4spatial.commands.prepare import prepare

    return prepare(options, parse_size(options.size) if options.size else None)
