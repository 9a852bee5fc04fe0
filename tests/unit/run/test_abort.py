"""A run that is asked to stop stops before its next write, or where it shows progress; it cleans
up, and says by whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from flows.rollback import decide, settle
from tasks.base.errors import Aborted
from tasks.base.progress import Progress, emit
from tasks.record.outcome import Outcome
from tasks.release import moves
from tasks.release.state import to_configmap
from tasks.run.carry_out import carry_out
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.steps.roll_back import clean_up
from tests.support.cluster.actor_world import NAME, NEW, NS, OLD, World, in_test, world
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
    assert ended == Outcome("error", said, stopped=True) and ended.exit_code == 1
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


# -- where it has come to ---------------------------------------------------------------------


def soaking(**more: Any) -> tuple[World, Run, Locked]:
    """`new` has the traffic, and is watched."""
    at = in_test()
    run = run_of(at)
    cluster = locked(run)
    for move in moves.decide_promotion(cluster.actor.observe(), keep_previous=True).moves[:3]:
        cluster.actor.move(move)
    state, _ = cluster.actor.read_state()
    cluster.actor.save(replace(state, **more))
    at.epoch = cluster.actor.epoch
    return at, run, cluster


def test_in_its_soak_what_served_before_serves_again() -> None:
    """And it is said so: nothing was finished."""
    at, run, cluster = soaking()
    clean_up(run, cluster, Aborted(f"aborted by {BY}"))
    assert run.record.steps[-1].sentence == "went back to m-old"
    assert at_rest(at) == "old" and at.harm == []


@pytest.mark.parametrize("phase", ["promoting", "soaking"])
def test_a_dead_one_is_taken_back_by_the_command_alone(phase: Any) -> None:
    at, _, _ = soaking()
    state = at.actor().observe().state
    if phase == "promoting":
        state = replace(state, phase=phase, stable=OLD, previous=None, candidate=NEW)
        at.put(to_configmap(state, NS))
    actor = at.actor()
    actor.take_over()
    assert carry_out(actor, decide("abort", actor)[1]) == "went back to m-old"
    assert at_rest(at) == "old" and at.harm == []


def test_where_there_is_no_way_back_it_stays_unproven_and_says_so() -> None:
    at, run, cluster = soaking(previous=None)
    clean_up(run, cluster, Aborted(f"aborted by {BY}"))
    said = run.record.steps[-1].sentence
    assert said.startswith("m-new serves, and is not proven: rollout m has no previous release")
    state = at.actor().observe().state
    assert (state.phase, state.verdict) == ("unproven", "inconclusive")
    assert state.why.startswith("stopped in its soak; ") and at.leads_to() == "new"


def test_what_has_proven_itself_stays() -> None:
    at, _, _ = soaking(phase="proven")
    actor = at.actor()
    actor.take_over()
    carry_out(actor, decide("abort", actor)[1])
    assert at_rest(at) == "new" and at.harm == []


@pytest.mark.parametrize(("stopped", "phase"), [("run-1", "idle"), ("run-2", "held"), ("", "held")])
def test_a_candidate_goes_that_its_run_held_while_it_was_asked_to_stop(
    stopped: str, phase: str
) -> None:
    """Near its end it may hear it too late; another one's, or an old one, is for `reject`."""
    at = world(phase="held", candidate=True)
    at.put(to_configmap(replace(at.actor().observe().state, rollout="run-1"), NS))
    actor = at.actor()
    actor.take_over()
    said = carry_out(actor, decide("abort", actor, stopped=stopped)[1])
    assert actor.observe().state.phase == phase and at.harm == []
    assert ("waits for a person" in said) == (phase == "held")
    assert (at.get("Deployment", "m-new") is None) == (phase == "idle")


def test_what_the_cluster_showed_is_in_the_history_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at = in_test()
    monkeypatch.setattr("flows.rollback.ask_to_stop", lambda *_: "bob@host/run-1")
    monkeypatch.setattr("flows.rollback.Cluster.connect", lambda *_: nullcontext(at))
    said = settle("abort", NAME, NS)
    assert said == "bob@host/run-1 was asked to stop; removed candidate m-new"
    last = at.actor().read_state()[0].history[0]["sentence"]
    assert last == f"{said}; m-old serves, 2 of 2 replica(s) available; idle"
