"""Whether the lowest versions that pyproject.toml allows, and the newest, pass a smoke test in a fresh environment.

    pip install uv
    python benchmarks/versions.py lowest                                # PyPI's torch: several GB
    python benchmarks/versions.py newest --torch torch==2.13.0

It makes an environment with the extras data, eval and scale, renders a walk, grounds an object in it and runs SMOKE.
Exit code: 0 if all passed. The versions are printed. Nothing of the environment is kept, unless --keep names a folder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "data,eval,scale"
TESTING = ("pytest>=8.3", "pytest-timeout>=2.3", "hypothesis>=6.120")
SMOKE = (
    "tests/geometry/test_paths.py",
    "tests/storage/test_video.py",
    "tests/test_flow.py",
    "tests/sample/test_session.py",
    "tests/sample/test_pipeline.py",
    "tests/model/test_lora.py",
    "tests/train/test_step.py",
)
STRATEGY = {"lowest": "lowest-direct", "newest": "highest"}


def install(environment: Path, which: str, torch: str | None) -> None:
    """A fresh environment with the checkout, by uv, which can resolve to the lowest."""
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    packages = ["--editable", f"{ROOT}[{EXTRAS}]", *TESTING, *([torch] if torch else [])]
    command = [*uv, "pip", "install", "--quiet", "--resolution", STRATEGY[which], *packages]
    subprocess.run(command, check=True, env={**os.environ, "VIRTUAL_ENV": str(environment)})
    subprocess.run([*uv, "pip", "list", "--python", str(environment)], check=True)


def passes(environment: Path, folder: Path) -> bool:
    """Whether ground works from outside the checkout, and the smoke tests pass."""
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    variables["OMP_NUM_THREADS"] = "1"
    command = str(environment / "bin" / "video4spatial")
    asked = (
        [command, "rooms", "7", "walk.mp4", "--frames", "41", "--size", "96x64"],
        [command, "ground", "walk.mp4", "the red dresser", "-o", "dresser.mp4", "--steps", "2"],
    )
    done = [subprocess.run(words, cwd=folder, env=variables, check=False).returncode for words in asked]
    tests = [str(environment / "bin" / "python"), "-m", "pytest", *SMOKE]
    done.append(subprocess.run(tests, cwd=ROOT, env=variables, check=False).returncode)
    return not any(done)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=sorted(STRATEGY))
    parser.add_argument("--torch", help="a requirement for torch, instead of what the strategy gives")
    parser.add_argument("--keep", type=Path, help="where the environment is made and left")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        made = options.keep or Path(temporary) / "environment"
        install(made, options.which, options.torch)
        sys.exit(0 if passes(made, Path(temporary)) else 1)
