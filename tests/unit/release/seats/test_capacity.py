"""How many ready pods the Service leads to while a release is promoted: never fewer than served
(beside), or than the plan announced (lent): with two replicas that is all but one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.base.errors import StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.lend import Lend, decide_lend
from tasks.release.soaking import Look
from tasks.release.state import State, to_configmap
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NS,
    Killed,
    World,
    deployment,
    release,
    stable_service,
    wait_ready,
)

pytestmark = pytest.mark.usefixtures("quick")


class Counted(World):
    """The fewest pods that answered where the Service led, ever."""

    fewest = 99

    def put(self, body: dict[str, object]) -> None:
        super().put(body)
        if ("Service", NAME) in self.objects:
            self.fewest = min(self.fewest, self.available(self.leads_to()))


def serving(replicas: int, seats: int) -> Counted:
    at = Counted(seats)
    old = release("old", replicas)
    at.put(to_configmap(State(NAME, stable=old, rollout="r", drain_s=DRAIN), NS))
    at.put(deployment(old, replicas))
    at.put(stable_service(old))
    return at


def rolls(at: World, replicas: int, lend: Lend | None, cut: int | None, *, passes: bool) -> None:
    """A whole rollout, killed before a write, and then the guard until nothing is left."""
    new = release("new", replicas)
    at.left = cut
    try:
        actor = at.actor(lambda _: Look())
        actor.take_over()
        strategy = "lend" if lend else "parallel"
        actor.run(moves.decide_start(actor.observe(), new, "r", strategy, DRAIN, lend=lend))
        actor.apply(deployment(new, lend.tested if lend else replicas))
        wait_ready(at, NS, new.deployment, timeout_s=1)  # type: ignore[arg-type]
        if passes:
            actor.run(moves.decide_promotion(actor.observe(), keep_previous=True))
        else:
            carry_out(actor, moves.decide_recovery(actor.observe()))
    except Killed:
        pass
    finally:
        at.left = None
    guard: Actor = at.actor(lambda _: Look())
    guard.take_over()
    carry_out(guard, moves.decide_recovery(guard.observe()))


SOME = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SOME
@given(
    replicas=st.integers(1, 5),
    spare=st.integers(0, 3),
    lends=st.booleans(),
    cut=st.none() | st.integers(3, 16),
    passes=st.booleans(),
)
def test_never_fewer_answer_than_was_announced(
    replicas: int, spare: int, lends: bool, cut: int | None, passes: bool
) -> None:
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
        assert replicas != 2 or spare or least == replicas - 1
    rolls(at, replicas, lend, cut, passes=passes)
    assert at.fewest >= least and at.harm == []
    assert at.available(at.leads_to()) == replicas


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
