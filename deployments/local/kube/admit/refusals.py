"""What Kubernetes refuses although every field has its type: words it does not know, doubles,
things that exclude each other (pkg/apis/core/validation of Kubernetes 1.31).

Each rule yields 'field: message'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]
MEBIBYTE = 1 << 20
_PERCENT = re.compile(r"^\d+%$")
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]{1,253}$")
_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def _unsupported(field: str, value: object, supported: Sequence[str]) -> Iterator[str]:
    """An enumeration's member; what is not given has a default or is asked for elsewhere."""
    if value not in (None, "") and value not in supported:
        words = ", ".join(f'"{word}"' for word in sorted(supported))
        yield f'{field}: Unsupported value: "{value}": supported values: {words}'


def _doubles(items: Iterable[tuple[str, object]]) -> Iterator[str]:
    """(field, value): a value that an earlier field of the list has."""
    seen = set()
    for field, value in items:
        if value not in (None, "") and value in seen:
            yield f'{field}: Duplicate value: "{value}"'
        seen.add(value)


# -- pods -------------------------------------------------------------------------------------


def pod(spec: Object, path: str) -> Iterator[str]:
    """A PodSpec."""
    policies = ("Always", "Never", "OnFailure")
    yield from _unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), policies)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield f"{path}.terminationGracePeriodSeconds: Invalid value: must be >= 0"
    volumes = spec.get("volumes") or []
    yield from _doubles((f"{path}.volumes[{i}].name", v.get("name")) for i, v in enumerate(volumes))
    for i, volume in enumerate(volumes):
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        if len(sources) > 1:
            yield f"{path}.volumes[{i}]: Forbidden: may not specify more than 1 volume type"
    for i, toleration in enumerate(spec.get("tolerations") or []):
        yield from _toleration(toleration, f"{path}.tolerations[{i}]")
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None:
        where = f"{path}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        yield from _terms(required.get("nodeSelectorTerms") or [], f"{where}.nodeSelectorTerms")
    for group in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(group) or []):
            yield from _container(container, f"{path}.{group}[{i}]")
            here = f"{path}.{group}[{i}].lifecycle"
            yield from _lifecycle(container.get("lifecycle") or {}, here, spec)


def _lifecycle(hooks: Object, path: str, spec: Object) -> Iterator[str]:
    grace = spec.get("terminationGracePeriodSeconds", 30)
    for name in ("postStart", "preStop"):
        if hooks.get(name) is None:
            continue
        ways = [way for way in ("exec", "httpGet", "tcpSocket", "sleep") if hooks[name].get(way)]
        if not ways:
            yield f"{path}.{name}: Required value: must specify a handler type"
        if len(ways) > 1:
            yield f"{path}.{name}: Forbidden: may not specify more than 1 handler type"
        seconds = (hooks[name].get("sleep") or {}).get("seconds", 0)
        if not 0 <= seconds <= grace:
            yield (
                f"{path}.{name}.sleep: Invalid value: {seconds}: must be non-negative and less "
                f"than terminationGracePeriodSeconds ({grace})"
            )


def _toleration(item: Object, path: str) -> Iterator[str]:
    yield from _unsupported(f"{path}.operator", item.get("operator"), ("Equal", "Exists"))
    effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
    yield from _unsupported(f"{path}.effect", item.get("effect"), effects)
    if item.get("operator") == "Exists" and item.get("value"):
        yield (
            f'{path}.operator: Invalid value: "{item["value"]}": value must be empty when '
            "`operator` is 'Exists'"
        )
    if not item.get("key") and item.get("operator") != "Exists":
        yield f"{path}.operator: Invalid value: operator must be Exists when `key` is empty"
    if item.get("tolerationSeconds") is not None and item.get("effect") != "NoExecute":
        yield f"{path}.effect: Invalid value: effect must be 'NoExecute' with tolerationSeconds"


def _terms(terms: Iterable[Object], path: str) -> Iterator[str]:
    terms = list(terms)
    if not terms:
        yield f"{path}: Required value: must have at least one node selector term"
    for i, term in enumerate(terms):
        for j, rule in enumerate(term.get("matchExpressions") or []):
            here = f"{path}[{i}].matchExpressions[{j}]"
            operator, values = rule.get("operator"), rule.get("values") or []
            yield from _unsupported(f"{here}.operator", operator, _NODE_OPERATORS)
            if operator in ("In", "NotIn") and not values:
                yield f"{here}.values: Required value: must be specified when `operator` is 'In'"
            if operator in ("Exists", "DoesNotExist") and values:
                yield f"{here}.values: Forbidden: may not be specified when `operator` is 'Exists'"
            if operator in ("Gt", "Lt") and len(values) != 1:
                yield f"{here}.values: Required value: must be one value when `operator` is 'Lt'"


def _container(item: Object, path: str) -> Iterator[str]:
    policies = ("Always", "IfNotPresent", "Never")
    yield from _unsupported(f"{path}.imagePullPolicy", item.get("imagePullPolicy"), policies)
    ports = item.get("ports") or []
    yield from _doubles((f"{path}.ports[{i}].name", p.get("name")) for i, p in enumerate(ports))
    mounts = item.get("volumeMounts") or []
    yield from _doubles(
        (f"{path}.volumeMounts[{i}].mountPath", m.get("mountPath")) for i, m in enumerate(mounts)
    )
    for i, env in enumerate(item.get("env") or []):
        if not env.get("name"):
            yield f"{path}.env[{i}].name: Required value"
        if env.get("value") and env.get("valueFrom"):
            yield (
                f"{path}.env[{i}].valueFrom: Invalid value: may not be specified when `value` is "
                "not empty"
            )
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        handlers = [way for way in _HANDLERS if (item.get(name) or {}).get(way)]
        if len(handlers) > 1:
            yield f"{path}.{name}: Forbidden: may not specify more than 1 handler type"


# -- workloads --------------------------------------------------------------------------------


def deployment(spec: Object) -> Iterator[str]:
    """A Deployment's strategy, with its defaults."""
    strategy = spec.get("strategy") or {}
    types = ("Recreate", "RollingUpdate")
    yield from _unsupported("spec.strategy.type", strategy.get("type"), types)
    rolling = strategy.get("rollingUpdate") or {}
    for name in ("maxSurge", "maxUnavailable"):
        value = rolling.get(name)
        wrong = isinstance(value, int) and value < 0
        if wrong or (isinstance(value, str) and not _PERCENT.match(value)):
            yield (
                f'spec.strategy.rollingUpdate.{name}: Invalid value: "{value}": must be a '
                "non-negative integer or a percentage such as '10%'"
            )
    unavailable = str(rolling.get("maxUnavailable"))
    if unavailable in ("0", "0%") and str(rolling.get("maxSurge")) in ("0", "0%"):
        yield (
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when "
            "`maxSurge` is 0"
        )


def job(spec: Object) -> Iterator[str]:
    """A Job's numbers."""
    numbers = ("backoffLimit", "parallelism", "completions", "activeDeadlineSeconds")
    for name in (*numbers, "ttlSecondsAfterFinished"):
        if (spec.get(name) or 0) < 0:
            yield f"spec.{name}: Invalid value: {spec[name]}: must be greater than or equal to 0"


def service(spec: Object) -> Iterator[str]:
    """A Service's type and ports."""
    yield from _unsupported("spec.type", spec.get("type"), _SERVICE_TYPES)
    ports = spec.get("ports") or []
    yield from _doubles((f"spec.ports[{i}].name", p.get("name")) for i, p in enumerate(ports))
    yield from _doubles(
        (f"spec.ports[{i}]", f"{p.get('port')}/{p.get('protocol') or 'TCP'}")
        for i, p in enumerate(ports)
    )
    for i, port in enumerate(ports):
        if port.get("nodePort") and spec.get("type") not in ("NodePort", "LoadBalancer"):
            yield (
                f"spec.ports[{i}].nodePort: Forbidden: may not be used when `type` is "
                f"'{spec.get('type') or 'ClusterIP'}'"
            )


# -- data -------------------------------------------------------------------------------------


def data(plural: str, obj: Object, old: Object | None) -> Iterator[str]:
    """A ConfigMap or Secret: keys, size, and what is immutable."""
    texts, coded = obj.get("data") or {}, obj.get("binaryData") or {}
    if plural == "secrets":
        texts, coded = {}, texts
    for key in (*texts, *coded):
        if not _DATA_KEY.match(key) or key in (".", ".."):
            yield f"data[{key}]: Invalid value: a valid config key has letters, digits, '-_.'"
    # base64 holds three bytes in four characters
    size = sum(len(str(value).encode()) for value in texts.values())
    size += sum(len(str(value)) * 3 // 4 for value in coded.values())
    if size > MEBIBYTE:
        yield f"data: Too long: may not be more than {MEBIBYTE} bytes"
    if old is None or not old.get("immutable"):
        return
    if not obj.get("immutable"):
        yield "immutable: Forbidden: field is immutable when `immutable` is set"
    for part in ("data", "binaryData"):
        if (obj.get(part) or {}) != (old.get(part) or {}):
            yield f"{part}: Forbidden: field is immutable when `immutable` is set"
