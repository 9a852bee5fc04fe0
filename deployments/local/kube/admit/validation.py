"""What Kubernetes refuses in a well-shaped object: names, labels, selectors, amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from deployments.local.kube.admit import refusals
from deployments.local.kube.objects import selectors
from deployments.local.kube.objects.amounts import quantity

Object = Mapping[str, Any]
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_SERVICE = re.compile(r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


def _amount(text: str) -> Decimal | None:
    try:
        return quantity(text)
    except ValueError:
        return None


def problems(plural: str, obj: Object, old: Object | None) -> list[str]:
    """Everything wrong with an object, as 'field: message'; `old` is what it replaces."""
    out = list(_metadata(plural, obj["metadata"]))
    spec = obj.get("spec")
    if isinstance(spec, Mapping):
        if plural == "pods":
            out += _pod(spec, "spec")
        elif isinstance(spec.get("template"), Mapping):
            out += _workload(plural, spec)
        elif plural == "cronjobs":
            out += [f"spec.jobTemplate.{said}" for said in _workload("jobs", _of_cron(spec))]
        if plural == "services":
            out += [*_service(spec), *refusals.service(spec)]
        if old is not None:
            out += _immutable(plural, spec, old.get("spec") or {})
    if plural in ("configmaps", "secrets"):
        out += refusals.data(plural, obj, old)
    return out


def _of_cron(spec: Object) -> Any:
    """The JobSpec that a CronJob's would make."""
    return (spec.get("jobTemplate") or {}).get("spec") or {"template": {}}


def _metadata(plural: str, meta: Object) -> Iterator[str]:
    name, field = str(meta.get("name") or ""), "metadata.name"
    if not name and meta.get("generateName"):
        name, field = f"{meta['generateName']}x", "metadata.generateName"
    if not name:
        yield "metadata.name: Required value: name or generateName is required"
    elif "roles" in plural or "rolebindings" in plural:
        if "/" in name or "%" in name:
            yield f"{field}: Invalid value: {name!r}: may not contain '/' or '%'"
    else:
        short = {"namespaces": _LABEL, "services": _SERVICE}.get(plural)
        if not (short or _SUBDOMAIN).match(name) or len(name) > 253:
            rule = "DNS-1035 label" if plural == "services" else "lowercase RFC 1123 name"
            yield (
                f'{field}: Invalid value: "{name}": a {rule} consists of lower case letters, '
                "digits and '-', and starts and ends with a letter or digit"
            )
    yield from _labels(meta.get("labels") or {}, "metadata.labels")
    for key in meta.get("annotations") or {}:
        yield from _label_key(key.lower(), "metadata.annotations")


def _label_key(key: str, field: str) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    if not name or not _VALUE.match(name) or (slash and not _SUBDOMAIN.match(prefix)):
        yield f'{field}: Invalid value: "{key}": is no qualified name ([prefix/]name)'


def _labels(labels: Object, field: str) -> Iterator[str]:
    for key, value in labels.items():
        yield from _label_key(key, field)
        if not _VALUE.match(str(value)):
            yield (
                f'{field}: Invalid value: "{value}": a valid label has at most 63 letters, '
                "digits, '-', '_' or '.', and starts and ends with a letter or digit"
            )


def _workload(plural: str, spec: Object) -> Iterator[str]:
    template = spec["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    yield from _labels(labels, "spec.template.metadata.labels")
    yield from _pod(template.get("spec") or {}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if plural == "jobs":
        yield from refusals.job(spec)
        if policy not in ("Never", "OnFailure"):
            yield (
                f'spec.template.spec.restartPolicy: Unsupported value: "{policy}": '
                'supported values: "OnFailure", "Never"'
            )
        return
    if policy != "Always":
        yield (
            f'spec.template.spec.restartPolicy: Unsupported value: "{policy}": '
            'supported values: "Always"'
        )
    if plural == "deployments":
        yield from refusals.deployment(spec)
    selector = spec.get("selector") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield "spec.selector: Invalid value: empty selector is invalid"
    elif not selectors.match(selector, labels):
        yield (
            f"spec.template.metadata.labels: Invalid value: {dict(labels)}: "
            "`selector` does not match template `labels`"
        )
    for field in ("replicas", "minReadySeconds", "progressDeadlineSeconds"):
        if (spec.get(field) or 0) < 0:
            yield f"spec.{field}: Invalid value: {spec[field]}: must be >= 0"
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        yield "spec.strategy.rollingUpdate: Forbidden: may not be given with type 'Recreate'"


def _pod(spec: Object, path: str) -> Iterator[str]:
    containers = spec.get("containers") or []
    if not containers:
        yield f"{path}.containers: Required value"
    yield from refusals.pod(spec, path)
    seen: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for group in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(group) or []):
            here = f"{path}.{group}[{i}]"
            name = str(container.get("name") or "")
            if not _LABEL.match(name):
                yield f'{here}.name: Invalid value: "{name}": must be a lowercase RFC 1123 label'
            if name in seen:
                yield f'{here}.name: Duplicate value: "{name}"'
            seen.add(name)
            if not container.get("image"):
                yield f"{here}.image: Required value"
            yield from _resources(container.get("resources") or {}, f"{here}.resources")
            for j, port in enumerate(container.get("ports") or []):
                if not 0 < port.get("containerPort", 0) < 65536:
                    yield f"{here}.ports[{j}].containerPort: Invalid value: must be 1-65535"
            for j, mount in enumerate(container.get("volumeMounts") or []):
                if mount.get("name") not in volumes:
                    yield f'{here}.volumeMounts[{j}].name: Not found: "{mount.get("name")}"'
            yield from _probes(container, here)


def _probes(container: Object, here: str) -> Iterator[str]:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if not probe:
            continue
        if not any(probe.get(way) for way in ("exec", "httpGet", "tcpSocket", "grpc")):
            yield f"{here}.{name}: Required value: must specify a handler type"
        if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            yield f"{here}.{name}.successThreshold: Invalid value: must be 1"


def _resources(resources: Object, path: str) -> Iterator[str]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for where, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            parsed = _amount(str(amount))
            if parsed is None or parsed < 0:
                yield f'{path}.{where}[{name}]: Invalid value: "{amount}": must be a quantity >= 0'
            elif "/" in name and parsed != int(parsed):
                yield f'{path}.{where}[{name}]: Invalid value: "{amount}": must be an integer'
    for name, amount in requests.items():
        if name not in limits:
            if "/" in name:
                yield f"{path}.limits: Required value: Limit must be set for {name}"
            continue
        asked, most = _amount(str(amount)), _amount(str(limits[name]))
        if asked is None or most is None:
            continue
        if "/" in name and asked != most:
            yield (
                f'{path}.requests: Invalid value: "{amount}": must be equal to {name} limit '
                f"of {limits[name]}"
            )
        elif asked > most:
            yield (
                f'{path}.requests: Invalid value: "{amount}": must be less than or equal to '
                f"{name} limit of {limits[name]}"
            )


def _service(spec: Object) -> Iterator[str]:
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield "spec.ports: Required value"
    for i, port in enumerate(ports):
        if not 0 < port.get("port", 0) < 65536:
            yield f"spec.ports[{i}].port: Invalid value: must be 1-65535"
        if len(ports) > 1 and not port.get("name"):
            yield f"spec.ports[{i}].name: Required value"


def _immutable(plural: str, spec: Object, old: Object) -> Iterator[str]:
    fields = {
        "deployments": ("selector",),
        "replicasets": ("selector",),
        "daemonsets": ("selector",),
        "jobs": ("template", "selector", "completions", "completionMode"),
    }.get(plural, ())
    for field in fields:
        # The job controller gives selector and labels after the create.
        if field in old and spec.get(field) != old.get(field):
            yield f"spec.{field}: Invalid value: field is immutable"
    if plural == "services" and old.get("clusterIP") not in (None, "", spec.get("clusterIP")):
        yield "spec.clusterIP: Invalid value: field is immutable"
    if plural == "pods" and _frozen(spec) != _frozen(old):
        yield (
            "spec: Forbidden: pod updates may not change fields other than "
            "`spec.containers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations`"
        )


def _frozen(spec: Object) -> Any:
    """A PodSpec without what may change."""
    may = {"activeDeadlineSeconds", "tolerations", "nodeName", "terminationGracePeriodSeconds"}
    rest = {key: value for key, value in spec.items() if key not in may}
    for group in ("containers", "initContainers"):
        if group in rest:
            rest[group] = [{**item, "image": ""} for item in rest[group]]
    return rest
