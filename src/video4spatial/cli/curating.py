"""curate: what a store's videos show, by a VLM, and the grounding clips that follow."""

import argparse

from video4spatial.cli.command import AddCommand, quiet_libraries


def add_commands(command: AddCommand) -> None:
    """curate."""
    curate = command("curate", run_curate, "Label a prepared store by a VLM and encode its grounding clips.")
    curate.add_argument("store", metavar="STORE", help="a folder that `video4spatial prepare` made")
    curate.add_argument("--root", metavar="ROOT", help="where the store's source lies now, if it moved")
    curate.add_argument("--redo", action="store_true", help="discard labels and clips first; answers are kept")
    curate.add_argument("--strict", action="store_true", help="stop at the first video that cannot be curated")
    curate.add_argument("--absent", type=int, default=5, metavar="N", help="absent targets an environment; default 5")
    curate.add_argument("--model", metavar="MODEL", help="where the store's frozen VAE and text encoder are now")
    curate.add_argument("--device", metavar="DEVICE", help="cuda or cpu; default: cuda where there is one")

    vlm = curate.add_argument_group("who answers")
    vlm.add_argument("--vlm", default="server", choices=("server", "local", "oracle"), help="default %(default)s")
    vlm.add_argument("--vlm-model", default="Qwen/Qwen3-VL-8B-Instruct", metavar="NAME", help="default %(default)s")
    vlm.add_argument("--url", default="http://localhost:8000/v1", help="of the server; default %(default)s")
    vlm.add_argument("--key-variable", metavar="NAME", help="environment variable that holds the server's key")
    vlm.add_argument("--concurrency", type=int, default=16, metavar="N", help="open questions; default %(default)s")
    vlm.add_argument("--requests-per-minute", type=float, metavar="N", help="at most so many, retries included")
    vlm.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for an answer; default 120")
    vlm.add_argument("--retries", type=int, default=8, metavar="N", help="of a question; default %(default)s")
    vlm.add_argument("--max-tokens", type=int, default=2048, metavar="N", help="of an answer; default %(default)s")
    vlm.add_argument(
        "--coordinates", default="relative-1000", choices=("relative-1000", "pixels"), help="how it gives boxes"
    )

    clips = curate.add_argument_group("which clips")
    clips.add_argument("--look-size", type=int, default=1024, metavar="N", help="longest side shown; default 1024")
    clips.add_argument(
        "--every-look", type=int, default=1, metavar="N", help="look at one stored frame in N; default 1"
    )
    clips.add_argument("--clip-frames", type=int, default=161, metavar="N", help="of a clip; default %(default)s")
    clips.add_argument("--centre-ratio", type=float, default=0.3, metavar="R", help="of the frame; default %(default)s")
    clips.add_argument("--tail-frames", type=int, default=20, metavar="N", help="of the box tail; default %(default)s")
    clips.add_argument("--described-frames", type=int, default=8, metavar="N", help="shown to describe; default 8")
    clips.add_argument(
        "--spacing", type=int, default=1, metavar="N", help="frames between ends on one label; default 1: all are kept"
    )

    instead = curate.add_argument_group("instead of asking")
    instead.add_argument(
        "--import", dest="source", metavar="FILE", help="labels from a .parquet or .jsonl that --export made"
    )
    instead.add_argument("--export", metavar="FILE", help="write the clips as .parquet or .jsonl, without pixels")
    instead.add_argument("--audit", metavar="OUT.html", help="write a page that shows what was kept and dropped")
    instead.add_argument("--samples", type=int, default=24, metavar="N", help="clips on the page; default %(default)s")
    instead.add_argument("--seed", type=int, default=0, metavar="N", help="which ones; default %(default)s")


def run_curate(options: argparse.Namespace) -> int:
    quiet_libraries()
    from video4spatial.commands.curate import curate

    return curate(options)
