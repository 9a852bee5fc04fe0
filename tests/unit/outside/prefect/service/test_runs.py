"""`rollout down` ends what is under way: it is cancelled and waited for, where there is somebody to
wait for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import StateType

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.outside.prefect.service import runs as flow_runs

API = "http://127.0.0.1:4200/api"
POOL = "model-rollout"
LIVES, DIED = 100, 200  # pids


@dataclass
class Runs:
    """The server's flow runs, by the part of its client that is used. cleans: what its process does
    once it is cancelled, at each look."""

    every: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    set: list[tuple[str, StateType]] = field(default_factory=list)
    cleans: Callable[[Any], None] = lambda run: None

    def add(self, name: str, state: StateType, pid: int | None = None, pool: str = POOL) -> Any:
        run = SimpleNamespace(id=uuid4(), name=name, state_type=state, work_pool_name=pool)
        run.infrastructure_pid = None if pid is None else str(pid)
        self.every.append(run)
        return run

    def read_flow_runs(self, *, flow_filter: Any, flow_run_filter: Any) -> list[Any]:
        self.asked.append(flow_filter.name.any_)
        for run in self.every:
            if run.state_type == StateType.CANCELLING:
                self.cleans(run)
        kinds = flow_run_filter.state.type.any_
        return [run for run in self.every if run.state_type in kinds]

    def set_flow_run_state(self, ident: UUID, state: Any, force: bool) -> None:
        (run,) = [item for item in self.every if item.id == ident]
        assert force
        run.state_type = state.type
        self.set.append((run.name, state.type))


def ends(run: Any) -> None:
    run.state_type = StateType.CANCELLED


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, time: FakeClock) -> Runs:
    found = Runs()

    @contextmanager
    def asking(api: str, tries: int | None = None) -> Iterator[Runs]:
        assert api == API
        yield found

    def kill(pid: int, number: int) -> None:
        assert number == 0
        if pid == DIED:
            raise ProcessLookupError

    monkeypatch.setattr(flow_runs, "asking", asking)
    monkeypatch.setattr(os, "kill", kill)
    return found


def waited() -> float:
    return clock.monotonic()


def test_what_changes_what_serves_is_named(runs: Runs) -> None:
    runs.add("a", StateType.RUNNING)
    runs.add("b", StateType.SCHEDULED)
    runs.add("c", StateType.COMPLETED)
    assert flow_runs.under_way(API) == ["a"]
    assert runs.asked == [["rollout", "rollback"]]


def test_nothing_under_way_is_nothing_to_wait_for(runs: Runs) -> None:
    runs.add("done", StateType.COMPLETED)
    assert flow_runs.cancel(API, POOL) == [] == runs.set and waited() == 0


def test_what_runs_cleans_up_and_what_has_not_begun_just_ends(runs: Runs) -> None:
    runs.add("runs", StateType.RUNNING, LIVES)
    runs.add("waits", StateType.PENDING)
    runs.cleans = lambda run: ends(run) if waited() >= 5 else None
    assert flow_runs.cancel(API, POOL) == []
    assert runs.set == [("runs", StateType.CANCELLING), ("waits", StateType.CANCELLED)]
    assert waited() == 5


def test_one_that_was_cancelled_already_is_waited_for(runs: Runs) -> None:
    runs.add("runs", StateType.CANCELLING, LIVES)
    assert flow_runs.cancel(API, POOL) == ["runs"] and waited() == flow_runs.CANCEL_S
    assert runs.set == [("runs", StateType.CANCELLING)]


def test_who_does_not_clean_up_in_time_is_named(runs: Runs) -> None:
    runs.add("slow", StateType.RUNNING, LIVES)
    runs.add("quick", StateType.RUNNING, LIVES)
    runs.cleans = lambda run: ends(run) if run.name == "quick" else None
    assert flow_runs.cancel(API, POOL) == ["slow"]
    assert waited() == flow_runs.CANCEL_S


def test_nobody_waits_for_a_process_that_is_gone(runs: Runs) -> None:
    runs.add("dead", StateType.RUNNING, DIED)
    assert flow_runs.cancel(API, POOL) == ["dead"]
    assert waited() == flow_runs.GONE_S and runs.set[-1] == ("dead", StateType.CRASHED)


def test_its_worker_may_say_how_it_ended(runs: Runs) -> None:
    runs.add("ended", StateType.RUNNING, DIED)
    runs.cleans = lambda run: ends(run) if waited() >= flow_runs.GONE_S - 1 else None
    assert flow_runs.cancel(API, POOL) == []
    assert runs.set == [("ended", StateType.CANCELLING)]


def test_one_that_is_gone_hides_none_that_lives(runs: Runs) -> None:
    runs.add("dead", StateType.RUNNING, DIED)
    runs.add("lives", StateType.RUNNING, LIVES)
    runs.cleans = lambda run: ends(run) if run.name == "lives" and waited() >= 3 else None
    assert flow_runs.cancel(API, POOL) == ["dead"] and waited() == flow_runs.GONE_S


def test_one_whose_process_dies_while_it_is_waited_for(runs: Runs) -> None:
    run = runs.add("dies", StateType.RUNNING, LIVES)

    def dies(run: Any) -> None:
        if waited() >= 2:
            run.infrastructure_pid = str(DIED)

    runs.cleans = dies
    assert flow_runs.cancel(API, POOL) == [run.name] and waited() == 2 + flow_runs.GONE_S


@pytest.mark.parametrize(("pid", "pool"), [(None, POOL), (DIED, "elsewhere")])
def test_where_nobody_knows_of_its_process_it_is_waited_for(
    runs: Runs, pid: int | None, pool: str
) -> None:
    runs.add("unknown", StateType.RUNNING, pid, pool)
    assert flow_runs.cancel(API, POOL) == ["unknown"] and waited() == flow_runs.CANCEL_S
