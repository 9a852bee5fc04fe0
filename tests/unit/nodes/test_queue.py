"""Who waits for what a rollout would free."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.queue import queueing, unmade, untold

DCU = "hygon.com/dcu"


def pod(name: str, ns: str = "jobs", *, asks: str = DCU, **more: Any) -> dict[str, Any]:
    spec = {"containers": [{"resources": {"limits": {asks: "1"}}}], **more.pop("spec", {})}
    return {
        "metadata": {"name": name, "namespace": ns, **more.pop("meta", {})},
        "spec": spec,
        **more,
    }


HELM = {"labels": {"app.kubernetes.io/instance": "m", "app.kubernetes.io/managed-by": "Helm"}}
LABELS = {
    "app.kubernetes.io/instance": "m",
    "app.kubernetes.io/managed-by": "model-rollout",
    "model-rollout/release": "r",
}


def by(kind: str, name: str, **labels: str) -> dict[str, Any]:
    owners = [{"kind": kind, "name": name}]
    return {"labels": {**LABELS, **labels}, "ownerReferences": owners}


OURS = by("ReplicaSet", "m-r-5d8")
REACHED = '{"release": "r", "selector": {"app": "m"}, "ports": []}'
ADOPTED = {
    "labels": {"app.kubernetes.io/instance": "m", "model-rollout/release": "r"},
    "annotations": {"model-rollout/reached-by": REACHED},
}


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        (pod("a"), True),
        (pod("a", asks="nvidia.com/gpu"), False),
        (pod("a", asks="cpu"), False),
        (pod("a", spec={"nodeName": "n"}), False),  # it has its place
        (pod("a", status={"phase": "Succeeded"}), False),
        (pod("a", meta={"deletionTimestamp": "now"}), False),
        (pod("a", meta=OURS), False),  # a rollout's own
        (pod("a", meta=by("Job", "m-fetch-1")), False),
        (pod("a", meta=ADOPTED), False),
        (pod("a", "other", meta=OURS), True),  # another rollout that is called so
        (pod("a", meta=HELM), True),  # what only is called so
        (pod("a", meta={"labels": {"app.kubernetes.io/instance": "m"}}), True),
        (pod("a", meta={"labels": LABELS}), True),  # nothing of ours made it
        (pod("a", meta=by("ReplicaSet", "m-other-5d8")), True),
        (pod("a", meta=by("StatefulSet", "m-r")), True),
        (pod("a", meta={"labels": {"app.kubernetes.io/instance": "n"}}), True),
    ],
)
def test_pods_that_wait_for_devices(found: dict[str, Any], waits: bool) -> None:
    place = found["metadata"]["namespace"] + "/a"
    assert queueing([found], (DCU, "pods"), "jobs", "m") == ((place,) if waits else ())


def test_on_cpus_whoever_waits_for_the_host_waits() -> None:
    pods = [pod("b", asks="cpu"), pod("a", asks="memory"), pod("c")]
    assert queueing(pods, ("pods", "cpu"), "models", "m") == ("jobs/a", "jobs/b")


def test_any_device_of_a_replica_may_be_waited_for() -> None:
    assert queueing([pod("a")], ("cpu", "rdma/hca", DCU), "models", "m") == ("jobs/a",)


@pytest.mark.parametrize(
    ("need", "waits"), [(("claims", "cpu"), True), ((DCU, "cpu"), False), (("cpu",), False)]
)
def test_a_claim_is_waited_for_as_a_device(need: tuple[str, ...], waits: bool) -> None:
    by_claim = pod("a", asks="pods", spec={"resourceClaims": [{"name": "devices"}]})
    assert queueing([by_claim], need, "models", "m") == (("jobs/a",) if waits else ())


def test_of_all_others_who_hinders_waits() -> None:
    pods = [pod("a", asks="memory"), pod("b", asks="cpu"), pod("c")]

    def takes_it(one: Any) -> bool:
        return bool(one["metadata"]["name"] == "a")

    found = queueing(pods, (DCU,), "models", "m", hinders=takes_it)
    assert found == ("jobs/a", "jobs/c")


# -- what has no pod at all ---------------------------------------------------------------------

QUOTA = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=9, limited: pods=9'


def refused(said: str) -> dict[str, Any]:
    found = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
    return {"conditions": [found]}


REFUSED = refused(QUOTA)
SECURITY = 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'
WEBHOOK = 'admission webhook "w" denied the request: no'
UNNAMED = 'pods "x" is forbidden: failed quota: q: must specify cpu'
DONE = {"conditions": [{"type": "Complete", "status": "True"}]}
KUEUE = {"labels": {"kueue.x-k8s.io/queue-name": "q"}}
OF_US = {"labels": LABELS}


def workload(kind: str, status: Any, *, asks: str = DCU, **spec: Any) -> dict[str, Any]:
    meta = {"name": spec.pop("name", "w"), "namespace": "jobs", **spec.pop("meta", {})}
    template = {"metadata": spec.pop("marks", {}), "spec": pod("", asks=asks)["spec"]}
    return {
        "kind": kind,
        "metadata": meta,
        "spec": {**spec, "template": template},
        "status": status,
    }


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        (workload("ReplicaSet", REFUSED, replicas=1), True),
        (workload("ReplicaSet", {**REFUSED, "replicas": 1}, replicas=2), True),
        (workload("ReplicaSet", {**REFUSED, "replicas": 2}, replicas=2), False),
        (workload("ReplicaSet", {"replicas": 1}, replicas=2), False),  # its next pod is coming
        (workload("ReplicaSet", refused(SECURITY), replicas=1), False),  # no seat helps it
        (workload("ReplicaSet", refused(WEBHOOK), replicas=1), False),
        (workload("ReplicaSet", refused(UNNAMED), replicas=1), False),
        (workload("ReplicaSet", REFUSED, replicas=1, asks="nvidia.com/gpu"), False),
        (workload("ReplicaSet", REFUSED, replicas=1, name="m-r-5d8", marks=OF_US), False),
        (workload("ReplicaSet", REFUSED, replicas=1, name="m-x-5d8", marks=OF_US), True),
        (workload("ReplicaSet", REFUSED, replicas=1, meta={"deletionTimestamp": "now"}), False),
        (workload("Job", {}), True),  # a Job says of a quota nothing but in events
        (workload("Job", {"failed": 3}), False),  # between two tries
        (workload("Job", {"active": 1, "failed": 3}, parallelism=2), False),
        (workload("Job", {"active": 1}), False),
        (workload("Job", {"active": 1}, parallelism=3, completions=9), True),
        (workload("Job", {"active": 1, "succeeded": 8}, parallelism=3, completions=9), False),
        (workload("Job", DONE), False),
        (workload("Job", {}, suspend=True, meta=KUEUE), True),
        (workload("Job", {}, suspend=True), False),  # by a person's hand
        (workload("Job", {}, marks=OF_US), False),
    ],
)
def test_workloads_that_ask_for_more_pods_than_they_have(
    found: dict[str, Any], waits: bool
) -> None:
    said = queueing(unmade([found]), (DCU, "pods"), "jobs", "m")
    place = f"jobs/{found['kind']} {found['metadata']['name']}"
    assert said == ((place,) if waits else ())


def failed_create(said: str, at: str, **of: str) -> dict[str, Any]:
    return {
        "reason": "FailedCreate",
        "message": said,
        "lastTimestamp": at,
        "involvedObject": {"kind": "Job", "name": "w", **of},
    }


@pytest.mark.parametrize(
    ("status", "events", "waits"),
    [
        ({}, [failed_create(QUOTA, "1")], True),
        ({"failed": 3}, [failed_create(QUOTA, "1")], True),  # its next try was refused
        ({"failed": 3}, [failed_create(QUOTA, "1", uid="u")], True),
        ({"failed": 3}, [failed_create(QUOTA, "1", uid="another's")], False),
        ({"failed": 3}, [failed_create(QUOTA, "1", name="x")], False),
        ({}, [failed_create(SECURITY, "1")], False),
        ({}, [failed_create(WEBHOOK, "1")], False),
        ({}, [failed_create(QUOTA, "1"), failed_create(SECURITY, "2")], False),
        ({}, [failed_create(QUOTA, "2"), failed_create(SECURITY, "1")], True),  # the last counts
    ],
)
def test_a_job_waits_by_what_its_events_say(
    status: Any, events: list[dict[str, Any]], waits: bool
) -> None:
    job = workload("Job", status, meta={"uid": "u"})
    assert untold([job])
    assert [pod["metadata"]["name"] for pod in unmade([job], events)] == ["Job w"] * waits


def test_events_are_asked_where_they_say_something() -> None:
    asked = [
        workload("Job", {"active": 1}),
        workload("Job", DONE),
        workload("Job", {}, suspend=True, meta=KUEUE),
        workload("Job", {}, meta={"deletionTimestamp": "now"}),
    ]
    assert not untold(asked)
