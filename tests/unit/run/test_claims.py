"""Devices that are asked for by claim: nobody can count those that are free, and what serves is
left all the same where it gives back what is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import Refused, RolloutError
from tasks.outside.kubernetes.actor import Actor
from tasks.release.back import decide_soak_failed
from tasks.release.course import Course, Observed, Room
from tasks.release.memory.again import decide_again
from tasks.release.state import to_configmap
from tasks.release.wish import decide_wish
from tasks.run import seats
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NS, World, deployment, release, stable_service, world

pytestmark = pytest.mark.usefixtures("quick")
CLAIMS = [{"name": "devices", "resourceClaimTemplateName": "one"}]
Decide = Callable[[Observed, Room], Course]


class Claimed(World):
    """Few devices by claim; cores for many."""

    def _nodes(self) -> list[dict[str, Any]]:
        out = super()._nodes()
        out[0]["status"]["allocatable"]["cpu"] = "64"
        return out


def served(
    monkeypatch: pytest.MonkeyPatch,
    *,
    devices: int = 2,
    replicas: int = 2,
    phase: Any = "soaking",
    strategy: Any = "replace",
) -> World:
    """`new` was promoted, has the devices and fails its soak; `old` is at zero."""
    monkeypatch.setattr("tests.support.cluster.actor_world.World", Claimed)
    at = world(seats=devices)
    at.may_interrupt = True
    old, new = release("old", replicas), release("new", replicas)
    for item, asked in ((old, 0), (new, replicas)):
        body = deployment(item, replicas)
        body["spec"]["replicas"] = asked
        body["spec"]["template"]["spec"]["resourceClaims"] = CLAIMS
        at.put(body)
    del at.objects["Deployment", "m-older"]
    at.put(stable_service(new))
    state = replace(at.actor().observe().state, stable=new, previous=old, candidate=None)
    breach = "HTTP 500" if phase == "soaking" else ""
    at.put(to_configmap(replace(state, phase=phase, strategy=strategy, breach=breach), NS))
    return at


def looked(actor: Actor) -> tuple[Observed, Room]:
    seen = actor.observe()
    found = seats.room(actor, seen.state.previous, seen.serving)
    assert found is not None
    return seen, found


def goes(at: World, decide: Decide) -> str:
    actor = at.actor()
    actor.take_over()
    try:
        return carry_out(actor, decide(*looked(actor)), unchecked=True)
    except RolloutError as error:
        return str(error)


def by_hand(seen: Observed, room: Room) -> Course:
    return decide_wish("rollback", seen, allow_interruption=True, room=room)


@pytest.mark.parametrize("decide", [decide_soak_failed, by_hand])
@pytest.mark.parametrize("replicas", [1, 2])
def test_what_failed_gives_its_devices_back(
    replicas: int, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = served(monkeypatch, devices=replicas, replicas=replicas)
    _, room = looked(at.actor())
    assert (room.beside, room.instead) == (0, replicas)
    goes(at, decide)
    assert at.leads_to() == "old" and at.available("old") == replicas


def test_the_guard_finds_the_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    at = served(monkeypatch, devices=1, replicas=1)
    goes(at, lambda seen, room: decide_soak_failed(seen, replace(room, queue=("x/y",))))
    assert at.leads_to() == "new" and at.actor().observe().state.phase == "unproven"

    def again(seen: Observed, room: Room) -> Course:
        course = decide_again(seen, room)
        assert course is not None
        return course

    goes(at, again)
    assert at.leads_to() == "old" and at.available("old") == 1


def test_replicas_are_lent_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    at = served(monkeypatch, phase="idle", strategy="")
    at.may_interrupt = False
    goes(at, lambda seen, room: decide_wish("rollback", seen, room=room))
    assert at.leads_to() == "old" and at.available("old") == 2 and at.harm == []


@pytest.mark.parametrize(("devices", "leads"), [(1, "new"), (2, "old")])
def test_without_leave_it_is_tried_beside(
    devices: int, leads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say that no device is free, and nothing is taken."""
    at = served(monkeypatch, devices=devices, replicas=1, phase="idle", strategy="")
    at.may_interrupt = False
    goes(at, lambda seen, room: decide_wish("rollback", seen, room=room))
    assert at.leads_to() == leads and at.available(leads) == 1 and at.harm == []


def test_who_waits_for_a_claim_bars_what_would_free_it(monkeypatch: pytest.MonkeyPatch) -> None:
    at = served(monkeypatch, devices=1, replicas=1)
    at.bare = [
        {
            "metadata": {"name": "train-0", "namespace": "jobs", "labels": {}},
            "spec": {"containers": [{"name": "c", "ports": []}], "resourceClaims": CLAIMS},
            "status": {"phase": "Pending"},
        }
    ]
    _, room = looked(at.actor())
    assert room.queue == ("jobs/train-0",)
    goes(at, by_hand)
    assert at.leads_to() == "new" and at.available("new") == 1


def test_what_the_amounts_have_no_room_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    at = served(monkeypatch, devices=1, replicas=1)
    seen, room = looked(at.actor())
    short = replace(room, instead=0, perhaps=(0, 0))
    with pytest.raises(Refused, match="room for 0 even with what serves scaled down"):
        by_hand(seen, short)
