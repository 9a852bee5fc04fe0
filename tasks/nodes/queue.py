"""Who else waits for what a rollout would free: pods that the scheduler would place there first,
and workloads whose pods a quota, or a queue, lets nobody make as long as it is held."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tasks.nodes.facts import TERMINAL, pod_requests
from tasks.nodes.rules_api import CLAIMS
from tasks.objects.labels import INSTANCE_LABEL, MANAGED_LABEL, MANAGER, RELEASE_LABEL
from tasks.objects.pods import Object, ReadObject, conditions, ending, is_true
from tasks.objects.reached import belongs_to, deployment_name, reached_of

# without devices, what a rollout on CPUs frees
HOST = ("cpu", "memory")
# how the label ends by which a queue (Kueue) holds a suspended Job
QUEUE_NAME = "/queue-name"
# in the API server's words where a quota refuses a pod: nobody else's refusal ends by itself
QUOTA = "exceeded quota: "


def queueing(
    pods: Iterable[ReadObject],
    need: Iterable[str],
    namespace: str,
    name: str,
    helps: Callable[[ReadObject], bool] = lambda _: True,
    hinders: Callable[[ReadObject], bool] = lambda _: False,
) -> tuple[str, ...]:
    """Pods without a node that are not of this rollout and wait for what it frees, as
    namespace/name, sorted. pods: with those that stand for what is not made (`unmade`). helps, of
    those that ask for a device of which a replica needs some (by claim: for any claim; without
    devices: for cpu or memory): whether what is freed could be such a pod's. hinders, of all
    others: whether it would take of that what either release needs (see
    release/seats/room.waiting).

    A pod that is scaled down frees its devices for whoever the scheduler finds first.
    """
    asked = tuple(item for item in need if "/" in item or item == CLAIMS) or HOST
    out = []
    for pod in pods:
        meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
        if spec.get("nodeName") or status.get("phase") in TERMINAL or meta.get("deletionTimestamp"):
            continue
        if meta.get("namespace") == namespace and _is_of(pod, name):
            continue
        requests = pod_requests(spec)
        asks = any(requests.get(item) for item in asked)
        asks = asks or (CLAIMS in asked and bool(spec.get("resourceClaims")))
        if helps(pod) if asks else hinders(pod):
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


def unmade(workloads: Iterable[ReadObject], events: Iterable[ReadObject] = ()) -> list[Object]:
    """A pod for each workload that asks for more pods than it has, where a quota keeps them away:
    it stands for those, with the refusal as its message, and gated where a queue holds them. What
    another admission refuses, or fails by itself, no seat helps. workloads: ReplicaSets and Jobs.
    events: of Jobs that could not make a pod (FailedCreate): their status says nothing of it."""
    said = _refusals(events)
    found = (
        (it, _waits(it, said) if it["kind"] == "Job" else _lacks(it))
        for it in workloads
        if not ending(it)
    )
    return [_stands_for(item, why) for item, why in found if why is not None]


def untold(jobs: Iterable[ReadObject]) -> bool:
    """Whether a Job has no pod, and only its events say why."""
    return any(not ending(job) and _short(job) and not job["spec"].get("suspend") for job in jobs)


def queued_by(item: ReadObject) -> bool:
    """A queue (Kueue) says when its pods may start."""
    meta = item["metadata"]
    marks = [*(meta.get("labels") or ()), *(meta.get("annotations") or ())]
    return any(key.endswith(QUEUE_NAME) for key in marks)


def _refusals(events: Iterable[ReadObject]) -> dict[str, str]:
    """By uid, or name where an event knows none: what its Job was told last."""
    out: dict[str, str] = {}
    for event in sorted(events, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime"))):
        of = event.get("involvedObject") or {}
        out[of.get("uid") or of.get("name", "")] = str(event.get("message", ""))
    return out


def _lacks(replicaset: ReadObject) -> str | None:
    """What refuses its pods, where that is a quota."""
    has = (replicaset.get("status") or {}).get("replicas", 0)
    if not is_true(replicaset, "ReplicaFailure") or replicaset["spec"]["replicas"] <= has:
        return None
    why = conditions(replicaset)["ReplicaFailure"].get("message", "")
    return why if QUOTA in why else None


def _waits(job: ReadObject, said: dict[str, str]) -> str | None:
    """What keeps its pods away: a quota, or a queue that has not let it go; '' where nobody has
    said yet. None where a pod of its own failed: its next try comes by itself."""
    meta = job["metadata"]
    if not _short(job):
        return None
    if job["spec"].get("suspend"):
        return "" if queued_by(job) else None
    why = said.get(meta.get("uid", ""), said.get(meta["name"]))
    if why is not None:
        return why if QUOTA in why else None
    return None if (job.get("status") or {}).get("failed") else ""


def _short(job: ReadObject) -> bool:
    """It has fewer pods than it may run at once."""
    spec, status = job["spec"], job.get("status") or {}
    if is_true(job, "Complete") or is_true(job, "Failed"):
        return False
    at_once = spec.get("parallelism", 1)
    left = spec.get("completions", at_once) - status.get("succeeded", 0)
    return bool(status.get("active", 0) < min(at_once, left))


def _stands_for(item: ReadObject, why: str) -> Object:
    meta, template = item["metadata"], item["spec"]["template"]
    owner = {"kind": item["kind"], "name": meta["name"]}
    gates = [{"name": "suspend"}] if item["spec"].get("suspend") else []
    return {
        "metadata": {
            "namespace": meta.get("namespace"),
            "name": f"{item['kind']} {meta['name']}",
            "labels": (template.get("metadata") or {}).get("labels") or {},
            "ownerReferences": [owner],
        },
        "spec": {
            **{k: v for k, v in template["spec"].items() if k != "nodeName"},
            **({"schedulingGates": gates} if gates else {}),
        },
        "status": {"phase": "Pending", **({"message": why} if why else {})},
    }
