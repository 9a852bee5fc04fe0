"""A process stands still between its look, its fence and its write, and another one takes the
rollout over and settles it: what the first one still sends, the API server refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import OutsideError, Refused, RolloutError
from tasks.objects.labels import EPOCH_ANNOTATION
from tasks.outside.kubernetes.actor import Actor, ChangedByHand
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.state import Judged, State, from_configmap, to_configmap, with_verdict
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out, settled
from tests.support.cluster.actor_world import NEW, NS, World, deployment, in_test, world
from tests.support.cluster.courses import Does, at_rest, lends_nothing, narrow, promotes, recovers

pytestmark = pytest.mark.usefixtures("quick")
Begin = Callable[[], World]
STATE, MINE = ("ConfigMap", "rollout-m"), Judged("a", "b", "failed", "by hand")


def state_of(at: World) -> State:
    return from_configmap("m", at.objects[STATE])


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


class Edits:
    """Before the write `late` a person edits the state, and notes something beside it, once."""

    def __init__(self, at: World, late: int) -> None:
        self.at, self.late, self.done = at, late, False
        at.meddle = self

    def __call__(self, verb: str, kind: str) -> None:
        if len(self.at.writes) != self.late or self.done:
            return
        self.done = True
        body = copy.deepcopy(self.at.objects[STATE])
        state = from_configmap("m", body)
        told = to_configmap(with_verdict(state, MINE), NS)
        body["data"]["state"] = told["data"]["state"]
        body["data"]["note"] = body["metadata"].setdefault("annotations", {})["note"] = "mine"
        self.at.put(body)


@pytest.mark.parametrize("name", COURSES)
def test_what_a_person_writes_into_the_state_is_never_written_over(name: str) -> None:
    """Whatever was decided without it is decided anew."""
    begin, does = COURSES[name]
    for late in range(2, writes_of(begin, does)):
        at = begin()
        edits = Edits(at, late)
        actor = at.actor(lambda _: Look())
        with suppress(RolloutError):
            actor.take_over()
            does(actor)
        assert edits.done
        takes_over(at)
        assert MINE in state_of(at).judged, late
        found = at.objects[STATE]
        assert found["data"]["note"] == found["metadata"]["annotations"]["note"] == "mine"
        assert at.harm == [], late
        at_rest(at)


def test_a_wish_is_decided_anew_from_what_a_person_wrote() -> None:
    """The candidate that was to be promoted is none any more: it is not, and that is said."""
    at = in_test()
    at.put(to_configmap(replace(state_of(at), phase="held"), NS))
    actor = at.actor(lambda _: Look())
    actor.take_over()

    def edits(verb: str, kind: str) -> None:
        at.meddle = lambda verb, kind: None
        at.put(to_configmap(replace(state_of(at), phase="idle", candidate=None), NS))

    def decided() -> moves.Course:
        return decide_wish("promote", actor.observe())

    course = decided()
    at.meddle = edits
    with pytest.raises(Refused, match="rollout m is idle, only a held candidate can be promoted"):
        settled(actor, course, decided)
    assert at.leads_to() == "old" and state_of(at).candidate is None


def test_an_edit_is_told_by_what_it_changed() -> None:
    at = in_test()
    actor = at.actor()
    state = actor.observe().state
    at.put(to_configmap(replace(state, verdict="fail", drain_s=77.0), NS))
    with pytest.raises(ChangedByHand, match=r"rollout-m was edited by hand .*: verdict, drain_s; "):
        actor.save(replace(state, phase="held"))
    actor.change_state(lambda held: replace(held, why="r"))  # of what is there: it may
    with pytest.raises(ChangedByHand):
        actor.save(replace(state, phase="held"))
    assert (state_of(at).verdict, state_of(at).why) == ("fail", "r")
    actor.save(replace(actor.observe().state, phase="held"))
    assert (state_of(at).phase, state_of(at).verdict) == ("held", "fail")


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
