"""Find a recipe: ``rooms:vae_cpu`` among the project's, or ``path/to/file.py:function`` of one's own."""

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from video4spatial.schema import InputError
from video4spatial.train.config import RunConfig

_HERE = Path(__file__).resolve()
FOLDERS = (_HERE.parents[3] / "recipes", _HERE.parents[1] / "recipes")  # a checkout's; an installed package's


def recipe_folder() -> Path:
    """The folder of the project's recipes."""
    for folder in FOLDERS:
        if (folder / "rooms.py").is_file():
            return folder
    raise InputError(
        f"the project's recipes are not installed (looked in {FOLDERS[1]}): name a recipe file of your own"
    )


def known_recipes() -> list[str]:
    """Names of the project's recipes."""
    names = []
    for file in sorted(recipe_folder().glob("[!_]*.py")):
        names += [f"{file.stem}:{name}" for name in _functions(_import(file))]
    return names


def load_recipe(name: str) -> RunConfig:
    """The configuration that recipe ``name`` returns.

    Raises:
        InputError: no such file or function (those known are listed), or it does not return a configuration.
    """
    module_name, _, function = name.rpartition(":")
    if not module_name:
        raise InputError(f"recipe {name!r}: write it as file:function. Known: {', '.join(known_recipes())}")
    file = Path(module_name) if module_name.endswith(".py") else recipe_folder() / f"{module_name}.py"
    if not file.is_file():
        raise InputError(f"recipe {name!r}: there is no {file}. Known: {', '.join(known_recipes())}")
    functions = _functions(_import(file))
    if function not in functions:
        raise InputError(f"recipe {name!r}: {file} has {', '.join(functions) or 'no recipe'}")
    config = functions[function]()
    if not isinstance(config, RunConfig):
        raise InputError(f"recipe {name!r} returned {type(config).__name__}: it must return a VaeRun or TransformerRun")
    return config


def _import(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"video4spatial_recipe_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise InputError(f"recipe file {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"recipe file {file} does not run: {type(error).__name__}: {error}") from error
    return module


def _functions(module: ModuleType) -> dict[str, Callable[[], RunConfig]]:
    own = inspect.getmembers(module, inspect.isfunction)
    return {
        name: f
        for name, f in own
        if f.__module__ == module.__name__ and not name.startswith("_") and not inspect.signature(f).parameters
    }
