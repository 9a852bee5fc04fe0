"""What we read of Pods, and of the conditions any object has.

Objects stay plain dicts (lists of 20,000 are read); the TypedDicts name the fields we read, as the
API spells them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from tasks.objects.labels import ENGINE_CONTAINER

Object = dict[str, Any]
ReadObject = Mapping[str, Any]
# What is read of pods that are counted (`counted`): which seats they hold, or wait for.
_META = ("name", "namespace", "uid", "labels", "ownerReferences", "deletionTimestamp")
_SPEC = (
    "nodeName",
    "resources",
    "overhead",
    "resourceClaims",
    "hostNetwork",
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "schedulingGates",
    "schedulerName",
    "priority",
    "priorityClassName",
    "preemptionPolicy",
)
_CONTAINER = ("name", "image", "resources", "restartPolicy")
_STATUS = ("phase", "message", "podIP", "resourceClaimStatuses")
_CONDITIONS = ("Ready", "PodScheduled")
# of annotations: our own, and by which a queue holds a pod
_MARKS = re.compile(r"model-rollout/.+|.+/queue-name")


class Condition(TypedDict, total=False):
    """One of an object's status.conditions. status: True, False or Unknown, as text."""

    type: str
    status: str
    reason: str
    message: str
    lastTransitionTime: str


class Waiting(TypedDict, total=False):
    """A container that does not run yet, or not again."""

    reason: str
    message: str


class Ended(TypedDict, total=False):
    """A container's life that is over."""

    exitCode: int
    signal: int
    reason: str
    message: str
    startedAt: str
    finishedAt: str


class ContainerState(TypedDict, total=False):
    """One of the three is set."""

    waiting: Waiting
    running: dict[str, str]
    terminated: Ended


class ContainerStatus(TypedDict, total=False):
    """What a kubelet says of one container. restartCount: lives before this one. started: its
    startup probe has passed."""

    name: str
    image: str
    imageID: str
    ready: bool
    started: bool
    restartCount: int
    state: ContainerState
    lastState: ContainerState


def conditions(item: ReadObject) -> dict[str, Condition]:
    """An object's conditions by type."""
    found: Sequence[Condition] = (item.get("status") or {}).get("conditions") or ()
    return {condition["type"]: condition for condition in found}


def is_true(item: ReadObject, kind: str) -> bool:
    """Whether the condition of that type holds."""
    return conditions(item).get(kind, {}).get("status") == "True"


def ending(item: ReadObject) -> bool:
    """Whether it is on its way out."""
    return bool(item["metadata"].get("deletionTimestamp"))


def ready(item: ReadObject) -> bool:
    """A pod (or node) that is Ready and not on its way out."""
    return is_true(item, "Ready") and not ending(item)


def statuses(pod: ReadObject, *, init: bool = False) -> list[ContainerStatus]:
    """Its containers as the kubelet tells them; with `init` those that run first, first."""
    status = pod.get("status") or {}
    first: list[ContainerStatus] = status.get("initContainerStatuses") or []
    return [*(first if init else ()), *(status.get("containerStatuses") or ())]


def state(entry: ContainerStatus) -> ContainerState:
    """How a container is; empty where nothing is known yet."""
    return entry.get("state") or {}


def restarts(pods: Sequence[ReadObject]) -> int:
    """Container restarts over all pods."""
    return sum(int(entry.get("restartCount") or 0) for pod in pods for entry in statuses(pod))


def engine_container(pod_spec: ReadObject) -> Mapping[str, Any]:
    """The container that serves; a pod that names none has its first one do it."""
    containers: Sequence[Mapping[str, Any]] = pod_spec.get("containers") or [{}]
    return next((c for c in containers if c.get("name") == ENGINE_CONTAINER), containers[0])


def has_run(pod: ReadObject) -> bool:
    """Its engine has been started at least once, whatever came of it."""
    engine = engine_container(pod.get("spec") or {}).get("name")
    own = [entry for entry in statuses(pod) if entry.get("name") == engine]
    return any(
        entry.get("restartCount") or {"running", "terminated"} & state(entry).keys()
        for entry in own
    )


def image_digests(pods: Sequence[ReadObject]) -> list[str]:
    """What the nodes really run: imageID of the engine's container."""
    found = {
        str(entry.get("imageID", ""))
        for pod in pods
        for entry in statuses(pod)
        if entry.get("name") == ENGINE_CONTAINER
    }
    return sorted(found - {""})


def counted(pod: ReadObject) -> Object:
    """As much of a Pod as is read where the pods of a whole cluster are counted: a fifth of its
    memory. What its containers run, with which variables and volumes, is not in it."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    marks = {k: v for k, v in (meta.get("annotations") or {}).items() if _MARKS.fullmatch(k)}
    shared = bool(spec.get("hostNetwork"))
    groups = {
        kind: [_container(item, shared=shared) for item in spec.get(kind) or ()]
        for kind in ("containers", "initContainers")
        if spec.get(kind)
    }
    told = {
        "conditions": [
            item for item in status.get("conditions") or () if item.get("type") in _CONDITIONS
        ],
        # why one does not run yet
        "containerStatuses": [
            {"name": entry.get("name"), "state": {"waiting": waits}}
            for entry in statuses(pod)
            if (waits := state(entry).get("waiting")) is not None
        ],
    }
    return {
        "metadata": {**_only(meta, _META), **({"annotations": marks} if marks else {})},
        "spec": {**_only(spec, _SPEC), **groups},
        "status": {**_only(status, _STATUS), **{key: said for key, said in told.items() if said}},
    }


def _container(container: ReadObject, *, shared: bool) -> Object:
    # in the host's network each port is one of the node
    ports = [p for p in container.get("ports") or () if shared or p.get("hostPort")]
    return {**_only(container, _CONTAINER), **({"ports": ports} if ports else {})}


def _only(item: ReadObject, keys: Iterable[str]) -> Object:
    return {key: item[key] for key in keys if item.get(key) is not None}
