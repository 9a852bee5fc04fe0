"""Whether a pod may go on a node. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from deployments.local.kube.selectors import expression
from tasks.node_api import pod_requests, quantities

Obj = Mapping[str, Any]
Amounts = Mapping[str, Decimal]
NOT_READY, CORDONED, AFFINITY = (
    "node(s) were not ready",
    "node(s) were unschedulable",
    "node(s) didn't match Pod's node affinity/selector",
)


def wanted_here(spec: Obj, node: Obj) -> bool:
    """nodeSelector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not affinity:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    for term in affinity.get("nodeSelectorTerms") or []:
        by_label, by_field = term.get("matchExpressions") or [], term.get("matchFields") or []
        if (
            (by_label or by_field)
            and all(expression(item, labels) for item in by_label)
            and all(expression(item, fields) for item in by_field)
        ):
            return True
    return False


def _tolerates(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    exists = bool((toleration.get("operator") or "Equal") == "Exists")
    if not toleration.get("key"):
        return exists
    if toleration["key"] != taint["key"]:
        return False
    return exists or bool((toleration.get("value") or "") == (taint.get("value") or ""))


def untolerated(spec: Obj, node: Obj, effects: Iterable[str]) -> Obj | None:
    """The first taint of these effects that no toleration covers."""
    tolerations = spec.get("tolerations") or []
    for taint in (node.get("spec") or {}).get("taints") or []:
        if taint.get("effect") in effects and not any(_tolerates(t, taint) for t in tolerations):
            return dict(taint)
    return None


def tolerated(spec: Obj, node: Obj) -> bool:
    """No NoSchedule or NoExecute taint is in the way."""
    return untolerated(spec, node, ("NoSchedule", "NoExecute")) is None


def node_ready(node: Obj) -> bool:
    """Condition Ready is True."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def needs(spec: Obj) -> dict[str, Decimal]:
    """What a pod asks of a node, itself counted."""
    return {**pod_requests(spec), "pods": Decimal(1)}


def obstacle(spec: Obj, need: Amounts, node: Obj, used: Amounts) -> list[str]:
    """Why the pod cannot go on this node, in the scheduler's words; empty when it can."""
    if (node.get("spec") or {}).get("unschedulable"):
        cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        if not any(_tolerates(t, cordon) for t in spec.get("tolerations") or []):
            return [CORDONED]
    if not node_ready(node):
        return [NOT_READY]
    if not wanted_here(spec, node):
        return [AFFINITY]
    taint = untolerated(spec, node, ("NoSchedule", "NoExecute"))
    if taint is not None:
        return [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}"]
    room = quantities((node.get("status") or {}).get("allocatable"))
    zero = Decimal(0)
    return [
        "Too many pods" if name == "pods" else f"Insufficient {name}"
        for name, amount in need.items()
        if amount > 0 and used.get(name, zero) + amount > room.get(name, zero)
    ]


def verdict(nodes: int, reasons: Iterable[Iterable[str]]) -> str:
    """'0/3 nodes are available: 2 Insufficient x, 1 node(s) were unschedulable.'"""
    if not nodes:
        return "no nodes available to schedule pods"
    counts = Counter(reason for one in reasons for reason in one)
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{nodes} nodes are available: {', '.join(parts)}."
