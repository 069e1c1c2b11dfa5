"""Which public names there are, and which of them say nothing about themselves.

Public is what a page of the reference shows (``::: module``) and what a module lists in ``__all__``. mkdocstrings shows
bare names without a word, so the site's hook and a test ask here.
"""

import re
from pathlib import Path

import griffe

DOCS = Path(__file__).parent


def shown_modules() -> list[str]:
    """The modules and names that the reference shows, in the order of its pages."""
    pages = sorted((DOCS / "reference").glob("*.md"))
    return [name for page in pages for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.M)]


def undocumented(package: griffe.Module | None = None, shown: list[str] | None = None) -> list[str]:
    """Public functions, classes, methods and properties without a docstring, by their full names."""
    root = package or load_package()
    bare: dict[str, None] = {}
    for name in shown_modules() if shown is None else shown:
        target = root if name == root.path else root[name.removeprefix(f"{root.path}.")]
        bare.update(dict.fromkeys(_bare(target)))
    for module in _modules(root):
        for name in module.exports or ():
            member = module.members.get(str(name))
            if member is not None:
                bare.update(dict.fromkeys(_bare(member)))
    return list(bare)


def load_package() -> griffe.Module:
    """The package as griffe reads it, without importing it."""
    package = griffe.load("video4spatial", search_paths=[str(DOCS.parent / "src")])
    assert isinstance(package, griffe.Module)
    return package


def _modules(module: griffe.Module) -> list[griffe.Module]:
    return [module, *(found for below in module.modules.values() for found in _modules(below))]


def _bare(found: griffe.Object | griffe.Alias) -> list[str]:
    """The names at and below ``found`` that have no docstring; what comes from other packages is theirs."""
    if found.is_alias:
        try:
            found = found.final_target
        except griffe.AliasResolutionError:
            return []
    if found.is_attribute and "property" not in found.labels:
        return []
    names = [] if found.docstring else [found.path]
    if found.is_module or found.is_class:
        for name, member in found.members.items():
            if name.startswith("_"):
                continue
            if member.is_alias:  # imported: public where the module says so
                names += _bare(member) if name in (found.exports or ()) else []
            elif not member.is_module:
                names += _bare(member)
    return names
