"""Seats are what a scheduler would grant: host ports, anti-affinity and spread count, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.release.back import decide_revert
from tasks.release.course import DeploymentView, Observed, Room, Scale
from tasks.release.lend import decide_lend
from tasks.release.plan import NodeSeat, decide_plan
from tasks.release.seats.crowd import HOSTNAME, crowd_of
from tasks.release.seats.room import room_for
from tasks.release.state import State
from tasks.run.findings import as_granted
from tests.support.cluster.actor_world import NEW, OLD, OLDER
from tests.support.nodedata import make_spec

ZONE = "topology.kubernetes.io/zone"
Object = dict[str, Any]
OURS = {INSTANCE_LABEL: "m"}


def labels(release: str) -> dict[str, str]:
    return {INSTANCE_LABEL: "m", RELEASE_LABEL: release}


def node(name: str, zone: str = "", seats: int = 8) -> Object:
    status = {
        "allocatable": {"cpu": str(seats), "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    marks = {HOSTNAME: name, **({ZONE: zone} if zone else {})}
    return {"metadata": {"name": name, "labels": marks}, "spec": {}, "status": status}


def template(release: str, **more: Any) -> Object:
    ports = more.pop("ports", [{"containerPort": 8000}])
    engine = {"name": "engine", "ports": ports, "resources": {"requests": {"cpu": "1"}}}
    return {"metadata": {"labels": labels(release)}, "spec": {"containers": [engine], **more}}


def deploy(**more: Any) -> Object:
    meta = {"name": "m-new", "namespace": "models", "labels": labels("new")}
    return {"metadata": meta, "spec": {"template": template("new", **more)}}


def pod(release: str = "old", at: str = "a", ns: str = "models", **more: Any) -> Object:
    marks = more.pop("labels", labels(release))
    body = template(release, **more)
    return {
        "metadata": {"name": f"{release}-{at}", "namespace": ns, "labels": marks},
        "spec": {**body["spec"], "nodeName": at},
        "status": {"phase": "Running"},
    }


def apart(key: str = HOSTNAME, **selector: Any) -> Object:
    chosen = selector or {"matchLabels": OURS}
    term = {"labelSelector": chosen, "topologyKey": key}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def spread(skew: int = 1, **more: Any) -> list[Object]:
    return [
        {
            "maxSkew": skew,
            "topologyKey": HOSTNAME,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {RELEASE_LABEL: "new"}},
            **more,
        }
    ]


HOST = {"hostNetwork": True}
PORT = {"ports": [{"containerPort": 8000, "hostPort": 8000}]}
ONE, TWO = [node("a")], [node("a"), node("b")]


def rooms(need: Object, pods: list[Object], nodes: list[Object] = ONE) -> tuple[int, int]:
    found = room_for(need, nodes, pods, "old")
    return found.beside, found.instead


@pytest.mark.parametrize(
    ("found", "beside_and_instead"),
    [
        # without any of it amounts alone count
        (rooms(deploy(), [pod()]), (7, 8)),
        # ports of the host: one a node, and none beside what has them
        (rooms(deploy(**HOST), []), (1, 1)),
        (rooms(deploy(**PORT), []), (1, 1)),
        (rooms(deploy(**HOST), [pod(**HOST)]), (0, 1)),
        (rooms(deploy(**PORT), [pod(**PORT)]), (0, 1)),
        (rooms(deploy(**PORT), [pod(**HOST)], TWO), (1, 2)),
        (rooms(deploy(**HOST), [pod("x", ns="other", labels={}, **PORT)]), (0, 0)),
        (rooms(deploy(**HOST), [pod("x", ns="other", labels={})]), (1, 1)),
        (rooms(deploy(ports=[{"hostPort": 9}]), [pod(ports=[{"hostPort": 8}])]), (1, 1)),
        (rooms(deploy(ports=[{"hostPort": 9}]),
               [pod(ports=[{"hostPort": 9, "protocol": "UDP"}])]), (1, 1)),
        (rooms(deploy(ports=[{"hostPort": 9, "hostIP": "10.0.0.1"}]),
               [pod(ports=[{"hostPort": 9, "hostIP": "10.0.0.2"}])]), (1, 1)),
        (rooms(deploy(ports=[{"hostPort": 9, "hostIP": "10.0.0.1"}]),
               [pod(ports=[{"hostPort": 9}])]), (0, 1)),
        # a candidate's own pods are on their way out, or its own
        (rooms(deploy(**HOST), [pod("new", **HOST)]), (1, 1)),
        # anti-affinity to itself and to what serves
        (rooms(deploy(affinity=apart()), []), (1, 1)),
        (rooms(deploy(affinity=apart()), [pod()]), (0, 1)),
        (rooms(deploy(affinity=apart()), [pod()], TWO), (1, 2)),
        (rooms(deploy(affinity=apart(matchLabels={RELEASE_LABEL: "new"})), [pod()]), (1, 1)),
        # and to others, in whichever direction
        (rooms(deploy(affinity=apart(matchLabels={"app": "x"})),
               [pod("x", labels={"app": "x"})]), (0, 0)),
        (rooms(deploy(affinity=apart(matchLabels={"app": "x"})),
               [pod("x", ns="other", labels={"app": "x"})]), (8 - 1, 7)),
        (rooms(deploy(), [pod("x", labels={"app": "x"}, affinity=apart())]), (0, 0)),
        (rooms(deploy(), [pod(affinity=apart())]), (0, 8)),
        (rooms(deploy(affinity=apart(matchExpressions=[
            {"key": "app", "operator": "In", "values": ["x"]}])),
            [pod("x", labels={"app": "x"})]), (0, 0)),
        # by zone: none in the zone of what serves, and one a zone
        (rooms(deploy(affinity=apart(ZONE)), [pod()], [node("a", "1"), node("b", "1")]), (0, 1)),
        (rooms(deploy(affinity=apart(ZONE)), [pod()],
               [node("a", "1"), node("b", "1"), node("c", "2"), node("d", "2")]), (1, 2)),
        # spread over nodes: one that is full holds the others back
        (rooms(deploy(topologySpreadConstraints=spread()), [], [node("a"), node("b", seats=1)]),
         (3, 3)),
        (rooms(deploy(topologySpreadConstraints=spread()), [], [node("a"), node("b", seats=0)]),
         (1, 1)),
        (rooms(deploy(topologySpreadConstraints=spread(2)), [], [node("a"), node("b", seats=0)]),
         (2, 2)),
        (rooms(deploy(topologySpreadConstraints=spread(whenUnsatisfiable="ScheduleAnyway")), [],
               [node("a"), node("b", seats=0)]), (8, 8)),
        (rooms(deploy(topologySpreadConstraints=spread(minDomains=2)), [], ONE), (1, 1)),
    ],
)  # fmt: skip
def test_room_is_what_a_scheduler_would_grant(
    found: tuple[int, int], beside_and_instead: tuple[int, int]
) -> None:
    assert found == beside_and_instead


def test_a_seat_that_is_lent_is_one_of_a_whole_node() -> None:
    """Three replicas of what serves, one on each node, which all have the port."""
    nodes = [node(name) for name in "abc"]
    found = room_for(deploy(**HOST), nodes, [pod(at=name, **HOST) for name in "abc"], "old")
    assert (found.beside, found.instead, found.tables) == (0, 3, ((0, 1),) * 3)
    lend = decide_lend(found.tables, DeploymentView("m-old", "old", 3, 3, 3), 3)
    assert lend and (lend.keep, lend.tested) == (2, 1)
    assert "host port 8000: one replica a node" in found.replica


def test_a_way_back_that_was_agreed_to_scales_what_serves_where_only_that_makes_room() -> None:
    state = State("m", stable=replace(OLD, replicas=1), previous=replace(OLDER, replicas=1))
    views = {
        "old": DeploymentView("m-old", "old", 1, 1, 1),
        "older": DeploymentView("m-older", "older", 0, 1, 0, True),
    }
    room: Room = room_for(deploy(**HOST), ONE, [pod(**HOST)], "old")
    course = decide_revert(Observed(state, "old", views), allow_interruption=True, room=room)
    first = next(move for move in course.moves if isinstance(move, Scale))
    assert first == Scale("m-old", 0, interrupts=True)


def goes(found: Any) -> bool:
    return bool(found["metadata"]["labels"].get(RELEASE_LABEL) == "old")


@pytest.mark.parametrize(
    ("promotion", "replicas", "strategy"),
    [
        ({"allow_interruption": True}, 1, "replace"),
        ({}, 1, "refused"),
        ({"allow_interruption": True}, 2, "lend"),
    ],
)
def test_a_plan_chooses_as_where_devices_are_short(
    promotion: dict[str, Any], replicas: int, strategy: str
) -> None:
    names = "ab"[:replicas]
    by_amounts = [NodeSeat(n, n, 7, 8, 0, 0, 10**12, 28, (7, 8)) for n in names]
    crowd = crowd_of(template("new", **HOST), "models")
    pods = [pod(at=name, **HOST) for name in names]
    seats = as_granted(by_amounts, crowd, [node(name) for name in names], pods, goes)
    assert [(s.seats, s.seats_without_stable, s.seats_by_gone) for s in seats] == [
        (0, 1, (0, 1))
    ] * replicas
    view = DeploymentView("m-old", "old", replicas, replicas, replicas)
    seen = Observed(State("m", stable=OLD), "old", {"old": view})
    spec = make_spec({"serving": {"replicas": replicas}, "promotion": promotion})
    plan = decide_plan(spec, NEW, seen, seats, resource="")
    assert plan.strategy == strategy
    if strategy == "refused":
        assert "a: host port 8000: one replica a node" in plan.sentence
