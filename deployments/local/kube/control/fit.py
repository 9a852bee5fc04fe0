"""Whether a pod may go on a node, and the scheduler's words where it may not. Pure.

Words and order of the reasons: the scheduler's plugins in Kubernetes 1.36.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from deployments.local.kube.objects.amounts import pod_requests, quantities
from deployments.local.kube.objects.selectors import expression

Obj = Mapping[str, Any]
Amounts = Mapping[str, Decimal]
CORDONED = "node(s) were unschedulable"
TAINTED = "node(s) had untolerated taint(s)"
AFFINITY = "node(s) didn't match Pod's node affinity/selector"
NOT_NAMED = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
NO_VICTIMS = "No preemption victims found for incoming pod"
NO_HELP = "Preemption is not helpful for scheduling"


@dataclass(frozen=True)
class Obstacle:
    """Why a node does not take a pod; `reasons` is empty where it does. lasting: it would not
    either if its pods went."""

    reasons: tuple[str, ...] = ()
    lasting: bool = True


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


def named(spec: Obj) -> frozenset[str] | None:
    """The only nodes that required affinity names, by metadata.name; None where it names none."""
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    found: frozenset[str] = frozenset()
    for term in affinity.get("nodeSelectorTerms") or []:
        lists = [
            frozenset(item.get("values") or [])
            for item in term.get("matchFields") or []
            if item["key"] == "metadata.name" and item["operator"] == "In"
        ]
        if not lists:
            return None
        found |= frozenset.intersection(*lists)
    return found or None


def tolerated(spec: Obj, node: Obj) -> bool:
    """No NoSchedule or NoExecute taint is in the way."""
    tolerations = spec.get("tolerations") or []
    return all(
        any(_tolerates(toleration, taint) for toleration in tolerations)
        for taint in (node.get("spec") or {}).get("taints") or []
        if taint.get("effect") in ("NoSchedule", "NoExecute")
    )


def node_ready(node: Obj) -> bool:
    """Condition Ready is True."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def needs(spec: Obj) -> dict[str, Decimal]:
    """What a pod asks of a node, itself counted."""
    return {**pod_requests(spec), "pods": Decimal(1)}


def obstacle(spec: Obj, need: Amounts, node: Obj, used: Amounts) -> Obstacle:
    """Why the pod cannot go on this node."""
    only = named(spec)
    if only is not None and node["metadata"]["name"] not in only:
        return Obstacle((NOT_NAMED,))
    if (node.get("spec") or {}).get("unschedulable"):
        cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        if not any(_tolerates(t, cordon) for t in spec.get("tolerations") or []):
            return Obstacle((CORDONED,))
    # a node that is not ready has a taint for it
    if not node_ready(node) or not tolerated(spec, node):
        return Obstacle((TAINTED,))
    if not wanted_here(spec, node):
        return Obstacle((AFFINITY,))
    room = quantities((node.get("status") or {}).get("allocatable"))
    zero = Decimal(0)
    short = [
        (name, amount > room.get(name, zero))
        for name, amount in need.items()
        if amount > 0 and used.get(name, zero) + amount > room.get(name, zero)
    ]
    words = ["Too many pods" if name == "pods" else f"Insufficient {name}" for name, _ in short]
    return Obstacle(tuple(words), any(never for _, never in short))


def _counted(parts: Iterable[str]) -> str:
    return ", ".join(sorted(f"{count} {part}" for part, count in Counter(parts).items()))


def verdict(obstacles: Sequence[Obstacle]) -> str:
    """What the scheduler says of a pod that no node takes; `obstacles`: one a node."""
    if not obstacles:
        return "no nodes available to schedule pods"
    head = f"0/{len(obstacles)} nodes are available: "
    why = _counted(reason for one in obstacles for reason in one.reasons)
    after = _counted(NO_HELP if one.lasting else NO_VICTIMS for one in obstacles)
    return f"{head}{why}. no new claims to deallocate, preemption: {head}{after}."
