"""experiment: the paper's tables and figures, by name."""

import argparse
import shlex
import sys
from pathlib import Path

from video4spatial.cli.command import AddCommand, load_pipeline, parse_size, quiet_libraries
from video4spatial.cli.measuring import add_sampling, add_workers, parse_shard, settings_of, size_of
from video4spatial.schema import InputError


def add_commands(command: AddCommand) -> None:
    """experiment."""
    experiment = command("experiment", run_experiment, "Reproduce a table or figure of the paper on a benchmark.")
    experiment.add_argument("name", nargs="?", metavar="NAME", help="table1, context-length, ...; see --list")
    experiment.add_argument("--list", action="store_true", help="list the experiments, with their rows")
    experiment.add_argument("--out", metavar="DIR", help="default runs/experiments/NAME; a rerun goes on")
    experiment.add_argument(
        "--benchmark", default="rooms", metavar="BENCHMARK", help="rooms, rooms:long, rooms:tiny, or a folder"
    )
    experiment.add_argument("--size", metavar="WxH", help="of rooms, if not the benchmark's own")
    experiment.add_argument("--cases", type=int, metavar="N", help="only the first N cases, taken round the scenes")
    experiment.add_argument("--repeats", type=int, metavar="N", help="videos a case (default: 5 in repeats, else 1)")
    experiment.add_argument("--shard", default="0/1", metavar="K/N", help="make the videos of this share only, from 0")
    add_workers(experiment)
    experiment.add_argument("--metrics", metavar="A,B", help="default: what the paper's columns need")
    experiment.add_argument("--set", action="append", default=[], metavar="METRIC.KEY=VALUE", help="a metric's setting")
    rows = experiment.add_argument_group("rows that need more than the model; NAME is a row's, see --list")
    rows.add_argument(
        "--trained", action="append", default=[], metavar="NAME=PIPELINE", help="a model trained for a row; repeatable"
    )
    rows.add_argument(
        "--external", action="append", default=[], metavar="NAME=FOLDER", help="videos made elsewhere; repeatable"
    )
    rows.add_argument("--rival", action="append", default=[], metavar="NAME=FOLDER", help="a stock model; repeatable")
    rows.add_argument("--rival-size", metavar="WxH", help="what rivals make (default: the paper's)")
    rows.add_argument("--rival-frames", type=int, metavar="N", help="how many frames they make (default: the paper's)")
    rows.add_argument(
        "--reuse", action="append", default=[], metavar="DIR", help="take videos of equal settings from there"
    )
    add_sampling(experiment)


def run_experiment(options: argparse.Namespace) -> None:
    if options.list:
        print_list()
        return
    if options.name is None:
        from video4spatial.evaluate.paper import PAPER

        raise InputError(f"give an experiment's NAME: {', '.join(PAPER)}; --list says what they are")
    shard = parse_shard(options.shard)
    rival_size = None if options.rival_size is None else parse_size(options.rival_size)
    trained, external, rivals = (
        parse_named(f"--{name}", getattr(options, name)) for name in ("trained", "external", "rival")
    )
    quiet_libraries()
    from video4spatial.commands.experiment import Asked
    from video4spatial.commands.experiment import run_experiment as run
    from video4spatial.commands.experiments import paper_of
    from video4spatial.evaluate.benchmarks import open_benchmark
    from video4spatial.evaluate.generated import GeneratedFolder

    paper = paper_of(options.name)
    run(
        Asked(
            options.name,
            open_benchmark(options.benchmark, size_of(options), options.cases, [paper.task]),
            GeneratedFolder(Path(options.out or f"runs/experiments/{options.name}")),
            settings_of(options, rival_size=rival_size, rival_frames=options.rival_frames),
            load_pipeline,
            trained,
            {name: Path(folder) for name, folder in external.items()},
            rivals,
            [Path(folder) for folder in options.reuse],
            None if options.metrics is None else options.metrics.split(","),
            options.set,
            options.seed,
            options.repeats,
            shard,
            shlex.join(["video4spatial", *sys.argv[1:]]),
            workers=options.workers,
        )
    )


def print_list() -> None:
    """Every experiment, and every row of it with what it needs."""
    from video4spatial.commands.experiments import Defaults, rows_of
    from video4spatial.evaluate.paper import PAPER

    needs = {"ours": "runs", "rival": "--rival or --external", "external": "--external"}
    for paper in PAPER.values():
        print(f"{paper.name}: {paper.title} ({paper.source}), {paper.task}")
        for row in rows_of(paper.name, Defaults(steps=50, guidance=5.0, context_latents=84), 85):
            what = needs.get(row.source, "--trained")
            if row.recipe:
                what = f"{what if row.source == 'training' else 'runs, or --trained'} (ablations:{row.recipe})"
            print(f"    {row.method:30} {row.label:52} {what}")


def parse_named(option: str, given: list[str]) -> dict[str, str]:
    """ "no-box-tail=runs/x/pipeline" as a name and what it stands for."""
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise InputError(
                f"{option} is {text!r}: write NAME=FOLDER, for example {option} no-box-tail=runs/x/pipeline"
            )
        if name in found:
            raise InputError(f"{option} {name} is given twice")
        found[name] = value
    return found
