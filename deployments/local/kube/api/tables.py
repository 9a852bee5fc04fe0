"""What `kubectl get` shows: Table objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from deployments.local.kube.api.target import Target
from deployments.local.kube.objects.store import Object

Cells = Callable[[Object], list[Any]]


def shower(accept: str, target: Target) -> Callable[[Object], Object]:
    """How to show an object or a List to a client: as it is, or as the Table it asked for."""
    if "as=Table" not in accept.partition(",")[0] or target.sub:
        return lambda obj: obj
    return lambda obj: table(target.plural, obj)


def table(plural: str, obj: Object) -> Object:
    """A List or one object as a Table with a row for each."""
    items = obj["items"] if str(obj.get("kind", "")).endswith("List") else [obj]
    names, cells = _COLUMNS.get(plural, ((), lambda _obj: []))
    columns = ["Name", *names, "Age"]
    meta = obj.get("metadata") or {}
    kept = {k: meta[k] for k in ("resourceVersion", "continue") if k in meta}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": kept,
        "columnDefinitions": [
            {
                "name": name,
                "type": "string",
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": 0,
            }
            for name in columns
        ],
        "rows": [_row(item, cells) for item in items],
    }


def _row(item: Object, cells: Cells) -> Object:
    meta = item["metadata"]
    return {
        "cells": [meta["name"], *cells(item), age(meta.get("creationTimestamp"))],
        "object": {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
        },
    }


def age(since: str | None) -> str:
    """'45s', '3m20s', '5h', '2d' since a time."""
    if not since:
        return "<unknown>"
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    return f"{hours}h" if hours < 48 else f"{days}d"


def _pod(obj: Object) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    states = status.get("containerStatuses") or []
    ready = sum(1 for state in states if state.get("ready"))
    restarts = sum(int(state.get("restartCount", 0)) for state in states)
    return [f"{ready}/{len(spec.get('containers') or [])}", _pod_status(obj), str(restarts)]


def _pod_status(obj: Object) -> str:
    status = obj.get("status") or {}
    said = str(status.get("reason") or status.get("phase") or "Unknown")
    for kind, prefix in (("initContainerStatuses", "Init:"), ("containerStatuses", "")):
        for entry in status.get(kind) or []:
            state = entry.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
            bad = ended if ended.get("exitCode", 0) != 0 or not prefix else {}
            reason = waiting.get("reason") or bad.get("reason")
            if reason:
                said = f"{prefix}{reason}"
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else said


def _node(obj: Object) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or []}
    said = "Ready" if conditions.get("Ready") == "True" else "NotReady"
    if spec.get("unschedulable"):
        said += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    roles = ",".join(sorted(k.removeprefix(prefix) for k in labels if k.startswith(prefix)))
    return [said, roles or "<none>", (status.get("nodeInfo") or {}).get("kubeletVersion", "")]


def _deployment(obj: Object) -> list[Any]:
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    return [
        f"{status.get('readyReplicas', 0)}/{wanted}",
        str(status.get("updatedReplicas", 0)),
        str(status.get("availableReplicas", 0)),
    ]


def _replicaset(obj: Object) -> list[Any]:
    status = obj.get("status") or {}
    shown = (obj["spec"].get("replicas", 1), status.get("replicas", 0))
    return [str(item) for item in (*shown, status.get("readyReplicas", 0))]


def _daemonset(obj: Object) -> list[Any]:
    status = obj.get("status") or {}
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady")
    return [str(status.get(field, 0)) for field in fields]


def _service(obj: Object) -> list[Any]:
    spec = obj["spec"]
    ports = []
    for port in spec.get("ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    address = spec.get("clusterIP") or "<none>"
    return [spec.get("type", ""), address, "<none>", ",".join(ports) or "<none>"]


def _job(obj: Object) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or []}
    said = "Running"
    for name in ("Suspended", "Failed", "Complete"):
        if conditions.get(name) == "True":
            said = name
    return [said, f"{status.get('succeeded', 0)}/{spec.get('completions') or 1}"]


def _size(field: str) -> Cells:
    return lambda obj: [str(len(obj.get(field) or {}))]


def _event(obj: Mapping[str, Any]) -> list[Any]:
    about = obj.get("involvedObject") or {}
    what = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    return [obj.get("type", ""), obj.get("reason", ""), what, obj.get("message", "")]


_COLUMNS: dict[str, tuple[tuple[str, ...], Cells]] = {
    "pods": (("Ready", "Status", "Restarts"), _pod),
    "nodes": (("Status", "Roles", "Version"), _node),
    "deployments": (("Ready", "Up-to-date", "Available"), _deployment),
    "replicasets": (("Desired", "Current", "Ready"), _replicaset),
    "daemonsets": (("Desired", "Current", "Ready"), _daemonset),
    "services": (("Type", "Cluster-IP", "External-IP", "Port(s)"), _service),
    "jobs": (("Status", "Completions"), _job),
    "configmaps": (("Data",), _size("data")),
    "secrets": (("Data",), _size("data")),
    "namespaces": (("Status",), lambda obj: [(obj.get("status") or {}).get("phase", "Active")]),
    "leases": (("Holder",), lambda obj: [(obj.get("spec") or {}).get("holderIdentity", "")]),
    "events": (("Type", "Reason", "Object", "Message"), _event),
}
