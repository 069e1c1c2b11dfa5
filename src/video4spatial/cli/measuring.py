"""evaluate."""

import argparse

from video4spatial.cli.command import AddCommand, load_pipeline


def add_commands(command: AddCommand) -> None:
    """evaluate."""
    evaluate = command("evaluate", run_evaluate, "Measure a model on held-out rooms, with baselines.")
    evaluate.add_argument("--model", default="rooms-small", help="default %(default)s")
    evaluate.add_argument("--cases", type=int, default=32, help="cases a task; default %(default)s")
    evaluate.add_argument("--out", required=True, metavar="DIR", help="results go here; a rerun goes on")
    evaluate.add_argument("--steps", type=int, help="sampling steps (default: the model's)")
    evaluate.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
    evaluate.add_argument("--seed", type=int, default=0, help="default %(default)s")


def run_evaluate(options: argparse.Namespace) -> None:
    pipeline = load_pipeline(options.model)
    from video4spatial.commands.evaluate import evaluate_pipeline

    evaluate_pipeline(pipeline, options)
