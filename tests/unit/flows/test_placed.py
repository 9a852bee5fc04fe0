"""Every node has another name: the guard and the commands by name get what serves out of that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from flows import rollout as flow
from flows.guard import tend
from flows.rollback import settle
from tasks.base.errors import Refused, StepFailed
from tasks.objects.down import Down
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release.seats import pins
from tasks.run import proofs
from tests.support.cluster.actor_world import NAME, NS, OLD
from tests.support.cluster.courses import at_rest
from tests.support.cluster.pool import AFTER, BEFORE, Pool, pool
from tests.support.cluster.runs import Lease
from tests.support.cluster.tight import BAD, WHOLE

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, home: object) -> Pool:
    """A rollout whose nodes are gone. `at.says`: what each Job says of weights."""
    world = pool()
    world.says = WHOLE  # type: ignore[attr-defined]
    world.address = "https://api:6443"  # type: ignore[attr-defined]

    @contextmanager
    def connect(*_: Any, **__: Any) -> Iterator[Pool]:
        yield world

    def run_job(*_: Any, on_line: Any, **__: Any) -> JobResult:
        said = world.says  # type: ignore[attr-defined]
        on_line(said)
        return JobResult(said == WHOLE, 0 if said == WHOLE else 1, (), None)

    monkeypatch.setattr("flows.rollback.Cluster", SimpleNamespace(connect=connect))
    monkeypatch.setattr("flows.guard.Cluster", SimpleNamespace(connect=connect))
    monkeypatch.setattr("tasks.run.locked.LeaseLock", Lease)
    monkeypatch.setattr(proofs, "run_job", run_job)

    def down(cluster: Pool, ns: str, name: str, serving: str | None, *_: Any) -> Down | None:
        return None if cluster.available(serving) else Down(f"m-{serving} serves and is down")

    monkeypatch.setattr("tasks.outside.kubernetes.actor.down", down)
    return world


def hosts(at: Pool) -> tuple[str, ...]:
    return pins.pinned(at.objects["Deployment", OLD.deployment])


def test_the_guard_gets_it_out(at: Pool) -> None:
    found = tend((NS, NAME), None, None)
    assert found and found.end == "settled" and "m-old was placed again" in found.said
    assert hosts(at) == AFTER and at_rest(at) == "old" and tend((NS, NAME), None, None) is None


def test_the_guard_says_what_to_do_where_weights_are_missing(at: Pool) -> None:
    at.says = BAD  # type: ignore[attr-defined]
    for _ in range(2):
        found = tend((NS, NAME), None, None)
        assert found and found.end == "failed" and "`rollout run` with its spec" in found.said
    assert hosts(at) == BEFORE and len(at.actor().observe().state.history) == 1


def test_recover_gets_it_out(at: Pool) -> None:
    assert "m-old was placed again" in settle("recover", NAME, NS)
    assert hosts(at) == AFTER and at_rest(at) == "old"


def test_rollback_gets_it_out(at: Pool) -> None:
    said = settle("rollback", NAME, NS)
    assert "m-older was placed again" in said and "went back to m-older" in said
    assert at_rest(at) == "older"
    assert pins.pinned(at.objects["Deployment", "m-older"]) == AFTER


@pytest.mark.parametrize("what", ["recover", "rollback"])
def test_without_weights_they_say_what_to_do(at: Pool, what: str) -> None:
    at.says = BAD  # type: ignore[attr-defined]
    with pytest.raises((StepFailed, Refused), match="`rollout run` with its spec brings its"):
        settle(what, NAME, NS)
    assert hosts(at) == BEFORE and at.leads_to() == "old"


def test_a_run_places_it_and_tests_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the flow: weights first, then the nodes; no candidate, no Service moved."""
    taken: list[str] = []
    steps = SimpleNamespace(fetch_weights=lambda *_: taken.append("fetch_weights"))
    monkeypatch.setattr(flow, "steps", steps)
    monkeypatch.setattr(flow, "place", lambda *_: taken.append("place") or "m-old was placed again")
    plan: Any = SimpleNamespace(release=OLD, plan=SimpleNamespace(strategy="place"))
    run: Any = SimpleNamespace(spec=SimpleNamespace(promotion=SimpleNamespace(keep_previous=True)))
    cluster: Any = SimpleNamespace(begin=lambda *_, **__: "done")
    outcome = flow.under_lock(run, cluster, plan)
    assert taken == ["fetch_weights", "place"] and outcome.kind == "unchanged"
    assert "m-old was placed again; it serves again" in outcome.sentence
