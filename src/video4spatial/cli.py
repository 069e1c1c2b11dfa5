"""The command line: one command a verb. Heavy imports happen inside the commands, so that help is instant."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from video4spatial import __version__
from video4spatial.schema import InputError

if TYPE_CHECKING:
    from video4spatial.sample.pipeline import Video4SpatialPipeline


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit code 2 and one line for anything the user gave that cannot be used."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
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
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(
        prog="video4spatial",
        description="From a walk-through video alone: go to a named object, or follow a camera path, in that place.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(run=run)
        return sub

    ground = command("ground", run_ground, "Go to a named object and draw a red box on it.")
    ground.add_argument("context", metavar="CONTEXT", help="walk-through video (or folder of images)")
    ground.add_argument("instruction", metavar="INSTRUCTION", help="the object, for example 'the red armchair'")
    ground.add_argument("--scene", metavar="TEXT", help="what the place is, for example 'a bedroom with two windows'")
    ground.add_argument("--json", metavar="FILE", help="write the answer (box, frame, confidence) here as well")
    add_sampling_options(ground)

    navigate = command("navigate", run_navigate, "Follow a camera path through the place.")
    navigate.add_argument("context", metavar="CONTEXT", help="walk-through video (or folder of images)")
    navigate.add_argument(
        "path",
        metavar="PATH|PRESET",
        help="waypoints (.csv, .json), transforms.json, COLMAP, TUM, RealEstate10K; or "
        "turn-left, turn-right, orbit, forward, backward, look-around, 360, still",
    )
    navigate.add_argument("--format", help="the path file's format, where its name does not tell")
    navigate.add_argument("--degrees", type=float, help="how far a preset turns")
    navigate.add_argument("--metres", type=float, help="how far a preset moves")
    navigate.add_argument("--fov", type=float, help="horizontal field of view in degrees, for paths that give none")
    navigate.add_argument("--json", metavar="FILE", help="write the settings here as well")
    add_sampling_options(navigate)

    command("modes", run_modes, "List the faster modes of ground and navigate, and what each changes.")

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

    train = command("train", run_train, "Train by a recipe, or go on with a run.")
    train.add_argument("recipe", nargs="?", metavar="RECIPE", help="rooms:vae_cpu, ... or my_recipe.py:function")
    train.add_argument("--out", metavar="DIR", help="the run's folder (default runs/RECIPE)")
    train.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    train.add_argument(
        "--at", type=int, metavar="STEP", help="with --resume: from this step's checkpoint, not the last"
    )
    train.add_argument("--minutes", type=float, help="stop after this many minutes of training")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. optim.lr=3e-4")
    train.add_argument("--list", action="store_true", help="list the recipes")
    train.add_argument("--dry-run", action="store_true", help="print what the run would take, and stop")
    train.add_argument("--gpus", type=int, default=8, metavar="N", help="of the dry run; default %(default)s")
    train.add_argument("--gpu", default="H100", metavar="NAME", help="of the dry run; default %(default)s")

    precompute = command("precompute", run_precompute, "Encode what a recipe trains on into a store, before training.")
    precompute.add_argument("recipe", metavar="RECIPE", help="rooms to render and encode; or one on stores: text only")
    precompute.add_argument("--out", required=True, metavar="STORE", help="the store; a rerun goes on")
    precompute.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. stream.pool=1000")

    evaluate = command("evaluate", run_evaluate, "Measure a model on held-out rooms, with baselines.")
    evaluate.add_argument("--model", default="rooms-small", help="default %(default)s")
    evaluate.add_argument("--cases", type=int, default=32, help="cases a task; default %(default)s")
    evaluate.add_argument("--out", required=True, metavar="DIR", help="results go here; a rerun goes on")
    evaluate.add_argument("--steps", type=int, help="sampling steps (default: the model's)")
    evaluate.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
    evaluate.add_argument("--seed", type=int, default=0, help="default %(default)s")

    plan = command("plan", run_plan, "Predict memory and time of a request, and propose settings that fit.")
    plan.add_argument("--model", help="a shipped model or a pipeline folder; default: the 5B one of the paper")
    plan.add_argument("--gpu", metavar="GPU", help="24GB, or a name such as 'RTX 4090'; default: this machine's")
    plan.add_argument("--size", metavar="WxH", help="default: the model's")
    plan.add_argument("--context-frames", type=int, metavar="N", help="length of the walk-through video; default 337")
    plan.add_argument("--context-latents", type=int, metavar="N", help="latents of it to look at")
    plan.add_argument("--frames", type=int, help="length of the clip, 4k+1")
    plan.add_argument("--steps", type=int, help="sampling steps")
    plan.add_argument("--guidance", type=float, help="scale of guidance; 1 is off and halves the work")
    plan.add_argument("--sequential", action="store_true", help="guidance branches one after the other")
    plan.add_argument("--offload", choices=("none", "model", "group"), help="which weights leave the GPU")
    plan.add_argument("--weights", choices=("as-is", "int8", "fp8", "fp8-matmul"), help="how weights are held")
    plan.add_argument("--faster", action="append", default=[], metavar="MODE", help="as of ground; may be repeated")
    plan.add_argument("--json", metavar="FILE", help="write the plan here as well")
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
    return parser


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """What ``ground`` and ``navigate`` share."""
    parser.add_argument("-o", "--out", required=True, metavar="OUT.mp4", help="the video to write")
    parser.add_argument(
        "--model", default="rooms-small", help="a shipped model or a pipeline folder; default %(default)s"
    )
    parser.add_argument(
        "--lora", action="append", default=[], metavar="PATH[=SCALE]", help="add a LoRA's file or folder; repeatable"
    )
    parser.add_argument("--first-frame", metavar="IMAGE", help="where to start (default: the video's last frame)")
    parser.add_argument("--steps", type=int, help="sampling steps")
    parser.add_argument("--guidance", type=float, help="scale of joint guidance over context and instruction; 1 is off")
    parser.add_argument("--context-latents", type=int, metavar="N", help="latents of the video to look at; 0: none")
    parser.add_argument("--frames", type=int, help="length of the clip, 4k+1")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    memory = parser.add_argument_group("memory and speed (docs/full-size.md)")
    memory.add_argument(
        "--offload", default="none", metavar="WHAT", help="none, model or group: keep idle weights off the GPU"
    )
    memory.add_argument(
        "--weights", metavar="BITS", help="as-is (default), int8, fp8, or fp8-matmul (products in fp8 too)"
    )
    memory.add_argument(
        "--dtype", default="auto", help="float32, bfloat16 or float16 (default: bfloat16 for big models on CUDA)"
    )
    memory.add_argument("--compile", action="store_true", help="compile the transformer's block: a slow first step")
    memory.add_argument(
        "--attention", default="auto", metavar="BACKEND", help="an attention backend of diffusers (default: the best)"
    )
    memory.add_argument(
        "--faster",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a faster mode, not exact; may be given more than once; list them with: video4spatial modes",
    )
    memory.add_argument(
        "--sequential",
        action="store_true",
        help="guidance branches one after the other: exact, half the memory of activations",
    )


def quiet_libraries() -> None:
    """Keep model libraries from printing their own progress and advice into a command's output."""
    import logging
    import warnings

    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("torchao", "torch.utils._pytree"):  # advice at torchao's import, which diffusers does where it can
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*_stable_hash_for_caching")  # compiled 8-bit weights are not cached


def load_pipeline(name: str, options: argparse.Namespace | None = None) -> "Video4SpatialPipeline":
    """The pipeline as the options ask, LoRAs fused in; without options wholly on the GPU, where there is one."""
    import torch

    quiet_libraries()
    from video4spatial.sample.placement import Placement, load_placed

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if options is None:
        return load_placed(name, Placement(release_text_encoder=False), device)
    weights = options.weights or "as-is"
    placement = Placement(options.offload, weights, compile=options.compile, attention=options.attention)
    return load_placed(name, placement, device, options.dtype, [parse_lora(lora) for lora in options.lora])


def require_writable_video(path: str) -> None:
    """Say at once, not after minutes, that the output cannot be written."""
    from video4spatial.storage.video import require_video_name

    require_video_name(path)


def require_writable_answer(path: str | None) -> None:
    """The same for the JSON beside it, if one is asked for."""
    from video4spatial.storage.artifacts import require_writable

    if path:
        require_writable(path)


def run_modes(options: argparse.Namespace) -> None:
    from video4spatial.commands.modes import print_modes

    print_modes()


def run_ground(options: argparse.Namespace) -> None:
    require_writable_video(options.out)
    require_writable_answer(options.json)
    from video4spatial.commands.ask import ground

    ground(options, load_pipeline)


def run_navigate(options: argparse.Namespace) -> None:
    require_writable_video(options.out)
    require_writable_answer(options.json)
    if Path(options.path).suffix and not Path(options.path).exists():  # said before a model is loaded
        raise InputError(f"{options.path} does not exist: check the path")
    from video4spatial.commands.ask import navigate

    navigate(options, load_pipeline)


def parse_size(text: str) -> tuple[int, int]:
    """ "416x256" as (width, height), both even."""
    width, sign, height = text.lower().partition("x")
    if not (sign and width.isdecimal() and height.isdecimal() and int(width) > 0 and int(height) > 0):
        raise InputError(f"--size is {text!r}: write it as WIDTHxHEIGHT, for example 416x256")
    if int(width) % 2 or int(height) % 2:
        raise InputError(f"--size is {text!r}: both sides must be even, for H.264")
    return int(width), int(height)


def parse_lora(text: str) -> tuple[str, float]:
    """ "folder=0.8" as (folder, 0.8); the scale is 1 unless given."""
    path, sign, scale = text.rpartition("=")
    if not sign or Path(text).exists():
        return text, 1.0
    try:
        return path, float(scale)
    except ValueError:
        raise InputError(f"--lora is {text!r}: write FILE_OR_FOLDER=SCALE, for example lora=0.8") from None


def run_rooms(options: argparse.Namespace) -> None:
    from video4spatial.commands.rooms import render_walk

    require_writable_video(options.out)
    render_walk(options, *parse_size(options.size))


def run_train(options: argparse.Namespace) -> None:
    from video4spatial.train.recipes import known_recipes

    if options.list:
        print("\n".join(known_recipes()))
        return
    if options.dry_run and options.recipe is None:
        raise InputError("--dry-run is of a RECIPE: give one")
    if (options.recipe is None) == (options.resume is None):
        raise InputError(f"give a RECIPE or --resume DIR. Recipes: {', '.join(known_recipes())}")
    if options.at is not None and options.resume is None:
        raise InputError("--at goes with --resume DIR")
    quiet_libraries()
    if options.dry_run:
        from video4spatial.commands.dry_run import print_dry_run

        print_dry_run(options.recipe, options.set, options.gpus, options.gpu)
        return
    from video4spatial.commands.train import train_run

    train_run(options.recipe, options.resume, options.out, options.minutes, options.set, options.at)


def run_precompute(options: argparse.Namespace) -> None:
    quiet_libraries()
    from video4spatial.commands.precompute import precompute_recipe

    print(precompute_recipe(options.recipe, options.out, options.set))


def run_evaluate(options: argparse.Namespace) -> None:
    pipeline = load_pipeline(options.model)
    from video4spatial.commands.evaluate import evaluate_pipeline

    evaluate_pipeline(pipeline, options)


def run_plan(options: argparse.Namespace) -> None:
    from video4spatial.commands.plan import plan

    plan(options, None if options.size is None else parse_size(options.size))


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


if __name__ == "__main__":
    status = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from video4spatial.train.parallel import end_process

        end_process(status)
    sys.exit(status)
