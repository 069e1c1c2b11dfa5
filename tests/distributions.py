"""The project's wheel and sdist, and fresh environments for the wheel, without asking an index.

What is installed here is linked into such an environment, all but what is to be missing there.
"""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = Path(sysconfig.get_path("purelib"))


@dataclass(frozen=True)
class Built:
    """What was built."""

    wheel: Path
    sdist: Path


def build(source: Path, out: Path, *targets: str) -> None:
    """Build ``targets`` by the backend itself: what a front end does in an environment of its own, from an index."""
    words = [word for target in targets for word in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out), *words]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def names_in_site(package: str) -> set[str]:
    """The files and folders of a distribution at the top of site-packages."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return set()
    return {file.parts[0] for file in files if file.parts[0] != ".."}


def optional(wheel: Path) -> set[str]:
    """What only the extras of a wheel ask for: names of distributions."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    for line in metadata.get_all("Requires-Dist") or []:
        found["extra ==" in line].add(re.split(r"[^\w.-]", line, maxsplit=1)[0])
    return found[True] - closure(found[False])


def closure(names: set[str]) -> set[str]:
    """These distributions and all that they ask for in turn, as far as they are installed here."""
    known: set[str] = set()
    waiting = {canonical(name) for name in names}
    while waiting:
        name = waiting.pop()
        known.add(name)
        try:
            lines = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        asked = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line}
        waiting |= {canonical(name) for name in asked} - known
    return known


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def fresh_environment(folder: Path, wheel: Path, without: set[str]) -> Path:
    """A virtual environment of its own that has ``wheel``, and of what is installed here all but ``without``.

    Packages are linked, not copied; ``*.pth`` files, by which an editable install is found, stay behind.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = folder / SITE.relative_to(sys.prefix)
    hidden = set().union(*map(names_in_site, {*without, "video4spatial"}))
    for entry in SITE.iterdir():
        if entry.name not in hidden and entry.suffix != ".pth" and entry.name != "__pycache__":
            (site / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True, env=clean())
    return folder


def clean() -> dict[str, str]:
    """This process's environment without what would find the checkout."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run(environment: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run a program of ``environment`` in ``folder``."""
    command = [str(environment / "bin" / words[0]), *words[1:]]
    return subprocess.run(command, cwd=folder, env=clean(), capture_output=True, text=True, check=False)
