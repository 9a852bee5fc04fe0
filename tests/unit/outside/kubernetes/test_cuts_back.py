"""Ways back, and what a person decides, by the real Actor, cut before each write and settled: as
tests/unit/outside/kubernetes/test_cuts.py does with promotions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.state import to_configmap
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NEW, OLDER, World, deployment, in_test, world
from tests.support.cluster.courses import (
    ANSWERS,
    CUTS,
    PAIRS,
    Does,
    at_every_cut,
    at_rest,
    lends_nothing,
    narrow,
    once,
    only_taken_over,
    promotes,
    recovers,
    settle,
)

pytestmark = pytest.mark.usefixtures("quick")


def rolls_back(allow: bool) -> Does:
    def go(actor: Actor) -> None:
        seen = actor.observe()
        room = lends_nothing(actor, seen)
        carry_out(actor, decide_wish("rollback", seen, allow_interruption=allow, room=room))

    return go


# -- ways back --------------------------------------------------------------------------------


def cramped(seats: int, allow: bool, broken: bool) -> World:
    """`older` may find no room beside `old`, or not get ready."""
    at = world(seats=seats)
    at.may_interrupt = allow and seats < 4
    if broken:
        at.broken.add("older")
    return at


def back(at: World, broken: bool, again: int | None = None) -> None:
    """From `old` to `older`: who has begun goes on, who cannot comes home."""
    seen = at.actor().observe()
    begun = seen.state.phase == "reverting" or seen.serving == "older"
    once(at, recovers(), again)
    try:
        settle(at)
    except StepFailed as error:
        # a way back that fails is told as an error, after what served is back
        assert broken and "serves on" in str(error)
    settle(at)
    assert at.harm == []
    assert at_rest(at) == ("older" if begun and not broken else "old")


@pytest.mark.parametrize("seats", [2, 3, 4])
@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize("broken", [False, True])
def test_a_way_back(seats: int, allow: bool, broken: bool) -> None:
    if seats < 4 and not allow:  # it is refused: nothing but taking over is written
        at = cramped(seats, allow, broken)
        once(at, rolls_back(allow))
        assert only_taken_over(at)
        back(at, broken)
        return

    def then(at: World, whole: bool) -> None:
        if whole:
            assert at.leads_to() == ("old" if broken else "older")
        back(at, broken)

    at_every_cut(lambda: cramped(seats, allow, broken), rolls_back(allow), then)


@PAIRS
@given(
    cut=CUTS,
    again=CUTS,
    seats=st.sampled_from([2, 3, 4]),
    allow=st.booleans(),
    broken=st.booleans(),
)
def test_a_way_back_cut_twice(cut: int, again: int, seats: int, allow: bool, broken: bool) -> None:
    at = cramped(seats, allow, broken)
    once(at, rolls_back(allow), cut)
    back(at, broken, again)


def test_a_way_home_from_a_release_that_answers_after_all() -> None:
    """The way back was given up, and then the release gone back to got ready and was asked."""

    def astray() -> World:
        at = world()
        state = replace(at.actor().observe().state, phase="restoring")
        at.put(to_configmap(state, "models"))
        at.put(deployment(OLDER, 2))
        at.actor().move(moves.PointService(OLDER))
        at.writes.clear()
        return at

    def then(at: World, whole: bool) -> None:
        settle(at)
        assert at.harm == [] and at_rest(at) == "old"

    at_every_cut(astray, recovers(), then)


def test_a_refused_way_back_changes_nothing() -> None:
    at = world(seats=2)
    actor = at.actor()
    actor.take_over()
    before = list(at.writes)
    with pytest.raises(Refused, match="--allow-interruption"):
        rolls_back(False)(actor)
    assert at.writes == before and at_rest(at) == "old"


# -- what a person, or nobody, decides --------------------------------------------------------


def unproven() -> World:
    """`new` serves, and nobody could watch it."""
    at = in_test()
    once(at, promotes(True, "unseen"))
    assert at.actor().observe().state.phase == "unproven"
    at.writes.clear()
    return at


def wishes(what: str) -> Does:
    def go(actor: Actor) -> None:
        seen = actor.observe()
        if what == "run":
            carry_out(actor, moves.decide_recovery(seen, superseded=True))
        else:
            carry_out(actor, decide_wish(what, seen))

    return go


def wished(at: World, what: str, again: int | None = None) -> None:
    """The wish again, until nobody is in its way."""
    once(at, wishes(what), again)
    once(at, wishes(what))
    settle(at)
    assert at.harm == []
    serves = at_rest(at)
    phase = at.actor().observe().state.phase
    assert phase == ("unproven" if what == "recover" else "idle")
    assert serves == ("old" if what == "rollback" else "new")


@pytest.mark.parametrize("what", ["promote", "rollback", "run"])
def test_an_unproven_release(what: str) -> None:
    """A person keeps it, goes back, or another release is rolled out."""
    at_every_cut(unproven, wishes(what), lambda at, _: wished(at, what))


def test_an_unproven_release_is_left_to_a_person() -> None:
    at = unproven()
    once(at, wishes("recover"))
    assert only_taken_over(at)
    wished(at, "recover")


@PAIRS
@given(cut=CUTS, again=CUTS, what=st.sampled_from(["promote", "rollback", "recover", "run"]))
def test_an_unproven_release_cut_twice(cut: int, again: int, what: str) -> None:
    at = unproven()
    once(at, wishes(what), cut)
    wished(at, what, again)


@pytest.mark.parametrize("answers", ANSWERS)
def test_a_state_that_was_lost(answers: str) -> None:
    """Somebody deleted the ConfigMap: the Service says who serves, and what may still be answering
    ends its requests."""

    def then(at: World, whole: bool) -> None:
        at.objects.pop(("ConfigMap", "rollout-m"))
        serves = at.leads_to()
        settle(at)
        assert at.harm == [] and at.leads_to() == serves and at.available(serves) == 2

    at_every_cut(in_test, promotes(True, answers), then)


def test_pods_of_a_deployment_that_is_gone_still_hold_their_devices() -> None:
    """The process died while it waited for the pods of the candidate it had deleted."""
    at = narrow()
    at.actor().run(moves.decide_start(at.actor().observe(), NEW, "r", "replace"))
    at.put(deployment(NEW, 2))
    at.delete("Deployment", "m-new", "models", fence=lambda: None)
    settle(at)
    assert at_rest(at) == "old"


# -- bad news, and what was not looked at, stay known -----------------------------------------


def left_unproven(verdict: str) -> World:
    """`new` serves and was not proven; `old`, before it, still runs."""
    at = unproven()
    actor = at.actor()
    actor.save(replace(actor.read_state()[0], phase="unproven", verdict=verdict))
    at.epoch = actor.epoch
    return at


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_home_again_from_a_way_back_is_as_unproven_as_before(verdict: str) -> None:
    at = left_unproven(verdict)
    at.broken.add("old")
    at.put(at.objects["Deployment", "m-old"])
    with pytest.raises(StepFailed):
        rolls_back(True)(at.actor())
    state = at.actor().observe().state
    assert (state.phase, state.verdict, at.leads_to()) == ("unproven", verdict, "new")
    assert at.harm == []


def test_another_release_is_tested_beside_the_one_that_is_known_to_be_good() -> None:
    at = left_unproven("fail")
    actor = at.actor(lambda _: Look())
    carry_out(actor, moves.decide_recovery(actor.observe(), superseded=True))
    assert at.leads_to() == "old" and at_rest(at) == "old" and at.harm == []


def test_a_way_home_that_leads_nowhere_ends_where_something_answers() -> None:
    """`new`, home, breaks for good while a way back came home; `old` answers."""
    at = left_unproven("fail")
    actor = at.actor()
    actor.save(replace(actor.read_state()[0], phase="restoring"))
    at.broken.add("new")
    at.put(at.objects["Deployment", "m-new"])
    for _ in range(2):
        recovers()(at.actor())
    assert at.available("old") == 2 and at_rest(at) == "old" and at.harm == []
