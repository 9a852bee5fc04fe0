"""Whatever the ConfigMap says, and whichever releases stand or fail: who answers, answers on."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tasks.base.errors import RolloutError
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.state import Release, State, to_configmap
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tasks.run.seats import room as room_for
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NEW,
    NS,
    OLD,
    OLDER,
    World,
    deployment,
    stable_service,
)
from tests.support.cluster.courses import once, settle

pytestmark = pytest.mark.usefixtures("quick")
RELEASES = (OLD, NEW, OLDER)
PHASES = ["idle", "testing", "promoting", "soaking", "unproven", "reverting", "restoring", "held"]
SOME = st.sampled_from([None, *RELEASES])


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    phase=st.sampled_from(PHASES),
    stable=st.sampled_from(RELEASES),
    previous=SOME,
    candidate=SOME,
    verdict=st.sampled_from(["", "pass", "fail"]),
    serving=st.sampled_from(RELEASES),
    stand=st.tuples(*[st.sampled_from([None, 0, 2])] * 3),
    broken=st.sets(st.sampled_from(["old", "new", "older"]), max_size=2),
    seats=st.sampled_from([2, 3, 4, 6, 99]),
    what=st.sampled_from(["recover", "rollback", "promote", "run"]),
    cut=st.none() | st.integers(0, 10),
)
def test_who_answers_answers_on(
    phase: str,
    stable: Release,
    previous: Release | None,
    candidate: Release | None,
    verdict: str,
    serving: Release,
    stand: tuple[int | None, ...],
    broken: set[str],
    seats: int,
    what: str,
    cut: int | None,
) -> None:
    """No interruption was allowed; then each of the operator's wishes, cut, and settled twice."""
    assume(previous != stable and serving.id not in broken)
    at = World(seats)
    at.broken = broken
    state = State(
        NAME,
        phase=phase,  # type: ignore[arg-type]
        stable=stable,
        previous=previous,
        candidate=candidate,
        verdict=verdict,
        drain_s=DRAIN,
    )
    at.put(to_configmap(state, NS))
    for item, replicas in zip(RELEASES, stand, strict=True):
        if item == serving:
            at.put(deployment(item, 2))
        elif replicas is not None:
            at.put(deployment(item, replicas))
    at.put(stable_service(serving))
    assume(at.available(serving.id) == 2)

    def go(actor: Actor) -> None:
        seen = actor.observe()
        if what == "run":
            carry_out(actor, moves.decide_recovery(seen, superseded=True))
            return
        room = room_for(actor, seen.state.previous, seen.serving) if what == "rollback" else None
        carry_out(actor, decide_wish(what, seen, room=room))

    once(at, go, cut)
    for _ in range(2):
        with suppress(RolloutError):  # it says what is wrong; what serves is the matter here
            settle(at)
    assert at.harm == []
    assert at.available(at.leads_to()) == 2
