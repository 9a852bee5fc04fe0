"""A verdict is of what was measured: what somebody made of it since is not promoted, nor gone back
to, as if it had been judged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.rollback import decide
from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.objects.made import RESTARTED, apart, made_of
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.state import State, to_configmap, with_made
from tasks.release.words import in_words
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import (
    NAME,
    NEW,
    NS,
    OLD,
    Object,
    World,
    deployment,
    in_test,
    stable_service,
    world,
)
from tests.support.cluster.courses import promotes

pytestmark = pytest.mark.usefixtures("quick")
Hand = Callable[[World, str], None]


def state_of(at: World) -> State:
    return at.actor().observe().state


def judged(phase: Any = "held") -> World:
    """`new` was applied by us, and judged."""
    at = world()
    actor = at.actor(lambda _: Look())
    actor.run(moves.decide_start(actor.observe(), NEW, "r", "parallel", 30.0))
    made = made_of(actor.apply(deployment(NEW, 2)))
    actor.change_state(lambda held: replace(with_made(held, "new", made), phase=phase))
    return at


def body_of(at: World, name: str) -> Object:
    return copy.deepcopy(at.objects["Deployment", name])


def image(at: World, name: str) -> None:
    body = body_of(at, name)
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "img:by-hand"
    at.put(body)


def args(at: World, name: str) -> None:
    body = body_of(at, name)
    body["spec"]["template"]["spec"]["containers"][0]["args"] = ["--max-model-len=64"]
    at.put(body)


def annotated(at: World, name: str) -> None:
    body = body_of(at, name)
    body["spec"]["template"]["metadata"]["annotations"] = {"sidecar": "injected"}
    at.put(body)


def anew(at: World, name: str) -> None:
    """`kubectl replace --force`: the same, and other pods."""
    body = at.objects.pop(("Deployment", name))
    body["metadata"].pop("uid")
    at.put(body)


CHANGES: dict[str, Hand] = {"image": image, "args": args, "annotation": annotated, "anew": anew}


@pytest.mark.parametrize("what", ["approve", "promote"])
@pytest.mark.parametrize("hand", CHANGES.values(), ids=CHANGES)
def test_a_held_candidate_that_somebody_changed_is_not_promoted(hand: Hand, what: str) -> None:
    at = judged()
    hand(at, "m-new")
    before = copy.deepcopy(at.objects)
    with pytest.raises(Refused, match=r"m-new is not promoted: .* and is .* now: somebody"):
        decide(what, at.actor())
    assert at.objects == before
    assert ", candidate m-new, which is not what was judged: it" in in_words(at.actor().observe())


def test_the_guard_leaves_it_to_a_person() -> None:
    at = judged()
    image(at, "m-new")
    assert decide("guard", at.actor())[1].moves == ()


def test_what_nobody_changed_is_promoted_also_where_its_pods_were_restarted_or_scaled() -> None:
    at = judged()
    body = body_of(at, "m-new")
    body["spec"]["template"]["metadata"]["annotations"] = {RESTARTED: "2030-01-01T00:00:00Z"}
    body["spec"]["replicas"] = 3
    at.put(body)
    actor = at.actor(lambda _: Look())
    assert carry_out(actor, decide("approve", actor)[1]) == "promoting m-new"
    assert at.leads_to() == "new" and "which is not what" not in in_words(actor.observe())


@pytest.mark.parametrize("hand", CHANGES.values(), ids=CHANGES)
def test_a_candidate_that_changes_between_the_verdict_and_the_switch_is_not_promoted(
    hand: Hand,
) -> None:
    at = judged("testing")
    hand(at, "m-new")
    with pytest.raises(Refused, match="what was judged is not what would serve"):
        promotes(True)(at.actor())
    assert at.leads_to() == "old" and at.harm == []


@pytest.mark.parametrize("hand", CHANGES.values(), ids=CHANGES)
def test_the_switch_itself_looks_at_what_it_was_decided_for(hand: Hand) -> None:
    """A hand is quicker than the write."""
    at = judged("testing")
    actor = at.actor(lambda _: Look())
    course = moves.decide_promotion(actor.observe(), keep_previous=True)
    hand(at, "m-new")
    with pytest.raises(
        StepFailed, match=r"stays with m-old.*m-new is not what was decided for: it"
    ):
        carry_out(actor, course)
    assert at.leads_to() == "old" and at.harm == []


def test_a_promotion_that_died_before_its_switch_is_measured_anew_where_it_was_changed() -> None:
    at = judged("promoting")
    assert moves.decide_resume(at.actor().observe(), NEW) == "promote"
    image(at, "m-new")
    assert moves.decide_resume(at.actor().observe(), NEW) == "retest"


# -- the way back ------------------------------------------------------------------------------


def switched(phase: Any = "idle", **more: Any) -> World:
    """`new` serves, `old` was stopped and is kept for the way back."""
    at = judged()
    actor = at.actor(lambda _: Look())
    carry_out(actor, decide("approve", actor)[1])
    at.put(to_configmap(replace(state_of(at), phase=phase, **more), NS))
    assert at.leads_to() == "new" and state_of(at).previous == OLD
    return at


@pytest.mark.parametrize("hand", [image, args, annotated])
def test_a_previous_release_that_somebody_changed_is_no_way_back_while_anything_answers(
    hand: Hand,
) -> None:
    """The operator means the one that served. What answers is not left for what nobody proved."""
    at = switched()
    hand(at, "m-old")
    before = copy.deepcopy(at.objects)
    with pytest.raises(Refused, match=r"m-old is not gone back to: since it served .*rollout undo"):
        decide("rollback", at.actor())
    assert at.objects == before


def test_a_soak_that_fails_leaves_it_to_a_person_then() -> None:
    at = switched("soaking", breach="HTTP 500")
    image(at, "m-old")
    actor = at.actor(lambda _: Look())
    said = carry_out(actor, moves.decide_recovery(actor.observe()))
    assert said.startswith("m-new serves, and is not proven: m-old is not gone back to: since it")
    assert at.leads_to() == "new" and state_of(at).phase == "unproven"
    superseded = moves.decide_recovery(actor.observe(), superseded=True)  # another is tested
    assert superseded.sentence == "m-new serves on, unproven"


def test_where_nothing_answers_it_is_better_than_nothing_and_not_proven() -> None:
    at = switched()
    image(at, "m-old")
    at.broken.add("new")
    at.put(body_of(at, "m-new"))
    actor = at.actor(lambda _: Look())
    said = carry_out(actor, decide("rollback", actor)[1])
    assert said.startswith("went back to m-old, which is not proven: since it served before, its")
    assert at.leads_to() == "old" and at.harm == []
    state = state_of(at)
    assert (state.phase, state.doubt, state.doubted) == ("unproven", "inconclusive", "old")


def test_one_that_was_made_anew_from_the_same_template_is_what_served() -> None:
    """It stands at zero: its pods start anew in any case. A cluster that was restored, say."""
    at = switched()
    anew(at, "m-old")
    actor = at.actor(lambda _: Look())
    assert carry_out(actor, decide("rollback", actor)[1]) == "went back to m-old"


@pytest.mark.parametrize("late", [False, True])
def test_what_a_person_mended_while_it_served_is_the_way_back(late: bool) -> None:
    """What is gone back to is what served, whoever made it so, before the test or during it."""
    at = judged()
    image(at, "m-old")
    actor = at.actor(lambda _: Look())
    if not late:
        actor.run(moves.decide_start(actor.observe(), NEW, "r", "parallel", 30.0))
        actor.change_state(lambda held: replace(held, phase="held"))
    carry_out(actor, decide("approve", actor)[1])
    assert carry_out(actor, decide("rollback", actor)[1]) == "went back to m-old"
    assert at.leads_to() == "old" and state_of(at).phase == "idle"


def test_a_service_that_a_person_led_to_the_candidate_does_not_make_it_judged() -> None:
    at = judged()
    at.put(stable_service(NEW))
    image(at, "m-new")
    with pytest.raises(RolloutError, match="somebody changed it"):
        decide("approve", at.actor())


def test_what_was_noted_by_nobody_is_not_held_against_it() -> None:
    """A memory that was lost."""
    at = in_test()
    assert state_of(at).made == {} and apart("", "uid-1/x") == ""
    promotes(True)(at.actor())
    assert at.leads_to() == "new" and NAME == "m"
