"""Who started a flow run: a person, a schedule, or an event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.states import Cancelled, Completed, Paused, Running, Scheduled

from tasks.base.errors import OutsideError
from tasks.outside.prefect import started

AUTOMATION = SimpleNamespace(type="AUTOMATION")


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (SimpleNamespace(auto_scheduled=False, created_by=None), False),
        (SimpleNamespace(auto_scheduled=False, created_by=SimpleNamespace(type="USER")), False),
        (SimpleNamespace(auto_scheduled=True, created_by=None), True),
        (SimpleNamespace(auto_scheduled=False, created_by=AUTOMATION), True),
        (None, False),
    ],
)
def test_by_itself(run: Any, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr(started, "FlowRunContext", context)
    assert started.by_itself() is found


def test_outside_of_a_flow_run_a_person_did() -> None:
    assert started.by_itself() is False


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ([Paused(), Scheduled(name="Resuming"), Running()], False),
        ([Scheduled(), Running()], False),
        ([Paused(), Cancelled(), Scheduled(name="AwaitingRetry"), Running()], True),
        ([Scheduled(), Running(), Completed(), Scheduled(name="AwaitingRetry")], True),
    ],
)
def test_a_retry_is_a_run_that_ended_before(
    states: list[Any], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, lambda ident: states)
    assert started.run_id() == str(UUID(int=1)) and started.retried() is found


def here(monkeypatch: pytest.MonkeyPatch, states: Any) -> None:
    """A flow run, and a server that tells its states."""

    @contextmanager
    def client(**_: Any) -> Iterator[Any]:
        yield SimpleNamespace(read_flow_run_states=states)

    run = SimpleNamespace(id=UUID(int=1))
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr(started, "FlowRunContext", context)
    monkeypatch.setattr(started, "get_client", client)


def test_whether_it_is_one_is_asked_and_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(ident: UUID) -> Any:
        raise httpx.ConnectError("refused")

    here(monkeypatch, away)
    with pytest.raises(OutsideError, match="does not say what this run was: refused"):
        started.retried()


def test_outside_of_a_flow_run_nothing_is_one() -> None:
    assert started.run_id() == "" and started.retried() is False
