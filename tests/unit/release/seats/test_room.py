"""Room for a release that stands at zero: beside what serves, and in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.release.back import decide_revert, decide_soak_failed
from tasks.release.course import DeploymentView, Observed, Room, Save
from tasks.release.seats.room import room_for
from tasks.release.state import State, with_doubt
from tests.support.cluster.actor_world import NEW, OLD

DCU = "hygon.com/dcu"


def node(name: str = "a", devices: int = 8, **more: Any) -> dict[str, Any]:
    allocatable = {"cpu": "64", "memory": "512Gi", "pods": "110", DCU: str(devices)}
    return {
        "metadata": {"name": name, "labels": more.get("labels", {})},
        "spec": {"taints": more.get("taints", []), "unschedulable": more.get("cordoned", False)},
        "status": {
            "allocatable": {**allocatable, **more.get("allocatable", {})},
            "conditions": [{"type": "Ready", "status": more.get("ready", "True")}],
        },
    }


def template(devices: int = 8, **more: Any) -> dict[str, Any]:
    amounts = {"cpu": "8", "memory": "64Gi", **({DCU: str(devices)} if devices else {})}
    engine = {"name": "engine", "resources": {"requests": amounts, "limits": amounts}}
    return {"containers": [engine], **more}


def deploy(devices: int = 8, **more: Any) -> dict[str, Any]:
    meta = {"name": "m-older", "namespace": "models", "labels": {INSTANCE_LABEL: "m"}}
    return {"metadata": meta, "spec": {"template": {"spec": template(devices, **more)}}}


def pod(release: str, devices: int = 8, **more: Any) -> dict[str, Any]:
    labels = {INSTANCE_LABEL: more.get("of", "m"), RELEASE_LABEL: release}
    return {
        "metadata": {"name": release, "namespace": more.get("ns", "models"), "labels": labels},
        "spec": {**template(devices), "nodeName": more.get("node", "a")},
        "status": {"phase": more.get("phase", "Running")},
    }


def rooms(*pods: Any, nodes: Any = None, need: Any = None) -> tuple[int, int]:
    found = room_for(need or deploy(), nodes or [node()], pods, "serving")
    return found.beside, found.instead


@pytest.mark.parametrize(
    ("found", "beside_and_instead"),
    [
        (rooms(), (1, 1)),
        (rooms(pod("serving")), (0, 1)),
        (rooms(pod("serving", 4), need=deploy(4)), (1, 2)),
        # another's pods, in another rollout or namespace, stay
        (rooms(pod("x", of="other")), (0, 0)),
        (rooms(pod("serving", ns="elsewhere")), (0, 0)),
        # our other releases' pods are on their way out
        (rooms(pod("candidate")), (1, 1)),
        (rooms(pod("older")), (1, 1)),
        # an ended pod holds nothing
        (rooms(pod("serving", phase="Failed")), (1, 1)),
        # two nodes, one is held by what serves
        (rooms(pod("serving"), nodes=[node("a"), node("b")]), (1, 2)),
        (rooms(nodes=[node("a", 4), node("b", 4)]), (0, 0)),
        (rooms(nodes=[node(cordoned=True)]), (0, 0)),
        (rooms(nodes=[node(ready="False")]), (0, 0)),
        (rooms(nodes=[node(allocatable={DCU: "0"})]), (0, 0)),
        (rooms(nodes=[node(allocatable={"memory": "32Gi"})]), (0, 0)),
        (rooms(pod("serving"), nodes=[node(allocatable={"pods": "1"})]), (0, 1)),
        (rooms(nodes=[node(taints=[{"key": "gpu", "effect": "NoSchedule"}])]), (0, 0)),
        (rooms(nodes=[node(taints=[{"key": "gpu", "effect": "PreferNoSchedule"}])]), (1, 1)),
        (rooms(need=deploy(nodeSelector={"disk": "fast"})), (0, 0)),
        (
            rooms(
                nodes=[node(labels={"disk": "fast"})], need=deploy(nodeSelector={"disk": "fast"})
            ),
            (1, 1),
        ),
        # without devices memory and cpu say it
        (rooms(pod("serving", 0), need=deploy(0)), (7, 8)),
    ],
)
def test_room(found: tuple[int, int], beside_and_instead: tuple[int, int]) -> None:
    assert found == beside_and_instead


def test_shares_of_which_a_node_lists_the_cards_alone_are_counted_by_these() -> None:
    """Their memory and cores are the sharing plugin's scheduler's to count."""
    shares = {"hygon.com/dcunum": "1", "hygon.com/dcumem": "4000", "hygon.com/dcucores": "20"}
    need = deploy(0)
    need["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] = shares
    assert rooms(need=need, nodes=[node(allocatable={"hygon.com/dcunum": "3"})]) == (3, 3)
    assert rooms(need=need, nodes=[node()]) == (0, 0)


def test_nothing_serves() -> None:
    found = room_for(deploy(), [node()], [pod("serving")], None)
    assert (found.beside, found.instead) == (1, 1)


def test_the_need_in_words() -> None:
    assert room_for(deploy(), [], [], None).replica == f"8 cpu, 8 {DCU}, 64 GiB memory"


def test_others_that_wait_are_named() -> None:
    waiting = {**pod("x", of="other", node=""), "status": {"phase": "Pending"}}
    found = room_for(deploy(), [node()], [pod("serving"), waiting], "serving")
    assert (found.beside, found.instead, found.queue) == (0, 1, ("models/x",))


def waits(**more: Any) -> dict[str, Any]:
    """A Pending pod of somebody else's, which asks for all devices of a node."""
    body = pod("x", more.pop("devices", 8), of="other", node="")
    status = {"phase": "Pending", **more.pop("status", {})}
    return {**body, "spec": {**body["spec"], **more}, "status": status}


def only(*rules: dict[str, Any]) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(rules)}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


QUOTA = "exceeded quota: q, requested: {}, used: cpu=64, limited: {}"
GATED = {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}
IN_POOL = {"key": "pool", "operator": "In", "values": ["gpu"]}


@pytest.mark.parametrize(
    ("waiting", "waits_for_it"),
    [
        (waits(), True),
        (waits(nodeSelector={"pool": "gpu"}), True),
        (waits(nodeSelector={"pool": "deleted-last-year"}), False),
        (waits(affinity=only(IN_POOL)), True),
        (waits(affinity=only({**IN_POOL, "operator": "NotIn"})), False),
        (waits(tolerations=[]), False),  # the node's taint
        (waits(devices=16), False),  # no node has as many
        (waits(**GATED), False),  # somebody else is to let it go
        # a quota counts what is made, wherever it may be placed
        (waits(status={"message": QUOTA.format("cpu=8", "cpu=64")}, tolerations=[]), True),
        (waits(status={"message": QUOTA.format("cpu=80", "cpu=64")}), False),
        (waits(status={"message": QUOTA.format("requests.other/x=1", "requests.x=1")}), False),
        (waits(status={"message": "exceeded quota: in words that nobody knows"}), True),
        (waits(status={"message": "evicted once"}), True),
    ],
)
def test_whom_a_freed_seat_helps_waits_for_it_and_nobody_else(
    waiting: dict[str, Any], waits_for_it: bool
) -> None:
    gpu = [{"key": "gpu", "effect": "NoSchedule", "operator": "Exists"}]
    waiting["spec"].setdefault("tolerations", gpu)
    # also where nobody may be placed right now: that may be over in a moment
    for state in ({}, {"cordoned": True}, {"ready": "Unknown"}):
        there = node(labels={"pool": "gpu"}, taints=gpu, **state)
        nodes = [there, node("b", 99, labels={"pool": "cpu"})]  # which holds none of what serves
        found = room_for(deploy(), nodes, [pod("serving"), waiting], "serving")
        assert found.queue == (("models/x",) if waits_for_it else ())


def test_what_is_queued_itself_hands_its_part_of_the_queue_on() -> None:
    serving = pod("serving")
    serving["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "q"
    found = room_for(deploy(), [node()], [serving, waits(**GATED)], "serving")
    assert found.queue == ("models/x",)


def test_where_nobody_knows_what_is_freed_any_node_counts() -> None:
    found = room_for(deploy(), [node()], [waits(), waits(devices=16)], "serving")
    assert found.queue == ("models/x",)


def asks(**amounts: str) -> dict[str, Any]:
    """A Pending pod of somebody else's, which asks for no device."""
    body = waits()
    named = {name.replace("_", "-"): amount for name, amount in amounts.items()}
    body["spec"]["containers"] = [{"name": "c", "resources": {"requests": named}}]
    return body


def of_size(body: dict[str, Any], memory: str, devices: int = 8) -> dict[str, Any]:
    """A pod or Deployment, whose replica asks for this."""
    spec = body["spec"].get("template", body)["spec"]
    amounts = {"cpu": "8", "memory": memory, DCU: str(devices), "ephemeral-storage": "10Gi"}
    spec["containers"] = [{"name": "engine", "resources": {"requests": amounts}}]
    return body


@pytest.mark.parametrize(
    ("waiting", "waits_for_it"),
    [
        (asks(memory="300Gi"), True),  # 112 are free, and 400 more once what serves is gone
        (asks(memory="100Gi"), False),  # it has room as things are
        (asks(memory="600Gi"), False),  # and never has any here
        (asks(cpu="60"), True),
        (asks(cpu="4"), False),
        (asks(ephemeral_storage="95Gi"), True),
        (asks(ephemeral_storage="200Gi"), False),
        (asks(memory="300Gi", **{"nvidia.com/gpu": "1"}), False),  # there is none
        ({**asks(memory="300Gi"), "status": {"phase": "Running"}}, True),  # it has no node yet
        (waits(devices=0, nodeSelector={"pool": "cpu"}), False),
    ],
)
def test_who_takes_the_memory_of_what_is_freed_waits_as_well(
    waiting: dict[str, Any], waits_for_it: bool
) -> None:
    """Neither release could be placed once it is."""
    there = node(allocatable={"ephemeral-storage": "100Gi"})
    serving, older = of_size(pod("serving"), "400Gi"), of_size(deploy(), "400Gi")
    found = room_for(older, [there], [serving, waiting], "serving")
    assert found.queue == (("models/x",) if waits_for_it else ())
    if waits_for_it:
        placed = {**waiting, "spec": {**waiting["spec"], "nodeName": "a"}}
        after = room_for(older, [there], [placed], "serving")
        assert (found.instead, after.beside, after.instead) == (1, 0, 0)
    elsewhere = room_for(older, [there, node("b")], [serving, waiting], "serving").queue
    assert elsewhere == found.queue, "the scheduler is free to choose the one that is freed"


@pytest.mark.parametrize(
    ("needs", "passing", "waits_for_it"),
    [
        ("400Gi", [], True),
        ("64Gi", [], True),  # there is room for the other, and what serves cannot come home
        ("400Gi", [of_size(pod("candidate", 0), "112Gi", 0)], True),
        # what is on its way out gives more than it takes
        ("64Gi", [of_size(pod("candidate", 0), "312Gi", 0)], False),
    ],
)
def test_either_release_needs_what_is_freed(
    needs: str, passing: list[dict[str, Any]], waits_for_it: bool
) -> None:
    served = "400Gi" if len(passing) == 0 or needs == "400Gi" else "100Gi"
    serving, older = of_size(pod("serving"), served), of_size(deploy(), needs)
    pods = [serving, *passing, asks(memory="150Gi")]
    found = room_for(older, [node(allocatable={"ephemeral-storage": "100Gi"})], pods, "serving")
    assert found.queue == (("models/x",) if waits_for_it else ())


def test_one_seat_of_several_is_waited_for_too() -> None:
    """What is lent is taken before all of it is."""
    serving = [of_size(pod("serving"), "200Gi", 4) for _ in range(2)]
    older = of_size(deploy(), "200Gi", 4)
    there = node(allocatable={"ephemeral-storage": "100Gi"})
    for memory, queue in (("300Gi", ("models/x",)), ("112Gi", ())):
        assert room_for(older, [there], [*serving, asks(memory=memory)], "serving").queue == queue


def test_a_slot_and_a_port_of_the_host_are_waited_for_too() -> None:
    one = node(allocatable={"pods": "1"})
    assert room_for(deploy(), [one], [pod("serving"), asks()], "serving").queue == ("models/x",)
    assert room_for(deploy(), [node()], [pod("serving"), asks()], "serving").queue == ()
    port = {"ports": [{"containerPort": 8000, "hostPort": 8000}]}
    serving, waiting = pod("serving"), asks(cpu="1")
    for body in (serving, waiting):
        body["spec"]["containers"][0].update(port)
    assert room_for(deploy(), [node()], [serving, waiting], "serving").queue == ("models/x",)
    another = asks(cpu="1")
    another["spec"]["containers"][0].update(port)
    another["spec"]["nodeName"] = "a"
    assert room_for(deploy(), [node()], [pod("serving"), another, waiting], "serving").queue == ()


@pytest.mark.parametrize(
    ("waiting", "waits_for_it"),
    [
        ({"message": "exceeded quota: q, requested: cpu=8, used: cpu=8, limited: cpu=8"}, True),
        ({"message": "exceeded quota: q, requested: cpu=80, used: cpu=8, limited: cpu=8"}, False),
    ],
)
def test_a_quota_that_is_opened_is_anybodys(waiting: dict[str, Any], waits_for_it: bool) -> None:
    refused = {**asks(cpu="8"), "status": {"phase": "Pending", **waiting}}
    found = room_for(deploy(), [node()], [pod("serving"), refused], "serving")
    assert found.queue == (("models/x",) if waits_for_it else ())


def test_who_is_gated_waits_for_a_queue_alone() -> None:
    gated = asks(memory="500Gi")
    gated["spec"].update(GATED)
    serving = pod("serving")
    assert room_for(deploy(), [node()], [serving, gated], "serving").queue == ()
    serving["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "q"
    assert room_for(deploy(), [node()], [serving, gated], "serving").queue == ("models/x",)


def test_no_way_back_takes_what_serves_down_for_a_neighbour() -> None:
    """Neither by a person's leave, nor after a failed soak: that release serves on, unproven."""
    state = State("m", phase="soaking", strategy="replace", stable=NEW, previous=OLD)
    views = {
        "new": DeploymentView("m-new", "new", 1, 1, 1),
        "old": DeploymentView("m-old", "old", 0, 1, 0),
    }
    seen, queued = Observed(state, "new", views), Room(0, 1, "8 hygon.com/dcu", ("jobs/train-1",))
    with pytest.raises(Refused, match="jobs/train-1 would take what it frees"):
        decide_revert(seen, allow_interruption=True, room=queued)
    course = decide_soak_failed(seen, queued)
    assert [type(move) for move in course.moves] == [Save]
    (saved,) = course.moves
    assert isinstance(saved, Save) and "would take what it frees" in saved.state.why
    unproven = replace(state, phase="unproven", verdict="fail", why=saved.state.why)
    assert saved == Save(with_doubt(unproven, "fail"))


# -- devices by claim ---------------------------------------------------------------------------


def claiming(body: dict[str, Any]) -> dict[str, Any]:
    """It asks for devices by claim, and for cores and memory as amounts."""
    body["spec"].get("template", body)["spec"]["resourceClaims"] = [{"name": "devices"}]
    return body


SERVES = [claiming(pod("serving", 0)) for _ in range(2)]


@pytest.mark.parametrize(
    ("pods", "known", "found"),
    [
        # nobody knows: what serves gives its own back, and nothing else is sure
        (SERVES, {}, (0, 2, ((0, 1, 2),), (6, 6))),
        (SERVES[:1], {}, (0, 1, ((0, 1),), (7, 7))),
        ([], {}, (0, 0, ((0,),), (8, 8))),
        # the release's own, or what is on its way out
        ([*SERVES, claiming(pod("older", 0))], {}, (1, 3, ((1, 2, 3),), (5, 5))),
        # another's stay
        ([*SERVES, claiming(pod("x", 0, of="n"))], {}, (0, 2, ((0, 1, 2),), (5, 5))),
        # by amounts it gives one back as well, without devices none
        ([pod("serving", 4)], {}, (0, 1, ((0, 1),), (7, 7))),
        ([pod("serving", 0)], {}, (0, 0, ((0, 0),), (7, 8))),
        # as the plan counts
        (SERVES, {"a": 2}, (0, 2, ((0, 1, 2),), (0, 0))),
        (SERVES, {"a": 4}, (2, 4, ((2, 3, 4),), (0, 0))),
        ([*SERVES, claiming(pod("x", 0, of="n"))], {"a": 4}, (1, 3, ((1, 2, 3),), (0, 0))),
        (SERVES, {"b": 4}, (0, 2, ((0, 1, 2),), (6, 6))),
    ],
)
def test_devices_by_claim_are_free_where_somebody_knows_it(
    pods: list[dict[str, Any]], known: dict[str, int], found: tuple[Any, ...]
) -> None:
    room = room_for(claiming(deploy(0)), [node()], pods, "serving", claims=known)
    assert (room.beside, room.instead, room.tables, room.perhaps) == found
    assert room.replica == "a claim of devices, 8 cpu, 64 GiB memory"


def test_who_waits_for_a_claim_waits_for_that_of_what_serves() -> None:
    other, cores = claiming(waits(devices=0)), asks(cpu="1")
    waiting = [{**other, "metadata": {**other["metadata"], "name": "y"}}, cores]
    for need in (claiming(deploy(0)), deploy(8)):  # what is freed counts, not what is to come
        found = room_for(need, [node()], [*SERVES, *waiting], "serving")
        assert found.queue == ("models/y",)
    assert room_for(deploy(8), [node()], [pod("serving"), *waiting], "serving").queue == ()
