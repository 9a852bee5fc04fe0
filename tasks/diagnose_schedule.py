"""Why no node takes a pod, and whether one ever could. PURE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tasks.node_api import Amounts, pod_requests, quantities

Object = dict[str, Any]

_GIB = Decimal(2**30)
# Taints that come and go by themselves.
_PASSING_TAINT = re.compile(r"node\.kubernetes\.io/|node\.cloudprovider\.kubernetes\.io/")


@dataclass(frozen=True)
class Shortage:
    """Why no node fits. never: none could even if all other pods stopped."""

    code: str
    cause: str
    action: str
    never: bool


def shortage(pod: Object, message: str, nodes: Sequence[Object]) -> Shortage:
    """Read the scheduler's message, and check against what the nodes have in all.

    message: of the pod's PodScheduled condition. nodes: may be empty, then nothing is `never`.
    """
    for name, amount in pod_requests(pod["spec"]).items():
        if nodes and (found := _too_large(name, amount, nodes)):
            return found
    taint = re.search(r"untolerated taints? ?\{?\(?([^}:)]*)", message)
    # A vendor's extended resource says most, then whatever the scheduler names.
    short = [part.rstrip(".,") for part in re.findall(r"Insufficient ([\w./-]+)", message)]
    device = next((name for name in short if "/" in name), None)
    if device:
        return Shortage(
            "accelerators-busy",
            f"every {device} that fits is taken",
            "stop what holds them, use fewer, or let the rollout replace the stable release",
            never=False,
        )
    if short:
        return Shortage(
            "resources-busy",
            f"too little {' and '.join(sorted(set(short)))} is free",
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
    if re.search(r"node affinity/selector|node selector|didn't match Pod's node", message):
        wanted = pod["spec"].get("nodeSelector") or {}
        asked = ", ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
        return Shortage(
            "node-selector",
            f"no node carries the labels asked for ({asked or 'node affinity'})",
            "correct nodes.selector or nodes.names, or label the nodes",
            never=bool(nodes)
            and not any(_labelled(node, wanted) for node in nodes)
            and bool(wanted),
        )
    return Shortage("unschedulable", message or "no reason given", "see the message", never=False)


def _labelled(node: Object, wanted: dict[str, str]) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())


def _too_large(name: str, amount: Decimal, nodes: Sequence[Object]) -> Shortage | None:
    """Whether no node could give this much even when empty."""
    offers = [_offer(node, "allocatable").get(name, Decimal(0)) for node in nodes]
    largest = max(offers)
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
        f"it asks for {_show(amount)} {name}, the largest node has {_show(largest)}",
        "ask for less, or use larger nodes",
        never=True,
    )


def _offer(node: Object, which: str) -> Amounts:
    return quantities((node.get("status") or {}).get(which))


def _show(amount: Decimal) -> str:
    gib = amount / _GIB
    return f"{gib:.1f}Gi" if gib >= 1 else f"{amount.normalize():f}"
