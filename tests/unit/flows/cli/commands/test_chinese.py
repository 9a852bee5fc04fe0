"""The help in Chinese says something of every command, and of none that is not there."""

from __future__ import annotations

import re

import pytest

from flows.cli.commands import service
from flows.cli.commands.app import ABOUT, BEFORE, GROUPS, build
from flows.cli.commands.chinese import CHINESE, summary
from flows.cli.main import main

COMMANDS = [name for commands in GROUPS.values() for name in commands]


def test_every_group_and_command_is_there() -> None:
    groups = [group.name for group in (BEFORE, ABOUT, *GROUPS)]
    others = ["", "store", "store gc", "--install-completion", "exit status"]
    assert CHINESE.keys() == {*groups, *COMMANDS, *others}
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in CHINESE.values())


def test_the_help_of_a_command_keeps_what_else_it_says() -> None:
    assert summary("up", service.up, "en") is None
    told = summary("up", service.up, "zh")
    assert told is not None and told.startswith(CHINESE["up"])

    def does() -> int:
        """First.

        More of it.
        """
        return 0

    assert summary("up", does, "zh") == f"{CHINESE['up']}\n\nMore of it."


def test_help_is_shown_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in ("", "Roll out", "About this command", *COMMANDS):
        assert CHINESE[name] in shown, name
    assert main(["store", "gc", "--help"]) == 0
    assert CHINESE["store gc"] in capsys.readouterr().out


def test_the_commands_are_the_same() -> None:
    assert set(build(speech="zh")) == set(build())
