"""Jobs run pods to their end."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from deployments.local.kube.control.replicas import Later, delete_pod, failed_create, retry_s
from deployments.local.kube.objects import pods
from deployments.local.kube.objects.index import Index
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Object, Store, now

SOURCE = "job-controller"
Counted = dict[str, dict[str, str]]  # Job uid -> pod uid -> Succeeded or Failed


def _restarts(live: list[Object]) -> int:
    return sum(
        int(item.get("restartCount", 0))
        for pod in live
        for field in ("containerStatuses", "initContainerStatuses")
        for item in (pod.get("status") or {}).get(field) or []
    )


def ended(job: Mapping[str, Any]) -> bool:
    """Complete or Failed."""
    return any(pods.condition(job, kind).get("status") == "True" for kind in ("Complete", "Failed"))


def _verdict(
    spec: Mapping[str, Any], done: int, failed: int, live: list[Object], age: float
) -> tuple[str, str, str] | None:
    """Condition, reason and message when the Job is over."""
    limit = int(spec.get("backoffLimit", 6))
    deadline = spec.get("activeDeadlineSeconds")
    restarts = _restarts(live)
    retried = spec["template"]["spec"].get("restartPolicy") == "OnFailure"
    if failed > limit or (retried and restarts > 0 and restarts >= limit):
        text = "Job has reached the specified backoff limit"
        return "Failed", "BackoffLimitExceeded", text
    if deadline is not None and age >= float(deadline):
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    need = spec.get("completions", spec.get("parallelism", 1))
    if done >= int(need):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    return None


def job(
    store: Store,
    index: Index,
    record: Recorder,
    counted: Counted,
    obj: Object,
    later: Later,
    backoff_s: float,
) -> None:
    """One reconcile of one Job."""
    meta, spec = obj["metadata"], obj["spec"]
    ns, name = meta["namespace"], meta["name"]
    status = dict(obj.get("status") or {})
    mine = index.children(meta["uid"], "pods")
    if ended(obj):
        for pod in mine:
            if pods.active(pod):
                delete_pod(store, pod)
        _expire(store, obj, later)
        return
    if pods.terminating(obj):
        return
    seen = counted.setdefault(meta["uid"], {})
    for pod in mine:
        if pods.phase(pod) in pods.FINISHED:
            seen[pod["metadata"]["uid"]] = pods.phase(pod)
    live = [pod for pod in mine if pods.active(pod)]
    done = sum(value == "Succeeded" for value in seen.values())
    failed = sum(value == "Failed" for value in seen.values())
    status.setdefault("startTime", now())
    age = pods.seconds_since(status["startTime"])
    verdict = _verdict(spec, done, failed, live, age)
    if verdict is not None:
        kind, reason, message = verdict
        for pod in live:
            delete_pod(store, pod)
        if kind == "Failed":
            failed += len(live)
        record(
            obj,
            "Completed" if kind == "Complete" else reason,
            "Job completed" if kind == "Complete" else message,
            warning=kind == "Failed",
            source=SOURCE,
        )
        conditions = status.get("conditions") or []
        status["conditions"] = pods.set_condition(conditions, kind, True, reason, message)
        if kind == "Complete":
            status["completionTime"] = now()
        live = []
        counted.pop(meta["uid"], None)
    elif spec.get("suspend"):
        for pod in live:
            delete_pod(store, pod)
        live = []
    else:
        live += _more(store, record, obj, spec, len(live), done, failed, mine, later, backoff_s)
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None:
            later(max(0.05, float(deadline) - age + 0.05))
    counts = {
        "active": len(live),
        "ready": sum(pods.ready(pod) for pod in live),
        "succeeded": done,
        "failed": failed,
    }
    for field, value in counts.items():
        status.pop(field, None)
        if value or field == "ready":
            status[field] = value
    status.setdefault("uncountedTerminatedPods", {})
    store.set_status("jobs", ns, name, status)


def _more(
    store: Store,
    record: Recorder,
    obj: Object,
    spec: Mapping[str, Any],
    live: int,
    done: int,
    failed: int,
    mine: list[Object],
    later: Later,
    backoff_s: float,
) -> list[Object]:
    """Start the pods that are missing, later and later after failures."""
    parallel = int(spec.get("parallelism", 1))
    missing = min(parallel, int(spec.get("completions", parallel)) - done) - live
    if missing <= 0:
        return []
    if failed:
        ends = [pods.seconds_since(_finished(pod)) for pod in mine if pods.phase(pod) == "Failed"]
        wait = min(backoff_s * 2 ** (failed - 1), 600.0) - min(ends, default=0.0)
        if ends and wait > 0:
            later(wait)
            return []
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    made = []
    for _ in range(missing):
        try:
            pod = pods.create(store, obj, spec["template"], labels)
        except StatusError as error:
            failed_create(record, obj, error, SOURCE)
            later(retry_s(obj))
            break
        made.append(pod)
        text = f"Created pod: {pod['metadata']['name']}"
        record(obj, "SuccessfulCreate", text, source=SOURCE)
    return made


def _finished(pod: Object) -> str:
    """When a pod's last container ended; its creation where no container says."""
    ends = [
        state["finishedAt"]
        for item in (pod.get("status") or {}).get("containerStatuses") or []
        if (state := (item.get("state") or {}).get("terminated")) and state.get("finishedAt")
    ]
    return str(max(ends, default=pod["metadata"]["creationTimestamp"]))


def _expire(store: Store, obj: Object, later: Later) -> None:
    """Delete a finished Job when its time is up."""
    ttl = obj["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or pods.terminating(obj):
        return
    done = max(
        pods.condition(obj, kind).get("lastTransitionTime") or "" for kind in ("Complete", "Failed")
    )
    left = float(ttl) - pods.seconds_since(done)
    if left > 0:
        later(left + 0.05)
        return
    meta: dict[str, Any] = obj["metadata"]
    with contextlib.suppress(StatusError):
        store.delete("jobs", meta["namespace"], meta["name"])
