"""Judge what the API says of a node. Every rule returns all its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tasks.accelerators.profiles import profile
from tasks.base.errors import SpecError
from tasks.nodes.facts import Amounts, ApiFacts, add, fits, pod_requests
from tasks.nodes.reasons import Reason, error, warning
from tasks.objects.asked import asking_pod
from tasks.spec.rollout import Rollout

# the node's own conditions put these taints on it; the conditions are reported instead
CONDITION_TAINTS = (
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
)
CLAIMS = "claims"  # counted as a resource of which each pod with a claim holds one
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Kubernetes' rule for one toleration and one taint."""
    effect = toleration.get("effect")
    if effect and effect != taint.get("effect"):
        return False
    key = toleration.get("key")
    exists: bool = toleration.get("operator", "Equal") == "Exists"
    if not key:
        return exists
    if key != taint.get("key"):
        return False
    return exists or bool((toleration.get("value") or "") == (taint.get("value") or ""))


def state_reasons(spec: Rollout, api: ApiFacts) -> list[Reason]:
    """Conditions, cordon, taints, selector and names."""
    out: list[Reason] = []
    ready = api.conditions.get("Ready", "Unknown")
    if ready != "True":
        out.append(
            error(
                "NODE_NOT_READY",
                f"condition Ready is {ready}",
                "True",
                f"kubectl describe node {api.name}; look at the kubelet there",
            )
        )
    pressed = [name for name in PRESSURES if api.conditions.get(name) == "True"]
    if pressed:
        out.append(
            error(
                "NODE_PRESSURE",
                ", ".join(pressed),
                "no pressure",
                "free the resource named, or choose another node",
            )
        )
    if api.cordoned:
        out.append(
            error(
                "NODE_CORDONED",
                "unschedulable",
                "schedulable",
                f"kubectl uncordon {api.name} when its maintenance is over",
            )
        )
    tolerations = [t.model_dump(exclude_none=True) for t in spec.nodes.tolerations]
    tolerations += spec.serving.pod.get("tolerations") or []
    for taint in api.taints:
        key, effect = taint.get("key", ""), taint.get("effect", "")
        if key in CONDITION_TAINTS or effect not in ("NoSchedule", "NoExecute"):
            continue
        if not any(tolerates(t, taint) for t in tolerations):
            value = f"={taint['value']}" if taint.get("value") else ""
            out.append(
                error(
                    "TAINT_NOT_TOLERATED",
                    f"taint {key}{value}:{effect}",
                    "a toleration in the spec, or no taint",
                    "add it to nodes.tolerations, or choose another node",
                )
            )
    out += [
        error(
            "SELECTOR_MISMATCH",
            f"label {key}={api.labels.get(key, '(absent)')}",
            f"{key}={value}",
            "label the node, or change nodes.selector",
        )
        for key, value in spec.nodes.selector.items()
        if api.labels.get(key) != value
    ]
    if spec.nodes.names and api.name not in spec.nodes.names:
        out.append(
            error(
                "SELECTOR_MISMATCH",
                f"node {api.name}",
                f"one of {', '.join(spec.nodes.names)}",
                "add it to nodes.names",
            )
        )
    return out


@dataclass(frozen=True)
class Seats:
    """How many replicas fit now, and with this rollout's own release scaled down; by_gone: with
    none of its pods here gone, with one, and so on; lacks: what keeps one more from fitting, with
    what a replica asks and what is free, one sentence each. claims_short: no device is free to be
    claimed."""

    seats: int
    seats_without_stable: int
    held_by_stable: Decimal
    lacks: tuple[str, ...] = ()
    lacks_without_stable: tuple[str, ...] = ()
    by_gone: tuple[int, ...] = ()
    claims_short: bool = False


def replica_needs(spec: Rollout, resource: str) -> Amounts:
    """What one replica requests, as the scheduler counts. Raises SpecError."""
    try:
        asked = pod_requests(asking_pod(spec, resource))
    except ValueError as error:
        raise SpecError([f"serving.pod: {error}"]) from error
    return {"pods": Decimal(1), **{name: value for name, value in asked.items() if value}}


def waited_for(spec: Rollout, resource: str) -> Amounts:
    """What of a replica's others may wait for as well, a claim of devices too. Raises SpecError."""
    claims = spec.nodes.claim_template or spec.serving.pod.get("resourceClaims")
    return {**replica_needs(spec, resource), **({CLAIMS: Decimal(1)} if claims else {})}


def _counted(spec: Rollout, api: ApiFacts, resource: str) -> Amounts:
    """What the node's own amounts decide: memory and cores of shares, for which the node lists no
    amount, are counted by the sharing plugin's scheduler alone (HAMi#579)."""
    row = profile(spec.nodes.accelerator)
    out = {}
    for name, amount in replica_needs(spec, resource).items():
        kind = row.resource_kind(name)
        if name == resource or name in api.allocatable or kind is None or kind.kind != "dynamic":
            out[name] = amount
    return out


def room_of(
    spec: Rollout, api: ApiFacts, resource: str, stable: str | None, claims: int | None = None
) -> Seats:
    """Count seats. stable: release id whose pods may go; None: every release of this rollout.
    claims: replicas that the node's devices make, where they are asked for by claim; None: unknown,
    and then only what else a replica needs is counted."""
    claimed = spec.nodes.claim_template is not None
    if spec.devices and not resource and not claimed:
        return Seats(0, 0, Decimal(0))
    need = _counted(spec, api, resource)
    used: Amounts = {**api.held, "pods": Decimal(api.pods)}
    free = {n: api.allocatable.get(n, Decimal(0)) - used.get(n, Decimal(0)) for n in need}
    # a node that states no pod limit has none
    if "pods" not in api.allocatable:
        free["pods"] = Decimal(1 << 20)
    mine = api.held_here(spec.namespace, spec.name, stable)
    pods = api.pods_here(spec.namespace, spec.name, stable)
    if claimed and claims is not None:
        need, mine = {**need, CLAIMS: Decimal(1)}, {**mine, CLAIMS: Decimal(pods)}
        free[CLAIMS] = Decimal(claims - api.claiming)
    whole = {n: v for n, v in {**mine, "pods": Decimal(pods)}.items() if n in need}
    freed = add(free, whole)
    # one release's pods are alike
    shares = [{n: v * gone / pods for n, v in whole.items()} for gone in range(1, pods + 1)]
    return Seats(
        seats=fits(free, need) or 0,
        seats_without_stable=fits(freed, need) or 0,
        held_by_stable=mine.get(resource, Decimal(0)) if resource else Decimal(0),
        lacks=_lacks(need, free, api),
        lacks_without_stable=_lacks(need, freed, api),
        claims_short=CLAIMS in need and free[CLAIMS] < 1,
        by_gone=tuple(fits(add(free, share), need) or 0 for share in ({}, *shares)),
    )


def _lacks(need: Amounts, free: Amounts, api: ApiFacts) -> tuple[str, ...]:
    """What runs out first: the resources that bound the number of replicas."""
    seats = fits(free, need)
    return tuple(
        f"{_amount(name, amount)} a replica, {_number(name, free[name])} free of "
        f"{_number(name, api.allocatable.get(name, free[name] if name == CLAIMS else Decimal(0)))}"
        for name, amount in need.items()
        if amount > 0 and fits({name: free[name]}, {name: amount}) == seats
    )


_UNITS = {
    CLAIMS: ("claim of devices", 1),
    "cpu": ("cores", 1),
    "memory": ("GiB of memory", 2**30),
    "ephemeral-storage": ("GiB of disk", 2**30),
    "pods": ("pod slots", 1),
}


def _number(name: str, value: Decimal) -> str:
    _, factor = _UNITS.get(name, (name, 1))
    return f"{float(value) / factor:.4g}"


def _amount(name: str, value: Decimal) -> str:
    return f"{_number(name, value)} {_UNITS.get(name, (name, 1))[0]}"


def room_reasons(spec: Rollout, api: ApiFacts, resource: str, room: Seats) -> list[Reason]:
    """Too small for one replica, or only busy."""
    out: list[Reason] = []
    need = _counted(spec, api, resource)
    codes = {
        resource: "RESOURCE_INSUFFICIENT",
        "cpu": "CPU_TOO_SMALL",
        "memory": "MEMORY_TOO_SMALL",
    }
    for name, amount in need.items():
        total = api.allocatable.get(name, Decimal(0))
        if name == "pods" or (total == 0 and name == resource):
            continue  # no allocatable device at all is the plugin's reason
        free = api.free(name)
        if total < amount:
            out.append(
                error(
                    codes.get(name, "RESOURCE_INSUFFICIENT"),
                    f"{_amount(name, total)} allocatable",
                    f"{_amount(name, amount)} a replica",
                    "use a larger node, or ask for less in serving",
                )
            )
        elif free < amount:
            mine = api.held_here(spec.namespace, spec.name).get(name, Decimal(0))
            make = warning if room.seats_without_stable else error
            out.append(
                make(
                    "RESOURCE_BUSY" if "/" in name else "HOST_BUSY",
                    f"{_amount(name, free)} free of {_number(name, total)}; this rollout's own "
                    f"release holds {_number(name, mine)}",
                    f"{_amount(name, amount)} free",
                    "free them, or set promotion.allow_interruption to test in place of the "
                    "serving release",
                )
            )
    if spec.nodes.claim_template and not room.seats and room.claims_short:
        make = warning if room.seats_without_stable else error
        out.append(
            make(
                "RESOURCE_BUSY",
                f"{api.claiming} pods with a ResourceClaim run here",
                f"{spec.devices} devices of the node for one more",
                "free them, or set promotion.allow_interruption to test in place of the "
                "serving release",
            )
        )
    if "pods" in api.allocatable and api.allocatable["pods"] <= api.pods:
        make = warning if room.seats_without_stable else error
        out.append(
            make("HOST_BUSY", f"{api.pods} pods run", "a free pod slot", "move pods elsewhere")
        )
    return out
