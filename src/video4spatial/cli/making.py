"""rooms, convert, demo: what there is to start from."""

import argparse
from pathlib import Path

from video4spatial.cli.command import AddCommand, load_pipeline, parse_size, quiet_libraries, require_writable_video


def add_commands(command: AddCommand) -> None:
    """rooms, convert and demo."""
    rooms = command("rooms", run_rooms, "Render a walk through a procedural room.")
    rooms.add_argument("seed", type=int, metavar="SEED", help="which room")
    rooms.add_argument("out", metavar="OUT.mp4")
    rooms.add_argument("--size", default="416x256", metavar="WxH", help="default %(default)s")
    rooms.add_argument("--frames", type=int, default=161, help="default %(default)s")
    rooms.add_argument("--fps", type=float, default=16.0, help="default %(default)s")
    rooms.add_argument("--difficulty", type=float, default=1.0, help="0 (few, plain things) to 1; default %(default)s")
    rooms.add_argument("--tour", type=int, default=0, metavar="N", help="which walk through the room; default 0")
    rooms.add_argument("--target", metavar="PHRASE", help="end the walk at this object, for example 'red armchair'")
    rooms.add_argument("--poses", metavar="FILE", help="write the camera path (.json, .csv, transforms.json, .tum)")
    rooms.add_argument("--sheet", metavar="FILE.png", help="write a contact sheet")

    convert = command("convert", run_convert, "Make a pipeline folder of a stock Wan2.2-TI2V-5B.")
    convert.add_argument("source", metavar="SRC", help="folder in diffusers or official layout, or hub id")
    convert.add_argument("target", metavar="DST", help="the folder to write, for --model")
    convert.add_argument("--dtype", default="bfloat16", help="bfloat16 or float32; default %(default)s")
    convert.add_argument("--force", action="store_true", help="replace a pipeline folder at DST")
    for part in ("transformer", "vae", "text-encoder", "tokenizer"):
        convert.add_argument(f"--{part}", metavar="PATH", help=f"{part} from this folder or file instead")

    demo = command("demo", run_demo, "Render a room, run both tasks in it, and make a page of the results.")
    demo.add_argument("--out", default="demo", metavar="DIR", help="default %(default)s")
    demo.add_argument("--model", default="rooms-small", help="default %(default)s")
    demo.add_argument("--room", type=int, default=1_000_007, help="room seed; default %(default)s, never trained on")


def run_rooms(options: argparse.Namespace) -> None:
    from video4spatial.commands.rooms import render_walk

    require_writable_video(options.out)
    render_walk(options, *parse_size(options.size))


def run_convert(options: argparse.Namespace) -> None:
    quiet_libraries()
    from video4spatial.commands.convert import convert
    from video4spatial.sample.from_wan import PARTS

    replaced = {part: getattr(options, part) for part in PARTS}
    convert(options.source, options.target, options.dtype, options.force, **replaced)


def run_demo(options: argparse.Namespace) -> None:
    pipeline = load_pipeline(options.model)
    from video4spatial.commands.demo import make_demo

    make_demo(pipeline, Path(options.out), options.room)
