"""What failed its soak and serves on, since something was in the way back, is left as soon as that
is gone, whatever it was, by whoever looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flows.rollback import about, decide, note
from tasks.base import clock
from tasks.base.errors import OutsideError, Refused, RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.memory.again import AGAIN_S, MOST_S, again_at, owed_back, rested
from tasks.release.state import State, Terms
from tasks.release.words import next_step
from tasks.run.carry_out import carry_out, settled
from tasks.run.proofs import NotProvenToStart
from tests.support.cluster import actor_world
from tests.support.cluster.actor_world import NEW, World, deployment, world
from tests.support.cluster.bodies import DRAIN
from tests.support.cluster.courses import WELL, once, promotes
from tests.support.cluster.edits import half_updated

pytestmark = pytest.mark.usefixtures("quick")
WAITING: Any = {
    "metadata": {"name": "train-0", "namespace": "team-x", "labels": {}},
    "spec": {
        "containers": [{"name": "c", "ports": [], "resources": {"requests": {"cpu": "1"}}}],
    },
    "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]},
}


def begun(replicas: int = 1) -> tuple[World, Callable[[Actor], None]]:
    """`new` has the only seats there are, what served is at zero, and its test is through."""
    at = world(seats=replicas, replicas=replicas)
    at.may_interrupt = True
    del at.objects["Deployment", "m-older"]
    new = replace(NEW, replicas=replicas)

    def go(actor: Actor) -> None:
        course = moves.decide_start(actor.observe(), new, "r", "replace", DRAIN, spec={})
        actor.run(course)
        actor.apply(deployment(new, replicas))

    once(at, go)
    return at, promotes(True, "bad", new)


def state_of(at: World) -> State:
    return at.actor().observe().state


def guards(at: World) -> str:
    actor = at.actor(lambda _: WELL)
    actor.take_over()
    return settled(actor, decide("guard", actor)[1], lambda: decide("guard", actor)[1])


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("what", ["guard", "recover"])
def test_somebody_who_waited_is_gone_by_now(replicas: int, what: str) -> None:
    at, fails = begun(replicas)
    at.bare = [WAITING]
    once(at, fails)
    state = state_of(at)
    assert (state.phase, state.verdict, at.leads_to()) == ("unproven", "fail", "new")
    assert "the history says what is" in next_step(at.actor().observe())
    with pytest.raises(StepFailed, match=r"m-old is not gone back to yet: .*team-x/train-0 would"):
        decide("guard", at.actor())
    assert "team-x/train-0" in decide("recover", at.actor())[1].sentence
    at.bare = []
    actor = at.actor()
    actor.take_over()
    assert carry_out(actor, decide(what, actor)[1]) == "went back to m-old"
    assert (at.leads_to(), at.available("old"), state_of(at).phase) == ("old", replicas, "idle")
    assert at.harm == []


def flaky(monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> None:
    def wait(cluster: Any, ns: str, name: str, *, timeout_s: float) -> None:
        if name == "m-old" and errors:
            raise errors.pop()
        actor_world.wait_ready(cluster, ns, name, timeout_s=timeout_s)

    monkeypatch.setattr("tasks.outside.kubernetes.waits.wait_ready", wait)


@pytest.mark.parametrize("error", [OutsideError("watch: reset"), StepFailed("registry: 503")])
def test_one_error_on_the_way_back_is_not_the_end_of_it(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, fails = begun()
    flaky(monkeypatch, [error])
    once(at, fails)
    assert (at.leads_to(), at.available("old"), state_of(at).phase) == ("old", 1, "idle")


def test_what_is_waited_for_once_is_not_waited_for_as_long_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And then what answers, though badly, serves again, until the next try."""
    at, fails = begun()
    at.broken = {"old"}

    def late(cluster: Any, ns: str, name: str, *, timeout_s: float) -> None:
        if name == "m-old":
            clock.sleep(timeout_s)
            raise StepFailed("not ready in its time")
        actor_world.wait_ready(cluster, ns, name, timeout_s=timeout_s)

    monkeypatch.setattr("tasks.outside.kubernetes.waits.wait_ready", late)
    once(at, fails)
    state = state_of(at)
    assert (state.phase, at.leads_to(), at.available("new")) == ("unproven", "new", 1)


def test_a_try_that_led_nowhere_is_made_again_later_and_each_time_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, fails = begun()
    at.broken = {"old"}
    once(at, fails)
    at.put(at.objects["Deployment", "m-old"])
    waited = []
    for _ in range(3):
        state, now = state_of(at), clock.now()
        soon = again_at(state)
        assert (state.phase, at.leads_to(), at.available("new")) == ("unproven", "new", 1)
        assert soon is not None and state.breach
        waited.append((soon - now).total_seconds())
        writes = len(at.writes)
        with pytest.raises(StepFailed, match="the last try led nowhere, the next one is after"):
            decide("guard", at.actor())
        assert len(at.writes) == writes
        clock.sleep(waited[-1] + 1)
        with pytest.raises(RolloutError, match="m-new serves on"):
            guards(at)
    assert AGAIN_S / 2 < waited[0] < waited[1] < waited[2]
    at.broken = set()
    clock.sleep(MOST_S)
    assert guards(at) == "went back to m-old"
    assert at.leads_to() == "old" and at.harm == []


def test_so_is_one_that_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each proof costs a Job."""
    at, fails = begun()
    once(at, lambda actor: (at.bare.append(WAITING), fails(actor)))
    at.bare.clear()

    def prove(actor: Actor, course: moves.Course) -> None:
        assert course.unless == "fail"
        raise NotProvenToStart("sha256 differs")

    monkeypatch.setattr("tasks.run.carry_out.prove", prove)
    assert "sha256 differs" in guards(at)
    state = state_of(at)
    assert state.phase == "unproven" and not rested(state, clock.now())
    assert rested(state, clock.now() + timedelta(seconds=AGAIN_S + 1))
    assert at.leads_to() == "new" and at.available("new") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "idle"},
        {"verdict": "inconclusive"},
        {"previous": None},
        {"breach": "", "why": ""},  # a person led the Service there
        {"doubts": {"old": "fail"}},
    ],
)
def test_nothing_else_is_gone_back_from(changes: dict[str, Any]) -> None:
    at, fails = begun()
    at.bare = [WAITING]
    once(at, fails)
    seen = at.actor().observe()
    assert owed_back(seen) is not None
    seen = replace(seen, state=replace(seen.state, **changes))
    assert owed_back(seen) is None


def test_a_time_of_an_older_version_is_no_try() -> None:
    state = State("m", phase="unproven", verdict="fail", stable=NEW, terms={"new": Terms()})
    assert again_at(state) is None and rested(state, clock.now())


def test_what_waits_is_one_entry_of_the_history_whatever_it_waits_for() -> None:
    at = world()
    actor = at.actor()
    actor.take_over()
    says = "guard: m-new failed its soak and serves on, m-old is not gone back to yet: "
    whys: Iterator[str] = iter(f"{says}pod {n} waits" for n in range(40))
    for number, why in enumerate(whys):
        note(actor, f"run-{number}", "error", why)
        note(actor, f"other-{number}", "rollback", f"number {number % 3}")
    kept = [entry["sentence"] for entry in actor.read_state()[0].history]
    assert kept.count(f"{says}pod 39 waits") == 1 and sum("gone back" in k for k in kept) == 1
    assert about("error", "guard: API away") == ""


# -- while somebody changes what failed


def test_that_somebody_changes_it_keeps_nothing_that_failed() -> None:
    """Nor does the Actor, right before it stops it."""
    at, _ = begun(2)
    actor = at.actor()
    actor.take_over()
    for move in moves.decide_promotion(actor.observe(), keep_previous=True).moves:
        if isinstance(move, moves.Soak):
            break
        actor.move(move)
    half_updated(at, "new")
    with pytest.raises(Refused, match="m-new serves and is being changed"):
        moves.decide_revert(actor.observe(), allow_interruption=True)
    actor.run(moves.decide_soak_failed(actor.observe()))
    assert (at.leads_to(), at.available("old"), state_of(at).phase) == ("old", 2, "idle")
