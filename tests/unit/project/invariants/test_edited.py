"""What serves is told by the pods that answer: while its Deployment is of two pod templates nothing
is taken from it, its newest template is no way back, and what is promoted is what was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from tasks.base.errors import RolloutError, StepFailed
from tasks.objects.made import RESTARTS, other_image
from tasks.objects.replicas import mixed_of
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.course import DeploymentView, Observed
from tasks.release.seats.edited import drifted
from tasks.release.state import State, with_made
from tasks.release.wish import decide_wish
from tasks.release.words import in_words, next_step, why_so
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NEW, OLD, OLDER, deployment, in_test, world
from tests.support.cluster.courses import WELL, once, promotes, recovers, settle
from tests.support.cluster.edits import Half, Tags, edited, half_updated, undone
from tests.support.surveys import plan, seat, spec

pytestmark = pytest.mark.usefixtures("quick")
OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("status", "generation", "mixed"),
    [
        ({}, 1, ""),
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2}, 3, ""),
        ({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 1}, 3, "2 of its 3 pod"),
        ({"observedGeneration": 3, "replicas": 2}, 3, "2 of its 2 pod"),  # paused, or just seen
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}, 3, "has not seen"),
    ],
)
def test_what_pods_are_made_of_is_told_by_the_status(
    status: dict[str, int], generation: int, mixed: str
) -> None:
    found = mixed_of({"metadata": {"generation": generation}, "status": status})
    assert found.startswith(mixed) if mixed.startswith("2") else mixed in found
    assert bool(found) == bool(mixed)


def half() -> Observed:
    view = DeploymentView("m-old", "old", 2, 2, 2, mixed="2 of its 3 pod(s) are of an earlier one")
    return Observed(State("m", stable=replace(OLD, replicas=2)), "old", {"old": view})


@pytest.mark.parametrize("strategy", ["auto", "parallel", "replace"])
def test_no_plan_takes_from_it_or_leaves_it(strategy: str) -> None:
    got = plan(
        spec(2, strategy=strategy, allow_interruption=True), [seat("a", 2, without=4)], half()
    )
    assert got.strategy == "refused" and "kubectl rollout undo deployment/m-old" in got.sentence


@pytest.mark.parametrize("strategy", ["replace", "parallel"])
def test_no_test_begins_beside_it(strategy: str) -> None:
    at = half_updated(world())
    at.may_interrupt = True

    def go(actor: Actor) -> None:
        actor.run(moves.decide_start(actor.observe(), NEW, "r", strategy, 30.0))

    with pytest.raises(StepFailed, match="is being changed"):
        go(at.actor())
    assert at.available("old") == 2 and ("Deployment", "m-new") not in at.objects


def test_what_passed_waits_until_that_is_over() -> None:
    at = half_updated(in_test())
    actor = at.actor(lambda _: WELL)
    actor.take_over()
    promotes(True)(actor)
    settle(at)
    seen = at.actor().observe()
    assert at.leads_to() == "old" and at.available("old") == at.available("new") == 2
    assert seen.state.phase == "held" and "undo deployment/m-old" in why_so(seen.state)
    assert "is being changed" in in_words(seen)


def test_what_is_edited_meanwhile_is_not_left_or_taken_down() -> None:
    at = half_updated(world(seats=2))
    at.may_interrupt = True
    actor = at.actor(lambda _: WELL)
    actor.take_over()
    with pytest.raises(RolloutError, match="undo deployment/m-old"):
        carry_out(actor, decide_wish("rollback", actor.observe(), allow_interruption=True))
    assert at.leads_to() == "old" and at.available("old") == 2
    settle(at)
    seen = at.actor().observe()
    assert at.available("old") == 2 and seen.state.phase == "idle"
    assert "is being changed" in in_words(seen) and "undo" in next_step(seen)
    undone(at)
    assert "is being changed" not in in_words(at.actor().observe())


def test_its_newest_template_is_never_noted_as_what_serves() -> None:
    at = world()
    actor = at.actor()
    noted = actor.observe().as_it_serves().made
    assert noted == {"old": actor.observe().deployments["old"].made}
    actor.take_over()
    actor.save(actor.observe().as_it_serves())
    half_updated(at)
    assert at.actor().observe().as_it_serves().made == noted


def test_what_was_taken_is_given_back_all_the_same() -> None:
    """Lent seats go home, whoever edited it since."""
    at = in_test()
    at.actor().move(moves.Scale("m-old", 1, lends=2))
    half_updated(at)
    settle(at)
    assert at.available("old") == 2 and at.actor().observe().state.phase == "idle"


@pytest.mark.parametrize("tool", RESTARTS)
@pytest.mark.parametrize("noted", [True, False])
def test_a_restart_is_no_edit(tool: str, noted: bool) -> None:
    """It comes back as what was judged, whichever of its pods are not through yet. Where nobody
    noted what that was nobody knows."""
    at = world()
    actor = at.actor()
    actor.take_over()
    if noted:
        actor.save(actor.observe().as_it_serves())
    undone(half_updated(at))
    cast(Half, at).halves = {"old"}
    body = at.objects["Deployment", "m-old"]
    body["spec"]["template"]["metadata"]["annotations"] = {tool: "2030-01-01T00:00:00Z"}
    at.put(body)
    seen = at.actor().observe()
    assert seen.changed("old") == "" and ("is being changed" in in_words(seen)) is not noted
    at.actor().move(moves.Scale("m-old", 1, lends=2)) if noted else None
    assert at.objects["Deployment", "m-old"]["spec"]["replicas"] == (1 if noted else 2)


# -- the image that was measured


def measured(phase: str = "held") -> Tags:
    at = world(phase=phase, candidate=True)
    at.__class__ = Tags
    assert isinstance(at, Tags)
    at.ran = {}
    actor = at.actor()
    actor.take_over()
    seen = actor.observe()
    made = seen.deployments["new"].made
    actor.change_state(lambda held: with_made(held, "new", made, seen.ran["new"]))
    return at


def approves(actor: Actor) -> None:
    carry_out(actor, decide_wish("approve", actor.observe()))


@pytest.mark.parametrize("phase", ["held", "promoting"])
def test_a_tag_that_moved_is_not_promoted(phase: str) -> None:
    at = measured(phase)
    at.ran = {"new": OTHER}  # a node was drained: its pods were made again
    assert moves.decide_resume(at.actor().observe(), NEW) == "retest"
    with pytest.raises(RolloutError, match="the tag has moved"):
        approves(at.actor(lambda _: WELL))
    assert at.leads_to() == "old"
    assert "which is not what was judged" in in_words(at.actor().observe()) or phase != "held"


def test_what_was_measured_is_promoted() -> None:
    at = measured()
    once(at, approves)
    assert at.leads_to() == "new"


def test_the_switch_looks_at_the_image_again() -> None:
    at = measured("promoting")
    actor = at.actor(lambda _: WELL)
    course = moves.decide_promotion(actor.observe(), keep_previous=True)
    at.ran = {"new": OTHER}
    with pytest.raises(StepFailed, match="the tag has moved"):
        actor.run(course)
    assert at.leads_to() == "old"


@pytest.mark.parametrize(
    ("noted", "now", "same"),
    [
        ((), ("r@sha256:b",), True),
        (("r@sha256:a",), (), True),
        (("docker-pullable://r@sha256:a",), ("mirror/r@sha256:a",), True),
        (("r@sha256:a", "r@sha256:b"), ("r@sha256:b",), True),
        (("r@sha256:a",), ("r@sha256:a", "r@sha256:b"), False),
        # imported on one node and pulled on the other: nothing can be told
        (("r@sha256:a",), ("r@sha256:a", "sha256:c"), True),
        (("sha256:c",), ("r@sha256:a",), True),
        (("docker-pullable://r@sha256:a",), ("docker://sha256:c",), True),
        (("docker://sha256:c",), ("sha256:c",), True),
        (("sha256:c",), ("sha256:d",), False),
        (("r@sha256:a", "sha256:c"), ("r@sha256:b",), False),
        (("r@sha256:a", "sha256:c"), ("sha256:d", "r@sha256:a"), False),
    ],
)
def test_images_are_told_by_their_digests(
    noted: tuple[str, ...], now: tuple[str, ...], same: bool
) -> None:
    assert (other_image(noted, now) == "") is same


def test_images_of_releases_without_a_role_are_forgotten() -> None:
    state = with_made(State("m", stable=OLD, candidate=NEW), "new", "u/1", ["r@sha256:a"])
    assert with_made(state, "old", "u/2").ran == {"new": ("r@sha256:a",)}
    assert with_made(state, "new", "u/3").ran == {}
    assert with_made(replace(state, candidate=None), "old", "u/2").ran == {}


# -- a run of what serves


def test_a_run_of_what_was_changed_by_hand_does_not_say_done() -> None:
    at = world()
    actor = at.actor()
    actor.take_over()
    actor.save(actor.observe().as_it_serves())
    assert moves.decide_resume(at.actor().observe(), OLD) == "done"
    edited(at, image="evil:1")
    seen = at.actor().observe()
    assert moves.decide_resume(seen, OLD) == "changed"
    assert "is not what was rolled out any more" in in_words(seen)
    assert "kubectl rollout undo deployment/m-old" in next_step(seen)


def test_a_plan_of_it_is_refused() -> None:
    made = {"new": "u/1"}
    view = DeploymentView("m-new", "new", 1, 1, 1, made="u/2")
    seen = Observed(State("m", stable=NEW, made=made), "new", {"new": view})
    got = plan(spec(), [seat("a", 1)], seen)
    assert got.strategy == "refused" and "not what was rolled out any more" in got.sentence
    assert drifted(replace(seen, state=replace(seen.state, made={})), "image: other") != ""


def test_what_served_before_may_be_stopped_while_it_is_edited() -> None:
    """The Service does not lead there any more: nothing answers by it."""
    at = world()
    at.put(deployment(OLDER, 2))
    half_updated(at, "older")
    recovers()(at.actor())
    assert at.objects["Deployment", "m-older"]["spec"]["replicas"] == 0
