"""Who else waits for what a rollout would free: pods that the scheduler would place there first,
and workloads whose pods a quota, or a queue, lets nobody make as long as it is held."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.nodes.facts import TERMINAL, pod_requests
from tasks.objects.labels import INSTANCE_LABEL, MANAGED_LABEL, MANAGER, RELEASE_LABEL
from tasks.objects.pods import Object, ReadObject, ending, is_true
from tasks.objects.reached import belongs_to, deployment_name, reached_of

# without devices, what a rollout on CPUs frees
HOST = ("cpu", "memory")
# how the label ends by which a queue (Kueue) holds a suspended Job
QUEUE_NAME = "/queue-name"


def queueing(
    pods: Iterable[ReadObject], need: Iterable[str], namespace: str, name: str
) -> tuple[str, ...]:
    """Pods without a node that ask for a device of which a replica needs some (without devices:
    for cpu or memory) and are not of this rollout, as namespace/name, sorted. pods: with those that
    stand for what is not made (`unmade`).

    A pod that is scaled down frees its devices for whoever the scheduler finds first.
    """
    asked = tuple(item for item in need if "/" in item) or HOST
    out = []
    for pod in pods:
        meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
        if spec.get("nodeName") or status.get("phase") in TERMINAL or meta.get("deletionTimestamp"):
            continue
        if meta.get("namespace") == namespace and _is_of(pod, name):
            continue
        requests = pod_requests(spec)
        if any(requests.get(item) for item in asked):
            out.append(f"{meta.get('namespace')}/{meta['name']}")
    return tuple(sorted(out))


def _is_of(pod: ReadObject, name: str) -> bool:
    """A pod that this rollout's own Deployments or Jobs made. Others carry its name as instance,
    too: the label is anybody's."""
    labels = pod["metadata"].get("labels") or {}
    if labels.get(INSTANCE_LABEL) != name:
        return False
    if reached_of(pod):  # of an adopted release, labelled by what its Deployment remembers
        return True
    if labels.get(MANAGED_LABEL) != MANAGER:
        return False
    owners = pod["metadata"].get("ownerReferences") or ()
    release = labels.get(RELEASE_LABEL, "")
    return any(owner.get("kind") == "Job" for owner in owners) or belongs_to(
        pod, deployment_name(name, release)
    )


def unmade(workloads: Iterable[ReadObject]) -> list[Object]:
    """A pod for each workload that asks for more pods than it has: it stands for those that nobody
    lets it make. workloads: ReplicaSets and Jobs."""
    asks = {"ReplicaSet": _lacks, "Job": _waits}
    return [_stands_for(it) for it in workloads if not ending(it) and asks[it["kind"]](it)]


def _lacks(replicaset: ReadObject) -> bool:
    """Its pods are refused: by a quota, mostly."""
    has = (replicaset.get("status") or {}).get("replicas", 0)
    return bool(is_true(replicaset, "ReplicaFailure") and replicaset["spec"]["replicas"] > has)


def _waits(job: ReadObject) -> bool:
    """It has fewer pods than it may run at once; where it is suspended, a queue is to let it go."""
    spec, status = job["spec"], job.get("status") or {}
    if is_true(job, "Complete") or is_true(job, "Failed"):
        return False
    if spec.get("suspend"):
        meta = job["metadata"]
        marks = [*(meta.get("labels") or ()), *(meta.get("annotations") or ())]
        return any(key.endswith(QUEUE_NAME) for key in marks)
    at_once = spec.get("parallelism", 1)
    left = spec.get("completions", at_once) - status.get("succeeded", 0)
    return bool(status.get("active", 0) < min(at_once, left))


def _stands_for(item: ReadObject) -> Object:
    meta, template = item["metadata"], item["spec"]["template"]
    owner = {"kind": item["kind"], "name": meta["name"]}
    return {
        "metadata": {
            "namespace": meta.get("namespace"),
            "name": f"{item['kind']} {meta['name']}",
            "labels": (template.get("metadata") or {}).get("labels") or {},
            "ownerReferences": [owner],
        },
        "spec": {k: v for k, v in template["spec"].items() if k != "nodeName"},
        "status": {"phase": "Pending"},
    }
