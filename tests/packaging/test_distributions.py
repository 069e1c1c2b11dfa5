"""What is in the wheel and the sdist: all that is needed, and nothing else."""

import hashlib
import re
import subprocess
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml
from distributions import ROOT, Built, build

import video4spatial


def checked_out(*folders: str) -> dict[str, str]:
    """The files of these folders that git knows of, or would take, with a digest of each."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout: what belongs into the distributions is not known")
    return {name: digest((ROOT / name).read_bytes()) for name in listed.stdout.split("\n") if (ROOT / name).is_file()}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def in_wheel(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: digest(archive.read(name)) for name in archive.namelist()}


def test_the_wheel_has_the_package_the_recipes_and_nothing_else(built: Built):
    source = {name.removeprefix("src/"): found for name, found in checked_out("src").items()}
    recipes = {f"video4spatial/{name}": found for name, found in checked_out("recipes").items()}
    found = {name: of for name, of in in_wheel(built.wheel).items() if ".dist-info/" not in name}
    assert found == source | recipes
    assert {"video4spatial/py.typed", "video4spatial/recipes/rooms.py"} <= found.keys()
    weights = [name for name in found if name.endswith(".safetensors")]
    assert len(weights) >= 4, "the models that ship"


def test_the_wheel_says_what_it_is(built: Built):
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
        told = {Path(name).name: name for name in names if ".dist-info/" in name}
        metadata = HeaderParser().parsestr(archive.read(told["METADATA"]).decode())
        scripts = archive.read(told["entry_points.txt"]).decode()
        licence = archive.read(told["LICENSE"]).decode()
    assert metadata["Version"] == video4spatial.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in licence
    assert "video4spatial = video4spatial.cli:main" in scripts
    assert "py3-none-any" in built.wheel.name


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path):
    with tarfile.open(built.sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / built.sdist.name.removesuffix(".tar.gz")
    top = {Path(name).relative_to(root.name).parts[0] for name in names}
    told = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert top <= told | {"src", "recipes", ".gitignore"}  # the last is hatchling's own addition
    assert told <= top
    build(root, tmp_path / "again", "wheel")
    assert in_wheel(next((tmp_path / "again").glob("*.whl"))) == in_wheel(built.wheel)


def test_the_version_is_semantic_and_said_in_one_place():
    core, prerelease = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
    assert re.fullmatch(core + prerelease, video4spatial.__version__)
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(video4spatial.__version__)}\b", changelog, re.M), "the version has no entry"


def test_the_citation_file_has_what_its_format_requires():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert (cited["cff-version"], cited["type"], cited["license"]) == ("1.2.0", "software", "Apache-2.0")
    for work in (cited, *cited["references"]):
        assert work["title"]
        assert all(set(author) & {"name", "family-names"} for author in work["authors"])
    assert all("type" in work for work in cited["references"])
    assert cited["references"][0]["identifiers"][0]["value"] == "arXiv:2512.03040"
