"""Who else waits for what a rollout would free: pods that the scheduler would place there first."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.nodes.facts import TERMINAL, pod_requests
from tasks.objects.labels import INSTANCE_LABEL
from tasks.objects.pods import ReadObject

# without devices, what a rollout on CPUs frees
HOST = ("cpu", "memory")


def queueing(
    pods: Iterable[ReadObject], need: Iterable[str], namespace: str, name: str
) -> tuple[str, ...]:
    """Pods without a node that ask for a device of which a replica needs some (without devices:
    for cpu or memory) and are not of this rollout, as namespace/name, sorted.

    A pod that is scaled down frees its devices for whoever the scheduler finds first.
    """
    asked = tuple(item for item in need if "/" in item) or HOST
    out = []
    for pod in pods:
        meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
        ours = (meta.get("labels") or {}).get(INSTANCE_LABEL) == name
        if spec.get("nodeName") or status.get("phase") in TERMINAL or meta.get("deletionTimestamp"):
            continue
        if ours and meta.get("namespace") == namespace:
            continue
        requests = pod_requests(spec)
        if any(requests.get(item) for item in asked):
            out.append(f"{meta.get('namespace')}/{meta['name']}")
    return tuple(sorted(out))
