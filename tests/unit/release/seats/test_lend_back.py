"""A way back with no room beside what serves: that lends its seats, and nothing is interrupted."""

from __future__ import annotations

import pytest

from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.wish import consequences, decide_wish
from tasks.run import seats
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import OLDER, World, deployment, release, world
from tests.support.cluster.courses import at_every_cut, at_rest, goes_back, once

pytestmark = pytest.mark.usefixtures("quick")


def recovers(actor: Actor) -> None:
    """As the guard does."""
    seen = actor.observe()
    begun = seen.state.phase == "reverting"
    room = seats.room(actor, seen.state.previous, seen.serving) if begun else None
    carry_out(actor, moves.decide_recovery(seen, room=room))


def full() -> World:
    """Two seats, and `old` has both; nobody allows an interruption."""
    return world(seats=2)


def test_seat_by_seat() -> None:
    at = full()
    actor = at.actor()
    seen = actor.observe()
    room = seats.room(actor, seen.state.previous, seen.serving)
    said = consequences(seen, decide_wish("rollback", seen, room=room))
    assert said == (
        "m-old serves now; m-old serves on with 1 of 2 replica(s); m-older starts with 1 "
        "replica(s); the Service is moved to m-older; m-old is removed; m-older starts with 2 "
        "replica(s)",
        False,
    )
    actor.take_over()
    goes_back(actor)
    assert at_rest(at) == "older" and at.available("older") == 2 and at.harm == []


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("again", [None, *range(3, 9)])
def test_cut_anywhere_something_answers_and_all_of_it_comes_back(
    broken: bool, again: int | None
) -> None:
    def begin() -> World:
        at = full()
        at.broken |= {"older"} if broken else set()
        return at

    def then(at: World, whole: bool) -> None:
        assert at.harm == [] and at.available(at.leads_to())
        if whole:
            assert at_rest(at) == ("old" if broken else "older")
        once(at, recovers, again)
        assert at.harm == [] and at.available(at.leads_to())
        once(at, recovers)
        serves = at_rest(at)
        assert at.harm == [] and at.available(serves) == 2
        assert serves == "old" or not broken

    at_every_cut(begin, goes_back, then)


def of(replicas: int, *, failed: bool = False) -> World:
    """As many seats as `old` has replicas. failed: that is known to be bad, and serves all the
    same."""
    at = world(seats=replicas, replicas=replicas)
    if failed:
        actor = at.actor()
        actor.take_over()
        actor.run(moves.decide_unproven(actor.observe(), "fail", "HTTP 500"))
        at.writes.clear()
    return at


SIZES = pytest.mark.parametrize("replicas", [2, 3, 4, 8])


@SIZES
@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("again", [None, 5, 8])
def test_half_serve_wherever_it_is_cut(replicas: int, failed: bool, again: int | None) -> None:
    def then(at: World, whole: bool) -> None:
        assert at.harm == [] and at.fewest >= replicas // 2
        if whole:
            assert at_rest(at) == "older"
        once(at, recovers, again)
        assert at.harm == [] and at.fewest >= replicas // 2
        once(at, recovers)
        seen = at.actor().observe()
        assert at.harm == [] and at.fewest >= replicas // 2
        assert at.available(at.leads_to()) == replicas and seen.state.phase in ("idle", "unproven")

    at_every_cut(lambda: of(replicas, failed=failed), goes_back, then)


@SIZES
@pytest.mark.parametrize("failed", [False, True])
def test_half_of_it_answers_at_the_switch(replicas: int, failed: bool) -> None:
    at = of(replicas, failed=failed)
    once(at, goes_back)
    assert at_rest(at) == "older" and at.available("older") == replicas
    assert at.fewest == replicas // 2 and at.harm == []


def test_a_way_back_says_how_many_serve() -> None:
    at = of(8)
    actor = at.actor()
    seen = actor.observe()
    room = seats.room(actor, seen.state.previous, seen.serving)
    said, interrupts = consequences(seen, decide_wish("rollback", seen, room=room))
    assert not interrupts and said == (
        "m-old serves now; m-old serves on with 4 of 8 replica(s), seat by seat; m-older starts "
        "with 4 replica(s), seat by seat; the Service is moved to m-older; m-old is removed; "
        "m-older starts with 8 replica(s)"
    )


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("at_move", range(1, 4))
def test_a_seat_that_is_lost_half_way_brings_the_others_home(failed: bool, at_move: int) -> None:
    """Also to what is known to be bad: the few that have come would be overrun."""
    at = of(8, failed=failed)
    actor = at.actor()
    actor.take_over()

    def meddle(verb: str, kind: str) -> None:
        if at.available("older") == at_move:
            at.seats = 7

    at.meddle = meddle
    with pytest.raises(StepFailed):
        goes_back(actor)
    at.meddle, at.seats = (lambda verb, kind: None), 8
    once(at, recovers)
    assert at.leads_to() == "old" and at.available("old") == 8
    assert at.fewest >= 4 and at.harm == []
    assert at.actor().observe().state.phase == ("unproven" if failed else "idle")


def test_seats_that_others_wait_for_do_not_change_over() -> None:
    """What was begun goes home then."""
    at = of(8)
    once(at, goes_back, 9)
    actor = at.actor()
    seen = actor.observe()
    assert seen.state.phase == "reverting" and 0 < seen.deployments["older"].replicas < 4
    room = moves.Room(1, 8, "1 cpu", ("jobs/train",), tables=(tuple(range(1, 9)),))
    with pytest.raises(Refused, match="jobs/train would take the seats that m-old gives to m-old"):
        moves.decide_revert(seen, room=room)
    actor.take_over()
    actor.run(moves.decide_recovery(seen, room=room))
    assert at_rest(at) == "old" and at.available("old") == 8 and at.fewest >= 4


def test_one_replica_has_nothing_to_lend() -> None:
    at = world(seats=1)
    at.put(deployment(release("old", 1), 1))
    at.put(deployment(release("older", 1), 0))
    actor = at.actor()
    actor.take_over()
    with pytest.raises(Refused, match="or pass --allow-interruption"):
        goes_back(actor)
    assert at.available("old") == 1


def test_nothing_is_lent_while_others_wait_for_it_or_it_could_never_be_whole() -> None:
    at = full()
    seen = at.actor().observe()
    for room in (
        moves.Room(0, 2, "1 cpu", ("jobs/train",), tables=((0, 1, 2),)),
        moves.Room(0, 1, "1 cpu", tables=((0, 1, 1),)),
    ):
        with pytest.raises(Refused):
            decide_wish("rollback", seen, room=room)
    assert OLDER.id in seen.deployments
