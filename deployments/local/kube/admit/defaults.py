"""The defaults Kubernetes sets, where a controller or a client reads them.

Source: the API reference's "Defaults to ..." of each field.
"""

from __future__ import annotations

import copy
from typing import Any

from deployments.local.kube.admit.canonical import written_down

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
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec |= {"serviceAccountName": account, "serviceAccount": account}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        _container(container)
    for volume in spec.get("volumes") or []:
        _volume(volume)


def _volume(volume: Object) -> None:
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            _fill(volume[source], {"defaultMode": 0o644})
    if isinstance(volume.get("hostPath"), dict):
        _fill(volume["hostPath"], {"type": ""})
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}
    for part in (volume.get("projected") or {}).get("sources") or []:
        if isinstance(part.get("serviceAccountToken"), dict):
            _fill(part["serviceAccountToken"], {"expirationSeconds": 3600})
        _items(part.get("downwardAPI"))
    _items(volume.get("downwardAPI"))
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if isinstance(claim, dict):
        _fill(claim, {"metadata": {}})
        _fill(claim["spec"], {"volumeMode": "Filesystem"})


def _items(source: Any) -> None:
    for item in (source or {}).get("items") or []:
        _reference(item)


def _reference(holder: Object) -> None:
    """Of what names a field of its pod, or an amount of a container."""
    if isinstance(holder.get("fieldRef"), dict):
        _fill(holder["fieldRef"], {"apiVersion": "v1"})
    if isinstance(holder.get("resourceFieldRef"), dict):
        _fill(holder["resourceFieldRef"], {"divisor": "0"})


def _container(container: Object) -> None:
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
    probes = (container.get(f"{name}Probe") for name in ("liveness", "readiness", "startup"))
    for probe in filter(None, probes):
        _fill(probe, _PROBE)
        _asked(probe)
        if isinstance(probe.get("grpc"), dict):
            _fill(probe["grpc"], {"service": ""})
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _asked(hook)
    for item in container.get("env") or []:
        _reference(item.get("valueFrom") or {})


def _asked(holder: Object) -> None:
    if isinstance(holder.get("httpGet"), dict):
        _fill(holder["httpGet"], {"path": "/", "scheme": "HTTP"})


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


def _cronjob(obj: Object) -> None:
    spec = obj["spec"]
    _fill(
        spec,
        {
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
    )
    _template(spec["jobTemplate"].get("spec") or {})


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
    "cronjobs": _cronjob,
    "services": _service,
}


def defaulted(plural: str, obj: Object) -> Object:
    """A copy of a well-shaped object with defaults, without nulls, and in its pods as it is written
    down."""
    new = _without_nulls(obj)
    assert isinstance(new, dict)
    spec = new.get("spec")
    if isinstance(spec, dict):
        if plural in _BY_PLURAL:
            _BY_PLURAL[plural](new)
        if plural == "pods":
            spec = new["spec"] = written_down(spec, "V1PodSpec")
            pod_spec(spec)
        _template(spec)
    if plural == "secrets":
        _fill(new, {"type": "Opaque"})
    return new


def _template(spec: Object) -> None:
    """Fill the template of a workload's spec in place."""
    template = spec.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        _fill(template, {"metadata": {}})
        template = spec["template"] = written_down(template, "V1PodTemplateSpec")
        pod_spec(template["spec"])


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
