"""What the search of test_search.py once found, shown by the real Actor: it stays mended."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from flows.rollback import decide
from tasks.base import clock
from tasks.base.errors import LockLost, RolloutError, StepFailed
from tasks.release import moves
from tasks.release.guard import Around, decide_guard
from tasks.release.state import State, to_configmap
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NEW,
    NS,
    OLD,
    OLDER,
    Object,
    World,
    deployment,
    stable_service,
)
from tests.support.cluster.courses import at_rest, settle

pytestmark = pytest.mark.usefixtures("quick")


def breaks(at: World, ident: str) -> None:
    at.broken = {ident}
    again(at, ident)


def again(at: World, ident: str) -> None:
    """The controllers look at it."""
    at.put(at.objects["Deployment", f"m-{ident}"])


def promoted(phase: str, *, serves: Object | None = None, seats: int = 4, **more: Any) -> World:
    """`new` was promoted, `old` stands by; both are up."""
    at = World(seats)
    state = State(NAME, phase, stable=NEW, previous=OLD, drain_s=DRAIN, **more)  # type: ignore[arg-type]
    at.put(to_configmap(state, NS))
    at.put(deployment(OLD, 2))
    at.put(deployment(NEW, 2))
    at.put(serves or stable_service(NEW))
    return at


def guarded(at: World) -> State:
    """The guard has done what it can."""
    for _ in range(5):
        with suppress(RolloutError):
            settle(at)
    return at.actor().observe().state


def test_restoring_has_an_exit() -> None:
    at = promoted("restoring")
    breaks(at, "new")
    guarded(at)
    assert at.available("old") or at.available(at.leads_to())


def test_a_way_back_that_fails_forgets_no_bad_news() -> None:
    at = promoted("unproven", verdict="fail")
    breaks(at, "old")
    actor = at.actor()
    actor.take_over()
    with suppress(RolloutError):
        carry_out(actor, decide_wish("rollback", actor.observe()))
    assert actor.observe().state.phase == "unproven"


def test_a_release_that_failed_is_not_settled_by_another_run() -> None:
    at = promoted("unproven", verdict="fail")
    actor = at.actor()
    actor.take_over()
    carry_out(actor, moves.decide_recovery(actor.observe(), superseded=True))
    state = actor.observe().state
    assert (state.phase, at.leads_to()) != ("idle", "new") and at.available("old")


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_the_guard_finishes_no_soak_that_nobody_watched(verdict: str) -> None:
    at = promoted("soaking", verdict=verdict)
    assert guarded(at).phase != "idle"


def test_a_way_back_does_not_wait_for_a_seat_that_it_would_free() -> None:
    at = promoted("reverting", serves=stable_service(OLD), seats=5)
    at.put(deployment(OLD, 4))  # an autoscaler
    assert guarded(at).phase == "idle"


def test_lost_memory_is_not_rest() -> None:
    """Though somebody took over just then, and found none."""
    at = promoted("testing", serves=stable_service(OLD), seats=2)
    at.may_interrupt = True
    at.actor().move(moves.Remove("m-new"))
    at.actor().move(moves.Scale("m-old", 0, interrupts=True))
    clock.sleep(60)
    del at.objects["ConfigMap", f"rollout-{NAME}"]
    at.actor().take_over()
    actor = at.actor()
    actor.take_over()
    carry_out(actor, decide("guard", actor)[1])
    state = actor.observe().state
    assert at.available("old") == 2
    assert (state.phase, state.stable and state.stable.id) == ("idle", "old")


def test_idle_is_not_saved_while_nothing_answers() -> None:
    at = World(4)
    at.put(to_configmap(State(NAME, "testing", stable=OLD, candidate=NEW, drain_s=DRAIN), NS))
    at.put(deployment(OLD, 2))
    at.put(stable_service(OLD))
    breaks(at, "old")
    assert guarded(at).phase != "idle"


def test_the_service_is_not_led_from_a_persons_pods_to_nothing() -> None:
    service = stable_service(OLD)
    service["spec"]["selector"] = {"app": "mine"}
    at = promoted("promoting", serves=service)
    breaks(at, "new")
    with suppress(RolloutError):
        at.actor().move(moves.PointService(NEW))
    assert at.objects["Service", NAME]["spec"]["selector"] == {"app": "mine"}


def test_home_again_stops_nothing_that_answers_by_then() -> None:
    at = promoted("reverting", serves=stable_service(OLD), verdict="fail")
    breaks(at, "old")
    actor = at.actor()
    actor.take_over()
    home = moves.decide_after_failure(actor.observe())
    assert home is not None
    at.broken = set()
    again(at, "old")
    with suppress(RolloutError):
        actor.run(home)
    assert at.harm == []


def test_a_lost_lease_is_no_dead_end() -> None:
    at = promoted("soaking", epoch=20)
    at.epoch = at.actor().highest_epoch()
    guarded(at)
    assert at.actor().observe().state.epoch > 20


def test_of_two_processes_of_one_epoch_the_first_goes_on() -> None:
    at = promoted("reverting", serves=stable_service(OLD), verdict="fail")
    first = at.actor()
    first.take_over()
    at.epoch -= 1
    second = at.actor()
    second.owned.writer = "another"
    for move in (moves.Remove("m-new"), moves.PointService(NEW), moves.Save(State(NAME))):
        with pytest.raises(LockLost, match="newer run"):
            second.move(move)
    with pytest.raises(StepFailed, match="was deleted or restored since"):
        second.take_over()
    carry_out(first, moves.decide_recovery(first.observe()))
    assert at.leads_to() == "old" and ("Deployment", "m-new") not in at.objects


def test_a_service_that_is_made_late_leads_nowhere() -> None:
    """The first rollout ever: whoever took over meanwhile removes the candidate."""
    at = World(4)
    at.put(to_configmap(State(NAME, "promoting", candidate=NEW, drain_s=DRAIN), NS))
    at.put(deployment(NEW, 2))
    at.put(stable_service(NEW))  # what the world's slices are of
    del at.objects["Service", NAME]
    late = at.actor()

    def meddle(verb: str, kind: str) -> None:
        at.meddle = lambda verb, kind: None
        settle(at)

    at.meddle = meddle
    with pytest.raises(LockLost, match="newer run"):
        late.move(moves.PointService(NEW))
    assert at.leads_to() is None and ("Deployment", "m-new") not in at.objects


def test_a_proven_release_that_falls_for_a_moment_stays() -> None:
    """What served before stands at zero, and would be no quicker."""
    at = promoted("proven")
    at.put(deployment(OLD, 0))
    breaks(at, "new")
    course = moves.decide_recovery(at.actor().observe())
    assert moves.AwaitReady("m-new") in course.moves
    at.broken = set()
    again(at, "new")
    assert guarded(at).phase == "idle" and at.leads_to() == "new"


def test_bad_news_outlives_the_test_of_another_release() -> None:
    """And a way back to what failed ends unproven, too."""
    at = promoted("unproven", verdict="fail", doubt="fail", doubted="new")
    at.broken = {"old"}
    again(at, "old")
    actor = at.actor()
    actor.take_over()
    carry_out(actor, moves.decide_recovery(actor.observe(), superseded=True))
    actor.run(moves.decide_start(actor.observe(), OLDER, "r", "parallel", DRAIN))
    assert guarded(at).phase == "unproven"
    assert at.leads_to() == "new" and at.available("new")


def test_what_does_not_get_ready_stands_in_no_other_releases_way() -> None:
    """A new release may be what mends it."""
    at = World(4)
    state = State(NAME, "testing", stable=OLD, candidate=NEW, drain_s=DRAIN)
    at.put(to_configmap(state, NS))
    at.put(deployment(OLD, 2))
    at.put(stable_service(OLD))
    breaks(at, "old")
    actor = at.actor()
    actor.take_over()
    with pytest.raises(RolloutError):
        carry_out(actor, moves.decide_recovery(actor.observe(), superseded=True))
    assert moves.may_begin_over(actor.observe())


def test_a_held_candidate_makes_way_for_what_serves() -> None:
    """It holds what that lacks, and nothing answers until a person comes."""
    at = promoted("held", serves=stable_service(OLD), seats=2)
    at.put(to_configmap(State(NAME, "held", stable=OLD, candidate=NEW, drain_s=DRAIN), NS))
    at.may_interrupt = True
    at.actor().move(moves.Scale("m-old", 0, interrupts=True))
    clock.sleep(60)  # its pods are gone, and the candidate's are there
    again(at, "new")
    assert at.available("new") == 2
    actor = at.actor()
    actor.take_over()
    carry_out(actor, decide("guard", actor)[1])
    assert at.available("old") == 2 and ("Deployment", "m-new") not in at.objects


@pytest.mark.parametrize("phase", ["proven", "reverting", "restoring"])
def test_a_bent_service_gets_its_pods_back_whatever_was_under_way(phase: str) -> None:
    at = promoted(phase, serves=stable_service(OLD if phase == "reverting" else NEW))
    at.objects["Service", NAME]["spec"]["selector"]["mine"] = "yes"
    assert at.actor().observe().bent
    guarded(at)
    assert not at.actor().observe().bent


def test_a_way_back_that_runs_makes_way_for_what_serves() -> None:
    """A person has stopped what serves, started the way back, and started what serves again."""
    at = promoted("idle", seats=2)
    at.put(deployment(NEW, 0))
    clock.sleep(60)
    at.put(deployment(OLD, 2))
    at.put(deployment(NEW, 2))
    seen = at.actor().observe()
    assert not seen.alive("new") and seen.alive("old")
    course = decide_guard(seen, Around(at.get("Deployment", "m-new"), waits=True))
    assert moves.Scale("m-old", 0) in course.moves
    actor = at.actor()
    actor.take_over()
    actor.run(course)
    clock.sleep(60)
    assert at_rest(at) == "new" and at.harm == []
