"""`rollout down` ends what runs, whatever its server's database does; `rollout up` beside what is
left of a service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.cli.screen import Screen
from flows.cli.service.down import down
from flows.cli.up import up
from tasks.base.errors import OutsideError, Refused, SpecError
from tasks.outside.prefect import keeping, living
from tasks.outside.prefect.service import facts, runs
from tasks.service.kept import POOL, Running

BROKEN = OutsideError("Server error '500 Internal Server Error'")


def test_down_where_nothing_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert down(Screen()) == 0
    assert "nothing was running" in capsys.readouterr().out
    assert not (here.parent / "home").exists()


def test_what_else_answers_there_is_named_and_left(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts.write(here, Running(4201, POOL, "v"))
    monkeypatch.setattr(keeping, "answers", lambda _: True)
    assert down(Screen(), state=str(here)) == 0
    said = capsys.readouterr().out
    assert "nothing was running" in said
    assert f"answers at http://127.0.0.1:4201, and is none of {here}" in said


def test_a_folder_that_was_moved_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(living, "moved", lambda _: (here, here / "a b"))
    for ask in (lambda: down(Screen()), lambda: up(["specs"], Screen())):
        with pytest.raises(Refused, match=f"moved to {here}/a b .*down --state '{here}/a b'"):
            ask()


@pytest.fixture
def orphaned(here: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A worker that runs a flow, with a server that is away and no keeper; gives what was ended."""
    ended: list[str] = []

    def end(_: Path, names: Sequence[str] = living.NAMES) -> list[str]:
        ended.extend(names)
        return list(names)

    facts.write(here, Running(4201, POOL, "v"))
    monkeypatch.setattr(living, "pid_of", lambda _, name: 7 if name == "worker" else None)
    monkeypatch.setattr(living, "children", lambda *_: [8])
    monkeypatch.setattr(living, "end", end)
    monkeypatch.setattr(keeping, "answers", lambda _: False)
    return ended


def test_a_flow_is_not_cut_off_by_up_where_the_keeper_was_killed(
    here: Path, orphaned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match=r"1 flow run.s. are under way there: pid 8; wait for"):
        up(["specs"], Screen(), state=str(here))
    monkeypatch.setattr(keeping, "answers", lambda _: True)
    monkeypatch.setattr(runs, "under_way", lambda _: ["rollout m"])
    with pytest.raises(Refused, match="under way there: rollout m; wait for"):
        up(["specs"], Screen(), state=str(here))
    assert orphaned == []


def test_a_flow_that_no_server_can_cancel_is_cut_off_only_where_a_person_says_so(
    here: Path, orphaned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SpecError, match=r"(?s)1 of the worker's .* pid 8; .*they are cut off"):
        down(Screen(), state=str(here))
    assert orphaned == []
    assert down(Screen(), state=str(here), yes=True) == 0
    assert orphaned and "or the guard settles what they leave" in capsys.readouterr().out


def test_down_waits_for_a_server_that_its_keeper_has_back(
    here: Path, orphaned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def back(*_: object) -> str:
        monkeypatch.setattr(keeping, "answers", lambda _: True)
        return ""

    cancelled: list[str] = []
    monkeypatch.setattr(living, "pid_of", lambda *_: 7)
    monkeypatch.setattr(keeping, "ready", back)
    monkeypatch.setattr(runs, "under_way", lambda _: ["rollout m"])
    monkeypatch.setattr(runs, "cancel", lambda api, pool: cancelled.append(api) or [])
    assert down(Screen(), state=str(here), yes=True) == 0
    assert cancelled == ["http://127.0.0.1:4201/api"]


@pytest.fixture
def failing(orphaned: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As `orphaned`, whose server answers, and whose database fails."""

    def fails(*_: object) -> list[str]:
        raise BROKEN

    monkeypatch.setattr(keeping, "answers", lambda _: True)
    monkeypatch.setattr(runs, "under_way", fails)
    return orphaned


def test_a_service_whose_database_fails_is_ended_after_saying_what_is_cut_off(
    here: Path, failing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SpecError, match=r"(?s)cannot be read .*500.*server.log.*pid 8; .*cut off"):
        down(Screen(), state=str(here))
    assert failing == []
    assert down(Screen(), state=str(here), yes=True) == 0
    assert failing and "pid 8; none of them is told to clean up" in capsys.readouterr().out


def test_a_service_whose_database_fails_and_that_runs_no_flow_is_ended_unasked(
    here: Path,
    failing: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(living, "children", lambda *_: [])
    assert down(Screen(), state=str(here)) == 0
    assert failing and "no process of a flow run is seen" in capsys.readouterr().out


def test_what_cannot_be_cancelled_is_cut_off_only_where_a_person_says_so(
    here: Path,
    failing: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A disk that is full: what is there is read, and nothing is written."""

    def fails(*_: object) -> list[str]:
        raise BROKEN

    monkeypatch.setattr(runs, "under_way", lambda _: ["rollout m"])
    monkeypatch.setattr(runs, "cancel", fails)
    assert down(Screen(), state=str(here), yes=True) == 0
    said = capsys.readouterr().out
    assert said.index("1 flow run(s) are under way: rollout m") < said.index("they are cut off")
    assert failing


def test_up_beside_one_whose_database_fails_cuts_nothing_off(
    here: Path, failing: list[str]
) -> None:
    with pytest.raises(Refused, match="under way there: pid 8; wait for"):
        up(["specs"], Screen(), state=str(here))
    assert failing == []


def test_a_folder_that_cannot_be_written_keeps_nobody_from_ending_what_runs(
    here: Path, orphaned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".turn").mkdir()
    with pytest.raises(OutsideError, match=f"the state folder {here} cannot be written .*--state"):
        up(["specs"], Screen(), state=str(here))
    assert down(Screen(), state=str(here), yes=True) == 0
    assert orphaned and "what runs is ended all the same" in capsys.readouterr().out
