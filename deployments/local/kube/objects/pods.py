"""Facts about pods and conditions that several controllers share."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deployments.local.kube.objects import allowed, podsecurity
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Object, Store, now

FINISHED = ("Succeeded", "Failed")


def phase(pod: Mapping[str, Any]) -> str:
    """Pending until something else is written."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def terminating(obj: Mapping[str, Any]) -> bool:
    """Marked for deletion."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def active(pod: Mapping[str, Any]) -> bool:
    """Counts as a replica: neither finished nor going."""
    return phase(pod) not in FINISHED and not terminating(pod)


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition, empty when absent."""
    for item in (obj.get("status") or {}).get("conditions") or []:
        if item["type"] == kind:
            return dict(item)
    return {}


def ready(pod: Mapping[str, Any]) -> bool:
    """Condition Ready is True."""
    return condition(pod, "Ready").get("status") == "True"


def seconds_since(stamp: str | None) -> float:
    """Age of a Kubernetes timestamp; 0 when absent."""
    if not stamp:
        return 0.0
    then = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    return (datetime.now(UTC) - then).total_seconds()


def set_condition(
    conditions: Sequence[Mapping[str, Any]],
    kind: str,
    status: bool,
    reason: str = "",
    message: str = "",
    *,
    updated: bool = False,
) -> list[dict[str, Any]]:
    """The list with one condition put; lastTransitionTime moves only when its status does.

    updated: keep a lastUpdateTime too, as Deployments do.
    """
    out = [dict(item) for item in conditions]
    new: dict[str, Any] = {"type": kind, "status": "True" if status else "False"}
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    stamp = now()
    for index, old in enumerate(out):
        if old["type"] == kind:
            same = old["status"] == new["status"]
            new["lastTransitionTime"] = old.get("lastTransitionTime", stamp) if same else stamp
            if updated:
                unchanged = same and old.get("reason") == new.get("reason")
                new["lastUpdateTime"] = old.get("lastUpdateTime", stamp) if unchanged else stamp
            out[index] = new
            return out
    new["lastTransitionTime"] = stamp
    if updated:
        new["lastUpdateTime"] = stamp
    return [*out, new]


def owner_reference(owner: Mapping[str, Any]) -> dict[str, Any]:
    """A controlling ownerReference."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def from_template(
    owner: Mapping[str, Any], template: Mapping[str, Any], labels: Mapping[str, str] | None = None
) -> Object:
    """A new pod of an owner, with Kubernetes' defaults."""
    meta = template.get("metadata") or {}
    pod: Object = {
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**(meta.get("labels") or {}), **(labels or {})},
            "annotations": dict(meta.get("annotations") or {}),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": copy.deepcopy(dict(template["spec"])),
    }
    return default(pod)


def permit(store: Store, pod: Mapping[str, Any]) -> None:
    """StatusError 403 where admission forbids a new pod: the namespace's level of PodSecurity, what
    it names and is not there, a quota."""
    meta = pod["metadata"]
    space = store.get("namespaces", "", meta["namespace"])
    security = podsecurity.refusal(space, pod["spec"])
    if why := security or next(allowed.refusals(store, pod), ""):
        name = meta.get("name") or meta.get("generateName", "")
        message = f'pods "{name}" is forbidden: {why}'
        raise StatusError(403, "Forbidden", message, {"name": name, "kind": "pods"})


def create(
    store: Store,
    owner: Mapping[str, Any],
    template: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    """Create a pod of an owner, as its controller does; `spec`: fields put over the template's.

    Raises StatusError where admission forbids it.
    """
    pod = from_template(owner, template, labels)
    pod["spec"] |= spec
    pod["metadata"]["name"] = f"{pod['metadata']['generateName']}{uuid.uuid4().hex[:5]}"
    permit(store, pod)
    return store.create("pods", pod)


def default(pod: Mapping[str, Any]) -> Object:
    """A new pod with the defaults that the API server of Kubernetes would write."""
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "serviceAccountName": "default",
        "enableServiceLinks": True,
        **pod["spec"],
    }
    for group in ("initContainers", "containers"):
        if group in spec:
            host = bool(spec.get("hostNetwork"))
            spec[group] = [_of_pod(container, host=host) for container in spec[group]]
    return {**pod, "spec": spec, "status": {"phase": "Pending", "qosClass": "Burstable"}}


def _of_pod(container: Mapping[str, Any], *, host: bool) -> dict[str, Any]:
    """A container with the defaults that pods have, and their templates have not: a limit without
    a request is the request, and on the host's network a port is the host's."""
    out, resources = dict(container), container.get("resources") or {}
    if limits := resources.get("limits"):
        requests = {**limits, **(resources.get("requests") or {})}
        out["resources"] = {**resources, "requests": requests}
    if host and container.get("ports"):
        out["ports"] = [{"hostPort": port.get("containerPort"), **port} for port in out["ports"]]
    return out
