"""What admission asks of a new pod: that what it names is there, and that a quota has room.

Words are those of Kubernetes 1.34 (plugin/pkg/admission: serviceaccount, priority, runtimeclass,
resourcequota). Of a quota's scopes PriorityClass, Terminating and NotTerminating are known, others
count no pod; a LimitRange is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from deployments.local.kube.objects.amounts import Amounts, pod_requests, quantities
from deployments.local.kube.objects.store import Object, Store

_SYSTEM = ("system-cluster-critical", "system-node-critical")
_FINISHED = ("Succeeded", "Failed")
_ZERO = Decimal()


def refusals(store: Store, pod: Mapping[str, Any]) -> Iterator[str]:
    """Each reason why there may be no such pod, the first that a server comes to first."""
    spec, ns = pod["spec"], pod["metadata"]["namespace"]
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    # the default one is made by a controller that a bare API server has not
    if account not in (None, "", "default") and not store.get("serviceaccounts", ns, account):
        yield (
            f'error looking up service account {ns}/{account}: serviceaccount "{account}" not found'
        )
    ranked = spec.get("priorityClassName")
    if ranked and ranked not in _SYSTEM and not store.get("priorityclasses", "", ranked):
        yield f"no PriorityClass with name {ranked} was found"
    runtime = spec.get("runtimeClassName")
    if runtime and not store.get("runtimeclasses", "", runtime):
        yield f'pod rejected: RuntimeClass "{runtime}" not found'
    for quota in sorted(store.list("resourcequotas", ns), key=lambda q: str(q["metadata"]["name"])):
        if _counts(quota, spec) and (said := _exceeded(quota, spec, store.list("pods", ns))):
            yield said


def told(quota: Object, pods: list[Object]) -> Object:
    """The status that a controller writes of a quota: of what pods have."""
    hard, used = quantities(quota["spec"].get("hard")), _used(quota, pods)
    return {
        "hard": dict(quota["spec"].get("hard") or {}),
        "used": {name: f"{used[name].normalize():f}" for name in hard},
    }


def _used(quota: Object, pods: list[Object]) -> Amounts:
    live = [
        pod["spec"]
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in _FINISHED and _counts(quota, pod["spec"])
    ]
    hard = quota["spec"].get("hard") or {}
    return {name: sum((_use(spec, name) for spec in live), _ZERO) for name in hard}


def _counts(quota: Object, spec: Mapping[str, Any]) -> bool:
    """Whether it is a quota of such pods."""
    wanted = [{"scopeName": name, "operator": "Exists"} for name in quota["spec"].get("scopes", [])]
    wanted += (quota["spec"].get("scopeSelector") or {}).get("matchExpressions") or []
    return all(_within(scope, spec) for scope in wanted)


def _within(scope: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    limited = spec.get("activeDeadlineSeconds") is not None
    kind, how = str(scope["scopeName"]), str(scope["operator"])
    if kind in ("Terminating", "NotTerminating"):
        return limited is (kind == "Terminating")
    if kind != "PriorityClass":
        return False
    ranked, values = spec.get("priorityClassName"), scope.get("values") or []
    if how in ("Exists", "DoesNotExist"):
        return bool(ranked) is (how == "Exists")
    return bool(ranked in values) is (how == "In")


def _exceeded(quota: Object, spec: Mapping[str, Any], pods: list[Object]) -> str:
    """What a quota lacks for one more pod; '' for nothing."""
    hard, used = quantities(quota["spec"].get("hard")), _used(quota, pods)
    asked = {name: _use(spec, name) for name in hard}
    over = [n for n, most in hard.items() if asked[n] > 0 and used[n] + asked[n] > most]
    if not over:
        return ""
    requested, taken, limited = (_words(found, over) for found in (asked, used, hard))
    return (
        f"exceeded quota: {quota['metadata']['name']}, requested: {requested}, used: {taken}, "
        f"limited: {limited}"
    )


def _use(spec: Mapping[str, Any], name: str) -> Decimal:
    """What a pod counts for in one of a quota's resources."""
    if name in ("pods", "count/pods"):
        return Decimal(1)
    if name.startswith("limits."):
        name = name.removeprefix("limits.")
        limits = [(item.get("resources") or {}).get("limits") for item in spec["containers"]]
        return sum((quantities(found).get(name, _ZERO) for found in limits), _ZERO)
    return pod_requests(spec).get(name.removeprefix("requests."), _ZERO)


def _words(amounts: Amounts, names: list[str]) -> str:
    return ",".join(f"{name}={amounts[name].normalize():f}" for name in sorted(names))
