"""Documents for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from flows.cli.output import document, show, text_of


def test_a_document_says_its_schema_and_kind_first() -> None:
    found = document("list", {"path": Path("a"), "rows": ({"x": 1.5},)})
    assert list(found.items()) == [
        ("schema", 1),
        ("kind", "list"),
        ("path", "a"),
        ("rows", [{"x": 1.5}]),
    ]


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("text", ["巴黎", "\x1b[2J", "a\u202eb", "\x9b1m", "no: 1", "\ud800"])
def test_what_a_terminal_would_obey_is_escaped_and_nothing_is_lost(
    form: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document("x", {"said": text})
    show(found, form)
    printed = capsys.readouterr().out
    assert not set("\x1b\u202e\x9b\ud800") & set(printed)
    assert ("巴黎" in printed) == (text == "巴黎")
    read = json.loads(printed) if form == "json" else yaml.safe_load(printed)
    assert read == found and text_of(found, form) == printed
