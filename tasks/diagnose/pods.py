"""Why a pod can't become ready, from its document, its events and its log.

A diagnosis is fatal when waiting is pointless: the same will happen again without a change. What
may heal by itself (a registry time-out, a busy card, a first unexplained crash) is not.
Wordings are those of the kubelet, scheduler and controllers of Kubernetes 1.24 to 1.37.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from tasks.diagnose.containers import PULLS, Diagnosis, containers, event_count
from tasks.diagnose.created import job_not_created, not_created
from tasks.diagnose.logs import excerpt
from tasks.diagnose.schedule import Shortage, shortage
from tasks.objects.pods import Object, conditions, ending, is_true, ready

__all__ = ["Diagnosis", "diagnose_deployment", "diagnose_pod", "job_not_created"]

# Pods refused by their node or evicted until the node is believed to stay so.
LOST_PODS = 3
GRACE_S = 60.0


def diagnose_pod(
    pod: Object,
    events: Sequence[Object] = (),
    logs: str = "",
    *,
    nodes: Sequence[Object] = (),
    now: datetime | None = None,
    grace_s: float = GRACE_S,
) -> Diagnosis | None:
    """The reason why this pod is not ready; None when it is, or nothing speaks against it yet.

    events: Event objects (any; those of other objects are left out). logs: of the container that
    fails, its previous life when it has restarted. nodes: tell what could ever fit. now: an
    unschedulable pod older than `grace_s` seconds is fatal; without it only the impossible is.
    """
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    if ready(pod):
        return None
    own = list(_events_of(pod, events))
    found = (
        _refused(name, status)
        or _unschedulable(pod, nodes, now, grace_s)
        or _node_lost(name, pod, status, nodes)
        or containers(name, pod, status, own, logs)
        or _volumes(name, own, now, grace_s)
        or _probes(name, own)
    )
    if found is not None and not found.log_tail and logs:
        found = replace(found, log_tail=excerpt(logs))
    return found


def diagnose_deployment(
    deploy: Object,
    pods: Sequence[Object],
    events: Sequence[Object] = (),
    logs: dict[str, str] | None = None,
    *,
    nodes: Sequence[Object] = (),
    now: datetime | None = None,
    grace_s: float = GRACE_S,
) -> Diagnosis | None:
    """The most telling reason why a Deployment is not available, a fatal one first.

    pods: of its current ReplicaSet; logs: by pod name. Parameters else as in diagnose_pod.
    """
    logs = logs or {}
    alive = [p for p in pods if not ending(p)]
    found = [
        diagnosis
        for pod in alive
        if (
            diagnosis := diagnose_pod(
                pod,
                events,
                logs.get(pod["metadata"]["name"], ""),
                nodes=nodes,
                now=now,
                grace_s=grace_s,
            )
        )
    ]
    # A controller replaces pods that are refused or evicted; only their number is hopeless.
    lost = [d for d in found if d.code in ("evicted", "node-refused")]
    if len(lost) >= LOST_PODS:
        found.insert(0, replace(lost[0], fatal=True, summary=f"{lost[0].summary} ({len(lost)} x)"))
    if refused := _not_created(deploy, now, grace_s):
        found.append(refused)
    late = _progress_deadline(deploy)
    if late and not found:
        found.append(late)
    return next((d for d in found if d.fatal), found[0] if found else None)


def _events_of(pod: Object, events: Iterable[Object]) -> Iterator[Object]:
    meta = pod["metadata"]
    for event in events:
        about = event.get("involvedObject") or {}
        same = (
            about.get("uid") == meta["uid"]
            if about.get("uid") and meta.get("uid")
            else (about.get("kind", "Pod") == "Pod" and about.get("name") == meta["name"])
        )
        if same:
            yield event


def _age(stamp: str | None, now: datetime | None) -> float:
    """Seconds since an RFC 3339 time; 0 where either is unknown."""
    if not stamp or now is None:
        return 0.0
    return (now - datetime.fromisoformat(stamp.replace("Z", "+00:00"))).total_seconds()


# -- before a container runs


def _refused(name: str, status: Object) -> Diagnosis | None:
    """The node or the kubelet ended the pod as a whole."""
    if status.get("phase") != "Failed" or not status.get("reason"):
        return None
    reason, message = status["reason"], status.get("message", "")
    if reason == "Evicted":
        return Diagnosis(
            "evicted",
            f"pod {name} was evicted by its node",
            message,
            "free what the node lacks (disk or memory), or ask for less",
        )
    if reason in ("NodeLost", "NodeShutdown", "Terminated"):
        return Diagnosis(
            "node-lost", f"the node of pod {name} went away", message, "check the node"
        )
    if reason == "DeadlineExceeded":
        return Diagnosis(
            "deadline", f"pod {name} ran out of its time", message, "allow more time", fatal=True
        )
    if reason == "UnexpectedAdmissionError" or reason.startswith("OutOf") or "Affinity" in reason:
        return Diagnosis(
            "node-refused",
            f"the node refused pod {name}: {reason}",
            message,
            "check the device plugin on that node: it offers what it cannot give",
        )
    return Diagnosis("pod-failed", f"pod {name} failed: {reason}", message)


def _unschedulable(
    pod: Object, nodes: Sequence[Object], now: datetime | None, grace_s: float
) -> Diagnosis | None:
    condition = conditions(pod).get("PodScheduled") or {}
    if condition.get("status") != "False":
        return None
    name, message = pod["metadata"]["name"], condition.get("message", "")
    if condition.get("reason") == "SchedulingGated":
        return Diagnosis(
            "gated", f"pod {name} is held back by a scheduling gate", message, "remove the gate"
        )
    why: Shortage = shortage(pod, message, nodes)
    waited = _age(
        condition.get("lastTransitionTime") or pod["metadata"].get("creationTimestamp"), now
    )
    return Diagnosis(
        why.code,
        f"pod {name} finds no node: {why.cause}",
        message,
        why.action,
        fatal=why.never or waited > grace_s,
    )


def _node_lost(name: str, pod: Object, status: Object, nodes: Sequence[Object]) -> Diagnosis | None:
    node = pod.get("spec", {}).get("nodeName")
    silent = any(
        conditions(candidate).get("Ready", {}).get("status") == "Unknown"
        for candidate in nodes
        if candidate["metadata"]["name"] == node
    )
    taint = conditions(pod).get("DisruptionTarget", {}).get("reason") == "DeletionByTaintManager"
    if silent or taint or status.get("reason") == "NodeLost":
        return Diagnosis(
            "node-lost",
            f"pod {name} was on node {node}, which no longer answers",
            action="check the node's kubelet and network",
        )
    return None


def _volumes(
    name: str, events: list[Object], now: datetime | None, grace_s: float
) -> Diagnosis | None:
    for event in reversed(events):
        reason, message = event.get("reason"), event.get("message", "")
        if reason in ("FailedMount", "FailedAttachVolume", "FailedMapVolume"):
            missing = re.search(
                r"(secret|configmap) \"([^\"]+)\" not found", message, re.IGNORECASE
            )
            host = re.search(r"hostPath type check failed: (\S+) is not", message)
            if missing:
                action = f"create the {missing[1].lower()} {missing[2]}"
            elif host:
                action = f"{host[1]} is absent on that node, or of another type: check the driver"
            else:
                action = "check the volume on that node"
            # A kubelet that has just started may not have synced secrets yet: twice is no accident.
            stays = (bool(missing) or bool(host)) and event_count(event) >= PULLS
            return Diagnosis(
                "volume", f"a volume of pod {name} cannot be mounted", message, action, stays
            )
        if reason == "FailedCreatePodSandBox":
            return Diagnosis(
                "sandbox",
                f"the node cannot set up pod {name}",
                message,
                "check the container runtime and the network plugin on that node",
                event_count(event) > PULLS,
            )
    return None


def _probes(name: str, events: list[Object]) -> Diagnosis | None:
    for event in reversed(events):
        message = event.get("message", "")
        if event.get("reason") == "Unhealthy":
            kind = message.split(" ", 1)[0].lower()
            if kind in ("startup", "readiness", "liveness"):
                return Diagnosis(
                    f"{kind}-probe",
                    f"pod {name} does not pass its {kind} probe yet",
                    f"{message} ({event_count(event)} times)",
                    "it is still loading, or the port or path of the probe is wrong",
                )
    return None


# -- controllers


def _not_created(deploy: Object, now: datetime | None, grace_s: float) -> Diagnosis | None:
    if not is_true(deploy, "ReplicaFailure"):
        return None
    condition = conditions(deploy)["ReplicaFailure"]
    return not_created(
        deploy["metadata"]["name"],
        condition.get("message", ""),
        waited_s=_age(condition.get("lastTransitionTime"), now),
        grace_s=grace_s,
    )


def _progress_deadline(deploy: Object) -> Diagnosis | None:
    condition = conditions(deploy).get("Progressing", {})
    if condition.get("reason") == "ProgressDeadlineExceeded":
        # Kubernetes goes on trying after it, and the rollout has its own time limit.
        return Diagnosis(
            "progress-deadline",
            f"{deploy['metadata']['name']} made no progress within its deadline",
            condition.get("message", ""),
            "raise serving.startup_timeout_s",
        )
    return None
