"""Whether the lowest versions that pyproject.toml allows, and the newest, pass a smoke test in a fresh environment.

    pip install uv
    python benchmarks/versions.py lowest                                # PyPI's torch: several GB
    python benchmarks/versions.py newest --torch torch==2.13.0

It makes an environment with the extras app, data, docs, eval and scale, renders a walk, grounds an object in it, runs
SMOKE and builds the site. Exit code: 0 if all passed. The versions and what passed go into
benchmarks/results/versions.json.
Nothing of the environment is kept, unless --keep names a folder; one that is there is taken as it is.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from machine import describe_machine

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "versions.json"
EXTRAS = ("app", "data", "docs", "eval", "scale")
TESTING = ("pytest>=8.3", "pytest-timeout>=2.3", "hypothesis>=6.120")
SMOKE = (
    "tests/geometry/test_paths.py",
    "tests/storage/test_video.py",
    "tests/test_flow.py",
    "tests/sample/test_session.py",
    "tests/sample/test_pipeline.py",
    "tests/model/test_lora.py",
    "tests/train/test_step.py",
    "tests/app/test_api.py::test_the_endpoints_are_these",
    "tests/app/test_api.py::test_refusals_say_why",
)
STRATEGY = {"lowest": "lowest-direct", "newest": "highest"}
GROUND = ("ground", "walk.mp4", "the red dresser", "-o", "dresser.mp4", "--steps", "2")


def install(environment: Path, which: str, torch: str | None) -> None:
    """A fresh environment with the checkout, by uv, which can resolve to the lowest."""
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    packages = ["--editable", f"{ROOT}[{','.join(EXTRAS)}]", *TESTING, *([torch] if torch else [])]
    command = [*uv, "pip", "install", "--quiet", "--resolution", STRATEGY[which], *packages]
    subprocess.run(command, check=True, env={**os.environ, "VIRTUAL_ENV": str(environment)})


def versions(environment: Path) -> dict[str, str]:
    """The installed version of everything that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    names = sorted(line.split(">")[0].split("[")[0] for line in lines)
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    python = str(environment / "bin" / "python")
    found = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(names, found, strict=True))


def passed(environment: Path, folder: Path) -> dict[str, bool]:
    """Whether ground works from outside the checkout, the smoke tests pass and the site builds."""
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    variables |= {"OMP_NUM_THREADS": "1", "NO_MKDOCS_2_WARNING": "1"}
    command, python = str(environment / "bin" / "video4spatial"), str(environment / "bin" / "python")

    def runs(where: Path, *words: str) -> bool:
        return subprocess.run(words, cwd=where, env=variables, check=False).returncode == 0

    walk = runs(folder, command, "rooms", "7", "walk.mp4", "--frames", "41", "--size", "96x64")
    return {
        "ground": walk and runs(folder, command, *GROUND),
        "tests": runs(ROOT, python, "-m", "pytest", *SMOKE),
        "site": runs(ROOT, python, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=sorted(STRATEGY))
    parser.add_argument("--torch", help="a requirement for torch, instead of what the strategy gives")
    parser.add_argument("--keep", type=Path, help="where the environment is, or is made, and left")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        made = options.keep or Path(temporary) / "environment"
        if not made.exists():
            install(made, options.which, options.torch)
        done = passed(made, Path(temporary))
        machine = {key: value for key, value in describe_machine().items() if key != "packages"}  # those are ours
        told = {"machine": machine, "versions": versions(made), "passed": done, "tests": SMOKE}
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {options.which: told}, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(done.values()) else 1)
