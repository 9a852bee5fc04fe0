"""Generated reference is current, and leaves nothing without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.accelerators.profiles import PROFILES
from tasks.record.outcome import ENDINGS
from tests.support.docs.reference import DOCS, pages, told

PAGES = pages()


def fields(path: str = "") -> list[dict[str, Any]]:
    """Every field of a spec below a path, by its whole name."""
    found = []
    for item in told(path)["fields"]:
        name = f"{path}.{item['name']}" if path else item["name"]
        found += [{**item, "name": name}, *fields(name)]
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_a_page_is_current(path: Path) -> None:
    assert path.read_text() == PAGES[path], "renew it: `python -m tests.support.update_golden`"


def test_every_field_of_a_spec_has_its_words() -> None:
    found = fields()
    assert len(found) > 100
    assert [item["name"] for item in found if not item["description"]] == []


def test_every_field_of_a_spec_has_its_line() -> None:
    text = "".join(PAGES[DOCS / name] for name in ("spec.md", "spec-measuring.md"))
    for item in fields():
        part, _, name = item["name"].rpartition(".")
        assert f"`{name}`" in text and (not part or f"### `{part}`" in text), item["name"]


def test_units_and_defaults_stand_there() -> None:
    text = PAGES[DOCS / "spec.md"] + PAGES[DOCS / "spec-measuring.md"]
    assert "| number, s | `1800` |" in text
    assert "| number, GiB | `16` |" in text
    assert '`[{"name": "c8", "concurrency": 8}]`' in text


def test_every_row_of_a_table_has_its_line() -> None:
    for name in PROFILES:
        assert f"| `{name}` |" in PAGES[DOCS / "accelerators.md"]
    for page in ("outcomes.md", "zh/outcomes.md"):
        for kind, ending in ENDINGS.items():
            assert f"| {kind} | {int(ending.exit_code)} |" in PAGES[DOCS / page]
