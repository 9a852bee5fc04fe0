"""A run that is asked to stop stops before its next write, or where it shows progress; it cleans
up, and says by whom."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tasks.base.errors import Aborted
from tasks.base.progress import Progress, emit
from tasks.record.outcome import Outcome
from tasks.release import moves
from tasks.run.carry_out import carry_out
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.steps.roll_back import clean_up
from tests.support.cluster.actor_world import NAME, World, in_test, world
from tests.support.cluster.courses import at_rest
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("home", "lease", "quick")
BY = "bob@host at noon"


def ask(cluster: Locked) -> None:
    """As the lease's holder finds it at its next renewal."""
    cluster._lock.abort = BY  # type: ignore[misc]


def benchmark(run: Run, cluster: Locked) -> None:
    emit(Progress("benchmark", "running", "c4"))


def writes(run: Run, cluster: Locked) -> None:
    cluster.actor.save(cluster.actor.read_state()[0])
    cluster.fence()


def next_step(run: Run, cluster: Locked) -> None:
    with run.step("judge"):
        pass


@pytest.mark.parametrize("does", [benchmark, writes, next_step])
def test_it_stops_cleans_up_and_says_by_whom(does: Callable[[Run, Locked], None]) -> None:
    at = in_test()
    run = run_of(at)

    def pipeline() -> Outcome:
        with run.locked(clean_up) as cluster:
            ask(cluster)
            does(run, cluster)
            raise AssertionError("it went on")

    ended = run.conduct(pipeline)
    said = f"aborted by {BY}; removed candidate m-new"
    assert ended == Outcome("error", said) and ended.exit_code == 1
    found = at.get("ConfigMap", f"rollout-{NAME}")
    assert found is not None
    assert json.loads(found["data"]["history"])[0]["sentence"] == said
    assert at.harm == [] and at_rest(at) == "old"


def test_what_has_ended_is_not_stopped() -> None:
    """A promotion that happened is one, and stands in the history."""
    at = world()
    run = run_of(at)
    with run.locked(clean_up) as cluster:
        ask(cluster)
        ended = run.finish(Outcome("promoted", "m-new promoted"))
    assert ended.kind == "promoted" and not run.record.history_error


def test_a_way_back_that_is_stopped_leads_home() -> None:
    """Each kind of course, stopped before each of its writes, leaves nothing half done."""
    for write in range(1, 12):
        at = world()
        cluster = locked(run_of(at))
        actor = cluster.actor
        course = moves.decide_revert(actor.observe())
        stop_before(at, cluster, write)
        try:
            carry_out(actor, course)
        except Aborted:
            pass
        except Exception as error:
            assert "aborted by bob" in str(error)
        carry_out(actor, moves.decide_recovery(actor.observe()))
        assert at.harm == [], write
        assert at_rest(at) in ("old", "older"), write


def stop_before(at: World, cluster: Locked, write: int) -> None:
    def meddle(verb: str, kind: str) -> None:
        if len(at.writes) == write:
            ask(cluster)

    at.meddle = meddle
