"""What the Kubernetes API says of one node. Plain objects in, facts out.

Linear in the node's pods; callers group pods by node once (`group_pods`).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.pods import conditions, ready, state, statuses

Amounts = dict[str, Decimal]
_SUFFIX = {
    "": Decimal(1),
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    **{s: Decimal(1000) ** (i + 1) for i, s in enumerate("kMGTPE")},
    **{f"{s}i": Decimal(1024) ** (i + 1) for i, s in enumerate("KMGTPE")},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
TERMINAL = ("Succeeded", "Failed")
# annotations in which plugins register their cards; a node's others may be large
_REGISTERS = re.compile(r"(hami|4pd)\.io/node-.+")


@lru_cache(maxsize=4096)
def quantity(text: str) -> Decimal:
    """A Kubernetes quantity ('250m', '65536M', '1.5Gi', '1e3') in its base unit.

    ValueError when it is none.
    """
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"'{text}' is no Kubernetes quantity; write 2, 500m, 16Gi or 64G")
    number, exponent, suffix = match.groups()
    if exponent is not None:
        return Decimal(number) * Decimal(10) ** int(exponent)
    return Decimal(number) * _SUFFIX[suffix or ""]


def quantities(raw: Mapping[str, Any] | None) -> Amounts:
    """Parse a resource list."""
    return {name: quantity(str(value)) for name, value in (raw or {}).items()}


def add(left: Amounts, right: Amounts) -> Amounts:
    """Sum by name."""
    return {name: left.get(name, Decimal(0)) + right.get(name, Decimal(0)) for name in left | right}


def _most(left: Amounts, right: Amounts) -> Amounts:
    zero = Decimal(0)
    return {name: max(left.get(name, zero), right.get(name, zero)) for name in left | right}


def _requests(holder: Mapping[str, Any]) -> Amounts:
    """Requests of a container; a limit without a request is a request."""
    resources = holder.get("resources") or {}
    return {**quantities(resources.get("limits")), **quantities(resources.get("requests"))}


def pod_requests(spec: Mapping[str, Any]) -> Amounts:
    """What a pod holds on its node, as the scheduler counts: containers and restartable init
    containers together, or the largest init container if that is more, plus overhead."""
    running: Amounts = {}
    for container in spec.get("containers") or []:
        running = add(running, _requests(container))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, _requests(container))
            peak = _most(peak, sidecars)
        else:
            peak = _most(peak, add(sidecars, _requests(container)))
    total = _most(add(running, sidecars), peak)
    total = {**total, **_requests(spec)}  # pod-level resources override the sum
    return add(total, quantities(spec.get("overhead")))


def group_pods(pods: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Pods by node name; pods without a node are left out."""
    out: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for pod in pods:
        if node := (pod.get("spec") or {}).get("nodeName"):
            out[node].append(pod)
    return dict(out)


@dataclass(frozen=True)
class DaemonPod:
    """A DaemonSet's pod on the node. ip: '' before it has one. note: why it is not ready."""

    daemonset: str
    namespace: str
    images: tuple[str, ...]
    ready: bool
    note: str = ""
    ip: str = ""


@dataclass(frozen=True)
class ApiFacts:
    """One node as the API shows it.

    conditions: type -> status. capacity, allocatable, held: by resource name, base units (cores,
    bytes, devices). held_by: (namespace, instance) -> release -> amounts, of the pods this
    project runs. claiming: pods that hold a ResourceClaim. annotations: those in which plugins
    register cards. expected_daemons: DaemonSets whose node selector wants the node, by name ->
    (namespace, images).
    """

    name: str
    hostname: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    taints: tuple[dict[str, Any], ...] = ()
    cordoned: bool = False
    conditions: dict[str, str] = field(default_factory=dict)
    capacity: Amounts = field(default_factory=dict)
    allocatable: Amounts = field(default_factory=dict)
    held: Amounts = field(default_factory=dict)
    pods: int = 0
    claiming: int = 0
    held_by: dict[tuple[str, str], dict[str, Amounts]] = field(default_factory=dict)
    pods_by: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    daemons: tuple[DaemonPod, ...] = ()
    expected_daemons: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def free(self, resource: str) -> Decimal:
        """Allocatable and held by nobody."""
        return self.allocatable.get(resource, Decimal(0)) - self.held.get(resource, Decimal(0))

    def held_here(self, namespace: str, instance: str, release: str | None = None) -> Amounts:
        """What a rollout's releases (or one of them) hold on this node."""
        total: Amounts = {}
        for ident, amounts in self.held_by.get((namespace, instance), {}).items():
            if release is None or ident == release:
                total = add(total, amounts)
        return total

    def pods_here(self, namespace: str, instance: str, release: str | None = None) -> int:
        """Pods a rollout's releases (or one of them) run on this node."""
        counts = self.pods_by.get((namespace, instance), {})
        return sum(n for ident, n in counts.items() if release is None or ident == release)


def _images(spec: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(c.get("image", "") for c in spec.get("containers") or [])


def _daemon_pod(pod: Mapping[str, Any]) -> DaemonPod | None:
    meta, status = pod["metadata"], pod.get("status") or {}
    owner = next(
        (o for o in meta.get("ownerReferences") or [] if o.get("kind") == "DaemonSet"), None
    )
    if owner is None:
        return None
    waiting = [s["waiting"].get("reason", "") for s in map(state, statuses(pod)) if "waiting" in s]
    well = ready(pod)
    note = "" if well else (waiting or [status.get("phase") or "no status"])[0]
    return DaemonPod(
        daemonset=owner["name"],
        namespace=meta.get("namespace", ""),
        images=_images(pod.get("spec") or {}),
        ready=well,
        note=note,
        ip=status.get("podIP") or "",
    )


def _wanted(daemonset: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a DaemonSet's node selector matches; its affinity is not judged."""
    template = ((daemonset.get("spec") or {}).get("template") or {}).get("spec") or {}
    selector = template.get("nodeSelector") or {}
    return not template.get("affinity") and all(labels.get(k) == v for k, v in selector.items())


def api_facts(
    node: Mapping[str, Any],
    pods: Iterable[Mapping[str, Any]] = (),
    daemonsets: Sequence[Mapping[str, Any]] = (),
) -> ApiFacts:
    """Read one Node, the pods on it and the cluster's DaemonSets (plain Kubernetes objects)."""
    meta, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    labels = meta.get("labels") or {}
    held: Amounts = {}
    held_by: dict[tuple[str, str], dict[str, Amounts]] = {}
    pods_by: dict[tuple[str, str], dict[str, int]] = {}
    daemons, count, claiming = [], 0, 0
    for pod in pods:
        if ((pod.get("status") or {}).get("phase")) in TERMINAL:
            continue
        count += 1
        amounts = pod_requests(pod.get("spec") or {})
        claiming += bool((pod.get("spec") or {}).get("resourceClaims"))
        held = add(held, amounts)
        pod_labels = pod["metadata"].get("labels") or {}
        release, instance = pod_labels.get(RELEASE_LABEL), pod_labels.get(INSTANCE_LABEL)
        if release and instance:
            key = (pod["metadata"].get("namespace", ""), instance)
            mine = held_by.setdefault(key, {})
            mine[release] = add(mine.get(release, {}), amounts)
            counts = pods_by.setdefault(key, {})
            counts[release] = counts.get(release, 0) + 1
        if daemon := _daemon_pod(pod):
            daemons.append(daemon)
    return ApiFacts(
        name=meta["name"],
        hostname=labels.get("kubernetes.io/hostname", meta["name"]),
        labels=dict(labels),
        annotations={
            key: str(text)
            for key, text in (meta.get("annotations") or {}).items()
            if _REGISTERS.fullmatch(key)
        },
        taints=tuple(spec.get("taints") or ()),
        cordoned=bool(spec.get("unschedulable")),
        conditions={kind: found["status"] for kind, found in conditions(node).items()},
        capacity=quantities(status.get("capacity")),
        allocatable=quantities(status.get("allocatable")),
        held=held,
        pods=count,
        claiming=claiming,
        held_by=held_by,
        pods_by=pods_by,
        daemons=tuple(daemons),
        expected_daemons={
            ds["metadata"]["name"]: (
                ds["metadata"].get("namespace", ""),
                _images(((ds.get("spec") or {}).get("template") or {}).get("spec") or {}),
            )
            for ds in daemonsets
            if _wanted(ds, labels)
        },
    )


def fits(free: Amounts, need: Amounts) -> int | None:
    """How many times a need fits; None when nothing is needed."""
    times = [
        math.floor(max(free.get(name, Decimal(0)), Decimal(0)) / amount)
        for name, amount in need.items()
        if amount > 0
    ]
    return min(times, default=None)
