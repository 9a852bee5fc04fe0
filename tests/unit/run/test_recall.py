"""A memory that is lost, while a release soaks and at rest: the Service says what it was."""

from __future__ import annotations

from typing import Any

import pytest

from flows.rollback import decide
from tasks.objects.labels import SWITCHED_ANNOTATION
from tasks.objects.reached import Switched, switched_of
from tasks.outside.kubernetes.waits import NotProven
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.state import State
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NAME, NEW, OLD, World, deployment, in_test, world
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")
GOOD = Look()


def promoted(until: type[moves.Move] | None = None, *, soaks: bool = True) -> World:  # type: ignore[valid-type]
    """`new` is promoted over `old`, and its process dies before a kind of move."""
    at = in_test()
    actor = at.actor((lambda _: GOOD) if soaks else None)
    actor.take_over()
    for move in moves.decide_promotion(actor.observe(), keep_previous=True).moves:
        if until is not None and isinstance(move, until):
            break
        try:
            actor.move(move)
        except NotProven:
            break
    return at


def forget(at: World) -> World:
    del at.objects["ConfigMap", f"rollout-{NAME}"]
    return at


def does(at: World, what: str, **more: Any) -> str:
    actor = at.actor(lambda _: GOOD)
    actor.take_over()
    return carry_out(actor, decide(what, actor, **more)[1])


def state_of(at: World) -> State:
    return at.actor().observe().state


@pytest.mark.parametrize("what", ["guard", "recover"])
def test_what_soaked_is_not_taken_for_proven(what: str) -> None:
    """And what served before is known: it can be gone back to."""
    at = forget(promoted(moves.Soak))
    does(at, what)
    state = state_of(at)
    assert (state.phase, state.verdict) == ("unproven", "inconclusive")
    assert state.stable is not None and state.stable.id == "new"
    assert state.previous is not None and state.previous.id == "old"
    assert at.available("old") == 2 and at.harm == []
    does(at, "rollback")
    assert at.leads_to() == "old" and state_of(at).phase == "idle" and at.harm == []
    assert at.get("Deployment", "m-new") is None


def test_a_rollback_needs_nobody_to_remember_it_first() -> None:
    at = forget(promoted(moves.Soak))
    does(at, "rollback")
    assert at.leads_to() == "old" and state_of(at).phase == "idle" and at.harm == []


def test_a_run_of_the_same_release_watches_it_again_and_puts_the_old_one_away() -> None:
    at = forget(promoted(moves.Soak))
    at.epoch = 98
    held = locked(run_of(at))
    assert held.begin(NEW, keep_previous=True) == "promote"
    actor = held.actor
    actor.look = lambda _: GOOD
    carry_out(actor, moves.decide_promotion(actor.observe(), keep_previous=True))
    assert state_of(at).phase == "idle" and at.available("old") == 0 and at.leads_to() == "new"


@pytest.mark.parametrize("until", [None, moves.Drain])
def test_what_passed_its_soak_is_proven_whatever_is_forgotten(until: Any) -> None:
    at = promoted(until)
    mark = switched_of(at.get("Service", NAME))
    assert mark == Switched("new", "old", proven=True)
    does(forget(at), "guard")
    state = state_of(at)
    assert state.phase == "idle" and state.previous is not None and state.previous.id == "old"
    assert at.leads_to() == "new" and at.harm == []


def test_a_way_back_forgets_what_it_leads_away_from() -> None:
    at = promoted(moves.Soak)
    does(at, "rollback")
    assert switched_of(at.get("Service", NAME)) == Switched("old", "", proven=True)


def test_a_service_that_was_moved_by_hand_is_believed_and_not_its_mark() -> None:
    at = world()
    at.put(deployment(NEW, 2))
    service = at.get("Service", NAME)
    marks = {SWITCHED_ANNOTATION: Switched("new", "old", proven=False).text()}
    service["metadata"]["annotations"] = marks
    assert switched_of(service) is None
    at.put(service)
    does(forget(at), "guard")
    assert state_of(at).phase == "idle"
    for text in ("", "{}", "not JSON", "[1]"):
        service["metadata"]["annotations"] = {SWITCHED_ANNOTATION: text}
        assert switched_of(service) is None
    assert switched_of(None) is None


def test_what_is_unproven_stays_it_through_a_loss() -> None:
    at = promoted(soaks=False)
    does(forget(at), "guard")
    assert state_of(at).phase == "unproven" and state_of(at).previous is not None
    assert OLD.id in at.actor().observe().deployments
