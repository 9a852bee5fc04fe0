"""ReplicaSets and DaemonSets keep their pods."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from deployments.local.kube.control.fit import tolerated, wanted_here
from deployments.local.kube.objects import pods
from deployments.local.kube.objects.index import Index
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Object, Store

Later = Callable[[float], None]
FAILURE = "ReplicaFailure"


def delete_pod(store: Store, pod: Object) -> None:
    """Ask for a pod's graceful end; gone already is fine."""
    meta = pod["metadata"]
    with contextlib.suppress(StatusError):
        store.delete("pods", meta["namespace"], meta["name"])


def _rank(pod: Object) -> tuple[Any, ...]:
    """The least useful first: unbound, then not ready, then young."""
    return (
        bool(pod["spec"].get("nodeName")),
        pods.ready(pod),
        pods.seconds_since(pod["metadata"]["creationTimestamp"]),
    )


def replicaset(store: Store, index: Index, record: Recorder, rs: Object, later: Later) -> None:
    """Make the number of pods right and write the status."""
    meta, spec = rs["metadata"], rs["spec"]
    mine = index.children(meta["uid"], "pods")
    live = [pod for pod in mine if pods.active(pod)]
    want = int(spec.get("replicas", 1))
    conditions = list((rs.get("status") or {}).get("conditions") or [])
    conditions = [item for item in conditions if item["type"] != FAILURE]
    if not pods.terminating(rs):
        for _ in range(want - len(live)):
            try:
                made = pods.create(store, rs, spec["template"])
            except StatusError as error:
                conditions = _refused(record, rs, error, "replicaset-controller", conditions)
                later(retry_s(rs))
                break
            live.append(made)
            name = made["metadata"]["name"]
            record(rs, "SuccessfulCreate", f"Created pod: {name}", source="replicaset-controller")
        for pod in sorted(live, key=_rank)[: max(0, len(live) - want)]:
            delete_pod(store, pod)
            live.remove(pod)
            name = pod["metadata"]["name"]
            record(rs, "SuccessfulDelete", f"Deleted pod: {name}", source="replicaset-controller")
    patience = float(spec.get("minReadySeconds") or 0)
    ready, available = 0, 0
    for pod in live:
        if pods.ready(pod):
            ready += 1
            age = pods.seconds_since(pods.condition(pod, "Ready").get("lastTransitionTime"))
            if age >= patience:
                available += 1
            else:
                later(patience - age + 0.05)
    status = {
        "replicas": len(live),
        "fullyLabeledReplicas": len(live),
        "readyReplicas": ready,
        "availableReplicas": available,
        "observedGeneration": meta["generation"],
    }
    new: Object = _lean(status)
    if conditions:
        new["conditions"] = conditions
    store.set_status("replicasets", meta["namespace"], meta["name"], new)


def retry_s(owner: Object) -> float:
    """Seconds until a refused pod is tried again: each pause as long as all before it."""
    return min(max(pods.seconds_since(owner["metadata"]["creationTimestamp"]), 0.5), 60.0)


def failed_create(record: Recorder, owner: Object, error: StatusError, source: str) -> None:
    """Say that admission forbids an owner's pods."""
    record(owner, "FailedCreate", f"Error creating: {error.message}", warning=True, source=source)


def _refused(
    record: Recorder,
    rs: Object,
    error: StatusError,
    source: str,
    conditions: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """The conditions with ReplicaFailure; one that is there already keeps its words."""
    failed_create(record, rs, error, source)
    known = pods.condition(rs, FAILURE)
    if known:
        return [*conditions, dict(known)]
    return pods.set_condition(conditions, FAILURE, True, "FailedCreate", error.message)


def _lean(status: dict[str, int]) -> dict[str, int]:
    """Without zero counts, as Kubernetes leaves them out; replicas is always there."""
    return {key: value for key, value in status.items() if value or key == "replicas"}


def daemonset(store: Store, index: Index, record: Recorder, ds: Object, later: Later) -> None:
    """One pod on each node that its template tolerates and wants."""
    meta, spec = ds["metadata"], ds["spec"]
    pod_spec = spec["template"]["spec"]
    usual = [
        {"key": key, "operator": "Exists"}
        for key in ("node.kubernetes.io/unschedulable", "node.kubernetes.io/not-ready")
    ]
    probe = {**pod_spec, "tolerations": [*(pod_spec.get("tolerations") or []), *usual]}
    targets = {
        node["metadata"]["name"]
        for node in store.list("nodes")
        if wanted_here(probe, node) and tolerated(probe, node)
    }
    mine = [pod for pod in index.children(meta["uid"], "pods") if pods.active(pod)]
    for pod in mine:
        if pod["spec"].get("nodeName") not in targets:
            delete_pod(store, pod)
    have = {pod["spec"].get("nodeName"): pod for pod in mine}
    if not pods.terminating(ds):
        for name in sorted(targets - have.keys()):
            put = {"nodeName": name, "tolerations": probe["tolerations"]}
            try:
                pods.create(store, ds, spec["template"], **put)
            except StatusError as error:
                failed_create(record, ds, error, "daemonset-controller")
                later(retry_s(ds))
                break
    ready = sum(pods.ready(pod) for name, pod in have.items() if name in targets)
    status = {
        "currentNumberScheduled": len(targets & have.keys()),
        "desiredNumberScheduled": len(targets),
        "updatedNumberScheduled": len(targets & have.keys()),
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
        "numberUnavailable": len(targets) - ready,
        "observedGeneration": meta["generation"],
    }
    store.set_status("daemonsets", meta["namespace"], meta["name"], status)
