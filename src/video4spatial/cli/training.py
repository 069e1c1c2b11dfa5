"""train, precompute."""

import argparse

from video4spatial.cli.command import AddCommand, quiet_libraries
from video4spatial.schema import InputError


def add_commands(command: AddCommand) -> None:
    """train and precompute."""
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
