"""As many replicas answer after a switch as before it, both ways: what a person or an autoscaler
set is set for what takes its place where seats allow, and fewer only where that is agreed to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.lend import Lend
from tasks.release.memory.terms import with_terms
from tasks.release.moves import DeploymentView, Observed
from tasks.release.seats.capacity import agreed, falls, set_by_hand
from tasks.release.soaking import Look
from tasks.release.state import State
from tasks.release.wish import decide_wish
from tasks.run import seats
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NS,
    World,
    deployment,
    release,
    wait_ready,
)
from tests.support.cluster.courses import (
    WELL,
    by_hand,
    goes_back,
    old_serves,
    once,
    promotes_it,
    settle,
)
from tests.support.surveys import OLD, plan, seat, spec

pytestmark = pytest.mark.usefixtures("quick")
NEW = release("new", 2)
FEWER = {"promotion": {"allow_interruption": True}}


def scaled(now: int, seats: int = 99) -> World:
    """`old` was promoted with 2 replicas, and an autoscaler made that `now`."""
    at = old_serves(World(seats), 2)
    by_hand(at, "old", now)
    return at


def rolls(at: World, replicas: int = 2, asked: dict[str, Any] | None = None) -> Callable[..., None]:
    """Test beside what serves, then promotion."""
    new = replace(NEW, replicas=replicas)

    def go(actor: Actor) -> None:
        actor.run(moves.decide_start(actor.observe(), new, "r", "parallel", DRAIN, spec=asked))
        actor.apply(deployment(new, replicas))
        wait_ready(at, NS, new.deployment, timeout_s=1)  # type: ignore[arg-type]
        at.fewest = 99
        promotes_it(actor)

    return go


def rests(at: World, ident: str, replicas: int) -> None:
    settle(at)
    assert at.harm == [] and at.leads_to() == ident and at.available(ident) == replicas
    assert at.actor().observe().state.phase == "idle"


def test_what_an_autoscaler_set_is_set_for_what_takes_its_place() -> None:
    at = scaled(8)
    once(at, rolls(at))
    assert at.fewest == 8
    rests(at, "new", 8)
    # and for the way back, and for the next one
    by_hand(at, "new", 10)
    at.fewest = 99
    once(at, goes_back)
    assert at.fewest >= 10
    rests(at, "old", 10)


@pytest.mark.parametrize("cut", range(4, 30, 2))
def test_wherever_it_is_cut_no_fewer_answer(cut: int) -> None:
    at = scaled(4)
    at.fewest = 99
    once(at, rolls(at), cut)
    settle(at)
    assert at.fewest >= 4 and at.harm == []
    assert at.available(at.leads_to()) == 4


def test_where_seats_are_short_nothing_is_moved() -> None:
    at = scaled(4, seats=7)
    actor = at.actor(lambda _: WELL)
    actor.take_over()
    with pytest.raises(Refused, match=r"4 replica\(s\) of m-old answer now, 3 of m-new would"):
        rolls(at)(actor)
    rests(at, "old", 4)


def test_fewer_are_led_to_where_the_spec_agrees() -> None:
    at = scaled(4, seats=7)
    once(at, rolls(at, asked=FEWER))
    assert at.fewest == 3  # as many as found a seat beside it
    rests(at, "new", 4)  # and the rest, once it has gone


def test_a_person_s_replicas_of_the_candidate_stay() -> None:
    at = scaled(2)

    def go(actor: Actor) -> None:
        actor.run(moves.decide_start(actor.observe(), NEW, "r", "parallel", DRAIN))
        actor.apply(deployment(NEW, 2))
        by_hand(at, "new", 3)
        promotes_it(actor)

    once(at, go)
    rests(at, "new", 3)


def test_in_place_of_what_served_all_of_it_follows_at_once() -> None:
    at = scaled(4, seats=4)
    at.may_interrupt = True

    def go(actor: Actor) -> None:
        actor.run(moves.decide_start(actor.observe(), NEW, "r", "replace", DRAIN, spec=FEWER))
        actor.apply(deployment(NEW, 2))
        wait_ready(at, NS, "m-new", timeout_s=1)  # type: ignore[arg-type]
        promotes_it(actor)

    once(at, go)
    rests(at, "new", 4)


def test_lent_seats_change_over_until_all_of_them_have() -> None:
    at = scaled(4, seats=4)
    lend = Lend(3, 4, 1, 2, 2)

    def go(actor: Actor) -> None:
        actor.run(moves.decide_start(actor.observe(), NEW, "r", "lend", DRAIN, lend=lend))
        actor.apply(deployment(NEW, 1))
        wait_ready(at, NS, "m-new", timeout_s=1)  # type: ignore[arg-type]
        promotes_it(actor)

    at.fewest = 99
    once(at, go)
    assert at.fewest == 2
    rests(at, "new", 4)


def test_the_switch_looks_at_how_many_answer_then() -> None:
    at = scaled(2)
    actor = at.actor(lambda _: WELL)
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), NEW, "r", "parallel", DRAIN))
    actor.apply(deployment(NEW, 2))
    course = moves.decide_promotion(actor.observe(), keep_previous=True)
    by_hand(at, "old", 5)
    with pytest.raises(StepFailed, match="2 of 5 replicas ready"):
        actor.run(course)
    assert at.leads_to() == "old"


# -- the way back


def test_a_way_back_to_fewer_wants_leave() -> None:
    """Old ran with 2 when it was put away, new answers with 6, and there are seats for 3 beside."""
    at = scaled(2, seats=9)
    once(at, rolls(at))
    clock.sleep(60)  # the pods of what served before are gone
    by_hand(at, "new", 6)
    at.fewest = 99
    actor = at.actor()
    seen = actor.observe()
    room = seats.room(actor, seen.state.previous, seen.serving)
    assert room is not None
    without = replace(room, tables=())  # nothing that could be lent
    with pytest.raises(Refused, match=r"6 replica\(s\) of m-new answer now, 3 of m-old would"):
        decide_wish("rollback", seen, room=without)
    course = decide_wish("rollback", seen, room=without, allow_interruption=True)
    once(at, lambda actor: carry_out(actor, course))
    assert at.fewest == 3
    rests(at, "old", 6)


def test_a_way_back_changes_seats_over_where_it_finds_too_few() -> None:
    at = scaled(2, seats=9)
    once(at, rolls(at))
    clock.sleep(60)  # the pods of what served before are gone
    by_hand(at, "new", 6)
    at.fewest = 99
    once(at, goes_back)
    assert at.fewest >= 3
    rests(at, "old", 6)


def test_what_an_autoscaler_asked_for_in_vain_is_not_waited_for_on_a_way_back() -> None:
    """There were seats for 4 of the 6."""
    at = scaled(2, seats=4)
    once(at, rolls(at))
    clock.sleep(60)  # the pods of what served before are gone
    by_hand(at, "new", 6)
    once(at, goes_back)
    rests(at, "old", 4)


def test_bad_news_waits_for_no_replica() -> None:
    """What fails its soak is left for what answers, however few."""
    at = scaled(2)
    ill = Look(answer="bad", why="HTTP 500")

    looks = iter([WELL])

    def look(_: object) -> Look:
        by_hand(at, "new", 6)
        return next(looks, ill)

    actor = at.actor(look)
    actor.take_over()
    rolls(at)(actor)
    assert at.leads_to() == "old"
    rests(at, "old", 6)


# -- the plan


def seen_with(now: int, remembered: int, **more: Any) -> Observed:
    stable = replace(OLD, replicas=remembered)
    view = DeploymentView("m-old", "old", now, now, now, **more)
    return Observed(State("m", stable=stable), "old", {"old": view})


def test_the_plan_counts_what_was_set_by_hand() -> None:
    seen = seen_with(8, 2)
    assert (set_by_hand(seen), falls(seen, 2)) == (8, None)
    got = plan(spec(2), [seat("a", 8, without=16)], seen)
    assert got.strategy == "parallel" and got.devices_needed == 32
    assert "scale it from 1 to the 8 replica(s) that serve now" in got.sentence
    short = plan(spec(2), [seat("a", 7, without=15)], seen)
    assert short.strategy == "refused" and "32 hygon.com/dcu needed beside" in short.sentence


def test_a_spec_that_asks_for_fewer_has_to_agree_to_it() -> None:
    """A schedule lowers nothing silently."""
    seen, room = seen_with(4, 4), [seat("a", 4, without=8)]
    refused = plan(spec(2), room, seen)
    assert refused.strategy == "refused" and "4 replica(s) serve now, and 2 would" in (
        refused.sentence
    )
    agreed = plan(spec(2, allow_interruption=True), room, seen)
    assert agreed.strategy == "parallel"
    assert agreed.interruption == "none; fewer replicas serve: 4 do now, 2 in the end"
    assert plan(spec(4), room, seen).interruption == "none"
    assert plan(spec(2), room, seen_with(4, 4, stopped=True)).strategy == "refused"


def test_what_a_person_lowered_is_no_fall() -> None:
    assert plan(spec(2), [seat("a", 4, without=8)], seen_with(1, 4)).strategy == "parallel"


def test_the_spec_that_agrees_is_the_candidate_s() -> None:
    state = with_terms(State(NAME, stable=release("old"), candidate=NEW), "new", spec=FEWER)
    assert agreed(state, "new") and not agreed(state, "old")
    assert not agreed(with_terms(state, "new", spec={}), "new")
