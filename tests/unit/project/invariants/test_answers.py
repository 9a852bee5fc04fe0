"""Whoever answers is preferred, and the only one that answers is never stopped."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from flows.rollback import decide
from tasks.base.errors import OutsideError, RolloutError, StepFailed
from tasks.outside.kubernetes.client import Forbidden
from tasks.release import moves
from tasks.release.guard import Around, decide_guard
from tasks.release.soaking import Look
from tasks.release.state import State, to_configmap
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NEW,
    NS,
    OLD,
    OLDER,
    World,
    deployment,
    in_test,
    stable_service,
    world,
)
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")


def promoted(phase: Any = "soaking", **more: Any) -> World:
    """`new` was promoted over `old`, both run."""
    at = in_test()
    state = State(NAME, phase, stable=NEW, previous=OLD, drain_s=DRAIN, rollout="r")
    at.put(to_configmap(replace(state, **more), NS))
    at.put(stable_service(NEW))
    return at


def dies(at: World, ident: str) -> None:
    at.broken.add(ident)
    at.put(at.objects["Deployment", f"m-{ident}"])


def settles(at: World, what: str = "guard", rounds: int = 4) -> None:
    """As the guard does, or a person, with whatever comes of it."""
    for _ in range(rounds):
        actor = at.actor(lambda _: Look())
        with suppress(RolloutError):
            if decide(what, actor)[1].moves:
                actor.take_over()
                carry_out(actor, decide(what, actor)[1])


def state_of(at: World) -> State:
    return at.actor().observe().state


def serves(at: World, ident: str) -> bool:
    return at.leads_to() == ident and at.available(ident) > 0 and at.harm == []


def test_what_serves_dies_while_what_served_before_drains() -> None:
    at = promoted()
    actor = at.actor(lambda _: Look())

    def drain(release: str, seconds: float) -> None:
        dies(at, "new")

    actor._drain = drain  # type: ignore[method-assign]
    with pytest.raises(StepFailed, match="m-old is not stopped: it answers, and new"):
        carry_out(actor, moves.decide_recovery(actor.observe()))
    assert at.available("old") == 2
    settles(at)
    assert serves(at, "old")


@pytest.mark.parametrize("phase", ["testing", "held", "idle"])
def test_a_selector_that_names_no_release_chooses_what_serves_all_the_same(phase: Any) -> None:
    at = world(phase=phase, candidate=phase != "idle")
    service = at.objects["Service", NAME]
    service["spec"]["selector"] = {"app.kubernetes.io/instance": NAME}
    at.put(service)
    for what in ("guard", "recover"):
        settles(at, what)
    assert at.available("old") == 2 and at.harm == []


@pytest.mark.parametrize("phase", ["idle", "testing", "held"])
@pytest.mark.parametrize("what", ["guard", "recover"])
def test_a_service_that_is_gone_leads_again_to_what_answers(phase: Any, what: str) -> None:
    at = world(phase=phase, candidate=phase != "idle")
    del at.objects["Service", NAME]
    if phase == "held" and what == "recover":
        settles(at, "guard")
    settles(at, what)
    assert serves(at, "old")


@pytest.mark.parametrize("verdict", ["", "fail"])
def test_one_replica_that_answers_is_better_than_none_or_bad_ones(verdict: str) -> None:
    """The rest of it may never find a seat."""
    at = promoted("soaking" if not verdict else "reverting", verdict=verdict)
    at.seats = 3
    at.put(deployment(OLD, 2))
    if not verdict:
        dies(at, "new")
    settles(at)
    assert serves(at, "old")


@pytest.mark.parametrize("ends", [OutsideError("reset"), KeyboardInterrupt()])
def test_an_error_on_the_way_back_does_not_bring_a_bad_release_home(ends: BaseException) -> None:
    at = promoted("soaking", breach="HTTP 500")
    actor = at.actor(lambda _: Look())
    actor.take_over()

    def meddle(verb: str, kind: str) -> None:
        if kind == "Service":
            at.meddle = lambda verb, kind: None
            raise ends

    at.meddle = meddle
    course = moves.decide_recovery(actor.observe())
    if isinstance(ends, Exception):  # it is gone on with
        assert carry_out(actor, course) == "went back to m-old"
    else:
        with pytest.raises(type(ends)):
            carry_out(actor, course)
    assert at.available("old") == 2
    settles(at)
    assert serves(at, "old") and state_of(at).phase == "idle"


def test_a_release_that_nobody_proved_and_that_dies_makes_way() -> None:
    at = promoted("unproven", verdict="inconclusive")
    dies(at, "new")
    settles(at)
    assert serves(at, "old")


def test_a_candidate_that_a_person_led_the_service_to_is_not_said_to_be_removed() -> None:
    at = world(phase="held", candidate=True)
    at.put(stable_service(NEW))
    course = decide("reject", at.actor())[1]
    assert course.sentence == "m-new serves on" and moves.Remove("m-new") not in course.moves


def test_led_by_hand_to_a_candidate_that_dies() -> None:
    at = in_test()
    at.put(stable_service(NEW))
    dies(at, "new")
    settles(at)
    assert serves(at, "old")


@pytest.mark.parametrize("refused", [("delete", "Service"), ("patch", "Deployment")])
def test_what_served_comes_back_though_clean_up_is_refused(refused: tuple[str, str]) -> None:
    at = in_test()
    at.seats, at.may_interrupt = 9, True
    at.put(deployment(OLD, 0))
    body = stable_service(NEW)
    labels = {**body["metadata"]["labels"], "model-rollout/kind": "candidate"}
    meta = {"name": f"{NAME}-candidate", "namespace": NS, "labels": labels}
    at.put({**body, "metadata": meta})
    told = []

    def meddle(verb: str, kind: str) -> None:
        told.append((verb, kind))
        # what comes to what served is allowed, what stops the candidate is not
        if (verb, kind) == refused and told.count(refused) > 4:
            raise Forbidden("admission", 403)

    at.meddle = meddle
    settles(at)
    assert at.available("old") == 2


def test_nothing_is_removed_while_nothing_is_remembered() -> None:
    at = in_test()
    at.put(stable_service(NEW))
    del at.objects["ConfigMap", f"rollout-{NAME}"]
    settles(at)
    assert {"m-old", "m-older", "m-new"} <= {name for _, name in at.objects}
    assert serves(at, "new") and at.available("old") == 2


def test_what_nobody_remembers_stops_where_what_serves_has_no_seat() -> None:
    at = in_test()
    dies(at, "old")
    del at.objects["ConfigMap", f"rollout-{NAME}"]
    for waits in (False, True):
        course = decide_guard(at.actor().observe(), Around(waits=waits))
        assert (moves.Scale("m-new", 0) in course.moves) == waits
        assert not any(isinstance(move, moves.Remove) for move in course.moves)


def test_a_run_begins_with_what_the_service_says() -> None:
    """A person led it to the release before."""
    at = world()
    at.put(deployment(OLDER, 2))
    at.put(stable_service(OLDER))
    held = locked(run_of(at))
    assert held.begin(NEW, keep_previous=True) == "fresh"
    state = state_of(at)
    assert state.stable == OLDER and state.previous == OLD


def test_what_serves_is_not_tested_beside_itself() -> None:
    at = world()
    with pytest.raises(StepFailed, match="is not tested beside itself"):
        moves.decide_start(at.actor().observe(), OLD, "r", "replace")


def test_a_way_back_that_was_begun_is_not_forgotten_for_a_test() -> None:
    at = in_test()
    at.put(to_configmap(replace(state_of(at), phase="reverting"), NS))
    assert moves.decide_resume(at.actor().observe(), NEW) == "clear"


def test_idle_is_not_saved_while_what_serves_has_no_deployment() -> None:
    at = in_test()
    del at.objects["Deployment", "m-old"]
    with pytest.raises(StepFailed, match="which has no Deployment"):
        at.actor().move(moves.Save(replace(state_of(at), phase="idle")))
