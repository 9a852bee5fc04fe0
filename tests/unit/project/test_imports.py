"""What is imported: each library stated, nothing behind a wall's back, and no circle."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.support.places import ROOT

TREES = ("flows", "tasks", "deployments")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# they reach nothing outside: rooms that decide have a row for them, all others are free to
FREE = {"cronsim", "numpy", "packaging", "pydantic", "scipy", "yaml"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*TREES, include_external_packages=True, cache_dir=None)


def roomed() -> set[str]:
    """Libraries that a wall keeps to their rooms, or from everybody."""
    walls = PROJECT["tool"]["importlinter"]["contracts"]
    keys = ("protected_modules", "forbidden_modules")
    return {name for wall in walls for key in keys for name in wall.get(key, [])}


def test_every_dependency_has_a_room_or_is_free() -> None:
    packages: dict[str, set[str]] = {}
    for name, sources in importlib.metadata.packages_distributions().items():
        for source in sources:
            packages.setdefault(source.lower().replace("_", "-"), set()).add(name)
    asked = [re.split(r"[\[<>=]", text)[0] for text in PROJECT["project"]["dependencies"]]
    for name in asked:
        assert packages[name] & (roomed() | FREE), f"{name} has no room: name it in a contract"


def test_every_library_imported_has_a_room_or_is_free(graph: grimp.ImportGraph) -> None:
    """One that came with another dependency as well."""
    found = {name.partition(".")[0] for name in graph.modules} - sys.stdlib_module_names
    assert found - {*TREES} <= roomed() | FREE
    assert not roomed() & FREE


def test_no_module_imports_itself_in_the_end(graph: grimp.ImportGraph) -> None:
    """Imports for type checkers count, too: a type that two need lies apart."""
    ours = [name for name in graph.modules if name.startswith(TREES)]
    told = {name: graph.find_modules_directly_imported_by(name) for name in ours}
    TopologicalSorter(told).prepare()  # CycleError names them


def test_what_ruff_refuses(tmp_path: Path) -> None:
    """Parts of modules that may be imported, and folders that no wall sees."""
    banned = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    hidden = tmp_path / "tasks/verdict/hidden/breach.py"
    hidden.parent.mkdir(parents=True)
    (hidden.parents[1] / "__init__.py").touch()
    whole = [f"import {name.partition('.')[0]}; {name}" for name in banned]
    parts = [name.rpartition(".") for name in banned]
    inside = ["def inner():", *(f"    from {place} import {name}" for place, _, name in parts)]
    hidden.write_text("\n".join([*whole, "exec('1'); eval('1'); open('x')", *inside]))
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", "--output-format", "concise", "--no-cache", "--config"]
    done = subprocess.run(
        [*command, ROOT / "pyproject.toml", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    for name in banned:
        assert done.stdout.count(f"`{name}` is banned") >= 2, name
    for code in ("INP001", "S102", "S307", "PTH123"):
        assert code in done.stdout


def test_nothing_is_imported_by_a_name_made_up() -> None:
    """No wall sees it; ruff refuses importlib's ways."""
    for top in ("flows", "tasks"):
        for path in (ROOT / top).rglob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text()))
            assert "__import__" not in {getattr(node, "id", "") for node in nodes}, path
