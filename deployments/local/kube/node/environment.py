"""A container's environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.local.kube.node.translate import expand
from deployments.local.kube.node.volumes import BadConfig, data_of
from deployments.local.kube.objects.store import Store

_SOURCES = (
    ("secretKeyRef", "secrets", "secret"),
    ("configMapKeyRef", "configmaps", "configmap"),
)
_BULK = (("secretRef", "secrets", "secret"), ("configMapRef", "configmaps", "configmap"))


def _field(pod: Mapping[str, Any], path: str) -> str:
    """A fieldRef. Raises BadConfig."""
    meta, status = pod["metadata"], pod.get("status") or {}
    plain = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "status.podIP": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
    }
    for field in ("labels", "annotations"):
        start = f"metadata.{field}['"
        if path.startswith(start):
            return str((meta.get(field) or {}).get(path[len(start) : -2], ""))
    if path not in plain:
        raise BadConfig(f"unsupported fieldPath: {path}")
    return str(plain[path])


def _value(store: Store, pod: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    """A valueFrom; None where an optional one is missing. Raises BadConfig."""
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    ns = pod["metadata"]["namespace"]
    for field, plural, word in _SOURCES:
        if field not in source:
            continue
        ref = source[field]
        data = data_of(store, plural, ns, ref["name"])
        if data is not None and ref["key"] in data:
            return data[ref["key"]].decode()
        if ref.get("optional"):
            return None
        if data is None:
            raise BadConfig(f'{word} "{ref["name"]}" not found')
        raise BadConfig(f"couldn't find key {ref['key']} in {word.title()} {ns}/{ref['name']}")
    raise BadConfig(f"this stand-in has no valueFrom of kind {', '.join(source)}")


def variables(store: Store, pod: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, str]:
    """envFrom, then env with $(NAME) expanded by what came before. Raises BadConfig."""
    out: dict[str, str] = {}
    ns = pod["metadata"]["namespace"]
    for source in container.get("envFrom") or []:
        for field, plural, word in _BULK:
            if field not in source:
                continue
            ref = source[field]
            data = data_of(store, plural, ns, ref["name"])
            if data is None and not ref.get("optional"):
                raise BadConfig(f'{word} "{ref["name"]}" not found')
            prefix = source.get("prefix") or ""
            out |= {f"{prefix}{key}": value.decode() for key, value in (data or {}).items()}
    for item in container.get("env") or []:
        if item.get("valueFrom"):
            value = _value(store, pod, item["valueFrom"])
        else:
            value = expand(str(item.get("value") or ""), out)
        if value is not None:
            out[item["name"]] = value
    return out
