"""Seats that are lent, carried out by the real Actor and cut before each of its writes: something
answers all the while, though nobody allowed an interruption, and what was lent comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.course import DeploymentView
from tasks.release.lend import Lend, decide_lend
from tasks.run import seats
from tests.support.cluster.actor_world import NEW, World, deployment, release, wait_ready, world
from tests.support.cluster.courses import (
    ANSWERS,
    CUTS,
    PAIRS,
    Does,
    at_every_cut,
    at_rest,
    breaks,
    once,
    promotes,
    recovers,
    settle,
    settled,
)

pytestmark = pytest.mark.usefixtures("quick")
KEEP = pytest.mark.parametrize("keep", [True, False])
BROKEN = pytest.mark.parametrize("broken", [False, True])

LEND = Lend(keep=1, of=2, tested=1, stays=1, comes=1)


def full(seats: int = 2) -> World:
    """No room beside what serves, and no leave to interrupt: one of two seats can be lent."""
    return world(seats=seats)


def lends(answers: str | None = "good", *, broken: bool = False, keep: bool = True) -> Does:
    """A candidate takes one of two seats; answers: and is promoted, None: and is not."""

    def go(actor: Actor) -> None:
        at: Any = actor.cluster
        actor.run(moves.decide_start(actor.observe(), NEW, "r", "lend", 30.0, lend=LEND))
        if broken:
            at.broken.add("new")
        actor.apply(deployment(NEW, LEND.tested))
        wait_ready(at, "models", "m-new", timeout_s=1)
        if answers:
            promotes(keep, answers)(actor)

    return go


def served(at: World) -> None:
    """Some replica answers where the Service leads, unless the release that was promoted fell."""
    assert at.harm == []
    serving = at.leads_to()
    assert at.available(serving) or serving in at.broken


@KEEP
@BROKEN
@pytest.mark.parametrize("answers", ANSWERS)
def test_a_seat_that_is_lent(keep: bool, broken: bool, answers: str) -> None:
    def then(at: World, whole: bool) -> None:
        if whole:
            assert at.leads_to() == ("old" if answers == "bad" else "new")
        served(at)
        settled(at, keep, broken and breaks(at))
        served(at)

    at_every_cut(full, lends(answers, keep=keep), then)


@PAIRS
@given(
    cut=CUTS,
    again=CUTS,
    keep=st.booleans(),
    answers=st.sampled_from(list(ANSWERS)),
    broken=st.booleans(),
    never=st.booleans(),
)
def test_a_seat_that_is_lent_cut_twice(
    cut: int, again: int, keep: bool, answers: str, broken: bool, never: bool
) -> None:
    """never: the candidate does not get ready."""
    at = full()
    once(at, lends(answers, broken=never, keep=keep), cut)
    served(at)
    settled(at, keep, broken and breaks(at), again)
    served(at)


@pytest.mark.parametrize("replicas", [3, 4, 8])
@pytest.mark.parametrize("answers", ANSWERS)
def test_seats_that_change_over(replicas: int, answers: str) -> None:
    """By the flow's own promotion; whoever finds it half-way goes home, or on."""
    lend = decide_lend(
        [tuple(range(replicas + 1))], DeploymentView("m-old", "old", *[replicas] * 3), replicas
    )
    assert lend is not None

    def does(actor: Actor) -> None:
        new = release("new", replicas)
        actor.run(moves.decide_start(actor.observe(), new, "r", "lend", 30.0, lend=lend))
        actor.apply(deployment(new, lend.tested))
        wait_ready(actor.cluster, "models", "m-new", timeout_s=1)
        promotes(True, answers)(actor)

    def then(at: World, whole: bool) -> None:
        if whole:
            assert at.leads_to() == ("old" if answers == "bad" else "new")
        served(at)
        settled(at, True, False)
        served(at)
        assert at.fewest >= replicas // 2

    at_every_cut(lambda: world(seats=replicas, replicas=replicas), does, then)


@pytest.mark.parametrize("again", [None, *range(8)])
@BROKEN
def test_a_lent_seat_is_given_back(broken: bool, again: int | None) -> None:
    def then(at: World, _: bool) -> None:
        served(at)
        once(at, recovers(), again)
        served(at)
        settle(at)
        assert at.harm == [] and at_rest(at) == "old" and at.available("old") == 2

    at_every_cut(full, lends(None, broken=broken), then)


@pytest.mark.parametrize("again", [None, *range(8)])
@pytest.mark.parametrize("phase", ["soaking", "unproven"])
def test_a_way_back_to_what_lent_its_seat(phase: str, again: int | None) -> None:
    """By its operator, who allows no interruption: it still answers, and nothing has to stop."""

    def begin() -> World:
        at = full()
        actor = at.actor()
        actor.take_over()
        lends(None)(actor)
        for move in moves.decide_promotion(actor.observe(), keep_previous=True).moves[:3]:
            actor.move(move)
        if phase == "unproven":
            actor.run(moves.decide_unproven(actor.observe(), "inconclusive", "no route"))
        at.writes.clear()
        return at

    def goes_back(actor: Actor) -> None:
        seen = actor.observe()
        room = seats.room(actor, seen.state.previous, seen.serving)
        actor.run(moves.decide_revert(seen, room=room))

    def then(at: World, whole: bool) -> None:
        served(at)
        if whole:
            assert at_rest(at) == "old" and at.available("old") == 2
        begun = at.actor().observe().state.phase not in ("soaking", "unproven")
        once(at, recovers(), again)
        served(at)
        settle(at)
        served(at)
        if begun:
            assert at_rest(at) == "old"

    at_every_cut(begin, goes_back, then)


@pytest.mark.parametrize("ready", [0, 1])
def test_nothing_is_lent_by_what_is_not_whole(ready: int) -> None:
    at = full(seats=ready)
    actor = at.actor()
    actor.take_over()
    before = list(at.writes)
    with pytest.raises(StepFailed, match="nothing was taken from"):
        lends()(actor)
    assert at.writes == before


def test_what_lends_keeps_as_many_as_are_ready_also_at_the_last_moment() -> None:
    at = full()
    actor = at.actor()
    actor.take_over()
    course = moves.decide_start(actor.observe(), NEW, "r", "lend", lend=LEND)
    at.broken.add("old")  # between decision and write
    with pytest.raises(StepFailed, match="not scaled to 1: only 0 of its replicas are ready"):
        actor.run(course)
    assert at.actor().observe().deployments["old"].replicas == 2


def test_what_a_person_sets_while_a_seat_is_lent_counts() -> None:
    at = full(seats=5)
    actor = at.actor()
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), NEW, "r", "lend", lend=LEND))
    view = actor.observe().deployments["old"]
    assert (view.replicas, view.serves_with, view.lent, view.steady) == (1, 2, True, True)
    body = at.objects["Deployment", "m-old"]
    at.put({**body, "spec": {**body["spec"], "replicas": 3}})
    view = actor.observe().deployments["old"]
    assert (view.replicas, view.serves_with, view.lent, view.whole) == (3, 3, False, True)
