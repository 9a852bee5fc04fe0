"""An autoscaler goes on while a candidate is promoted: that is decided anew, and no measured
candidate is removed for what is around it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from flows.rollback import settle as settle_by_name
from tasks.base import clock
from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.record.outcome import Outcome
from tasks.release import moves
from tasks.release.lend import Lend
from tasks.release.memory.terms import terms_of
from tasks.release.soaking import Look
from tasks.release.state import State
from tasks.release.wish import Meant, decide_wish
from tasks.release.words import why_so
from tasks.run.carry_out import carry_out
from tasks.run.promoting import HeldInstead, promoting
from tasks.run.run import Run
from tasks.run.seats import room_to_promote
from tasks.steps.promote import promote
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NS,
    World,
    deployment,
    release,
    wait_ready,
)
from tests.support.cluster.courses import WELL, by_hand, old_serves, settle
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")
NEW = release("new", 2)
LENDING = Lend(3, 4, 1, 2, 2)


class Scaled(World):
    """`scales` says to how many replicas an autoscaler sets what serves, after each time that the
    candidate was asked for another number."""

    scales: Callable[[int], int] = staticmethod(lambda asked: 0)

    def patch(self, kind: str, name: str, ns: str, body: Any, **more: Any) -> Any:
        was = self.objects[kind, name]["spec"].get("replicas")
        out = super().patch(kind, name, ns, body, **more)
        now = self.objects[kind, name]["spec"].get("replicas")
        if name == "m-new" and now != was and (wanted := self.scales(now)):
            by_hand(self, "old", wanted)
        return out


def scaled(now: int, seats: int = 99) -> Scaled:
    """`old` was promoted with 2 replicas, and an autoscaler made that `now`."""
    at = old_serves(Scaled(seats), 2)
    by_hand(at, "old", now)
    return at


def measured(at: World, lend: Lend | None = None) -> None:
    """The candidate was measured, for hours, and passed."""
    actor = at.actor()
    actor.take_over()
    how = "lend" if lend else "parallel"
    course = moves.decide_start(actor.observe(), NEW, "r", how, DRAIN, lend=lend, spec={})
    actor.run(course)
    actor.apply(deployment(NEW, 1 if lend else 2))
    wait_ready(at, NS, "m-new", timeout_s=1)  # type: ignore[arg-type]
    at.fewest = 99


def promotes(at: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, Run]:
    run = run_of(at, promotion={"soak": {"duration_s": 4}})
    run.measured = {"ttft_s": 0.4}
    monkeypatch.setattr(run, "ask", lambda *_: (Look(ttft_s=0.25), ["m"]))
    try:
        with run.step("promote"):
            return promote.function(run, locked(run), NEW, "every target is met"), run
    finally:
        at.epoch = 100  # above that lease's


def approves(at: World) -> str:
    """As `rollout promote` does."""
    actor = at.actor(lambda _: WELL)
    actor.take_over()

    def decide() -> moves.Course:
        seen = actor.observe()
        return decide_wish("promote", seen, room=room_to_promote(actor, seen))

    return promoting(actor, decide, lambda course: carry_out(actor, course))


def waits(at: World, replicas: int) -> State:
    """The candidate waits with what it was measured with, whoever looks after it."""
    settle(at)
    state = at.actor().observe().state
    assert state.phase == "held" and at.available("new") == replicas and at.harm == []
    assert at.leads_to() == "old" and at.objects["Deployment", "m-new"]["spec"]["replicas"] == (
        replicas
    )
    return state


def test_more_replicas_that_come_meanwhile_are_decided_about_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = scaled(3)
    measured(at)
    at.scales = {3: 4, 4: 6}.get  # type: ignore[assignment]
    ended, _ = promotes(at, monkeypatch)
    assert ended.kind == "promoted" and at.leads_to() == "new"
    assert at.available("new") == 6 and at.fewest >= 3 and at.harm == []


def test_what_never_settles_keeps_the_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    at = scaled(3)
    measured(at)
    at.scales = lambda asked: asked + 1 if asked > 2 else 0
    ended, run = promotes(at, monkeypatch)
    assert ended.kind == "held" and "6 of 7 replicas ready" in ended.sentence
    assert "`rollout approve m -n models --rollout" in ended.sentence
    state = waits(at, 2)
    assert state.verdict == "pass" and state.until and "6 of 7 replicas" in why_so(state)
    assert [(item.release, item.verdict) for item in state.judged] == [
        (run.judged("held").release, "held")
    ]
    assert terms_of(state, "new").measured == {"ttft_s": 0.4}
    at.scales = lambda asked: 0
    approves(at)
    assert at.leads_to() == "new" and at.available("new") == 7 and at.fewest >= 3
    assert at.actor().observe().state.phase == "idle" and at.harm == []


def test_where_seats_are_short_the_candidate_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a person who approves it too early changes nothing."""
    at = scaled(2, seats=7)
    measured(at)
    by_hand(at, "old", 4)
    ended, _ = promotes(at, monkeypatch)
    assert ended.kind == "held" and "4 replica(s) of m-old answer now, 3 of m-new would" in (
        ended.sentence
    )
    until = waits(at, 2).until
    with pytest.raises(Refused, match="3 of m-new would"):
        approves(at)
    assert waits(at, 2).until == until
    by_hand(at, "old", 3)
    approves(at)
    assert at.leads_to() == "new" and at.available("new") == 3


def test_one_that_a_person_approves_waits_again(monkeypatch: pytest.MonkeyPatch) -> None:
    at = scaled(2, seats=7)
    measured(at)
    by_hand(at, "old", 4)
    promotes(at, monkeypatch)
    before = waits(at, 2)
    by_hand(at, "old", 3)
    clock.sleep(60)  # the pod that it gave up is gone
    at.scales = lambda asked: 4 if asked > 2 else 0
    with pytest.raises(HeldInstead, match="it is kept: m-new waits for a person"):
        approves(at)
    after = waits(at, 2)
    assert (after.until, after.plan, after.verdict) == (before.until, before.plan, "pass")


@pytest.mark.parametrize("what", ["broken", "another"])
def test_what_is_wrong_with_the_candidate_keeps_none(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = scaled(2)
    measured(at)
    if what == "broken":
        at.broken.add("new")
    else:
        actor = at.actor()
        state = actor.observe().state
        actor.save(replace(state, made={**state.made, "new": "uid/other"}))
    with pytest.raises((StepFailed, Refused), match="m-new is not promoted"):
        promotes(at, monkeypatch)
    assert at.actor().observe().state.phase == "testing"
    settle(at)
    assert ("Deployment", "m-new") not in at.objects and at.leads_to() == "old"


def test_what_nobody_has_judged_is_not_kept() -> None:
    at = scaled(2)
    measured(at)
    with pytest.raises(Refused, match="only a held candidate can be promoted"):
        approves(at)
    assert at.actor().observe().state.phase == "testing"


# -- what an autoscaler asks for in vain ------------------------------------------------------


@pytest.mark.parametrize("asked", [4, 5, 8])
def test_what_finds_no_seat_is_given_up_before_seats_change_over(
    asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = scaled(4, seats=4)
    measured(at, LENDING)
    by_hand(at, "old", asked)
    ended, _ = promotes(at, monkeypatch)
    assert ended.kind == "promoted" and at.fewest == 2 and at.harm == []
    settle(at)
    assert at.available("new") == 4 and at.actor().observe().state.phase == "idle"


@pytest.mark.parametrize("strategy", ["lend", "parallel"])
def test_at_rest_it_is_told_and_not_waited_for(strategy: str) -> None:
    at = scaled(4, seats=4 if strategy == "lend" else 6)
    measured(at, LENDING if strategy == "lend" else None)
    by_hand(at, "old", 9)
    settle(at)
    seen = at.actor().observe()
    assert seen.state.phase == "idle" and ("Deployment", "m-new") not in at.objects
    assert not seen.unsettled() and at.available("old") >= 4


def test_what_autoscaler_and_candidate_both_want_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each seat that is freed is asked for by the autoscaler as well: the candidate waits, and what
    serves has what it had."""
    at = scaled(4, seats=4)
    measured(at, LENDING)
    real = Actor._gone

    def gone(self: Actor, deployment: str, keep: int) -> None:
        real(self, deployment, keep)
        if deployment == "m-old" and keep == 2:
            by_hand(at, "old", 5)

    monkeypatch.setattr(Actor, "_gone", gone)
    ended, _ = promotes(at, monkeypatch)
    assert ended.kind == "held"
    waits(at, 1)
    assert at.available("old") == 3


def test_it_lends_though_more_is_asked_for_than_there_is() -> None:
    at = scaled(4, seats=4)
    by_hand(at, "old", 6)
    actor = at.actor()
    view = actor.observe().deployments["old"]
    assert (view.replicas, view.available, view.unmet, view.seated.replicas) == (6, 4, 2, 4)
    measured(at, LENDING)
    assert at.available("old") == 3 and at.available("new") == 1
    settle(at)
    assert at.available("old") == 4 and at.actor().observe().state.phase == "idle"


@pytest.mark.parametrize("what", ["approve", "promote"])
@pytest.mark.usefixtures("home", "lease")
def test_by_name_it_is_decided_anew_as_well(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = scaled(2)
    run_of(at)
    measured(at)
    actor = at.actor()
    actor.save(replace(actor.observe().state, phase="held", verdict="pass", plan="0123"))
    by_hand(at, "old", 3)
    at.scales = {3: 4}.get  # type: ignore[assignment]
    monkeypatch.setattr(Cluster, "connect", lambda *_: nullcontext(at))
    said = settle_by_name(what, NAME, NS, meant=Meant("r", "0123"))
    assert "was not watched" in said  # its spec is not known here
    assert at.leads_to() == "new" and at.available("new") == 4 and at.harm == []
