"""Every course, carried out by the real Actor, cut before any write, then settled as the product
settles: whatever dies, the model that served is not harmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes import actor as act
from tasks.outside.kubernetes.actor import Actor, SoakFailed, carry_out
from tasks.release import moves
from tasks.release.course import Course
from tasks.release.state import promoted, to_configmap
from tasks.release.wish import decide_wish
from tests.support.cluster.actor_world import (
    NEW,
    OLDER,
    Killed,
    World,
    deployment,
    wait_ready,
    world,
)
from tests.support.cluster.courses import LOOKS, once, settle

pytestmark = pytest.mark.usefixtures("quick")
CUTS = st.none() | st.integers(0, 16)
EASY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def promotes(keep: bool) -> Callable[[Actor], object]:
    """As flows/rollout.py does it, with what follows a failed soak."""

    def go(actor: Actor) -> None:
        try:
            carry_out(actor, moves.decide_promotion(actor.observe(), keep_previous=keep))
        except SoakFailed:
            seen = actor.observe()
            room = actor.room(seen.state.previous, seen.serving)
            carry_out(actor, moves.decide_soak_failed(seen, room))
        except act.NotProven:
            actor.run(moves.decide_unproven(actor.observe(), "inconclusive"))

    return go


def rolls_back(allow: bool) -> Callable[[Actor], object]:
    def go(actor: Actor) -> None:
        seen = actor.observe()
        room = actor.room(seen.state.previous, seen.serving)
        carry_out(actor, decide_wish("rollback", seen, allow_interruption=allow, room=room))

    return go


def at_rest(at: World) -> str:
    """Nothing is under way: gives who serves, which answers with all its replicas, alone."""
    seen = at.actor().observe()
    state = seen.state
    assert state.stable is not None and seen.serving == state.stable.id
    view = seen.view(seen.serving)
    assert view is not None and view.whole
    if state.phase != "unproven":
        assert state.phase == "idle" and state.candidate is None
        assert [v.release for v in seen.deployments.values() if v.replicas] == [seen.serving]
    assert at.get("Service", "m-candidate") is None
    return state.stable.id


@EASY
@given(
    cut=CUTS, again=CUTS, keep=st.booleans(), look=st.sampled_from(list(LOOKS)), dies=st.booleans()
)
def test_a_promotion(cut: int | None, again: int | None, keep: bool, look: str, dies: bool) -> None:
    at = world(phase="testing", candidate=True)
    once(at, promotes(keep), cut, look)
    # before it is settled, that is
    dies = dies and at.leads_to() == "new" and at.actor().observe().state.phase != "idle"
    if dies:
        at.broken.add("new")
        at.put(at.objects["Deployment", "m-new"])
    once(at, lambda actor: carry_out(actor, moves.decide_recovery(actor.observe())), again)
    settle(at, keep=keep)
    assert at.harm == []
    if dies and at.leads_to() == "new":
        # alone, or waiting for a person: nothing is left to go back to, or nobody may decide
        phase = at.actor().observe().state.phase
        assert phase == "unproven" or at.get("Deployment", "m-old") is None
        return
    serves = at_rest(at)
    if cut is None and look != "bad":
        assert serves == ("old" if dies and look != "unseen" else "new")
    if cut is None and look == "bad" and not dies:
        assert serves == "old"


@EASY
@given(cut=CUTS, again=CUTS, broken=st.booleans())
def test_a_replacement(cut: int | None, again: int | None, broken: bool) -> None:
    """Room for one release only; its candidate takes the devices of what serves."""
    at = world(seats=2)
    at.may_interrupt = True

    def start(actor: Actor) -> None:
        actor.run(moves.decide_start(actor.observe(), NEW, "r", "replace", 30.0))
        if broken:
            at.broken.add("new")
        actor.fence()
        if at.left is not None and at.left <= 0:
            raise Killed
        at.put(deployment(NEW, 2))
        wait_ready(at, "models", "m-new", timeout_s=1)  # type: ignore[arg-type]
        promotes(True)(actor)

    once(at, start, cut)
    once(at, lambda actor: carry_out(actor, moves.decide_recovery(actor.observe())), again)
    settle(at)
    assert at.harm == []
    serves = at_rest(at)
    if cut is None:
        assert serves == ("old" if broken else "new")


@EASY
@given(
    cut=CUTS,
    again=CUTS,
    seats=st.sampled_from([2, 3, 4]),
    allow=st.booleans(),
    broken=st.booleans(),
)
def test_a_way_back(
    cut: int | None, again: int | None, seats: int, allow: bool, broken: bool
) -> None:
    """From `old` to `older`, which may find no room, or not get ready."""
    at = world(seats=seats)
    at.may_interrupt = allow and seats < 4
    if broken:
        at.broken.add("older")
    once(at, rolls_back(allow), cut)
    once(at, lambda actor: carry_out(actor, moves.decide_recovery(actor.observe())), again)
    # a way back that fails is told as an error, after what served is back
    try:
        settle(at)
    except StepFailed as error:
        assert broken and "serves on" in str(error)
    settle(at)
    assert at.harm == []
    serves = at_rest(at)
    if broken:
        assert serves == "old"
    elif cut is None:
        assert serves == ("older" if allow or seats >= 4 else "old")


@EASY
@given(cut=CUTS, again=CUTS, then=st.sampled_from(["promote", "rollback", "recover", "run"]))
def test_an_unproven_release(cut: int | None, again: int | None, then: str) -> None:
    """A person keeps it, goes back, looks away, or another release is rolled out."""
    at = world(phase="testing", candidate=True)
    once(at, promotes(True), None, "unseen")
    assert at.actor().observe().state.phase == "unproven"

    def go(actor: Actor) -> None:
        seen = actor.observe()
        if then == "run":
            carry_out(actor, moves.decide_recovery(seen, superseded=True))
        else:
            carry_out(actor, decide_wish(then, seen))

    once(at, go, cut)
    once(at, go, again)
    once(at, go, None)
    settle(at)
    assert at.harm == []
    serves = at_rest(at)
    phase = at.actor().observe().state.phase
    assert phase == ("unproven" if then == "recover" else "idle")
    assert serves == ("old" if then == "rollback" else "new")


@EASY
@given(cut=st.integers(0, 16))
def test_a_state_that_was_lost(cut: int) -> None:
    """Somebody deleted the ConfigMap right after the switch: the Service says who serves, and what
    may still be answering ends its requests."""
    at = world(phase="testing", candidate=True)
    once(at, promotes(True), cut)
    at.objects.pop(("ConfigMap", "rollout-m"))
    serves = at.leads_to()
    settle(at)
    assert at.harm == [] and at.leads_to() == serves and at.available(serves) == 2


@EASY
@given(cut=CUTS)
def test_a_way_home_from_a_release_that_answers_after_all(cut: int | None) -> None:
    """The way back was given up, and then the release gone back to got ready and was asked."""
    at = world()
    state = replace(at.actor().observe().state, phase="restoring")
    at.put(to_configmap(state, "models"))
    at.put(deployment(OLDER, 2))
    at.actor().move(moves.PointService(OLDER))
    once(at, lambda actor: carry_out(actor, moves.decide_recovery(actor.observe())), cut)
    settle(at)
    assert at.harm == [] and at_rest(at) == "old"


def test_pods_of_a_deployment_that_is_gone_still_hold_their_devices() -> None:
    """The process died while it waited for the pods of the candidate it had deleted."""
    at = world(seats=2)
    at.may_interrupt = True
    at.actor().run(moves.decide_start(at.actor().observe(), NEW, "r", "replace"))
    at.put(deployment(NEW, 2))
    at.delete("Deployment", "m-new", "models", fence=lambda: None)
    settle(at)
    assert at_rest(at) == "old"


def test_a_refused_way_back_changes_nothing() -> None:
    at = world(seats=2)
    actor = at.actor()
    actor.take_over()
    before = list(at.writes)
    with pytest.raises(Refused, match="--allow-interruption"):
        rolls_back(False)(actor)
    assert at.writes == before and at_rest(at) == "old"


def courses() -> list[tuple[Course, bool]]:
    """One of every kind, and whether the Service leads to the candidate already."""
    fresh = world().actor().observe()
    seen = world(candidate=True, phase="testing").actor().observe()
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
    once_only = world(candidate=True, phase="testing")
    twice = world(candidate=True, phase="testing")
    course, led = courses()[number]
    for at, times in ((once_only, 1), (twice, 2)):
        actor = at.actor(LOOKS["good"])
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
