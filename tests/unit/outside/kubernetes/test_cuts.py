"""Every course, carried out by the real Actor, cut before each of its writes, then settled as the
product settles: whatever dies, the model that served is not harmed. Cut twice, by hypothesis."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.course import Course
from tasks.release.soaking import Look
from tasks.release.state import Release, State, promoted, to_configmap
from tests.support.cluster.actor_world import (
    NEW,
    OLDER,
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
    breaks,
    narrow,
    once,
    promotes,
    recovers,
    settle,
    settled,
)

pytestmark = pytest.mark.usefixtures("quick")
KEEP = pytest.mark.parametrize("keep", [True, False])
BROKEN = pytest.mark.parametrize("broken", [False, True])


# -- promotions -------------------------------------------------------------------------------


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


# the previous release may be wanted again
CANDIDATES = pytest.mark.parametrize("candidate", [NEW, OLDER], ids=lambda item: item.id)


def starts(candidate: Release = NEW, *, broken: bool = False, on: bool = True) -> Does:
    """A candidate takes the place of what serves; on: and is promoted."""

    def go(actor: Actor) -> None:
        at: Any = actor.cluster
        actor.run(moves.decide_start(actor.observe(), candidate, "r", "replace", 30.0))
        if broken:
            at.broken.add(candidate.id)
        actor.apply(deployment(candidate, 2))
        wait_ready(at, "models", candidate.deployment, timeout_s=1)
        if on:
            promotes(True, candidate=candidate)(actor)

    return go


@CANDIDATES
@BROKEN
def test_a_replacement(broken: bool, candidate: Release) -> None:
    """Its candidate takes the devices of what serves."""

    def then(at: World, whole: bool) -> None:
        if whole:
            assert at.leads_to() == ("old" if broken else candidate.id)
        settled(at, True, False)

    at_every_cut(narrow, starts(candidate, broken=broken), then)


@PAIRS
@given(cut=CUTS, again=CUTS, broken=st.booleans(), candidate=st.sampled_from([NEW, OLDER]))
def test_a_replacement_cut_twice(cut: int, again: int, broken: bool, candidate: Release) -> None:
    at = narrow()
    once(at, starts(candidate, broken=broken), cut)
    settled(at, True, False, again)


@CANDIDATES
@pytest.mark.parametrize("seats", [2, 99])
@pytest.mark.parametrize("again", [None, *range(8)])
def test_a_replacement_that_was_not_promoted_brings_back_what_served(
    candidate: Release, seats: int, again: int | None
) -> None:
    def then(at: World, _: bool) -> None:
        once(at, recovers(), again)
        settle(at)
        assert at.harm == [] and at_rest(at) == "old"

    at_every_cut(lambda: narrow(seats), starts(candidate, on=False), then)


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
    led = replace(
        seen, serving="new", state=replace(promoted(seen.state, seen.deployments), phase="soaking")
    )
    back = replace(fresh, state=replace(fresh.state, phase="restoring"))
    return [
        (moves.decide_start(fresh, NEW, "r", "replace"), False),
        (moves.decide_promotion(seen, keep_previous=False), False),
        (moves.decide_recovery(seen), False),
        (moves.decide_recovery(led), True),
        (moves.decide_recovery(led, soak_failed=True), True),
        (moves.decide_revert(fresh, allow_interruption=True), False),
        (moves.decide_restore(back), False),
        (moves.decide_unproven(led, "fail", "HTTP 500"), True),
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
    """All objects without their versions, and without when it was."""
    out = {}
    for key, item in at.objects.items():
        if key[0] == "ConfigMap":
            state = {**json.loads(item["data"]["state"]), "since": ""}
            out[key] = {"state": state, "history": item["data"]["history"]}
            continue
        meta = {k: v for k, v in item["metadata"].items() if k != "resourceVersion"}
        out[key] = {**item, "metadata": meta}
    return out
