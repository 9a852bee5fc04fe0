"""What the search of test_search.py finds today, shown by the real Actor: each
fails until it is mended, and then its mark goes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tasks.base.errors import RolloutError
from tasks.outside.kubernetes.actor import carry_out
from tasks.release import moves
from tasks.release.state import State, to_configmap
from tasks.release.wish import decide_wish
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NEW,
    NS,
    OLD,
    Object,
    World,
    deployment,
    stable_service,
)
from tests.support.cluster.courses import settle

pytestmark = [
    pytest.mark.usefixtures("quick"),
    pytest.mark.xfail(strict=True, reason="see tests/support/search/known.py"),
]


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
    at = promoted("testing", serves=stable_service(OLD), seats=2)
    at.put(deployment(OLD, 0))
    del at.objects["ConfigMap", f"rollout-{NAME}"]
    actor = at.actor()
    actor.take_over()
    assert actor.observe().state.phase != "idle" or at.available("old")


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
    actor.run(home)
    assert at.harm == []


def test_a_lost_lease_is_no_dead_end() -> None:
    at = promoted("soaking", epoch=20)
    guarded(at)
    assert at.actor().observe().state.epoch != 20
