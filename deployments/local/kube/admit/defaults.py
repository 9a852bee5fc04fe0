"""The defaults Kubernetes sets, where a controller or a client reads them.

Source: the API reference's "Defaults to ..." of each field.
"""

from __future__ import annotations

import copy
from typing import Any

Object = dict[str, Any]
_PROBE = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1}


def _fill(target: Object, values: Object) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = copy.deepcopy(value)


def pod_spec(spec: Object) -> None:
    """Fill a PodSpec in place."""
    _fill(
        spec,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
        },
    )
    host = bool(spec.get("hostNetwork"))
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        _container(container, host)
    for volume in spec.get("volumes") or []:
        for source in ("configMap", "secret", "projected", "downwardAPI"):
            if isinstance(volume.get(source), dict):
                _fill(volume[source], {"defaultMode": 0o644})
        if isinstance(volume.get("hostPath"), dict):
            _fill(volume["hostPath"], {"type": ""})


def _container(container: Object, host_network: bool) -> None:
    image = str(container.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    newest = "@" not in image and tag in ("", "latest")
    _fill(
        container,
        {
            "imagePullPolicy": "Always" if newest else "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "resources": {},
        },
    )
    for port in container.get("ports") or []:
        _fill(port, {"protocol": "TCP"})
        if host_network and port.get("containerPort"):
            _fill(port, {"hostPort": port["containerPort"]})
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe := container.get(name):
            _fill(probe, _PROBE)
            if isinstance(probe.get("httpGet"), dict):
                _fill(probe["httpGet"], {"path": "/", "scheme": "HTTP"})
    for item in container.get("env") or []:
        reference = (item.get("valueFrom") or {}).get("fieldRef")
        if reference:
            _fill(reference, {"apiVersion": "v1"})
    resources = container["resources"]
    # A limit without a request is also the request.
    if limits := resources.get("limits"):
        resources["requests"] = {**limits, **(resources.get("requests") or {})}
    for amounts in resources.values():
        if isinstance(amounts, dict):
            amounts.update({k: str(v) for k, v in amounts.items() if not isinstance(v, str)})


def _deployment(obj: Object) -> None:
    spec = obj["spec"]
    _fill(
        spec,
        {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate"},
        },
    )
    strategy = spec["strategy"]
    _fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, {"rollingUpdate": {}})
        _fill(strategy["rollingUpdate"], {"maxSurge": "25%", "maxUnavailable": "25%"})


def _daemonset(obj: Object) -> None:
    spec = obj["spec"]
    rolling = {"maxUnavailable": 1, "maxSurge": 0}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    _fill(spec, {"revisionHistoryLimit": 10, "updateStrategy": strategy})


def _job(obj: Object) -> None:
    _fill(
        obj["spec"],
        {
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "manualSelector": False,
            "podReplacementPolicy": "TerminatingOrFailed",
        },
    )
    if obj["spec"].get("completions") is None and obj["spec"].get("parallelism") is None:
        obj["spec"]["completions"] = 1
    _fill(obj["spec"], {"parallelism": 1})


def _service(obj: Object) -> None:
    spec = obj["spec"]
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["type"] != "ExternalName":
        _fill(spec, {"internalTrafficPolicy": "Cluster", "ipFamilyPolicy": "SingleStack"})
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _fill(spec, {"externalTrafficPolicy": "Cluster"})
    for port in spec.get("ports") or []:
        _fill(port, {"protocol": "TCP"})
        _fill(port, {"targetPort": port.get("port")})


_BY_PLURAL = {
    "deployments": _deployment,
    "daemonsets": _daemonset,
    "replicasets": lambda obj: _fill(obj["spec"], {"replicas": 1}),
    "jobs": _job,
    "services": _service,
}


def defaulted(plural: str, obj: Object) -> Object:
    """A copy of a well-shaped object with defaults, and without nulls."""
    new = _without_nulls(obj)
    assert isinstance(new, dict)
    spec = new.get("spec")
    if isinstance(spec, dict):
        if plural in _BY_PLURAL:
            _BY_PLURAL[plural](new)
        template = spec.get("template")
        if plural == "pods":
            pod_spec(spec)
        elif isinstance(template, dict) and isinstance(template.get("spec"), dict):
            _fill(template, {"metadata": {}})
            pod_spec(template["spec"])
    if plural == "secrets":
        _fill(new, {"type": "Opaque"})
    return new


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
