"""A rollout that interrupts asks first."""

from __future__ import annotations

import io

import pytest

from flows.cli.main import main
from tests.support.places import ROOT

SPEC = str(ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml")


class Typing(io.StringIO):
    """A terminal, and what is typed there."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "options", "code"),
    [
        ("n\n", [], 5),
        ("y\n", [], 0),
        ("n\n", ["--yes"], 0),
        (None, [], 2),
        (None, ["--yes"], 0),
    ],
)
def test_a_rollout_that_interrupts_asks_and_without_a_terminal_wants_yes(
    typed: str | None, options: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []
    monkeypatch.setattr("sys.stdin", io.StringIO() if typed is None else Typing(typed))
    monkeypatch.setattr("flows.cli.look.interruption", lambda *_: "m-old is scaled down first")

    def run(*_: object, may_interrupt: bool, **__: object) -> tuple[int, None]:
        ran.append(may_interrupt)
        return 0, None

    monkeypatch.setattr("flows.cli.run.run_spec", run)
    assert main(["run", SPEC, *options]) == code
    assert ran == [True] * (code == 0)


def test_what_nobody_was_asked_about_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow looks at the nodes, too: its plan may interrupt where what was foretold did not."""
    ran: list[object] = []
    monkeypatch.setattr("sys.stdin", Typing("y\n"))
    monkeypatch.setattr("flows.cli.look.interruption", lambda *_: "")
    monkeypatch.setattr(
        "flows.cli.run.run_spec", lambda *_, **how: (ran.append(how["may_interrupt"]) or 0, None)
    )
    assert main(["run", SPEC]) == 0 and ran == [False]
