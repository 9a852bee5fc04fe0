"""A process stands still between its look, its fence and its write, and another one takes the
rollout over and settles it: what the first one still sends, the API server refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tasks.base.errors import OutsideError, RolloutError
from tasks.objects.labels import EPOCH_ANNOTATION
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NEW, World, deployment, in_test, world
from tests.support.cluster.courses import Does, at_rest, lends_nothing, narrow, promotes, recovers

pytestmark = pytest.mark.usefixtures("quick")
Begin = Callable[[], World]


def starts(strategy: str) -> Does:
    def go(actor: Actor) -> None:
        actor.run(moves.decide_start(actor.observe(), NEW, "r", strategy, 30.0))
        actor.apply(deployment(NEW, 2))

    return go


def wishes(what: str) -> Does:
    def go(actor: Actor) -> None:
        seen = actor.observe()
        room = lends_nothing(actor, seen)
        carry_out(actor, decide_wish(what, seen, allow_interruption=True, room=room))

    return go


COURSES: dict[str, tuple[Begin, Does]] = {
    "beside": (world, starts("parallel")),
    "instead": (narrow, starts("replace")),
    "a promotion": (in_test, promotes(True)),
    "a promotion that keeps nothing": (in_test, promotes(False)),
    "a soak that fails": (in_test, promotes(True, "bad")),
    "a clean-up": (in_test, recovers()),
    "a way back": (world, wishes("rollback")),
    "a way back without room": (narrow, wishes("rollback")),
}


def takes_over(at: World) -> None:
    """Another process: settles what it finds, and does so until nothing is left to do."""
    for _ in range(2):
        actor = at.actor(lambda _: Look())
        actor.take_over()
        carry_out(actor, moves.decide_recovery(actor.observe()))


def specs(at: World) -> Any:
    """What is asked for, of every object: what status says follows by itself."""
    return {
        key: copy.deepcopy(item.get("spec") or item.get("data")) for key, item in at.objects.items()
    }


def writes_of(begin: Begin, does: Does) -> int:
    at = begin()
    actor = at.actor(lambda _: Look())
    actor.take_over()
    does(actor)
    return len(at.writes)


class StandsStill:
    """Before the write `late` another process takes over, once."""

    def __init__(self, at: World, late: int) -> None:
        self.at, self.late = at, late
        self.write, self.left = "", None
        at.meddle = self

    def __call__(self, verb: str, kind: str) -> None:
        if len(self.at.writes) == self.late and not self.write:
            self.write = f"{verb} of {kind}, write {self.late + 1}"
            takes_over(self.at)
            self.left = specs(self.at)


@pytest.mark.parametrize("name", COURSES)
def test_a_write_that_comes_late_changes_nothing(name: str) -> None:
    begin, does = COURSES[name]
    for late in range(writes_of(begin, does)):
        at = begin()
        stands = StandsStill(at, late)
        actor = at.actor(lambda _: Look())
        with pytest.raises(RolloutError):
            actor.take_over()
            does(actor)
            raise OutsideError("it was refused nothing")
        now, left = specs(at), stands.left or {}
        if stands.write.startswith("create"):
            # nothing was there to be changed; whoever comes next finds it
            now = {key: value for key, value in now.items() if key in left}
        assert now == left, stands.write
        takes_over(at)
        assert at.harm == [], stands.write
        at_rest(at)


def test_what_a_stranger_made_between_look_and_write_is_left_alone() -> None:
    """Of every kind that a rollout makes; with the name it would have."""
    theirs = {"metadata": {"name": "m-candidate", "labels": {"app": "theirs"}}, "kind": "Service"}
    theirs["spec"] = {"selector": {"app": "theirs"}}  # type: ignore[assignment]
    at = world()
    at.put(theirs)
    before = specs(at)
    actor = at.actor(lambda _: Look())
    actor.take_over()
    with pytest.raises(RolloutError, match="is not this rollout's"):
        actor.owned.try_switch(deployment(NEW, 2))
    for _ in range(2):  # a clean-up passes it by, as often as it runs
        carry_out(actor, moves.decide_recovery(actor.observe()))
    assert specs(at)["Service", "m-candidate"] == before["Service", "m-candidate"]
    found = at.get("Service", "m-candidate")
    assert found is not None
    assert EPOCH_ANNOTATION not in (found["metadata"].get("annotations") or {})
