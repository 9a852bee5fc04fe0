"""A memory that disagrees with the Service: whoever decides, decides from what serves."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from flows.rollback import decide
from flows.rollout import promoted
from tasks.base.errors import RolloutError
from tasks.objects.labels import RELEASE_LABEL, SWITCHED_ANNOTATION
from tasks.objects.reached import Switched
from tasks.release.soaking import Look
from tasks.release.state import State, in_doubt, to_configmap
from tasks.run.carry_out import carry_out
from tasks.steps.roll_back import clean_up
from tests.support.cluster.actor_world import NAME, NEW, NS, OLD, World, deployment, in_test, world
from tests.support.cluster.bodies import release, stable_service
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")
LED = release("led")


def led(at: World, **changes: Any) -> World:
    """A person leads the Service to `led`, which no memory names; what served runs on."""
    at.put(deployment(LED, 2))
    at.put(to_configmap(replace(at.actor().observe().state, **changes), NS))
    at.put(stable_service(LED))
    return at


def state_of(at: World) -> State:
    return at.actor().observe().state


def does(at: World, what: str) -> str:
    actor = at.actor()
    actor.take_over()
    return carry_out(actor, decide(what, actor)[1])


# what is under way while a person leads the Service elsewhere
BEGINS = {
    "idle": world,
    "testing": in_test,
    "held": lambda: world(phase="held", candidate=True),
    "promoting": lambda: world(phase="promoting", candidate=True),
}


@pytest.mark.parametrize("first", [[], ["guard"]])
@pytest.mark.parametrize("phase", BEGINS)
def test_a_way_back_leads_to_what_served_before_the_hand(phase: str, first: list[str]) -> None:
    """`old` served until then and answers still; `older` stands at zero."""
    at = led(BEGINS[phase]())
    for what in [*first, "rollback"]:
        does(at, what)
    assert at.leads_to() == "old" and at.available("old") == 2 and at.harm == []
    assert ("Deployment", "m-led") not in at.objects


@pytest.mark.parametrize("phase", ["proven", "reverting", "restoring"])
def test_what_is_proven_is_the_way_back_whatever_was_under_way(phase: str) -> None:
    at = led(world(), phase=phase)
    state = state_of(at)
    assert state.stable is not None and (state.stable.id, state.phase) == ("led", "testing")
    assert state.previous == OLD
    does(at, "rollback")
    assert at.leads_to() == "old" and at.available("old") == 2 and at.harm == []


@pytest.mark.parametrize("phase", ["soaking", "unproven"])
def test_what_is_not_proven_is_no_way_back_where_another_is(phase: str) -> None:
    """`old` is not proven and `older` is: a hand changes nothing of that."""
    at = led(world(), phase=phase, verdict="inconclusive")
    state = state_of(at)
    assert state.stable is not None and state.stable.id == "led"
    assert state.previous is not None and state.previous.id == "older"
    assert in_doubt(state, "old") == "inconclusive"


def test_led_to_a_persons_own_pods_it_goes_back_to_what_served_before() -> None:
    at = world()
    service = at.get("Service", NAME)
    service["spec"]["selector"] = {"app": "mine"}
    service["metadata"]["labels"].pop(RELEASE_LABEL)
    at.put(service)
    does(at, "rollback")
    assert at.leads_to() == "old" and at.available("old") == 2


def test_led_to_the_candidate_it_goes_back_to_what_served_before() -> None:
    at = in_test()
    at.put(stable_service(NEW))
    does(at, "rollback")
    assert at.leads_to() == "old" and at.available("old") == 2 and at.harm == []


@pytest.mark.parametrize("phase", ["idle", "testing"])
def test_an_unfinished_soak_is_not_finished_by_an_old_memory(phase: str, home: Any) -> None:
    """The ConfigMap is put back from a backup while `new` soaks; what was known then is that `old`
    serves. The Service says that the switch is not proven."""
    at = in_test()
    backup = copy.deepcopy(
        (world() if phase == "idle" else in_test()).objects["ConfigMap", "rollout-m"]
    )
    at.epoch = 98
    run: Any = run_of(at, promotion={"soak": {"duration_s": 60}})
    run.road = SimpleNamespace(walk=lambda name, run_name, call: call())
    held = locked(run)
    held.actor.take_over()
    looks: list[int] = []

    def ask(service: str, release: Any) -> Any:
        looks.append(1)
        if len(looks) == 3:
            at.put(backup)
        if len(looks) > 3:
            return Look(answer="bad", why="HTTP 500"), []
        return Look(), [NEW.served_name]

    run.ask = ask
    try:
        ended = promoted(run, held, NEW, "it passed")
        assert ended.kind == "failed"
    except RolloutError as error:
        clean_up(run, held, error)
    assert at.leads_to() == "old" and at.available("old") == 2 and at.harm == []


@pytest.mark.parametrize(("phase", "becomes"), [("idle", "unproven"), ("testing", "soaking")])
def test_what_the_service_says_of_its_switch_is_believed_over_memory(
    phase: Any, becomes: str
) -> None:
    at = world(phase=phase, candidate=phase == "testing")
    at.put(deployment(NEW, 2))
    service = stable_service(NEW)
    marks = {SWITCHED_ANNOTATION: Switched("new", "old", proven=False).text()}
    service["metadata"].setdefault("annotations", {}).update(marks)
    at.put(service)
    seen = at.actor().observe()
    state = seen.state
    assert seen.recalled and state.phase == becomes and state.previous == OLD
    assert state.stable is not None and state.stable.id == "new"


def test_a_memory_that_agrees_stays_as_it_is() -> None:
    for at in (world(), in_test(), world(phase="held", candidate=True)):
        assert not at.actor().observe().recalled
