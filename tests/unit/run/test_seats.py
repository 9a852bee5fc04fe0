"""Two rollouts on one node: neither takes the seats that the other one has lent, or freed for its
candidate, or needs for its way back, whoever dies and in whatever order they are settled."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.objects.labels import INSTANCE_LABEL, MANAGED_LABEL
from tasks.objects.remembered import tell_once
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Forbidden
from tasks.release import moves
from tasks.release.course import Room
from tasks.release.lend import Lend, decide_lend
from tasks.release.seats.room import room_for
from tasks.release.state import Release, State, to_configmap
from tasks.run import seats
from tasks.run.carry_out import carry_out
from tasks.run.seats import must_have_room, taken
from tests.support.cluster.actor_world import (
    DRAIN,
    NS,
    OLDER,
    Killed,
    World,
    deployment,
    release,
    stable_service,
    wait_ready,
    world,
)
from tests.support.cluster.by_hand import HAND, adopted

pytestmark = pytest.mark.usefixtures("quick")
Object = dict[str, Any]
TAKEN_OVER = 3  # writes that change nothing


@dataclass(frozen=True)
class Side:
    """A rollout: what serves, and what it is about to test."""

    name: str
    replicas: int = 1

    @property
    def old(self) -> Release:
        return replace(
            release(f"old-{self.name}", self.replicas), deployment=f"{self.name}-old-{self.name}"
        )

    @property
    def new(self) -> Release:
        return replace(
            release(f"new-{self.name}", self.replicas), deployment=f"{self.name}-new-{self.name}"
        )

    def body(self, item: Release, replicas: int) -> Object:
        return self._mine(deployment(item, replicas))

    def begin(self, at: World) -> None:
        at.put(self.body(self.old, self.replicas))
        service = self._mine(stable_service(self.old))
        service["metadata"]["name"] = self.name
        at.put(service)
        state = State(self.name, stable=self.old, rollout="r", drain_s=DRAIN)
        at.put(to_configmap(state, NS))

    def _mine(self, body: Object) -> Object:
        body = copy.deepcopy(body)
        template = body["spec"].get("template", {}).get("metadata", {})
        for labels in (
            body["metadata"]["labels"],
            template.get("labels"),
            body["spec"]["selector"] if body["kind"] == "Service" else None,
        ):
            if labels:
                labels[INSTANCE_LABEL] = self.name
        return body

    def actor(self, at: World) -> Actor:
        at.epoch += 1
        return Actor(at, NS, self.name, fence=lambda: None, epoch=at.epoch)  # type: ignore[arg-type]

    def room(self, at: World) -> Room:
        """As its plan counts it."""
        actor = self.actor(at)
        nodes = at.list("Node")
        found = taken(actor, nodes)
        body = self.body(self.new, self.replicas)
        return room_for(body, nodes, found.pods, self.old.id, tuple(map(str, found.owed)))

    def rolls(self, at: World, cut: int | None) -> None:
        """A whole rollout of its candidate, which fails, killed before a write."""
        room = self.room(at)
        at.left = cut
        try:
            actor = self.actor(at)
            actor.take_over()
            seen = actor.observe()
            lend: Lend | None = None
            if room.beside >= self.replicas:
                strategy, asks = "parallel", self.replicas
            elif lend := decide_lend(
                [tuple(room.beside + n for n in range(self.replicas + 1))],
                seen.view(seen.serving),
                self.replicas,
            ):
                strategy, asks = "lend", lend.tested
            elif room.instead >= self.replicas and not room.queue:
                strategy, asks = "replace", self.replicas
            else:
                return
            actor.run(moves.decide_start(seen, self.new, "r", strategy, DRAIN, lend=lend))
            actor.apply(self.body(self.new, asks))
            with suppress(RolloutError):
                wait_ready(at, NS, self.new.deployment, timeout_s=1)  # type: ignore[arg-type]
            carry_out(actor, moves.decide_recovery(actor.observe()))
        except (Killed, RolloutError):
            pass
        finally:
            at.left = None

    def settles(self, at: World) -> None:
        actor = self.actor(at)
        actor.take_over()
        carry_out(actor, moves.decide_recovery(actor.observe()))


def both(m: Side, n: Side) -> World:
    """Their seats, and no other."""
    at = World(m.replicas + n.replicas)
    at.may_interrupt = True
    m.begin(at)
    n.begin(at)
    return at


def cuts(side: Side, other: Side) -> Iterator[int]:
    at = both(side, other)
    side.rolls(at, None)
    yield from range(TAKEN_OVER, len(at.writes) + 1)


PAIRS = [
    pytest.param(Side("m"), Side("n"), id="replace beside replace"),
    pytest.param(Side("m", 2), Side("n"), id="lend beside replace"),
    pytest.param(Side("m", 2), Side("n", 2), id="lend beside lend"),
]


@pytest.mark.parametrize(("m", "n"), PAIRS)
def test_neither_takes_what_the_other_is_owed(m: Side, n: Side) -> None:
    """Each is killed before each of its writes, and they come back in either order. One that asks
    for its own seat again before its candidate has left it may hold both until it is settled."""
    for first in cuts(m, n):
        for second in cuts(n, m):
            order = (m, n) if (first + second) % 2 else (n, m)
            at = both(m, n)
            m.rolls(at, first)
            assert n.room(at).beside == 0, (first, "what another one freed is not free")
            n.rolls(at, second)
            for side in (*order, *order):
                with suppress(StepFailed):
                    side.settles(at)
            for side in order:
                assert at.available(side.old.id) == side.replicas, (first, second)
                assert side.actor(at).observe().state.phase == "idle"
            assert at.harm == []


def m_makes_room() -> tuple[Side, World]:
    """The other side n: one seat each, and m has stopped what serves for its candidate."""
    m, n = Side("m"), Side("n")
    at = both(m, n)
    actor = m.actor(at)
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), m.new, "r", "replace"))
    return n, at


def test_a_refusal_says_who_is_owed_what() -> None:
    m, n = Side("m", 2), Side("n")
    at = both(m, n)
    actor = m.actor(at)
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), m.new, "r", "lend", lend=Lend(1, 2, 1, 1, 1)))
    assert n.room(at).owed == (f"rollout {NS}/m is owed 1 of the 2 replica(s) of m-old-m",)
    assert m.room(at).owed == () and m.room(at).beside == 1


def test_a_candidate_is_not_made_on_seats_that_are_owed_by_then() -> None:
    n, at = m_makes_room()
    mine = n.actor(at)
    planned: Any = SimpleNamespace(
        body=n.body(n.new, 1),
        plan=SimpleNamespace(strategy="parallel", lend=None),
        survey=SimpleNamespace(seen=mine.observe()),
    )
    with pytest.raises(Refused, match="rollout models/m is owed 1 of the 1 replica"):
        must_have_room(mine, planned)
    planned.plan.strategy = "replace"
    must_have_room(mine, planned)


def test_what_serves_is_not_stopped_for_seats_that_were_taken_while_weights_were_hashed() -> None:
    m, n = Side("m"), Side("n")
    at = both(m, n)
    mine = n.actor(at)
    planned: Any = SimpleNamespace(
        body=n.body(n.new, 9),
        plan=SimpleNamespace(strategy="replace", lend=None),
        survey=SimpleNamespace(seen=mine.observe()),
    )
    with pytest.raises(Refused, match="was planned for seats that are not free any more"):
        must_have_room(mine, planned)


@pytest.mark.parametrize("strategy", ["parallel", "lend"])
def test_a_seat_that_was_lost_meanwhile_is_missed_before_anything_changes(strategy: str) -> None:
    """Nobody is owed anything: somebody else was placed there while weights were fetched."""
    n = Side("n", 2)
    at = World(3)
    n.begin(at)
    mine, lend = n.actor(at), Lend(1, 2, 2, 1, 1)
    planned: Any = SimpleNamespace(
        body=n.body(n.new, 1 if strategy == "parallel" else 2),
        plan=SimpleNamespace(strategy=strategy, lend=lend if strategy == "lend" else None),
        survey=SimpleNamespace(seen=mine.observe()),
    )
    must_have_room(mine, planned)
    at.bare.append(
        {
            "metadata": {"name": "another", "namespace": "elsewhere", "labels": {}},
            "spec": {"nodeName": "n", "containers": [{"resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Running"},
        }
    )
    with pytest.raises(Refused, match="was planned for seats that are not free any more"):
        must_have_room(mine, planned)
    assert at.harm == [] and at.available(n.old.id) == 2


def test_who_may_read_its_namespace_alone_counts_what_it_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    m, n = Side("m"), Side("n")
    at = both(m, n)
    whole = at.list

    def mine(
        kind: str, ns: str | None = None, label_selector: str = "", **more: Any
    ) -> list[Object]:
        if kind in ("ConfigMap", "Deployment") and ns is None:
            raise Forbidden("no", 403)
        return whole(kind, ns, label_selector, **more)

    monkeypatch.setattr(at, "list", mine)
    m.rolls(at, 3)
    assert n.room(at).owed or n.room(at).beside == 0


@pytest.mark.parametrize("text", ["", "{}", "not JSON"])
def test_a_state_that_cannot_be_read_hides_nothing_and_is_named(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    tell_once.cache_clear()
    n, at = m_makes_room()
    body = at.objects["ConfigMap", "rollout-m"]
    at.put({**body, "data": {"state": text}})
    assert n.room(at).beside == n.room(at).beside == 0
    (said,) = [record.getMessage() for record in caplog.records]
    assert "rollout-m" in said and "its Deployments alone" in said
    del at.objects["ConfigMap", "rollout-m"]
    assert n.room(at).beside == 0


def test_a_copy_of_a_state_under_another_name_stops_nobody() -> None:
    n, at = m_makes_room()
    body = at.objects["ConfigMap", "rollout-m"]
    at.put({**body, "metadata": {**body["metadata"], "name": "rollout-m-kept"}})
    assert n.room(at).beside == 0


def test_pods_that_no_deployment_of_ours_makes_hold_their_seats() -> None:
    """A webhook or a person has relabelled it: nobody will stop it."""
    at = world(seats=4, candidate=True, phase="testing")
    actor = at.actor()
    free = seats.room(actor, OLDER, "old")
    assert free is not None and (free.beside, free.instead) == (2, 4)
    body = at.get("Deployment", "m-new")
    assert body is not None
    body["metadata"]["labels"] = {**body["metadata"]["labels"], MANAGED_LABEL: "platform"}
    at.put(body)
    now = seats.room(actor, OLDER, "old")
    assert now is not None and (now.beside, now.instead) == (0, 2)


@pytest.mark.parametrize("kind", ["ReplicaSet", "Job"])
def test_who_may_make_no_pods_waits_for_what_is_freed(kind: str) -> None:
    at = world(seats=2)
    pod = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}
    said = "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2"
    failed = {"type": "ReplicaFailure", "status": "True", "message": said}
    refused = {"conditions": [failed]}
    at.put(
        {
            "kind": kind,
            "metadata": {"name": "theirs", "namespace": NS},
            "spec": {"replicas": 1, "template": {"spec": pod}},
            "status": refused,
        }
    )
    found = seats.room(at.actor(), OLDER, "old")
    assert found is not None and found.queue == (f"{NS}/{kind} theirs",)


def test_what_an_adopted_release_may_not_make_waits_for_nobody() -> None:
    """Its pods carry no label of ours, nor does what its ReplicaSet would make."""
    at = adopted(seats=2)
    template = at.objects["Deployment", HAND]["spec"]["template"]
    said = "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2"
    failed = {"type": "ReplicaFailure", "status": "True", "message": said}
    for name in (f"{HAND}-7c9", "another-7c9"):
        at.put(
            {
                "kind": "ReplicaSet",
                "metadata": {"name": name, "namespace": NS},
                "spec": {"replicas": 3, "template": template},
                "status": {"replicas": 2, "conditions": [failed]},
            }
        )
    actor = at.actor()
    body = at.objects["Deployment", HAND]
    found = room_for(body, at.list("Node"), taken(actor, []).pods, actor.observe().serving)
    assert found.queue == (f"{NS}/ReplicaSet another-7c9",)


def test_a_job_between_two_tries_waits_for_nothing_that_is_freed() -> None:
    at = world(seats=2)
    pod = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}
    job = {
        "kind": "Job",
        "metadata": {"name": "theirs", "namespace": NS},
        "spec": {"template": {"spec": pod}},
        "status": {"failed": 2},
    }
    at.put(job)
    found = seats.room(at.actor(), OLDER, "old")
    assert found is not None and found.queue == ()
    said = "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2"
    event = {"kind": "Event", "metadata": {"name": "e", "namespace": NS}, "message": said}
    at.put({**event, "involvedObject": {"kind": "Job", "name": "theirs"}})
    found = seats.room(at.actor(), OLDER, "old")
    assert found is not None and found.queue == (f"{NS}/Job theirs",)
