"""ground, navigate, modes, plan: asking the model, and knowing beforehand what that takes."""

import argparse
from pathlib import Path

from video4spatial.cli.command import (
    AddCommand,
    load_pipeline,
    parse_size,
    quiet_libraries,
    require_writable_answer,
    require_writable_video,
)
from video4spatial.schema import InputError


def add_commands(command: AddCommand) -> None:
    """ground, navigate, modes and plan."""
    ground = command("ground", run_ground, "Go to a named object and draw a red box on it.")
    ground.add_argument("context", metavar="CONTEXT", help="walk-through video (or folder of images)")
    ground.add_argument("instruction", metavar="INSTRUCTION", help="the object, for example 'the red armchair'")
    ground.add_argument("--scene", metavar="TEXT", help="what the place is, for example 'a bedroom with two windows'")
    ground.add_argument("--json", metavar="FILE", help="write the answer (box, frame, confidence) here as well")
    add_sampling_options(ground)
    add_verifying_options(ground, judges=True)

    navigate = command("navigate", run_navigate, "Follow a camera path through the place.")
    navigate.add_argument("context", metavar="CONTEXT", help="walk-through video (or folder of images)")
    navigate.add_argument(
        "path",
        metavar="PATH|PRESET",
        help="waypoints (.csv, .json), transforms.json, COLMAP, TUM, RealEstate10K, ROS (.yaml, .json); or "
        "turn-left, turn-right, orbit, forward, backward, look-around, 360, still",
    )
    navigate.add_argument("--format", help="the path file's format, where its name does not tell")
    navigate.add_argument("--degrees", type=float, help="how far a preset turns")
    navigate.add_argument("--metres", type=float, help="how far a preset moves")
    navigate.add_argument("--fov", type=float, help="horizontal field of view in degrees, for paths that give none")
    navigate.add_argument("--json", metavar="FILE", help="write the settings here as well")
    add_sampling_options(navigate)
    add_verifying_options(navigate, judges=False)

    command("modes", run_modes, "List the faster modes of ground and navigate, and what each changes.")

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


def add_verifying_options(parser: argparse.ArgumentParser, judges: bool) -> None:
    """Best of N, and what clips are checked with."""
    group = parser.add_argument_group("best of N (docs/best-of.md)")
    group.add_argument("--best-of", type=int, metavar="N", help="try N seeds from --seed on, check each, keep the best")
    group.add_argument("--stop-at-first", action="store_true", help="make no more once one passed the checks")
    group.add_argument("--keep-all", metavar="DIR", help="write every seed's clip and scores here")
    parser.set_defaults(judge=None, judge_model=None, judge_cache=None)
    if judges:
        group.add_argument(
            "--judge",
            metavar="rooms|URL|none",
            help="who looks whether the target is there: rooms' detector, or a VLM behind an OpenAI-compatible server; "
            "default: rooms for a model that knows rooms' words only, else none",
        )
        group.add_argument("--judge-model", metavar="NAME", help="the VLM; default Qwen/Qwen3-VL-8B-Instruct")
        group.add_argument("--judge-cache", metavar="FILE", help="keep the VLM's answers here, for the next time")
    group.add_argument(
        "--reconstructor",
        metavar="WAY",
        help="compare the clip's geometry and camera with the place: rooms=SEED[:DIFFICULTY] (a room of `video4spatial "
        "rooms`), or the walk-through's own by colmap (320 pixels wide or more), vggt=WEIGHTS, "
        "depth-anything-3=WEIGHTS",
    )
    what = "the path that the clip shows" if judges else "the asked path, and the one that the clip shows"
    parser.add_argument(
        "--export-path",
        metavar="DIR",
        help=f"write {what} (with --reconstructor): transforms.json, COLMAP, TUM, ROS, waypoints, points as .ply",
    )


def run_ground(options: argparse.Namespace) -> None:
    require_writable_video(options.out)
    require_writable_answer(options.json)
    _require_candidates(options)
    quiet_libraries()
    from video4spatial.commands.ask import ground

    ground(options, load_pipeline)


def run_navigate(options: argparse.Namespace) -> None:
    require_writable_video(options.out)
    require_writable_answer(options.json)
    _require_candidates(options)
    if Path(options.path).suffix and not Path(options.path).exists():  # said before a model is loaded
        raise InputError(f"{options.path} does not exist: check the path")
    quiet_libraries()
    from video4spatial.commands.ask import navigate

    navigate(options, load_pipeline)


def _require_candidates(options: argparse.Namespace) -> None:
    """Options of best-of-N without it say nothing: refuse them before a model is loaded."""
    if options.best_of is None and (options.stop_at_first or options.keep_all):
        option = "--stop-at-first" if options.stop_at_first else "--keep-all"
        raise InputError(f"{option} belongs to --best-of N: give it too")
    if options.best_of is not None and options.best_of < 1:
        raise InputError(f"--best-of is {options.best_of}: give at least 1")
    if options.export_path is not None and Path(options.export_path).is_file():
        raise InputError(f"--export-path is {options.export_path}, which is a file: name a folder")
    if options.export_path is not None and options.command == "ground" and options.reconstructor is None:
        raise InputError(
            "--export-path needs --reconstructor here: no camera path was asked for, so it must be recovered"
        )
    if options.stop_at_first and options.command == "navigate" and options.reconstructor is None:
        raise InputError("--stop-at-first needs --reconstructor here: nothing else tells whether a path was followed")


def run_modes(options: argparse.Namespace) -> None:
    from video4spatial.commands.modes import print_modes

    print_modes()


def run_plan(options: argparse.Namespace) -> None:
    from video4spatial.commands.plan import plan

    plan(options, None if options.size is None else parse_size(options.size))
