"""Why no node takes a pod, and whether one ever could."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tasks.nodes.facts import Amounts, pod_requests, quantities
from tasks.objects.pods import Object

_GIB = Decimal(2**30)
_NODES_NAMED = 3
# Taints that come and go by themselves.
_PASSING_TAINT = re.compile(r"node\.kubernetes\.io/|node\.cloudprovider\.kubernetes\.io/")


@dataclass(frozen=True)
class Shortage:
    """Why no node fits. never: none could even if all other pods stopped."""

    code: str
    cause: str
    action: str
    never: bool


# 1.36 names the plugin where a pod asks for a node by its name, older schedulers say it in words.
_AFFINITY = re.compile(
    r"node affinity/selector|node selector|didn't match Pod's node|"
    r"didn't satisfy plugin\(s\) \[[^\]]*NodeAffinity"
)


def shortage(pod: Object, message: str, nodes: Sequence[Object]) -> Shortage:
    """Read the scheduler's message, and check against what the nodes have in all.

    message: of the pod's PodScheduled condition. nodes: may be empty, then nothing is `never`.
    """
    asked = pod_requests(pod["spec"])
    meant = [node for node in nodes if _wanted(pod["spec"], node)]
    for name, amount in asked.items():
        if nodes and (found := _too_large(name, amount, meant or nodes)):
            return found
    taint = re.search(r"untolerated taints? ?\{?\(?([^}:)]*)", message)
    # A vendor's extended resource says most, then whatever the scheduler names.
    short = [part.rstrip(".,") for part in re.findall(r"Insufficient ([\w./-]+)", message)]
    device = next((name for name in short if "/" in name), None)
    if device:
        return Shortage(
            "accelerators-busy",
            f"every {device} that fits is taken{_figures([device], asked, meant)}",
            "stop what holds them, use fewer, or let the rollout replace the stable release",
            never=False,
        )
    if short:
        names = sorted(set(short))
        return Shortage(
            "resources-busy",
            f"too little {' and '.join(names)} is free{_figures(names, asked, meant)}",
            "stop what holds it, or ask for less",
            never=False,
        )
    if taint and taint[1].strip():
        key = taint[1].strip()
        return Shortage(
            "taint",
            f"the nodes carry the taint {key}, which it does not tolerate",
            "add a toleration to nodes.tolerations, or remove the taint",
            never=bool(nodes) and not _PASSING_TAINT.search(message),
        )
    if _AFFINITY.search(message):
        wanted = _wishes(pod["spec"])
        return Shortage(
            "node-selector",
            f"no node is what is asked for ({wanted or 'node affinity'})",
            "correct nodes.selector or nodes.names, or label the nodes",
            never=bool(nodes) and bool(wanted) and not meant,
        )
    return Shortage("unschedulable", message or "no reason given", "see the message", never=False)


def _figures(names: Sequence[str], asked: Amounts, nodes: Sequence[Object]) -> str:
    """': it asks for 20.0Gi memory, of 23.5Gi in all on node-a' for what is short."""
    parts = []
    for name in names:
        if not asked.get(name):
            continue
        there = [
            f"{_show(_offer(node, 'allocatable').get(name, Decimal(0)))} in all on "
            f"{node['metadata']['name']}"
            for node in nodes[:_NODES_NAMED]
        ]
        there += ["..."] * (len(nodes) > _NODES_NAMED)
        parts.append(f"{_show(asked[name])} {name}" + (f" ({', '.join(there)})" if there else ""))
    return f": it asks for {' and '.join(parts)}" if parts else ""


def _terms(spec: Object) -> list[Object]:
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    return affinity.get("nodeSelectorTerms") or []


def _wishes(spec: Object) -> str:
    """Node selector and required affinity as a person reads them."""
    said = [f"{key}={value}" for key, value in sorted((spec.get("nodeSelector") or {}).items())]
    terms = []
    for term in _terms(spec):
        rules = [*(term.get("matchFields") or []), *(term.get("matchExpressions") or [])]
        terms.append(" and ".join(_rule_text(rule) for rule in rules))
    if terms:
        said.append(" or ".join(terms))
    return ", ".join(said)


def _rule_text(rule: Object) -> str:
    key = "node" if rule["key"] == "metadata.name" else rule["key"]
    values = rule.get("values") or []
    if rule["operator"] == "In" and len(values) == 1:
        return f"{key}={values[0]}"
    return f"{key} {rule['operator']} {', '.join(values)}".strip()


def _wanted(spec: Object, node: Object) -> bool:
    """Whether node selector and required affinity mean this node."""
    labels = node["metadata"].get("labels") or {}
    chosen = all(labels.get(k) == v for k, v in (spec.get("nodeSelector") or {}).items())
    fields = {"metadata.name": node["metadata"]["name"]}
    terms = _terms(spec)
    return chosen and (
        not terms
        or any(
            all(_holds(rule, labels) for rule in term.get("matchExpressions") or [])
            and all(_holds(rule, fields) for rule in term.get("matchFields") or [])
            and bool(term.get("matchExpressions") or term.get("matchFields"))
            for term in terms
        )
    )


def _holds(rule: Object, labels: dict[str, str]) -> bool:
    value, operator = labels.get(rule["key"]), str(rule["operator"])
    values: list[str] = rule.get("values") or []
    if operator in ("In", "NotIn"):
        return (value in values) == (operator == "In")
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    try:
        number, limit = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return number > limit if operator == "Gt" else number < limit


def _too_large(name: str, amount: Decimal, nodes: Sequence[Object]) -> Shortage | None:
    """Whether no node could give this much even when empty."""
    offers = [_offer(node, "allocatable").get(name, Decimal(0)) for node in nodes]
    largest = max(offers)
    roomiest = nodes[offers.index(largest)]["metadata"]["name"]
    if largest >= amount or amount == 0:
        return None
    vendor = name.partition("/")[0] if "/" in name else None
    if largest == 0 and vendor:
        installed = [_offer(node, "capacity").get(name, Decimal(0)) for node in nodes]
        if max(installed) >= amount:
            return Shortage(
                "device-plugin-down",
                f"nodes have {name} installed and offer none: the device plugin is down",
                "restart the vendor's device plugin there",
                never=False,
            )
        others = sorted(
            {
                offered
                for node in nodes
                for offered, count in _offer(node, "allocatable").items()
                if offered.startswith(f"{vendor}/") and count > 0
            }
        )
        if others:
            return Shortage(
                "resource-renamed",
                f"it asks for {name}, the nodes offer {', '.join(others)}",
                f"set nodes.resource to what the nodes offer (was {name} renamed by a newer "
                "device plugin?)",
                never=True,
            )
        return Shortage(
            "resource-unknown",
            f"no node offers {name}",
            "install the vendor's device plugin, or correct nodes.resource",
            never=True,
        )
    return Shortage(
        "too-large",
        f"it asks for {_show(amount)} {name}, the largest node has {_show(largest)} ({roomiest})",
        "ask for less, or use larger nodes",
        never=True,
    )


def _offer(node: Object, which: str) -> Amounts:
    return quantities((node.get("status") or {}).get(which))


def _show(amount: Decimal) -> str:
    gib = amount / _GIB
    return f"{gib:.1f}Gi" if gib >= 1 else f"{amount.normalize():f}"
