"""Room for a release that stands at zero: beside what serves, and in its place."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.release.room import room_for

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


def test_nothing_serves() -> None:
    found = room_for(deploy(), [node()], [pod("serving")], None)
    assert (found.beside, found.instead) == (1, 1)


def test_the_need_in_words() -> None:
    assert room_for(deploy(), [], [], None).replica == f"8 cpu, 8 {DCU}, 64 GiB memory"
