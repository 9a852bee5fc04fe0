"""What is gone back to is the last release that has proven itself: verdict and soak."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.state import (
    Release,
    State,
    from_configmap,
    in_doubt,
    promoted,
    to_configmap,
    way_back,
    with_doubt,
    without_doubt,
)
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NEW,
    NS,
    OLD,
    World,
    deployment,
    release,
    stable_service,
)

pytestmark = pytest.mark.usefixtures("quick")
NEXT = release("next")
EVERY = {item.id for item in (OLD, NEW, NEXT)}
GOOD, BLIND = Look(), Look(answer="none", why="no route")
BAD = Look(answer="bad", why="HTTP 500")


@pytest.mark.parametrize("doubt", ["fail", "inconclusive"])
@pytest.mark.parametrize(
    ("previous", "candidate", "there", "back"),
    [
        (OLD, NEXT, EVERY, OLD),
        (None, NEXT, EVERY, NEW),  # nothing has ever proven itself
        (OLD, NEXT, {"new", "next"}, NEW),  # it is gone
        (OLD, OLD, EVERY, NEW),  # the proven one is what is tested
    ],
)
def test_the_rule(
    doubt: str, previous: Release | None, candidate: Release, there: set[str], back: Release
) -> None:
    state = State(NAME, "testing", stable=NEW, previous=previous, candidate=candidate)
    assert way_back(state, there) == NEW
    doubted = with_doubt(state, doubt)
    assert way_back(doubted, there) == back
    once = promoted(doubted, there)
    assert (once.stable, once.previous) == (candidate, back)
    assert promoted(once, there) == once


def test_doubt_outlives_the_doubt_of_the_next_one() -> None:
    state = with_doubt(State(NAME, stable=OLD), "fail")
    state = with_doubt(replace(state, stable=NEW), "inconclusive")
    assert (in_doubt(state, "old"), in_doubt(state, "new")) == ("fail", "inconclusive")
    again = from_configmap(NAME, to_configmap(state, NS))
    assert in_doubt(again, "old") == "fail"
    assert way_back(replace(again, previous=OLD, candidate=NEXT), EVERY) == NEW
    cleared = without_doubt(replace(again, stable=OLD))
    assert in_doubt(cleared, "old") == "" and in_doubt(cleared, "new") == "inconclusive"


def unproven(**more: Any) -> World:
    """`old` proved itself, `new` was promoted over it and did not."""
    at = World()
    state = State(NAME, "unproven", stable=NEW, previous=OLD, drain_s=DRAIN, rollout="r", **more)
    at.put(to_configmap(state, NS))
    at.put(deployment(OLD, 0))
    at.put(deployment(NEW, 2))
    at.put(stable_service(NEW))
    return at


def promotes(at: World, then: Look, tested: Release = NEXT) -> None:
    """Another rollout, whose candidate passes; `then`: what its soak sees."""
    actor = at.actor()  # who clears up for another release has no means to look at this one
    actor.take_over()
    carry_out(actor, moves.decide_recovery(actor.observe(), superseded=True))
    actor = at.actor(lambda _: then)
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), tested, "r2", "parallel", DRAIN))
    actor.apply(deployment(tested, 2))
    carry_out(actor, moves.decide_promotion(actor.observe(), keep_previous=True))


def rolls_back(at: World) -> State:
    actor = at.actor(lambda _: GOOD)
    actor.take_over()
    carry_out(actor, decide_wish("rollback", actor.observe()))
    return actor.observe().state


@pytest.mark.parametrize("then", [GOOD, BLIND])
@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_a_rollback_leads_past_what_never_proved_itself(verdict: str, then: Look) -> None:
    at = unproven(verdict=verdict)
    at.put(deployment(OLD, 2 if verdict == "inconclusive" else 0))
    promotes(at, then)
    assert at.leads_to() == "next"
    state = rolls_back(at)
    assert (at.leads_to(), state.phase, state.stable) == ("old", "idle", OLD)
    assert at.harm == []


def test_a_breach_leads_past_it_too() -> None:
    at = unproven(verdict="inconclusive")
    looks = iter([GOOD])
    actor = at.actor(lambda _: next(looks, BAD))
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), NEXT, "r2", "parallel", DRAIN))
    actor.apply(deployment(NEXT, 2))
    carry_out(actor, moves.decide_promotion(actor.observe(), keep_previous=True))
    state = actor.observe().state
    assert (at.leads_to(), state.phase, state.stable) == ("old", "idle", OLD)
    assert at.harm == []


def test_without_a_proven_one_nothing_is_kept_for_a_rollback() -> None:
    at = unproven(verdict="inconclusive")
    state = at.actor().observe().state
    at.put(to_configmap(replace(state, previous=None), NS))
    promotes(at, GOOD)
    with pytest.raises(Refused, match="no previous release to go back to"):
        rolls_back(at)
    assert at.available("next") == 2 and at.get("Deployment", "m-new") is None


def test_the_proven_one_tested_again_has_no_worse_to_go_back_to() -> None:
    at = unproven(verdict="fail")
    promotes(at, GOOD, OLD)
    state = at.actor().observe().state
    assert (at.leads_to(), state.phase, state.previous) == ("old", "idle", None)
    assert at.harm == []
