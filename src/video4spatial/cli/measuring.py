"""benchmark, generate and evaluate: questions with known answers, videos that answer them, and how good they are."""

import argparse
import shlex
import sys
from pathlib import Path

from video4spatial.cli.command import AddCommand, load_pipeline, parse_size, quiet_libraries
from video4spatial.schema import InputError


def add_commands(command: AddCommand) -> None:
    """benchmark, generate and evaluate."""
    benchmark = command("benchmark", run_benchmark, "Write a benchmark out as files, for any system to answer.")
    _which(benchmark)
    benchmark.add_argument("out", metavar="DIR", help="the folder to write")
    store = benchmark.add_argument_group("where BENCHMARK is a prepared and curated store (defaults are the paper's)")
    for name, default in (("scenes", 18), ("grounding", 107), ("navigation", 90), ("absent", 36)):
        store.add_argument(f"--{name}", type=int, default=default, metavar="N", help="how many; default %(default)s")
    store.add_argument("--navigation-frames", type=int, default=161, metavar="N", help="default %(default)s")
    store.add_argument("--environments", metavar="FILE", help="choose among these only, one a line: those held out")
    store.add_argument("--draw", type=int, default=0, metavar="SEED", help="of scenes and cases; default %(default)s")
    store.add_argument("--manifest-only", action="store_true", help="benchmark.json alone: the store stays where it is")

    generate = command("generate", run_generate, "Answer a benchmark's cases with videos, by a method.")
    _which(generate)
    generate.add_argument(
        "--method", action="append", required=True, metavar="NAME", help="full, ground-truth, ...; may be repeated"
    )
    generate.add_argument("--out", required=True, metavar="DIR", help="videos go to DIR/METHOD; a rerun goes on")
    generate.add_argument("--as", dest="renamed", metavar="NAME", help="another folder name for a single method")
    generate.add_argument("--repeats", type=int, default=1, metavar="N", help="videos a case; default %(default)s")
    generate.add_argument("--shard", default="0/1", metavar="K/N", help="the K-th of N shares of the cases, from 0")
    add_sampling(generate)
    rival = generate.add_argument_group("wan-i2v and framepack (defaults are the paper's)")
    rival.add_argument("--rival", metavar="FOLDER", help="its diffusers pipeline")
    rival.add_argument(
        "--rival-size", metavar="WxH", help="what it makes; it is fitted to the benchmark's when measured"
    )
    rival.add_argument("--rival-frames", type=int, metavar="N", help="how many frames it makes")

    evaluate = command("evaluate", run_evaluate, "Measure generated videos: tables with intervals.")
    evaluate.add_argument(
        "target",
        metavar="DIR|BENCHMARK",
        help="a folder of generated videos; or a benchmark's name, to generate with --model into --out first",
    )
    evaluate.add_argument("--metrics", metavar="A,B", help="default: all")
    evaluate.add_argument("--set", action="append", default=[], metavar="METRIC.KEY=VALUE", help="a metric's setting")
    evaluate.add_argument("--method", action="append", metavar="NAME", help="only these; may be repeated")
    evaluate.add_argument(
        "--benchmark", metavar="NAME|FOLDER", help="which one the videos of DIR answer, if not told there"
    )
    evaluate.add_argument("--out", metavar="DIR", help="for a BENCHMARK: where videos and results go; a rerun goes on")
    add_part(evaluate)
    evaluate.add_argument("--size", metavar="WxH", help="of a BENCHMARK of rooms, if not its own")
    add_sampling(evaluate)


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("benchmark", metavar="BENCHMARK", help="rooms, rooms:long, rooms:tiny, or a folder of one")
    parser.add_argument("--size", metavar="WxH", help="of rooms, if not the benchmark's own")
    add_part(parser)


def add_part(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, metavar="N", help="only the first N cases a task, taken round the scenes")
    parser.add_argument(
        "--task", action="append", metavar="NAME", help="only grounding, absent or navigation; repeatable"
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How our model samples."""
    parser.add_argument(
        "--model", default="rooms-small", help="a shipped model or a pipeline folder; default %(default)s"
    )
    parser.add_argument("--steps", type=int, help="sampling steps (default: the model's)")
    parser.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
    parser.add_argument("--context-latents", type=int, metavar="N", help="latents of the walk-through to look at")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--faster", action="append", default=[], metavar="NAME[=VALUE]", help="a faster mode; see: video4spatial modes"
    )
    parser.add_argument("--sequential", action="store_true", help="guidance branches one after the other: less memory")


def run_benchmark(options: argparse.Namespace) -> None:
    from video4spatial.commands.benchmark import make_benchmark

    make_benchmark(options, size_of(options))


def run_generate(options: argparse.Namespace) -> None:
    shard = parse_shard(options.shard)
    rival_size = None if options.rival_size is None else parse_size(options.rival_size)
    quiet_libraries()
    from video4spatial.commands.generate import Run, generate
    from video4spatial.commands.loaded import Models
    from video4spatial.commands.methods import method_of
    from video4spatial.evaluate.benchmarks import open_benchmark
    from video4spatial.evaluate.generated import GeneratedFolder

    for name in options.method:
        method_of(name)
    settings = settings_of(options, rival=options.rival, rival_size=rival_size, rival_frames=options.rival_frames)
    run = Run(
        open_benchmark(options.benchmark, size_of(options), options.cases, options.task),
        list(dict.fromkeys(options.method)),
        GeneratedFolder(Path(options.out)),
        Models(settings, load_pipeline),
        options.seed,
        options.repeats,
        shard,
        options.renamed,
    )
    print(f"{generate(run)} videos made; measure them with: video4spatial evaluate {options.out}")


def run_evaluate(options: argparse.Namespace) -> None:
    quiet_libraries()
    from video4spatial.evaluate.benchmarks import NAMED
    from video4spatial.evaluate.generated import GeneratedFolder
    from video4spatial.evaluate.metrics import make_metrics

    metrics = make_metrics(None if options.metrics is None else options.metrics.split(","), options.set)
    named = options.target in NAMED and not Path(options.target).exists()
    if named != (options.out is not None):
        raise InputError("--out DIR goes with a BENCHMARK's name" if not named else "give --out DIR for the videos")
    folder = GeneratedFolder(Path(options.out if named else options.target))
    from video4spatial.commands.evaluate import MODEL_CARD, evaluate_folder

    if named:
        from video4spatial.commands.generate import Run, generate
        from video4spatial.commands.loaded import Models
        from video4spatial.evaluate.benchmarks import open_benchmark

        asked = open_benchmark(options.target, size_of(options), options.cases, options.task)
        models = Models(settings_of(options), load_pipeline)
        generate(Run(asked, options.method or MODEL_CARD, folder, models, options.seed))
    command = shlex.join(["video4spatial", *sys.argv[1:]])
    evaluate_folder(folder, metrics, options.method, options.benchmark, options.cases, options.task, command)


def parse_shard(text: str) -> tuple[int, int]:
    """ "0/4" as (0, 4)."""
    number, sign, of = text.partition("/")
    if not (sign and number.isdecimal() and of.isdecimal() and int(number) < int(of)):
        raise InputError(f"--shard is {text!r}: write K/N with K from 0 to N-1, for example 0/4")
    return int(number), int(of)


def size_of(options: argparse.Namespace) -> tuple[int, int] | None:
    return None if options.size is None else parse_size(options.size)


def settings_of(options: argparse.Namespace, **rival):
    from video4spatial.commands.loaded import Settings

    return Settings(
        options.model,
        options.steps,
        options.guidance,
        options.context_latents,
        tuple(options.faster),
        options.sequential,
        **rival,
    )
