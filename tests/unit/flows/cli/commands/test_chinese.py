"""The help in Chinese says all that the English one says; its catalogue holds nothing else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
from cyclopts import App

from flows.cli.commands.app import ABOUT, BEFORE, GROUPS, STATUS, build
from flows.cli.commands.chinese import CHINESE, said
from flows.cli.main import main

OWN = {
    STATUS,
    "Usage",
    "choices",
    "required",
}  # of every page, beside what commands and options say


def every(app: App, chain: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """Each command with the words that call it, those below it, too, and --help and --version."""
    yield chain, app
    for name in app:
        yield from every(app[name], (*chain, name))


def taken(app: App) -> Iterator[str]:
    """What the help has of a command's options, and the headings over them."""
    for one in app.assemble_argument_collection(parse_docstring=True).filter_by(show=True):
        yield one.parameter.help or f"{one.name} says nothing"
        yield from (group.name for group in one.parameter.group)


def told(app: App) -> Iterator[str]:
    """What the help has of a command."""
    yield from (" ".join(part.split()) for part in inspect.cleandoc(app.help).split("\n\n"))
    yield from (group.name for group in app.group if group.show)
    if app.default_command is not None and app.help_flags:  # --help and --version have none
        yield from taken(app)


ROOT = build()
EVERY = dict(every(ROOT))
PAGES = {chain: app for chain, app in EVERY.items() if app.help_flags}


def test_everything_is_said_in_chinese_and_nothing_else() -> None:
    groups = {group.name for group in (*GROUPS, BEFORE, ABOUT)}
    wanted = {text for app in EVERY.values() for text in told(app)}
    wanted |= {*OWN, *groups, *taken(ROOT.meta)}
    assert wanted - CHINESE.keys() == set(), "has no Chinese"
    assert CHINESE.keys() - wanted == set(), "is said nowhere any more"
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in CHINESE.values())


def test_names_and_values_are_not_translated() -> None:
    words = re.compile(r"--[a-z-]+|[A-Z][A-Z_]{3,}|[~\w.]*/[\w./-]*\w|`[^`]+`|\d+")
    for english, chinese in CHINESE.items():
        assert sorted(words.findall(chinese)) == sorted(words.findall(english)), english


def test_chinese_has_its_own_marks_between_words() -> None:
    for chinese in CHINESE.values():
        assert not re.search(r"[\u4e00-\u9fff] ?[,;:!?]|[,;:!?] ?[\u4e00-\u9fff]", chinese), chinese


@pytest.mark.parametrize("chain", PAGES, ids=" ".join)
def test_a_page_of_help_has_no_english_left(
    chain: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setenv("COLUMNS", "400")
    assert main([*chain, "--help"]) == 0
    shown = capsys.readouterr().out
    for text in told(PAGES[chain]):
        assert text not in shown
    assert said(" ".join(PAGES[chain].help.partition("\n\n")[0].split())) in shown
    for english in ("Usage:", "Show Prefect's log", "[required]", "[choices:", "Exit status"):
        assert english not in shown


def test_what_has_no_chinese_stays_as_it_is() -> None:
    assert (
        said("Print prefect.yaml, and do nothing.\n\n    No\n    such.\n")
        == "打印 prefect.yaml，不做其他事。\n\n    No\n    such."
    )


def test_the_commands_are_the_same() -> None:
    assert set(build(speech="zh")) == set(build())
