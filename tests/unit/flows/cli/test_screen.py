"""Nothing from outside is an order to the terminal."""

from __future__ import annotations

import ast
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from flows.cli.run import print_end
from flows.cli.screen import Screen, words
from tasks.record.parts import StepTaken
from tasks.record.record import Record
from tests.support.places import ROOT

HOSTILE = st.one_of(
    st.text("[]/bold red#@link=http:\\\x1b]8;;\x07\x9b:smile:", min_size=1, max_size=40),
    st.sampled_from(
        [
            "[bold]x[/bold]",
            "[/]",
            "[link=http://evil.example]x[/link]",
            "\x1b]8;;http://evil.example\x07x\x1b]8;;\x07",
            "\x1b[2J\x1b[31mx",
            "\x9b31mx",
            "\u202egnp.exe",
            ":boom:",
        ]
    ),
)


def screen(color: bool = False) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    system = "standard" if color else None
    return Screen(file=out, width=400, force_terminal=color, color_system=system), out


def unseen(text: str) -> str:
    """As `plain` leaves it."""
    return re.sub(r"[^\x20-\x7e]", "", text)


@pytest.mark.parametrize(
    ("settings", "columns", "lines"),
    [
        ({}, None, 1),
        ({}, "80", 2),
        ({"width": 80}, None, 2),
        ({"force_terminal": True, "width": 80, "color_system": None}, None, 2),
    ],
)
def test_what_is_piped_is_not_folded(
    settings: dict[str, Any], columns: str | None, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    out = io.StringIO()
    Screen(file=out, **settings).print("devices " * 15)
    assert out.getvalue().rstrip().count("\n") + 1 == lines


@given(HOSTILE)
def test_a_string_is_shown_as_it_is(text: str) -> None:
    console, out = screen()
    console.print(f"a{text}b", soft_wrap=True)
    console.print(words(f"a{text}b"), soft_wrap=True)
    shown = f"a{unseen(text)}b\n"
    assert out.getvalue() == shown + shown


@given(HOSTILE)
def test_in_a_table_and_its_title_too(text: str) -> None:
    console, out = screen(color=True)
    table = Table(title=f"a{text}b")
    table.add_column(f"c{text}d")
    table.add_row(f"e{text}f")
    console.print(table)
    said = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())  # the table's own
    assert "\x1b" not in said and "\x9b" not in said and "\u202e" not in said
    for start, end in ("ab", "cd", "ef"):
        assert f"{start}{unseen(text)}{end}" in said


@pytest.mark.parametrize("text", ["[/]", "[bold]x", "\x1b[31mx"])
def test_the_end_of_a_rollout(text: str) -> None:
    console, out = screen()
    record = Record(rollout="r", name="n", outcome="error", sentence=f"said {text} there")
    record.steps.append(StepTaken(step="plan", state="failed", seconds=1, sentence=text))
    print_end(console, record)
    assert f"error: said {unseen(text)} there\n" in out.getvalue()


def test_only_the_screen_makes_what_is_shown() -> None:
    """Console and Text read markup, or let control characters through, wherever else they are
    made; whoever takes one takes a Console."""
    for path in (ROOT / "flows").rglob("*.py"):
        if path.name == "screen.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("Console", "Text"), f"{path}:{node.lineno}"
            if isinstance(node, ast.ImportFrom):
                assert node.module not in ("rich.text", "rich.markup"), f"{path}:{node.lineno}"
