"""A person is asked about what is held, once, and not any more once it is decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRunPolicy
from prefect.client.schemas.objects import State as FlowState
from prefect.states import Cancelled, Failed

from tasks.outside.prefect import approvals
from tasks.release.state import State
from tasks.service.names import ModelKey, tags_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL = ("models", "m")
HELD = State(
    "m", phase="held", rollout="run-1", plan="0123", until=(NOW + timedelta(hours=72)).isoformat()
)


@dataclass
class Server:
    """The server's runs and deployments, by the part of its client that is used."""

    runs: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    deeds: tuple[str, ...] = ("rollout", "approve", "reject", "abort")

    def __post_init__(self) -> None:
        self.deployments = [
            SimpleNamespace(
                id=uuid4(),
                name=f"{what}-m",
                tags=list(tags_of(MODEL)),
                parameters={"name": "m", "namespace": "models", "what": what},
            )
            for what in self.deeds
        ]
        # a person's own
        copy = {**self.deployments[1].__dict__, "id": uuid4(), "name": "approve-m copy"}
        self.deployments.append(SimpleNamespace(**copy))

    def read_deployments(self, **_: Any) -> list[Any]:
        return self.deployments

    def read_flow_runs(self, *, offset: int, **_: Any) -> list[Any]:
        return [run for run in self.runs if run.state.is_paused()][offset:]

    def create_flow_run_from_deployment(
        self,
        ident: UUID,
        *,
        name: str,
        parameters: dict[str, str],
        state: Any,
        idempotency_key: str,
    ) -> Any:
        if idempotency_key in self.keys:
            return self.runs[self.keys.index(idempotency_key)]
        (of,) = [item for item in self.deployments if item.id == ident]
        self.keys.append(idempotency_key)
        given = {**of.parameters, **parameters}
        run = SimpleNamespace(
            id=uuid4(), name=name, parameters=given, state=state, tags=of.tags,
            empirical_policy=FlowRunPolicy(pause_keys={"kept"}), deployment_id=ident,
        )  # fmt: skip
        self.runs.append(run)
        return run

    def update_flow_run(self, ident: UUID, *, empirical_policy: FlowRunPolicy) -> None:
        (run,) = [item for item in self.runs if item.id == ident]
        run.empirical_policy = empirical_policy

    def create_logs(self, logs: list[Any]) -> None:
        self.said += [log.message for log in logs]

    def set_flow_run_state(self, ident: UUID, state: FlowState[Any], force: bool) -> None:
        (run,) = [item for item in self.runs if item.id == ident]
        run.state = state


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()

    @contextmanager
    def client(**_: Any) -> Iterator[Server]:
        yield found

    monkeypatch.setattr(approvals, "get_client", client)
    monkeypatch.setattr(approvals.FlowRunContext, "get", object)
    return found


def at(state: State, now: datetime = NOW) -> approvals.StateReader:
    return lambda model: (state, now)


def open_runs(server: Server) -> list[str]:
    return [run.name for run in server.read_flow_runs(offset=0)]


def test_each_has_a_paused_run_that_is_bound_to_what_was_reviewed(server: Server) -> None:
    found = approvals.tend(MODEL, at(HELD), "Verdict: pass")
    assert list(found) == ["approve", "reject"]
    assert open_runs(server) == ["approve m (rollout run-1)", "reject m (rollout run-1)"]
    for run, (what, path) in zip(server.runs, found.items(), strict=True):
        assert path == f"/runs/flow-run/{run.id}"
        assert run.parameters == {
            "name": "m", "namespace": "models", "what": what, "rollout": "run-1", "plan": "0123",
        }  # fmt: skip
        # no process waits; and Prefect does not fail it before it is closed
        details = run.state.state_details
        assert details.pause_reschedule and details.pause_timeout > NOW + timedelta(hours=72)
        assert (run.empirical_policy.retries, run.empirical_policy.pause_keys) == (-1, {"kept"})
        assert run.state.name == "NeedsApproval" and "Verdict: pass" in run.state.message
    assert len(server.said) == 2 and all("Verdict: pass" in line for line in server.said)
    approvals.close(at(replace(HELD, phase="idle")))
    assert server.said[-1].startswith("Closed: m is idle, and nothing of rollout run-1 waits")


def test_it_is_asked_once(server: Server) -> None:
    first = approvals.tend(MODEL, at(HELD), "")
    assert approvals.tend(MODEL, at(HELD), "") == first and len(server.runs) == 2


def test_what_a_person_ended_is_not_asked_again(server: Server) -> None:
    approvals.tend(MODEL, at(HELD), "")
    server.runs[0].state, said = Cancelled(), len(server.said)
    assert list(approvals.tend(MODEL, at(HELD), "")) == ["reject"]
    assert (len(server.runs), len(server.said)) == (2, said)


def test_what_was_to_be_done_and_was_not_is_asked_again(server: Server) -> None:
    approvals.tend(MODEL, at(HELD), "")
    server.runs[0].state = Failed(message="the API was away")
    found = approvals.tend(MODEL, at(HELD), "It was tried", after="1")
    assert [run.name.split()[0] for run in server.runs] == ["approve", "reject", "approve"]
    assert found["approve"].endswith(str(server.runs[2].id))
    assert len(set(server.keys)) == 3


@pytest.mark.parametrize(
    ("state", "now"),
    [
        (replace(HELD, phase="idle"), NOW),
        (HELD, NOW + timedelta(hours=72)),
    ],
)
def test_what_is_decided_or_too_late_is_closed(state: State, now: datetime, server: Server) -> None:
    approvals.tend(MODEL, at(HELD), "")
    approvals.close(at(state, now))
    assert open_runs(server) == [] and approvals.tend(MODEL, at(state, now), "") == {}
    assert {(run.state.type.value, run.state.name) for run in server.runs} == {
        ("CANCELLED", "Closed")
    }


def test_another_candidate_takes_the_place_of_the_one_before(server: Server) -> None:
    approvals.tend(MODEL, at(HELD), "")
    approvals.tend(MODEL, at(replace(HELD, rollout="run-2")), "")
    assert open_runs(server) == ["approve m (rollout run-2)", "reject m (rollout run-2)"]


def test_what_a_deployment_asks_ends_with_it_and_another_one_asks_anew(server: Server) -> None:
    first = approvals.tend(MODEL, at(HELD), "")
    approve = server.deployments[1]
    approvals.withdraw(server, approve.id)  # type: ignore[arg-type]
    assert open_runs(server) == ["reject m (rollout run-1)"]
    assert server.said[-1] == "Closed: its deployment goes; `rollout approve m` stays"
    approve.id = uuid4()  # it is made again
    found = approvals.tend(MODEL, at(HELD), "")
    assert found["reject"] == first["reject"] and found["approve"] != first["approve"]
    assert len(set(server.keys)) == 3


def test_what_a_person_paused_stays(server: Server) -> None:
    approvals.tend(MODEL, at(HELD), "")
    theirs = SimpleNamespace(**server.runs[0].__dict__)
    theirs.id, theirs.parameters = uuid4(), {"spec_file": "m.yaml"}
    server.runs.append(theirs)
    approvals.close(at(replace(HELD, phase="idle")))
    assert open_runs(server) == [theirs.name]


def test_a_server_without_such_deployments_asks_nobody(server: Server) -> None:
    server.deployments = []
    assert approvals.tend(MODEL, at(HELD), "") == {} and server.runs == []


def test_what_fails_or_is_outside_of_a_flow_run_stops_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: ModelKey) -> tuple[State, datetime]:
        raise RuntimeError("no API")

    assert approvals.tend(MODEL, broken, "") == {}
    monkeypatch.setattr(approvals.FlowRunContext, "get", lambda: None)
    assert approvals.tend(MODEL, at(HELD), "") == {} and server.runs == []
