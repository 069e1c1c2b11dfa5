"""Every public name says what it is: what the reference shows and what modules list in ``__all__``."""

import sys
from types import ModuleType

import griffe
import pytest
from page_blocks import docs_script

import video4spatial


@pytest.fixture(scope="module")
def public_names() -> ModuleType:
    return docs_script("public_names")


def test_every_public_name_says_what_it_is(public_names):
    assert public_names.undocumented() == []


def test_the_doors_are_shown(public_names):
    """What ``import video4spatial`` offers has a place in the reference."""
    shown = public_names.shown_modules()
    assert len(shown) == len(set(shown))
    for name in set(video4spatial.__all__) - {"__version__"}:
        home = f"video4spatial.{video4spatial._HOMES[name]}"
        assert home in shown or f"{home}.{name}" in shown, f"{name} of {home} is on no page of the reference"


def test_a_bare_name_is_found(public_names, tmp_path):
    package = tmp_path / "bare"
    package.mkdir()
    (package / "__init__.py").write_text(
        '"""A package."""\nfrom bare.door import through\nfrom json import loads\n__all__ = ["through"]\n'
    )
    (package / "door.py").write_text(
        '"""A module."""\nLIMIT = 3\ndef through(): ...\ndef _hidden(): ...\nclass Thing:\n    """A thing."""\n'
        "    side = 1\n    @property\n    def size(self): ...\n    def _way(self): ...\n    def turn(self): ...\n"
    )
    root = griffe.load("bare", search_paths=[str(tmp_path)])
    bare = public_names.undocumented
    assert bare(root, []) == ["bare.door.through"]
    assert bare(root, ["bare.door"]) == ["bare.door.through", "bare.door.Thing.size", "bare.door.Thing.turn"]
    assert "bare" not in sys.modules
