"""Every course, carried out by the real Actor, cut before each of its writes, then settled as the
product settles: whatever dies, the model that served is not harmed. Cut twice, by hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.course import Course
from tasks.release.lend import Lend
from tasks.release.soaking import Look
from tasks.release.state import State, promoted, to_configmap
from tests.support.cluster.actor_world import (
    NEW,
    World,
    deployment,
    in_test,
    release,
    wait_ready,
    world,
)
from tests.support.cluster.courses import (
    ANSWERS,
    CUTS,
    PAIRS,
    Does,
    at_every_cut,
    at_rest,
    narrow,
    once,
    promotes,
    recovers,
    settle,
)

pytestmark = pytest.mark.usefixtures("quick")
KEEP = pytest.mark.parametrize("keep", [True, False])
BROKEN = pytest.mark.parametrize("broken", [False, True])


# -- promotions -------------------------------------------------------------------------------


def breaks(at: World) -> bool:
    """The promoted release dies before its promotion is settled, where it came to that."""
    if at.leads_to() != "new" or at.actor().observe().state.phase == "idle":
        return False
    at.broken.add("new")
    at.put(at.objects["Deployment", "m-new"])
    return True


def heir(at: World, broken: bool) -> str:
    """Who is to serve in the end, by what a process left behind."""
    seen = at.actor().observe()
    if seen.serving == "old" or seen.state.phase == "reverting":
        return "old"
    # an unproven one is a person's to judge
    gone_back = broken and seen.state.phase != "unproven" and "old" in seen.deployments
    return "old" if gone_back else "new"


def settled(at: World, keep: bool, broken: bool, again: int | None = None) -> None:
    """It comes to what it has to come to, also where settling is cut."""
    serves = heir(at, broken)
    once(at, recovers(), again)
    stuck = broken and serves == "new"  # nothing is left to go back to, or nobody may
    once(at, recovers(keep)) if stuck else settle(at, keep=keep)
    assert at.harm == [] and at.leads_to() == serves
    if not stuck:
        assert at_rest(at) == serves


@KEEP
@BROKEN
@pytest.mark.parametrize("answers", ANSWERS)
def test_a_promotion(keep: bool, broken: bool, answers: str) -> None:
    def then(at: World, whole: bool) -> None:
        if whole:
            assert at.leads_to() == ("old" if answers == "bad" else "new")
            assert at.actor().observe().state.phase == (
                "unproven" if answers == "unseen" else "idle"
            )
        settled(at, keep, broken and breaks(at))

    at_every_cut(in_test, promotes(keep, answers), then)


@PAIRS
@given(
    cut=CUTS,
    again=CUTS,
    keep=st.booleans(),
    answers=st.sampled_from(list(ANSWERS)),
    broken=st.booleans(),
)
def test_a_promotion_cut_twice(
    cut: int, again: int, keep: bool, answers: str, broken: bool
) -> None:
    at = in_test()
    once(at, promotes(keep, answers), cut)
    settled(at, keep, broken and breaks(at), again)


@KEEP
def test_a_promotion_that_was_cut_is_finished_by_the_next_run(keep: bool) -> None:
    found = []

    def then(at: World, whole: bool) -> None:
        actor = at.actor()
        actor.take_over()
        found.append(moves.decide_resume(actor.observe(), NEW))
        if found[-1] == "promote":
            promotes(keep)(actor)
        assert at.harm == []
        if found[-1] == "retest":
            assert at.leads_to() == "old" and actor.observe().state.phase == "testing"
        else:
            assert at_rest(at) == "new"

    at_every_cut(in_test, promotes(keep), then)
    # five writes take over; from the sixth on it is on record; the last one settles it
    assert found == ["retest"] * 6 + ["promote"] * (len(found) - 7) + ["done"]


# -- replacements -----------------------------------------------------------------------------


def starts(*, broken: bool = False, on: bool = True) -> Does:
    """A candidate takes the place of what serves; on: and is promoted."""

    def go(actor: Actor) -> None:
        at: Any = actor.cluster
        actor.run(moves.decide_start(actor.observe(), NEW, "r", "replace", 30.0))
        if broken:
            at.broken.add("new")
        actor.apply(deployment(NEW, 2))
        wait_ready(at, "models", "m-new", timeout_s=1)
        if on:
            promotes(True)(actor)

    return go


@BROKEN
def test_a_replacement(broken: bool) -> None:
    """Its candidate takes the devices of what serves."""

    def then(at: World, whole: bool) -> None:
        if whole:
            assert at.leads_to() == ("old" if broken else "new")
        settled(at, True, False)

    at_every_cut(narrow, starts(broken=broken), then)


@PAIRS
@given(cut=CUTS, again=CUTS, broken=st.booleans())
def test_a_replacement_cut_twice(cut: int, again: int, broken: bool) -> None:
    at = narrow()
    once(at, starts(broken=broken), cut)
    settled(at, True, False, again)


@pytest.mark.parametrize("seats", [2, 99])
@pytest.mark.parametrize("again", [None, *range(8)])
def test_a_replacement_that_was_not_promoted_brings_back_what_served(
    seats: int, again: int | None
) -> None:
    def then(at: World, _: bool) -> None:
        once(at, recovers(), again)
        settle(at)
        assert at.harm == [] and at_rest(at) == "old"

    at_every_cut(lambda: narrow(seats), starts(on=False), then)


# -- lent seats -------------------------------------------------------------------------------

LEND = Lend(keep=1, of=2, tested=1)


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
            actor.run(moves.decide_unproven(actor.observe(), "inconclusive"))
        at.writes.clear()
        return at

    def goes_back(actor: Actor) -> None:
        seen = actor.observe()
        room = actor.room(seen.state.previous, seen.serving)
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


# -- what a recovery finds --------------------------------------------------------------------


def test_a_promoted_release_that_died_is_taken_back() -> None:
    at = in_test()
    actor = at.actor()
    for move in moves.decide_promotion(actor.observe(), keep_previous=True).moves[:3]:
        actor.move(move)
    assert breaks(at)
    settle(at)
    assert at.harm == [] and at_rest(at) == "old"


def test_recovery_removes_the_candidate_and_strangers_but_not_what_serves() -> None:
    at = in_test()
    at.put(deployment(release("stray"), 2))
    course = moves.decide_recovery(at.actor().observe())
    assert course.sentence == "removed candidate m-new"
    at.actor().run(course)
    assert set(at.actor().observe().deployments) == {"old", "older"}
    assert at.harm == [] and at_rest(at) == "old"


def test_recovery_trusts_the_service_over_a_lost_state() -> None:
    at = world()
    at.put(to_configmap(State("m"), "models"))
    settle(at)
    assert at.harm == [] and at.leads_to() == "old" and at.available("old") == 2


def test_the_first_rollout_ever() -> None:
    """There is no Service, no state, and nothing to go back to."""
    at = World()
    actor = at.actor()
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), NEW, "r", "parallel"))
    at.put(deployment(NEW, 2))
    promotes(True)(actor)
    assert at_rest(at) == "new" and actor.observe().state.previous is None


# -- every move -------------------------------------------------------------------------------


def courses() -> list[tuple[Course, bool]]:
    """One of every kind, and whether the Service leads to the candidate already."""
    fresh = world().actor().observe()
    seen = in_test().actor().observe()
    led = replace(seen, serving="new", state=replace(promoted(seen.state), phase="soaking"))
    back = replace(fresh, state=replace(fresh.state, phase="restoring"))
    return [
        (moves.decide_start(fresh, NEW, "r", "replace"), False),
        (moves.decide_promotion(seen, keep_previous=False), False),
        (moves.decide_recovery(seen), False),
        (moves.decide_recovery(led), True),
        (moves.decide_recovery(led, soak_failed=True), True),
        (moves.decide_revert(fresh, allow_interruption=True), False),
        (moves.decide_restore(back), False),
        (moves.decide_unproven(led, "fail"), True),
    ]


@pytest.mark.parametrize("number", range(8))
def test_every_move_twice_is_once(number: int) -> None:
    """A process that died after a write and before its answer does it again."""
    once_only, twice = in_test(), in_test()
    course, led = courses()[number]
    for at, times in ((once_only, 1), (twice, 2)):
        actor = at.actor(lambda _: Look())
        if led:
            actor.move(moves.PointService(NEW))
        for move in course.moves:
            for _ in range(times):
                actor.move(move)
    assert stripped(once_only) == stripped(twice)


def stripped(at: World) -> dict[tuple[str, str], Any]:
    """All objects without their versions."""
    out = {}
    for key, item in at.objects.items():
        meta = {k: v for k, v in item["metadata"].items() if k != "resourceVersion"}
        out[key] = {**item, "metadata": meta}
    return out
