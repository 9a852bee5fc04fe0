"""Other flow runs: what would do the same again, and what died; a server on loopback tells them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.outside.prefect import others

HERE, DEPLOYMENT, FLOW = UUID(int=1), UUID(int=2), UUID(int=3)
GIVEN = {"commit": "c" * 40, "why": "event: new version"}


def run(number: int, by: str = "AUTOMATION", **more: Any) -> FlowRun:
    body = {"id": UUID(int=number), "flow_id": FLOW, "name": f"run {number}", "parameters": GIVEN}
    made = {"created_by": {"type": by}, "deployment_id": DEPLOYMENT}
    return FlowRun.model_validate({**body, **made, **more})


class Server:
    """What is asked of it, and which states it is given."""

    def __init__(self, *runs: FlowRun) -> None:
        self.runs, self.asked = runs, []
        self.begun: set[int] = set()  # since they were found
        self.given: dict[int, State[Any]] = {}

    def read_flow_runs(self, *, flow_run_filter: Any, limit: int) -> list[FlowRun]:
        self.asked.append(flow_run_filter.model_dump(mode="json", exclude_none=True))
        return list(self.runs)

    def read_flow_run(self, ident: UUID) -> FlowRun:
        (found,) = (item for item in self.runs if item.id == ident)
        return found.model_copy(update={"state_type": "RUNNING"} if ident.int in self.begun else {})

    def set_flow_run_state(self, ident: UUID, state: State[Any]) -> None:
        self.given[ident.int] = state


def serve(monkeypatch: pytest.MonkeyPatch, server: Any, here: FlowRun | None) -> None:
    @contextmanager
    def client(*_: object, **__: object) -> Iterator[Any]:
        if server is None:
            raise OSError("refused")
        yield server

    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=here) if here else None)
    monkeypatch.setattr(others, "FlowRunContext", context)
    monkeypatch.setattr(others, "briefly", client)


def test_what_an_event_started_once_more_ends_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(
        run(1),
        run(11),
        run(12),
        run(13, by="USER"),
        run(14, by="SCHEDULE", auto_scheduled=True),
        run(15, parameters={**GIVEN, "commit": "d" * 40}),
        run(16),
    )
    server.begun = {16}
    serve(monkeypatch, server, run(1))
    others.end_doubles()
    assert set(server.given) == {11, 12}
    state = server.given[11]
    assert (state.type.value, state.name) == ("COMPLETED", "NotAgain")
    assert state.message == f"run run 1 ({HERE}) does the same"
    (asked,) = server.asked
    assert asked["deployment_id"]["any_"] == [str(DEPLOYMENT)]
    # what a person has run once more waits, too, and is left alone
    assert asked["state"]["name"]["any_"] == ["Scheduled", "Late", "AwaitingConcurrencySlot"]


def test_the_run_of_a_rollout_that_died_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(run(21))
    serve(monkeypatch, server, run(1))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        others.end_dead("r-1", "put away")
    state = server.given[21]
    assert state.type.value == "CRASHED"
    assert state.message == "its process is gone, and the guard has settled it: put away"
    (asked,) = server.asked
    assert asked["tags"]["all_"] == ["rollout:r-1"]
    assert asked["state"]["type"]["any_"] == ["PENDING", "RUNNING", "CANCELLING"]


@pytest.mark.parametrize("rollout", ["", "r-1"])
def test_without_a_rollout_or_a_server_nothing_is_asked(
    rollout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(run(21))
    serve(monkeypatch, server, None)
    others.end_doubles()
    settings: Any = (
        {"updates": {PREFECT_API_URL: "http://127.0.0.1:9/api"}}
        if not rollout
        else {"restore_defaults": {PREFECT_API_URL}}
    )
    with temporary_settings(**settings):
        others.end_dead(rollout, "put away")
    assert server.asked == []


def test_a_server_that_does_not_answer_ends_no_rollout(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serve(monkeypatch, None, run(1))
    others.end_doubles()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        others.end_dead("r-1", "put away")
    assert "do the same again wait on: refused" in caplog.text
    assert "the run of a dead rollout is not ended: refused" in caplog.text
