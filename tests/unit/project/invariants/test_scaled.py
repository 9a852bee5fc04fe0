"""Replicas that a person or an autoscaler has set are theirs: what we noted as we scaled is valid
as long as nobody has set them since, whatever else somebody changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from flows.rollback import decide
from tasks.release import moves
from tasks.release.course import DeploymentView
from tasks.release.lend import Lend
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NEW, World, in_test, world

pytestmark = pytest.mark.usefixtures("quick")
LENDS = moves.Scale("m-old", 1, lends=2)


def sets(at: World, *counts: int, restart: bool = False) -> None:
    """`kubectl scale`, or an autoscaler, time after time."""
    for count in counts:
        body = copy.deepcopy(at.objects["Deployment", "m-old"])
        body["spec"]["replicas"] = count
        if restart:
            body["spec"]["template"]["metadata"]["annotations"] = {"restarted": "now"}
        at.put(body)


def view(at: World) -> DeploymentView:
    found = at.actor().observe().view("old")
    assert found is not None
    return found


def lent() -> World:
    """`old` serves with two, and lends one."""
    at = in_test()
    at.actor().move(LENDS)
    assert (view(at).replicas, view(at).serves_with, view(at).stopped) == (1, 2, True)
    return at


@pytest.mark.parametrize("counts", [(3,), (3, 1), (2, 1), (0, 1)])
def test_a_number_that_somebody_set_since_is_theirs(counts: tuple[int, ...]) -> None:
    """Also where it is the one that we had scaled it to."""
    at = lent()
    sets(at, *counts)
    assert (view(at).serves_with, view(at).stopped) == (counts[-1], False)
    at.actor().take_over()  # whoever comes next marks it, and sets nothing
    assert (view(at).serves_with, view(at).stopped) == (counts[-1], False)


def changes(at: World, change: Callable[[dict[str, Any]], Any]) -> None:
    body = copy.deepcopy(at.objects["Deployment", "m-old"])
    change(body)
    at.put(body)


def restarts(at: World) -> None:
    sets(at, 1, restart=True)


def pauses(at: World) -> None:
    """`kubectl rollout pause`, `resume`."""
    changes(at, lambda body: body["spec"].update(paused=True))
    changes(at, lambda body: body["spec"].pop("paused"))


def tries_and_undoes(at: World) -> None:
    """`kubectl set env`, `rollout undo`, or a GitOps tool that heals."""
    was = copy.deepcopy(at.objects["Deployment", "m-old"]["spec"])
    env = [{"name": "DEBUG", "value": "1"}]
    template = ("template", "spec", "containers", 0)

    def change(body: dict[str, Any]) -> None:
        part = body["spec"]
        for step in template:
            part = part[step]
        part["env"] = env

    changes(at, change)
    changes(at, lambda body: body.update(spec=was))


def notes(at: World) -> None:
    """`kubectl annotate`, which raises a Deployment's generation."""
    changes(at, lambda body: body["metadata"]["annotations"].update(owner="us"))


def is_taken_over(at: World) -> None:
    at.actor().take_over()


ELSE = pytest.mark.parametrize(
    "meddles", [restarts, pauses, tries_and_undoes, notes, is_taken_over]
)


@ELSE
def test_what_else_somebody_changes_takes_no_loan_away(meddles: Callable[[World], None]) -> None:
    at = lent()
    before = at.objects["Deployment", "m-old"]["metadata"]["generation"]
    meddles(at)
    assert at.objects["Deployment", "m-old"]["metadata"]["generation"] > before
    assert (view(at).serves_with, view(at).stopped) == (2, True)
    sets(at, 2, 1)
    assert (view(at).serves_with, view(at).stopped) == (1, False)


@ELSE
def test_a_seat_that_was_lent_comes_home_whatever_else_changed(
    meddles: Callable[[World], None],
) -> None:
    at = world(seats=2)
    actor = at.actor()
    actor.take_over()
    lend = Lend(1, 2, 1, 1, 1)
    actor.run(moves.decide_start(actor.observe(), NEW, "r", "lend", 30.0, {}, lend))
    assert view(at).lent
    meddles(at)
    for what in ("recover", "guard"):
        actor = at.actor()
        actor.take_over()
        carry_out(actor, decide(what, actor)[1])
    assert (view(at).replicas, view(at).stopped) == (2, False)
    assert at.actor().observe().state.phase == "idle"


def test_marks_of_ours_alone_leave_a_loan_as_it_is() -> None:
    at = lent()
    at.actor().take_over()
    at.actor().move(LENDS)
    assert (view(at).serves_with, view(at).stopped) == (2, True)
    at.actor().move(moves.Scale("m-old", 2))
    assert (view(at).replicas, view(at).serves_with, view(at).stopped) == (2, 2, False)


@pytest.mark.parametrize("theirs", [1, 3, 5])
def test_giving_back_leaves_what_somebody_has_set_since_it_was_decided(theirs: int) -> None:
    """An hour of soak may lie between."""
    at = lent()
    sets(at, 4, theirs)
    at.actor().move(moves.Scale("m-old", 2))
    assert (view(at).replicas, view(at).serves_with, view(at).stopped) == (theirs, theirs, False)


@pytest.mark.parametrize("theirs", [0, 1, 2])
def test_what_is_to_lend_is_never_given_more(theirs: int) -> None:
    """Minutes lie between one seat and the next."""
    at = in_test()
    sets(at, 5)
    sets(at, theirs)
    before = view(at)
    at.actor().move(moves.Scale("m-old", 3, lends=5))
    assert view(at) == before and before.replicas == theirs


def test_what_stood_at_a_number_of_theirs_comes_back_with_it() -> None:
    at = in_test()
    sets(at, 5)
    at.may_interrupt = True
    at.actor().move(moves.Scale("m-old", 0, interrupts=True))
    assert (view(at).serves_with, view(at).stopped) == (5, True)
    at.actor().move(moves.Scale("m-old", 5))
    assert (view(at).replicas, view(at).stopped) == (5, False)
