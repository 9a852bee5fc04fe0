"""How many ready pods the Service leads to while a release is promoted: never fewer than served
(beside), or than the plan announced (lent): half of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.back import arrived
from tasks.release.course import Room
from tasks.release.lend import Lend, decide_lend
from tasks.release.soaking import Look
from tasks.release.wish import decide_wish
from tasks.run import seats
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import (
    DRAIN,
    NS,
    World,
    deployment,
    release,
    wait_ready,
)
from tests.support.cluster.courses import WELL, old_serves, once, promotes_it

pytestmark = pytest.mark.usefixtures("quick")


def serving(replicas: int, seats: int) -> World:
    return old_serves(World(seats), replicas)


NEW = release("new")
ILL = Look(answer="bad", why="HTTP 500")


def rolls(at: World, replicas: int, lend: Lend | None, *, passes: bool) -> Callable[[Actor], None]:
    """A whole rollout, and what follows from its soak."""
    new = replace(NEW, replicas=replicas)

    def go(actor: Actor) -> None:
        strategy = "lend" if lend else "parallel"
        actor.run(moves.decide_start(actor.observe(), new, "r", strategy, DRAIN, lend=lend))
        actor.apply(deployment(new, lend.tested if lend else replicas))
        wait_ready(at, NS, new.deployment, timeout_s=1)  # type: ignore[arg-type]
        if passes:
            promotes_it(actor)
        else:
            carry_out(actor, moves.decide_recovery(actor.observe()))

    return go


def runs_again(actor: Actor) -> None:
    """The same release is wanted: what passed is promoted, whatever it came to."""
    if actor.observe().state.phase == "promoting":
        promotes_it(actor)
    else:
        guards(actor)


def guards(actor: Actor) -> None:
    """Also what a run does first, and at its end."""
    seen = actor.observe()
    back = seen.state.previous if seen.state.phase == "reverting" else None
    room = seats.room(actor, back, seen.serving)
    carry_out(actor, moves.decide_recovery(seen, room=room))


def aborts(actor: Actor) -> None:
    seen = actor.observe()
    room = seats.room(actor, arrived(seen).state.previous, seen.serving)
    carry_out(actor, decide_wish("abort", seen, room=room))


def undoes(actor: Actor) -> None:
    """To what is kept from before, wherever it stands."""
    seen = actor.observe()
    room = seats.room(actor, arrived(seen).state.previous, seen.serving)
    carry_out(actor, decide_wish("rollback", seen, room=room))


THEN = {"guard": guards, "run": runs_again, "abort": aborts, "undo": undoes}
SOME = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
CUTS = st.none() | st.integers(3, 32)


def comes_to_rest(at: World, replicas: int) -> None:
    for _ in range(3):
        once(at, guards)
    state = at.actor().observe().state
    assert at.available(at.leads_to()) == replicas or state.phase == "unproven"
    assert at.harm == []


@SOME
@given(
    replicas=st.sampled_from([1, 2, 3, 4, 5, 8]),
    spare=st.integers(0, 3),
    lends=st.booleans(),
    cut=CUTS,
    passes=st.booleans(),
    look=st.sampled_from([WELL, WELL, ILL]),
    then=st.sampled_from(sorted(THEN)),
    again=CUTS,
)
def test_never_fewer_answer_than_was_announced(
    replicas: int,
    spare: int,
    lends: bool,
    cut: int | None,
    passes: bool,
    look: Look,
    then: str,
    again: int | None,
) -> None:
    """Whoever dies, and whoever comes next and dies, too."""
    if not lends:
        at, lend, least = serving(replicas, 2 * replicas), None, replicas
    else:
        at = serving(replicas, replicas + spare)
        table = tuple(spare + gone for gone in range(replicas + 1))
        view = at.actor().observe().view("old")
        lend = decide_lend([table], view, replicas)
        if lend is None:
            assert replicas == 1 and spare == 0
            return
        least = lend.least
        assert least >= replicas // 2
    once(at, rolls(at, replicas, lend, passes=passes), cut, look)
    assert at.fewest >= least
    once(at, THEN[then], again)
    assert at.fewest >= min(least, max(1, replicas // 2))
    comes_to_rest(at, replicas)
    assert at.fewest >= min(least, max(1, replicas // 2))


@pytest.mark.parametrize("replicas", [2, 3, 4, 8])
@pytest.mark.parametrize("then", sorted(THEN))
def test_half_serve_wherever_it_is_cut(replicas: int, then: str) -> None:
    """Before each write of a promotion that lends, with no seat to spare."""
    cut: int | None = None
    while cut is None or cut >= 3:
        at = serving(replicas, replicas)
        lend = decide_lend([tuple(range(replicas + 1))], at.actor().observe().view("old"), replicas)
        once(at, rolls(at, replicas, lend, passes=True), cut)
        if cut is None:
            assert at.leads_to() == "new" and at.available("new") == replicas
        cut = len(at.writes) - 1
        once(at, THEN[then])
        comes_to_rest(at, replicas)
        assert at.fewest >= replicas // 2, cut + 1


@pytest.mark.parametrize("replicas", [2, 3, 4, 8])
def test_more_seats_change_over_before_the_switch(replicas: int) -> None:
    at = serving(replicas, replicas)
    lend = decide_lend([tuple(range(replicas + 1))], at.actor().observe().view("old"), replicas)
    assert lend is not None and lend.keep == replicas - 1 and lend.tested == 1
    at_switch: list[tuple[int, int]] = []
    lead = at.leads_to

    def look(_: object) -> Look:
        at_switch.append((at.available("old"), at.available("new")))
        assert lead() == "new"
        return WELL

    actor = at.actor(look)
    actor.take_over()
    rolls(at, replicas, lend, passes=True)(actor)
    assert at_switch[0] == (lend.stays, lend.comes)
    assert at.fewest == replicas // 2 == lend.least and at.available("new") == replicas


def lent(replicas: int = 8) -> tuple[World, Actor]:
    """A candidate that was tested on the one seat that was lent, and passed."""
    at = serving(replicas, replicas)
    lend = decide_lend([tuple(range(replicas + 1))], at.actor().observe().view("old"), replicas)
    new = replace(NEW, replicas=replicas)
    actor = at.actor(lambda _: WELL)
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), new, "r", "lend", DRAIN, lend=lend))
    actor.apply(deployment(new, 1))
    return at, actor


def test_who_cannot_count_seats_leaves_no_fewer() -> None:
    at, actor = lent()
    actor.run(moves.decide_promotion(actor.observe(), keep_previous=True))
    assert at.fewest == 4 and at.available("new") == 8


def test_fewer_than_was_announced_is_refused_and_nothing_has_changed() -> None:
    at, actor = lent()
    writes, seen = list(at.writes), actor.observe()
    tight = Room(1, 1, "1 cpu", tables=((1,) * 8,))  # its nodes take no more of it
    with pytest.raises(
        Refused, match="never fewer than 4 replicas serve, its nodes have room for 1"
    ):
        moves.decide_promotion(seen, keep_previous=True, room=tight)
    waits = Room(1, 8, "1 cpu", queue=("jobs/train",), tables=(tuple(range(1, 9)),))
    with pytest.raises(Refused, match="jobs/train would take the seats that m-old gives to m-new"):
        moves.decide_promotion(seen, keep_previous=True, room=waits)
    assert at.writes == writes


def test_a_replica_that_does_not_come_up_half_way_brings_all_seats_home() -> None:
    at, actor = lent()
    seen = actor.observe()
    course = moves.decide_promotion(
        seen, keep_previous=True, room=seats.room_to_promote(actor, seen)
    )
    fourth = [n for n, move in enumerate(course.moves) if move == moves.Scale("m-new", 3)]
    for move in course.moves[: fourth[0]]:
        actor.move(move)
    at.seats = 7  # what was freed is lost
    with pytest.raises(StepFailed):
        actor.run(replace(course, moves=course.moves[fourth[0] :]))
    at.seats = 8
    comes_to_rest(at, 8)
    assert at.leads_to() == "old" and at.fewest >= 4


def test_a_replica_that_falls_before_the_switch_keeps_the_service_where_more_answer() -> None:
    at = serving(3, 6)
    new = release("new", 3)
    actor = at.actor(lambda _: Look())
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), new, "r", "parallel", DRAIN))
    actor.apply(deployment(new, 3))
    course = moves.decide_promotion(actor.observe(), keep_previous=True)
    at.seats = 4  # a node is lost between decision and write
    at.objects["Deployment", "m-new"]["placed"] = 1
    with pytest.raises(StepFailed, match="stays with m-old, which answers: m-new has 1 of 3"):
        actor.run(course)
    assert at.leads_to() == "old" and at.fewest == 3
