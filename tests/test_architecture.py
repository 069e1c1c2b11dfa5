"""The house rules that a machine can check (docs and pyproject.toml say them in words)."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "video4spatial"
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
FORBIDDEN_NAMES = {"utils", "misc", "common", "helpers"}
LOOKED_AT_FROM, WANTS_A_REASON = 400, 600


def name_of(file: Path) -> str:
    return file.relative_to(SOURCE).as_posix()


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Every call of a name or of an attribute, by that name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            found.append((node.func.id if isinstance(node.func, ast.Name) else node.func.attr, node))
    return found


def test_the_files_are_found():
    assert {"schema.py", "command.py", "flow.py"} <= {file.name for file in FILES}


def test_import_contracts_hold():
    program = Path(sys.executable).with_name("lint-imports")
    found = str(program) if program.exists() else shutil.which("lint-imports")
    if found is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run([found, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_is_light():
    """`import video4spatial` and the command line's help must not wait for torch."""
    heavy = "{'torch', 'diffusers', 'transformers', 'numba', 'scipy', 'av'}"
    code = "import sys, video4spatial, video4spatial.cli as c; c.build_parser().format_help(); "
    code += f"print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_resolve():
    import video4spatial

    for name in video4spatial.__all__:
        assert getattr(video4spatial, name) is not None
    assert set(dir(video4spatial)) == set(video4spatial.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = video4spatial.nonsense


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_stay_short(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LOOKED_AT_FROM, f"{name_of(file)} has {lines} lines; {WANTS_A_REASON} is the hard end"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_forbidden(file):
    tree = TREES[file]
    assert not {*file.relative_to(SOURCE).parts[:-1], file.stem} & FORBIDDEN_NAMES
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & {"pickle", "cPickle", "dill", "joblib", "__future__"}
    plain = {name for name, call in calls(tree) if isinstance(call.func, ast.Name)}
    assert not plain & {"eval", "exec"}, "nothing that is loaded may be run"
    methods = {name for name, call in calls(tree) if isinstance(call.func, ast.Attribute)}
    assert "cuda" not in methods, ".to(device), so that one code serves every device"
    assert "print_exc" not in methods


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_torch_loads_no_pickles(file):
    for name, call in calls(TREES[file]):
        if not isinstance(call.func, ast.Attribute) or ast.unparse(call.func) not in ("torch.load", "torch.save"):
            continue
        plain = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in call.keywords)
        if (name_of(file), name, plain) != ("model/weights.py", "load", True):  # the official .pth files
            pytest.fail(f"{name_of(file)}:{call.lineno} {name}: safetensors only")


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_loose_state_dicts_check_their_report(file):
    """`load_state_dict(strict=False)` must keep what it returns, and look at missing and unexpected keys."""
    tree = TREES[file]
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        for statement in ast.walk(function):
            value = getattr(statement, "value", None)
            if not isinstance(statement, ast.Expr | ast.Assign | ast.Return) or not isinstance(value, ast.Call):
                continue
            loose = any(
                k.arg == "strict" and isinstance(k.value, ast.Constant) and k.value.value is False
                for k in value.keywords
            )
            if loose and getattr(value.func, "attr", "") == "load_state_dict":
                assert isinstance(statement, ast.Assign), f"{name_of(file)}:{value.lineno} drops the report"
                used = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
                kept = [n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
                assert all(name in used for name in kept), f"{name_of(file)}:{value.lineno} does not look at the report"


def test_nothing_writes_to_the_environment_at_import():
    for file, tree in TREES.items():
        for node in tree.body:
            text = ast.unparse(node)
            assert not re.match(r"os\.environ\[|os\.putenv|os\.environ\.(set|up)", text), name_of(file)


def test_every_package_says_what_it_is():
    for file, tree in TREES.items():
        assert ast.get_docstring(tree), f"{name_of(file)} has no docstring"


def test_readme_tree_lists_every_package():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    if "schema.py" not in readme:
        pytest.skip("README has no tree yet")
    packages = sorted(p.parent.name for p in SOURCE.glob("*/__init__.py"))
    missing = [name for name in packages if not re.search(rf"\b{name}/", readme)]
    assert not missing, f"README's tree does not list {missing}"
