"""What other rollouts are owed, by their Deployments, their states and the pods that are there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tasks.nodes.facts import api_facts, pod_requests
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.release.seats.owed import owed
from tasks.release.state import Release, State

DCU = "hygon.com/dcu"
MINE, OTHER = ("models", "mine"), ("models", "n")
Object = dict[str, Any]


def node(name: str = "a", devices: int = 8) -> Object:
    return {
        "metadata": {"name": name, "labels": {}},
        "status": {
            "allocatable": {DCU: str(devices)},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def labels(release: str) -> dict[str, str]:
    return {INSTANCE_LABEL: "n", RELEASE_LABEL: release}


def template(devices: int) -> Object:
    return {"containers": [{"resources": {"requests": {DCU: str(devices)}}}]}


def deploy(release: str, asked: int, of: int = 2, devices: int = 4, *, ours: bool = True) -> Object:
    """ours: it was scaled by a rollout."""
    marks = {"model-rollout/replicas": str(of)}
    if ours:
        marks["model-rollout/scaled-to"] = str(asked)
    meta = {"name": f"n-{release}", "namespace": "models", "annotations": marks}
    return {
        "metadata": {**meta, "labels": labels(release)},
        "spec": {"replicas": asked, "template": {"spec": template(devices)}},
    }


def pod(release: str, devices: int = 4, where: str = "a") -> Object:
    meta = {"name": f"n-{release}-1", "namespace": "models", "labels": labels(release)}
    spec = {**template(devices), "nodeName": where}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}


def item(release: str) -> Release:
    return Release(release, f"n-{release}", "o/m", "r", "c", "d", "i", "m")


def state(phase: Any, stable: str = "", candidate: str = "", previous: str = "") -> State:
    named = [item(name) if name else None for name in (stable, candidate, previous)]
    return State("n", phase, named[0], named[1], named[2])


def taken(
    deployments: list[Object], what: State | None, pods: list[Object], devices: int = 8
) -> tuple[Decimal, int]:
    """Devices that look free and are not, and replicas that find no place."""
    states = {} if what is None else {OTHER: what}
    found = owed(deployments, states, [node(devices=devices)], pods, MINE)
    stand = [p for one in found for p in one.pods]
    held = [p for p in stand if p["spec"]["nodeName"]]
    total = sum((pod_requests(p["spec"]).get(DCU, Decimal(0)) for p in held), Decimal(0))
    return total, len(stand) - len(held)


TESTING = state("testing", "old", "new")
LENT = [deploy("old", 1), deploy("new", 1, of=2)]


@pytest.mark.parametrize(
    ("deployments", "what", "pods", "devices"),
    [
        # whole, and at rest
        ([deploy("old", 2)], state("idle", "old"), [pod("old")] * 2, 0),
        # lent, and the candidate is not there yet; is there; is gone again
        ([deploy("old", 1)], TESTING, [pod("old")], 4),
        (LENT, TESTING, [pod("old"), pod("new")], 0),
        ([deploy("old", 1)], state("idle", "old"), [pod("old")], 4),
        # freed for its candidate, which needs less; or more
        ([deploy("old", 0, of=1)], TESTING, [], 4),
        ([deploy("old", 0, of=1), deploy("new", 1, of=1, devices=2)], TESTING, [pod("new", 2)], 2),
        ([deploy("old", 0, of=1), deploy("new", 1, of=1, devices=8)], TESTING, [], 8),
        # a way back, by what served before
        ([deploy("new", 1, of=1), deploy("old", 0, of=2)], state("soaking", "new", "", "old"),
         [pod("new")], 4),
        ([deploy("new", 1, of=1), deploy("old", 0, of=2)], state("reverting", "new", "", "old"),
         [], 8),
        # kept for a way back that nobody has begun
        ([deploy("new", 1, of=1), deploy("old", 0, of=2)], state("idle", "new", "", "old"),
         [pod("new")], 0),
        # nobody knows which of them serves
        ([deploy("new", 1, of=1), deploy("old", 0, of=2)], None, [pod("new")], 4),
        # a person made it so
        ([deploy("old", 0, of=2, ours=False)], state("idle", "old"), [], 0),
        # a pod of it was lost
        ([deploy("old", 2)], state("idle", "old"), [pod("old")], 4),
    ],
)  # fmt: skip
def test_what_looks_free_and_is_not(
    deployments: list[Object], what: State | None, pods: list[Object], devices: int
) -> None:
    assert taken(deployments, what, pods) == (devices, 0)


def test_my_own_are_mine() -> None:
    body = deploy("old", 0)
    assert owed([body], {OTHER: TESTING}, [node()], [], OTHER) == ()


def test_what_finds_no_place_waits_like_a_pod() -> None:
    """Whoever frees something would free it for that one."""
    stranger = {**pod("x", 8), "metadata": {"name": "x", "namespace": "jobs"}}
    assert taken([deploy("old", 0)], TESTING, [stranger]) == (0, 2)
    waiting = {**pod("old"), "spec": template(4)}
    assert taken([deploy("old", 1)], TESTING, [stranger, waiting]) == (0, 1)


def test_it_is_said_who_is_owed_what() -> None:
    (found,) = owed([deploy("old", 1)], {OTHER: TESTING}, [node()], [pod("old")], MINE)
    assert str(found) == "rollout models/n is owed 1 of the 2 replica(s) of n-old"


def test_what_stands_for_a_replica_without_a_place_says_where_it_may_go() -> None:
    """Else nobody could tell whom a freed seat helps: on a tainted node it would be nobody."""
    rules = {"tolerations": [{"operator": "Exists"}], "nodeSelector": {"gpu": "yes"}}
    serving = deploy("old", 2)
    serving["spec"]["template"]["spec"] |= rules
    (found,) = owed([serving], {OTHER: state("idle", "old")}, [node()], [], MINE)
    assert [
        {key: one["spec"].get(key) for key in rules}
        for one in found.pods
        if not one["spec"]["nodeName"]
    ] == [rules, rules]


@pytest.mark.parametrize(
    ("pods", "stand"),
    [
        ([pod("old", 0)], 1),  # it has lent one, and what is to take it is not made yet
        ([pod("old", 0), pod("new", 0)], 0),
        ([], 2),
    ],
)
def test_a_device_by_claim_is_owed_as_well(pods: list[Object], stand: int) -> None:
    claims = {"resourceClaims": [{"name": "devices"}]}
    for one in pods:
        one["spec"] = {**one["spec"], **claims}
    deployments = [deploy("old", 1, devices=0), deploy("new", 1, devices=0)]
    for one in deployments:
        one["spec"]["template"]["spec"].update(claims)
    found = owed(deployments, {OTHER: TESTING}, [node()], pods, MINE)
    held = [p for one in found for p in one.pods]
    assert [p["spec"]["nodeName"] for p in held] == ["a"] * stand
    assert api_facts(node(), held).claiming == stand
