"""The tests lie as the code does, and share through tests/support alone."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_unit_tests_lie_as_the_rooms_do() -> None:
    rooms = {path.name for path in (ROOT / "tasks").iterdir() if path.is_dir()}
    mirrored = {path.name for path in (TESTS / "unit").iterdir() if path.is_dir()}
    assert mirrored - rooms - {"__pycache__"} == {"flows", "project"}
    outside = {path.name for path in (ROOT / "tasks/outside").iterdir() if path.is_dir()}
    tested = {path.name for path in (TESTS / "unit/outside").iterdir() if path.is_dir()}
    assert tested <= outside


def test_nothing_grows_too_large() -> None:
    for folder in {path.parent for path in code()}:
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES, folder
    for path in code():
        assert len(path.read_text().splitlines()) <= MOST_LINES, path
