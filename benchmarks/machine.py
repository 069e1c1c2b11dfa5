"""The machine a figure was measured on, to stand beside the figure."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path


def describe_machine() -> dict:
    """CPU model, cores, versions and commit, as far as they can be known."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    here = Path(__file__).parent
    commit = None
    if shutil.which("git"):
        git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=here)
        commit = git.stdout.strip() or None
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "diffusers", "numba")},
        "commit": commit,
    }
