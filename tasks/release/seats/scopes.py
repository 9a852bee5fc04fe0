"""Which pods a ResourceQuota counts: those that every scope of it holds, as Kubernetes defines them
(pkg/quota/v1/evaluator/core/pods.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.nodes.facts import quantities
from tasks.objects.pods import ReadObject

_COMPUTE = ("cpu", "memory")
_AFFINITIES = ("podAffinity", "podAntiAffinity")


def holds(quota: ReadObject, pod: ReadObject) -> bool:
    """Whether a quota counts a pod. pod: its PodSpec. A scope that is of other objects, or that
    nobody knows, holds none."""
    return all(_holds(scope, pod) for scope in _scopes(quota.get("spec") or {}))


def scoped(quota: ReadObject) -> bool:
    """Whether it counts some pods alone; no other objects then."""
    return any(True for _ in _scopes(quota.get("spec") or {}))


def _scopes(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from ({"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ())
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def _holds(scope: Mapping[str, Any], pod: ReadObject) -> bool:
    match scope.get("scopeName"):
        case "Terminating":
            return _has_deadline(pod)
        case "NotTerminating":
            return not _has_deadline(pod)
        case "BestEffort":
            return not _asks(pod)
        case "NotBestEffort":
            return _asks(pod)
        case "PriorityClass":
            return _ranked(scope, pod.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return any(term.get("namespaces") or _everywhere(term) for term in _terms(pod))
    return False


def _has_deadline(pod: ReadObject) -> bool:
    seconds = pod.get("activeDeadlineSeconds")
    return seconds is not None and int(seconds) >= 0


def _asks(pod: ReadObject) -> bool:
    """Whether it asks for cpu or memory at all, or may have no more than so much."""
    every = (pod, *(pod.get("initContainers") or ()), *(pod.get("containers") or ()))
    return any(
        quantities((holder.get("resources") or {}).get(part)).get(name, 0) > 0
        for holder in every
        for part in ("requests", "limits")
        for name in _COMPUTE
    )


def _ranked(scope: Mapping[str, Any], name: str) -> bool:
    values = scope.get("values") or ()
    match scope.get("operator"):
        case "Exists":
            return bool(name)
        case "DoesNotExist":
            return not name
        case "In":
            return bool(name) and name in values
        case "NotIn":  # a pod of no class, too
            return name not in values
    return False


def _terms(pod: ReadObject) -> Iterator[Mapping[str, Any]]:
    affinity = pod.get("affinity") or {}
    for kind in _AFFINITIES:
        found = affinity.get(kind) or {}
        yield from found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in found.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


def _everywhere(term: Mapping[str, Any]) -> bool:
    """An empty selector chooses every namespace."""
    return term.get("namespaceSelector") is not None
