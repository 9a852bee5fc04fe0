"""The tests lie as the code does, and share through tests/support alone."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.support.places import ROOT

TESTS = ROOT / "tests"
MOST_MODULES, MOST_LINES = 16, 400


def code() -> list[Path]:
    folders = ("flows", "tasks", "deployments", "tests", "requirements")
    return [path for name in folders for path in (ROOT / name).rglob("*.py")]


def test_no_test_is_imported_by_another() -> None:
    for path in TESTS.rglob("*.py"):
        found = re.findall(r"^from (tests\.\S*\.test_\w+) import", path.read_text(), re.MULTILINE)
        assert not found, (path, found)


def rooms() -> set[str]:
    """Packages below tasks that hold code, and those that hold such."""
    tasks = ROOT / "tasks"
    with_code = {path.parent for path in tasks.rglob("*.py") if path.stem != "__init__"}
    held = {room.relative_to(tasks) for room in with_code}
    return {str(path) for room in held for path in (room, *room.parents)} - {"."}


def test_every_room_has_its_tests() -> None:
    for room in rooms():
        files = list((TESTS / "unit" / room).rglob("test_*.py"))
        assert any("\ndef test_" in path.read_text() for path in files), f"nothing tests {room}"


def test_unit_tests_lie_as_the_rooms_do() -> None:
    unit = TESTS / "unit"
    places = {path.parent.relative_to(unit) for path in unit.rglob("*.py")} - {Path()}
    tested = {str(path) for path in places if path.parts[0] not in ("flows", "project")}
    assert tested - rooms() == set()


def body_of(node: ast.FunctionDef) -> list[ast.stmt]:
    """What a function does, without its words."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def test_no_helper_is_written_twice() -> None:
    """What two files need lies in the nearest conftest.py, or in tests/support."""
    places = defaultdict(list)
    for path in TESTS.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("test_"):
                continue
            body = body_of(node)
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines >= 2 or len(body) >= 3:
                said = "\n".join(map(ast.dump, body))
                places[said].append(f"{path.relative_to(ROOT)}: {node.name}")
    assert len(places) > 200
    assert [found for found in places.values() if len(found) > 1] == []


def test_nothing_grows_too_large() -> None:
    for folder in {path.parent for path in code()}:
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES, folder
    for path in code():
        assert len(path.read_text().splitlines()) <= MOST_LINES, path


def test_no_property_is_timed() -> None:
    """A limit on how long an example takes fails where others have the cores."""
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def test_every_test_is_run_by_the_command_of_the_readme() -> None:
    target = (ROOT / "Makefile").read_text().partition("\ntest:")[2].partition("\n\n")[0]
    named = {Path(word) for word in re.findall(r"\btests/[\w/]+", target)}
    there = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    assert {path for path in there if not named & set(path.parents)} == set()
