"""What holds, whatever dies: docs/architecture.md names for each row the tests that hold it."""

from __future__ import annotations

import re

import pytest

from tests.support.places import ROOT

WRITTEN = (ROOT / "docs" / "architecture.md").read_text()
ROWS = dict(re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", WRITTEN, re.M))


def test_there_are_ten_rows() -> None:
    assert [*ROWS] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("row", ROWS)
def test_each_names_tests_that_there_are(row: str) -> None:
    named = re.findall(r"`([^`]+)`", ROWS[row])
    assert named and ", ".join(f"`{path}`" for path in named) == ROWS[row]
    for path in named:
        place = ROOT / path if path.startswith("tests/") else ROOT / "tests" / "unit" / path
        assert place.name.startswith("test_") and "\ndef test_" in place.read_text(), path
